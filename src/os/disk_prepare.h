/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One helper thread that prepares segments, because that takes many milliseconds and the journal
 * thread has microseconds. Requests and completions cross under one mutex, a few per second.
 */
#ifndef CAIRN_OS_DISK_PREPARE_H
#define CAIRN_OS_DISK_PREPARE_H

#include "os/disk_files.h"
#include "os/disk_signal.h"

struct disk_prepare {
    struct disk_files *files;
    struct disk_signal *signal; /* raised after each completion */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    _Atomic bool stop;
    _Atomic uint32_t done_count; /* also read without the lock: is there anything to take? */
    uint32_t queue_count;
    struct host_request queue[HOST_REQUESTS_MAX];
    struct host_completion done[HOST_REQUESTS_MAX];
};

CHECKED int disk_prepare_open(struct disk_prepare *self, struct disk_files *files,
                              struct disk_signal *signal);
/* Gives up what is being prepared, and joins the thread. */
void disk_prepare_close(struct disk_prepare *self);

void disk_prepare_submit(struct disk_prepare *self, const struct host_request *request);
/* Writes at most HOST_REQUESTS_MAX completions. */
uint32_t disk_prepare_reap(struct disk_prepare *self, struct host_completion *completions);

#endif
