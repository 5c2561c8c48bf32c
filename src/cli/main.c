/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>

#include "cli/commands.h"

/*
 * A caller may close the standard descriptors. The next file opened would get their numbers, and
 * what is meant for a person would be written into it: a data folder's member file, for one.
 */
static void keep_standard_descriptors(void)
{
    for (;;) {
        int fd = open("/dev/null", O_RDWR);
        if (fd < 0) abort();
        if (fd > 2) {
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
            return;
        }
    }
}

int main(int argc, char **argv)
{
    keep_standard_descriptors();
    return command_run(argc, argv);
}
