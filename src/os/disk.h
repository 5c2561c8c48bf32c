/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_disk on Linux. What all ways of writing share is here: checks, files, preparation, the queue
 * of completions, sleeping. A disk_engine only moves bytes: disk_uring.c through a ring,
 * disk_plain.c on the calling thread.
 *
 * Threads: one at a time submits and waits; it may be another one later, when nothing is in flight.
 */
#ifndef CAIRN_OS_DISK_H
#define CAIRN_OS_DISK_H

#include "os/disk_files.h"
#include "os/disk_prepare.h"
#include "os/disk_signal.h"

/*
 * A lone write up to this size is done by the calling thread, whatever the engine: a ring hands
 * each sync to a worker thread, and that costs more than it can overlap (README.md, measured).
 */
#define DISK_LONE_WRITE_BYTES_MAX (64u << 10)

struct os_disk;

struct disk_engine {
    const char *name;
    /* False: not possible here; another engine is taken. */
    bool (*open)(struct os_disk *disk);
    /* Waits for what is in flight. */
    void (*close)(struct os_disk *disk);
    /* Takes one HOST_WRITE or HOST_READ of a prepared segment; it may start at flush() only. */
    void (*submit)(struct os_disk *disk, const struct host_request *request);
    void (*flush)(struct os_disk *disk);
    /* Calls disk_complete() for what has ended; does not wait. */
    void (*reap)(struct os_disk *disk);
};

extern const struct disk_engine disk_plain;
extern const struct disk_engine disk_uring;

struct disk_options {
    int folder; /* the data folder; borrowed */
    int lock;   /* the open LOCK; borrowed. What may outlive the process holds on to it */
    bool uring;
    uint64_t segment_bytes;
    uint32_t segment_count;
};

struct os_disk {
    const struct disk_engine *engine;
    void *engine_self;
    int lock;
    uint32_t accepted; /* submitted, and not yet returned by wait() */
    uint32_t moving;   /* of these, how many the engine has not completed */
    uint32_t ready_first;
    uint32_t ready_count;
    struct host_completion ready[HOST_REQUESTS_MAX]; /* a ring */
    struct disk_files files;
    struct disk_signal signal;
    struct disk_prepare prepare;
    CACHE_ALIGNED _Atomic bool woken; /* since the last return of wait(); written by any thread */
};

CHECKED int disk_open(struct os_disk **disk, const struct disk_options *options,
                      struct os_failure *failure);
/* NULL is allowed. */
void disk_close(struct os_disk *disk);
struct host_disk disk_face(struct os_disk *disk);

/* For engines: the request with this token has ended. */
void disk_complete(struct os_disk *self, uint32_t token, int result);

#endif
