/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/result.h"

static void say_list(const char *format, va_list list)
{
    fputs("cairn: ", stderr);
    vfprintf(stderr, format, list);
    putc('\n', stderr);
}

void say(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_list(format, list);
    va_end(list);
}

int say_failure(int result, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_list(format, list);
    va_end(list);
    return cairn_result_exit_code(result);
}

int say_refusal(int result, const char *what, const char *message)
{
    if (message != NULL && *message != 0) return say_failure(result, "%s: %s", what, message);
    const char *remedy = result_remedy(result);
    return say_failure(result, "%s: %s%s%s", what, cairn_result_text(result),
                       *remedy != 0 ? "; " : "", remedy);
}

static int result_of_errno(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR: return CAIRN_NOT_FOUND;
    case ENOSPC:
    case EDQUOT: return CAIRN_STORAGE_FULL;
    case ENOMEM: return CAIRN_NO_MEMORY;
    default: return CAIRN_SYSTEM;
    }
}

int say_errno(const char *what, const char *name)
{
    int error = errno;
    return say_failure(result_of_errno(error), "%s %s: %s", what, name, strerror(error));
}

bool say_in_colour(int fd)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    if (no_colour != NULL && *no_colour != 0) return false;
    if (terminal == NULL || strcmp(terminal, "dumb") == 0) return false;
    return isatty(fd) == 1;
}
