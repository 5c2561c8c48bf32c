/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the journal segments: which are prepared, which are open, and how one is prepared.
 *
 *   D1  a segment is prepared when its file journal/NNNN is there; it comes to be by the rename of
 *       journal/NNNN.new, after every byte of that was written and synced
 *   D2  a file in use is open; at most DISK_FILES_OPEN_MAX are open, so a large ring needs no more
 *       descriptors than a small one
 */
#ifndef CAIRN_OS_DISK_FILES_H
#define CAIRN_OS_DISK_FILES_H

#include "host/host.h"
#include "os/failure.h"

#define DISK_FILES_OPEN_MAX (HOST_REQUESTS_MAX + 1)
#define DISK_FILE_NAME_SIZE 32u

struct disk_file {
    int fd;         /* -1: not open */
    uint32_t users; /* requests that use fd */
    _Atomic bool prepared;
};

struct disk_files {
    struct os_failure *failure;
    int folder;  /* the journal folder */
    bool direct; /* O_DIRECT works here */
    uint32_t count;
    uint32_t open_count;
    uint32_t hand; /* where the search for an idle file goes on */
    uint64_t segment_bytes;
    struct disk_file *files;
    /* For disk_files_read(): the file that was read last, apart from the others because any thread
     * may come. */
    pthread_mutex_t reader_lock;
    uint32_t reader_segment;
    int reader_fd; /* -1: none */
};

/* Opens the journal folder in `folder`, or makes it; removes preparations that did not end. */
CHECKED int disk_files_open(struct disk_files *self, int folder, uint64_t segment_bytes,
                            uint32_t segment_count, struct os_failure *failure);
void disk_files_close(struct disk_files *self);

/* Any thread. */
bool disk_files_is_prepared(const struct disk_files *self, uint32_t segment);

/* The descriptor of a prepared segment, until disk_files_give(); -1: a failure, which is noted.
 * One thread at a time. */
int disk_files_take(struct disk_files *self, uint32_t segment);
void disk_files_give(struct disk_files *self, uint32_t segment);

/* Reads from a descriptor of the segment; all of it, or a failure. Any thread. */
int disk_files_read_from(struct disk_files *self, uint32_t segment, int file, uint64_t offset,
                         uint8_t *bytes, uint32_t size);
/* Reads a prepared segment. Any thread. */
int disk_files_read(struct disk_files *self, uint32_t segment, uint64_t offset, uint8_t *bytes,
                    uint32_t size);

/* Does HOST_PREPARE; blocks; *stop ends it early, as a failure. May run beside take and give. */
int disk_files_prepare(struct disk_files *self, uint32_t segment, const _Atomic bool *stop);

/* Notes a failed call on a segment, and returns the result that the error means. */
COLD int disk_files_fail(struct disk_files *self, uint32_t segment, const char *call, int error);

#endif
