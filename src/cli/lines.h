/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a descriptor, of any length up to a limit, and whether the next one is there already. */
#ifndef CAIRN_CLI_LINES_H
#define CAIRN_CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_SIZE_MAX (4u * 1024u * 1024u)

struct line_reader {
    int fd;
    char *bytes;
    size_t capacity;
    size_t begin; /* of what was read and not handed out */
    size_t end;
    bool ended;
    uint64_t bytes_read;
};

enum line_result {
    LINE_READ = 1,
    LINE_END = 0,
    LINE_FAILED = -1, /* errno; EMSGSIZE: longer than LINE_SIZE_MAX */
};

void line_reader_init(struct line_reader *self, int fd);
void line_reader_free(struct line_reader *self);
/* The next line, terminated in place of its line end; valid until the next call. */
enum line_result line_reader_next(struct line_reader *self, char **line, size_t *size);
/* Would line_reader_next() have to wait for the other side? */
bool line_reader_would_wait(const struct line_reader *self);

#endif
