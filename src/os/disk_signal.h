/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a waiting journal thread sleeps on: an eventfd that the waker, the ring and the helper
 * thread raise alike. It says only "look again"; what there is to see lies elsewhere.
 */
#ifndef CAIRN_OS_DISK_SIGNAL_H
#define CAIRN_OS_DISK_SIGNAL_H

#include "os/failure.h"

struct disk_signal {
    int fd;
};

CHECKED int disk_signal_open(struct disk_signal *self, struct os_failure *failure);
void disk_signal_close(struct disk_signal *self);
/* Any thread. */
void disk_signal_raise(struct disk_signal *self);
/* Sleeps until raised since it last returned, or until the deadline on CLOCK_MONOTONIC (negative:
 * none); may return early. False: the deadline has passed. */
bool disk_signal_sleep(struct disk_signal *self, int64_t deadline_ns);
int64_t disk_signal_now_ns(void);

#endif
