/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The complete list of what Cairn asks of a system. os/ answers on Linux, sim/ answers virtually.
 * No other room asks a system for anything.
 *
 * Each face is a struct of functions with a `self`. A function returns CAIRN_OK or a result of
 * include/cairn.h; where the text names none, it cannot fail.
 */
#ifndef CAIRN_HOST_HOST_H
#define CAIRN_HOST_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn.h"

/* Everything that goes to a journal segment is a multiple of this, in size, offset and address. */
#define HOST_BLOCK_SIZE 4096u

/* ---- Journal segments: asynchronous ------------------------------------------------------------
 *
 * A journal is `segment_count` segments of equal size, numbered from 0. One thread at a time
 * submits and waits; wake() may be called from any thread. What can be read after an open is
 * durable: the host syncs what an earlier process wrote and did not live to sync.
 */
enum host_request_kind {
    /* Writes, then syncs. Completes when the bytes are durable; two may be in flight, and complete
     * in any order. Writing to a segment that was not prepared is a defect. */
    HOST_WRITE = 1,
    /* Reads. A segment that was never prepared reads as zeros. */
    HOST_READ = 2,
    /* Makes room for a whole segment, so that later writes to it cannot fail for want of space, and
     * writes it ahead, so that a sync need not update metadata. A segment that is prepared already
     * keeps its bytes and completes at once. STORAGE_FULL: nothing was kept of the attempt. */
    HOST_PREPARE = 3,
};

struct host_request {
    uint64_t offset; /* in the segment; 0 for HOST_PREPARE */
    uint8_t *bytes;  /* owned by the host until completion; NULL for HOST_PREPARE */
    uint32_t size;   /* 0 for HOST_PREPARE */
    uint32_t segment;
    uint32_t kind;  /* enum host_request_kind */
    uint32_t token; /* comes back in the completion */
};

struct host_completion {
    uint32_t token;
    int32_t result; /* CAIRN_OK, STORAGE_FULL, STORAGE_FAILED */
};

#define HOST_REQUESTS_MAX 64u /* in flight at a time */

struct host_disk {
    void *self;
    uint64_t segment_bytes;
    uint32_t segment_count;
    /* Accepts all `count` requests. At most HOST_REQUESTS_MAX may be in flight. */
    void (*submit)(void *self, const struct host_request *requests, uint32_t count);
    /*
     * Returns completions, at most `maximum`. Waits until there is one, or wake() was called since
     * the last return of wait(), or the timeout passed (0: do not wait; negative: no timeout).
     */
    uint32_t (*wait)(void *self, struct host_completion *completions, uint32_t maximum,
                     int64_t timeout_ns);
    void (*wake)(void *self);
    /* Reads at once; any thread, also while the other waits. Offsets, sizes and addresses are whole
     * blocks. A segment that was never prepared reads as zeros. STORAGE_FAILED. */
    int (*read)(void *self, uint32_t segment, uint64_t offset, void *bytes, uint32_t size);
    /* Which segments exist and hold bytes: true after a HOST_PREPARE that succeeded, now or in an
     * earlier life. */
    bool (*is_prepared)(void *self, uint32_t segment);
};

/* ---- Small files: blocking ------------------------------------------------------------------- */

enum host_file {
    HOST_FILE_MEMBER = 0,       /* who this folder belongs to, and its secret key */
    HOST_FILE_CHECKPOINT_A = 1, /* checkpoints, written in turn */
    HOST_FILE_CHECKPOINT_B = 2,
    HOST_FILES
};

struct host_store {
    void *self;
    /* Size in bytes; 0 when the file is not there. */
    int (*size)(void *self, enum host_file file, uint64_t *size);
    /* Reads exactly `size` bytes. STORAGE_FAILED: fewer are there, or an error. */
    int (*read)(void *self, enum host_file file, uint64_t offset, void *bytes, size_t size);
    /* Writes at the offset; makes the file, readable by its owner only, when it is not there.
     * Nothing is durable before sync(). STORAGE_FULL, STORAGE_FAILED. */
    int (*write)(void *self, enum host_file file, uint64_t offset, const void *bytes, size_t size);
    int (*truncate)(void *self, enum host_file file, uint64_t size);
    /* The file's bytes, size and name are durable when this returns. STORAGE_FAILED. */
    int (*sync)(void *self, enum host_file file);
};

/* ---- Time, entropy, memory, threads ---------------------------------------------------------- */

struct host_system {
    void *self;
    /* Milliseconds since 1970, coarse (some milliseconds) and cheap (some nanoseconds). */
    uint64_t (*wall_ms)(void *self);
    /* Nanoseconds since some start; never goes back. */
    uint64_t (*monotonic_ns)(void *self);
    /* Bytes that nobody can guess. SYSTEM. */
    int (*entropy)(void *self, void *bytes, size_t size);
    /* Zeroed memory at a page boundary, with huge pages where they help; NULL: refused. */
    void *(*memory_take)(void *self, uint64_t size);
    void (*memory_give)(void *self, void *memory, uint64_t size);
    /*
     * Starts the thread that runs `run(argument)` until it returns. NULL function pointers in a
     * host without threads (sim): the engine then runs its journal turn inside its own calls.
     * `realtime` asks for the real-time class and is silently not granted without the right.
     */
    int (*thread_start)(void *self, void (*run)(void *argument), void *argument, bool realtime);
    void (*thread_join)(void *self);
    /* Sleeps until *word differs from `seen`, or word_wake(), or the timeout; may return early. */
    void (*word_wait)(void *self, _Atomic uint32_t *word, uint32_t seen, int64_t timeout_ns);
    void (*word_wake)(void *self, _Atomic uint32_t *word);
    /*
     * A full memory barrier on every thread of the process that runs, so that who seldom needs one
     * pays for who often would. False, or a NULL function: not to be had here.
     */
    bool (*barrier_everywhere)(void *self);
};

struct host {
    struct host_disk disk;
    struct host_store store;
    struct host_system system;
};

#endif
