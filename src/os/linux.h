/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux as a host: fills the faces of host/host.h.
 *
 * The order of an open: os_host_open() locks the folder and gives store and system; the caller
 * reads the geometry of the journal from the member file; os_disk_open() gives the disk. Before
 * os_host_close() the thread is joined; what the disk has in flight is waited for.
 */
#ifndef CAIRN_OS_LINUX_H
#define CAIRN_OS_LINUX_H

#include "base/attributes.h"
#include "host/host.h"

struct os_host;

struct os_options {
    const char *folder; /* NULL: memory only; then there is no store and no disk */
    bool create;        /* make the folder if it is not there */
    bool uring;         /* use io_uring where it is there; else, and otherwise, plain writes */
};

/*
 * Fills face->system, with a folder face->store too, and zeroes the rest. After a failure *host is
 * NULL, and `message` (CAIRN_ERROR_MESSAGE_SIZE_MAX bytes, or NULL) says what failed.
 * LOCKED, FOREIGN, NOT_FOUND (no such folder, or an empty one, and not `create`), STORAGE_FULL,
 * STORAGE_FAILED, NO_MEMORY.
 */
CHECKED int os_host_open(struct os_host **host, const struct os_options *options, struct host *face,
                         char *message);

/*
 * Fills face->disk. Once for a host with a folder. `segment_bytes`: a multiple of HOST_BLOCK_SIZE.
 * INVALID_ARGUMENT, CORRUPT (a segment's file has another size), STORAGE_FULL, STORAGE_FAILED,
 * NO_MEMORY, SYSTEM.
 */
CHECKED int os_disk_open(struct os_host *host, uint64_t segment_bytes, uint32_t segment_count,
                         struct host *face, char *message);

/* Frees everything and gives the lock back. NULL is allowed. */
void os_host_close(struct os_host *host);

/* What failed last under any face of this host: call, file, reason. Any thread. */
void os_host_failure(struct os_host *host, char *message);

/* How the disk writes: "io_uring" or "plain"; and whether it goes around the page cache. */
const char *os_disk_name(const struct os_host *host);
bool os_disk_is_direct(const struct os_host *host);

#endif
