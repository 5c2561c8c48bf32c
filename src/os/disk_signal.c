/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "os/disk_signal.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

#define NS_PER_SECOND 1000000000

int disk_signal_open(struct disk_signal *self, struct os_failure *failure)
{
    self->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return self->fd >= 0 ? CAIRN_OK : os_fail(failure, CAIRN_SYSTEM, "eventfd", "", errno);
}

void disk_signal_close(struct disk_signal *self)
{
    close(self->fd);
}

void disk_signal_raise(struct disk_signal *self)
{
    uint64_t one = 1;
    ssize_t put = write(self->fd, &one, sizeof one);
    /* EAGAIN: the count is at its end, so the sleeper wakes anyway. */
    cairn_assert(put == sizeof one || errno == EAGAIN || errno == EINTR);
}

int64_t disk_signal_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

bool disk_signal_sleep(struct disk_signal *self, int64_t deadline_ns)
{
    struct timespec timeout = {0};
    if (deadline_ns >= 0) {
        int64_t left = deadline_ns - disk_signal_now_ns();
        if (left <= 0) return false;
        timeout.tv_sec = (time_t)(left / NS_PER_SECOND);
        timeout.tv_nsec = (long)(left % NS_PER_SECOND);
    }
    struct pollfd wanted = {.fd = self->fd, .events = POLLIN};
    if (ppoll(&wanted, 1, deadline_ns < 0 ? NULL : &timeout, NULL) > 0) {
        uint64_t count;
        ssize_t ignored = read(self->fd, &count, sizeof count);
        (void)ignored;
    }
    return true;
}
