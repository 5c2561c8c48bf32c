/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/memory.h"

#define READ_SIZE (256u * 1024u)

void line_reader_init(struct line_reader *self, int fd)
{
    memset(self, 0, sizeof *self);
    self->fd = fd;
}

void line_reader_free(struct line_reader *self)
{
    free(self->bytes);
    memset(self, 0, sizeof *self);
}

/* Reads more behind what is there. */
static bool read_more(struct line_reader *self)
{
    if (self->begin > 0) {
        memmove(self->bytes, self->bytes + self->begin, self->end - self->begin);
        self->end -= self->begin;
        self->begin = 0;
    }
    if (self->end > LINE_SIZE_MAX) {
        errno = EMSGSIZE;
        return false;
    }
    self->bytes = memory_grow(self->bytes, &self->capacity, self->end + READ_SIZE + 1, 1);
    ssize_t count;
    do {
        count = read(self->fd, self->bytes + self->end, READ_SIZE);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return false;
    self->ended = count == 0;
    self->end += (size_t)count;
    self->bytes_read += (uint64_t)count;
    return true;
}

static char *line_end(const struct line_reader *self)
{
    if (self->begin == self->end) return NULL;
    return memchr(self->bytes + self->begin, '\n', self->end - self->begin);
}

enum line_result line_reader_next(struct line_reader *self, char **line, size_t *size)
{
    char *end;
    while ((end = line_end(self)) == NULL && !self->ended) {
        if (!read_more(self)) return LINE_FAILED;
    }
    if (self->begin == self->end) return LINE_END;
    if (end == NULL) end = self->bytes + self->end; /* the last line has no line end */
    *line = self->bytes + self->begin;
    *size = (size_t)(end - *line);
    self->begin += *size;
    if (self->begin < self->end) self->begin++;
    *end = 0;
    return LINE_READ;
}

bool line_reader_would_wait(const struct line_reader *self)
{
    if (self->ended || line_end(self) != NULL) return false;
    struct pollfd poll_fd = {.fd = self->fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 0;
}
