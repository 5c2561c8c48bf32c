/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "os/disk_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

#define PIECE_BYTES (1u << 20)

/* Never written, so it costs address space only; aligned for O_DIRECT. */
static alignas(HOST_BLOCK_SIZE) uint8_t zeros[PIECE_BYTES];

/* ---- Names ----------------------------------------------------------------------------------- */

struct file_name {
    char text[DISK_FILE_NAME_SIZE];
};

static struct file_name name_of(uint32_t segment, const char *folder, const char *suffix)
{
    struct file_name name;
    (void)snprintf(name.text, sizeof name.text, "%s%04u%s", folder, segment, suffix);
    return name;
}

int disk_files_fail(struct disk_files *self, uint32_t segment, const char *call, int error)
{
    return os_fail_storage(self->failure, call, name_of(segment, "journal/", "").text, error);
}

/* ---- Open and close -------------------------------------------------------------------------- */

static int folder_open(struct disk_files *self, int folder)
{
    bool made = mkdirat(folder, "journal", 0700) == 0;
    if (!made && errno != EEXIST) return os_fail_storage(self->failure, "mkdir", "journal", errno);
    self->folder = openat(folder, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (self->folder < 0) return os_fail_storage(self->failure, "open", "journal", errno);
    if (!made || fsync(folder) == 0) return CAIRN_OK;
    return os_fail_storage(self->failure, "fsync of the folder for", "journal", errno);
}

/* Some file systems refuse O_DIRECT at open, others at the first write; a full disk is neither. */
static bool direct_probe(int folder)
{
    (void)unlinkat(folder, "probe.new", 0);
    int file = openat(folder, "probe.new",
                      O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_DIRECT, 0600);
    bool works = file >= 0;
    if (works && os_file_size_is_allowed(HOST_BLOCK_SIZE)) {
        works = pwrite(file, zeros, HOST_BLOCK_SIZE, 0) >= 0 || errno != EINVAL;
    }
    if (file >= 0) close(file);
    (void)unlinkat(folder, "probe.new", 0);
    return works;
}

/*
 * What an earlier process wrote and did not live to sync is read by recovery, and then counts as
 * durable: so it is made durable first.
 */
static int segment_sync(struct disk_files *self, uint32_t segment)
{
    int file = openat(self->folder, name_of(segment, "", "").text, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return disk_files_fail(self, segment, "open", errno);
    int result =
        fdatasync(file) == 0 ? CAIRN_OK : disk_files_fail(self, segment, "fdatasync", errno);
    close(file);
    return result;
}

static int segment_find(struct disk_files *self, uint32_t segment)
{
    (void)unlinkat(self->folder, name_of(segment, "", ".new").text, 0); /* D1 */
    struct stat status;
    if (fstatat(self->folder, name_of(segment, "", "").text, &status, 0) != 0) {
        return errno == ENOENT ? CAIRN_OK : disk_files_fail(self, segment, "stat", errno);
    }
    if ((uint64_t)status.st_size != self->segment_bytes) {
        return os_refuse(
            self->failure, CAIRN_CORRUPT, "journal/%04u: has %llu bytes, a segment here has %llu",
            segment, (unsigned long long)status.st_size, (unsigned long long)self->segment_bytes);
    }
    atomic_store(&self->files[segment].prepared, true);
    return segment_sync(self, segment);
}

int disk_files_open(struct disk_files *self, int folder, uint64_t segment_bytes,
                    uint32_t segment_count, struct os_failure *failure)
{
    *self = (struct disk_files){
        .failure = failure, .count = segment_count, .segment_bytes = segment_bytes};
    self->folder = self->reader_fd = -1;
    pthread_mutex_init(&self->reader_lock, NULL);
    self->files = calloc(segment_count, sizeof self->files[0]);
    int result = CAIRN_NO_MEMORY;
    if (!self->files) {
        self->count = 0;
        (void)os_fail(failure, result, "calloc", "", ENOMEM);
        goto open_failed;
    }
    for (uint32_t i = 0; i < segment_count; i++)
        self->files[i].fd = -1;

    result = folder_open(self, folder);
    if (result != CAIRN_OK) goto open_failed;
    self->direct = direct_probe(self->folder);
    for (uint32_t i = 0; i < segment_count && result == CAIRN_OK; i++) {
        result = segment_find(self, i);
    }
    if (result != CAIRN_OK) goto open_failed;
    return CAIRN_OK;

open_failed:
    disk_files_close(self);
    return result;
}

void disk_files_close(struct disk_files *self)
{
    for (uint32_t i = 0; i < self->count; i++) {
        cairn_assert(self->files[i].users == 0);
        if (self->files[i].fd >= 0) close(self->files[i].fd);
    }
    free(self->files);
    if (self->reader_fd >= 0) close(self->reader_fd);
    if (self->folder >= 0) close(self->folder);
    pthread_mutex_destroy(&self->reader_lock);
}

bool disk_files_is_prepared(const struct disk_files *self, uint32_t segment)
{
    cairn_assert(segment < self->count);
    return atomic_load_explicit(&self->files[segment].prepared, memory_order_acquire);
}

/* ---- Open files ------------------------------------------------------------------------------ */

/* D2: requests in flight use fewer files than may be open, so one that is open is idle. */
static void idle_close(struct disk_files *self)
{
    for (;;) {
        struct disk_file *file = &self->files[self->hand];
        self->hand = (self->hand + 1) % self->count;
        if (file->fd < 0 || file->users > 0) continue;
        close(file->fd);
        file->fd = -1;
        self->open_count--;
        return;
    }
}

static int file_open(struct disk_files *self, uint32_t segment)
{
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (self->direct ? O_DIRECT : 0);
    int file = openat(self->folder, name_of(segment, "", "").text, flags);
    if (file < 0) (void)disk_files_fail(self, segment, "open", errno);
    return file;
}

int disk_files_take(struct disk_files *self, uint32_t segment)
{
    cairn_assert(disk_files_is_prepared(self, segment));
    struct disk_file *file = &self->files[segment];
    if (UNLIKELY(file->fd < 0)) {
        if (self->open_count == DISK_FILES_OPEN_MAX) idle_close(self);
        file->fd = file_open(self, segment);
        if (file->fd < 0) return -1;
        self->open_count++;
    }
    file->users++;
    return file->fd;
}

void disk_files_give(struct disk_files *self, uint32_t segment)
{
    cairn_assert(self->files[segment].users > 0);
    self->files[segment].users--;
}

/* ---- Reading --------------------------------------------------------------------------------- */

int disk_files_read_from(struct disk_files *self, uint32_t segment, int file, uint64_t offset,
                         uint8_t *bytes, uint32_t size)
{
    while (size > 0) {
        ssize_t got = pread(file, bytes, size, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return disk_files_fail(self, segment, "pread", errno);
        uint32_t whole = (uint32_t)got & ~(HOST_BLOCK_SIZE - 1); /* O_DIRECT goes on at an edge */
        if (whole == 0) return disk_files_fail(self, segment, "pread", EIO); /* the file ends */
        bytes += whole;
        offset += whole;
        size -= whole;
    }
    return CAIRN_OK;
}

int disk_files_read(struct disk_files *self, uint32_t segment, uint64_t offset, uint8_t *bytes,
                    uint32_t size)
{
    int result = CAIRN_STORAGE_FAILED;
    pthread_mutex_lock(&self->reader_lock);
    if (self->reader_fd >= 0 && self->reader_segment != segment) {
        close(self->reader_fd);
        self->reader_fd = -1;
    }
    if (self->reader_fd < 0) self->reader_fd = file_open(self, segment);
    self->reader_segment = segment;
    if (self->reader_fd >= 0) {
        result = disk_files_read_from(self, segment, self->reader_fd, offset, bytes, size);
    }
    pthread_mutex_unlock(&self->reader_lock);
    return result;
}

/* ---- Preparing ------------------------------------------------------------------------------- */

/* Asks for all the room at once, so that a lack of it shows before anything is written. */
static int room_take(struct disk_files *self, uint32_t segment, int file)
{
    for (;;) {
        if (fallocate(file, 0, 0, (off_t)self->segment_bytes) == 0) return CAIRN_OK;
        if (errno == EINTR) continue;
        /* A file system that cannot promise room: the writes below will find out. */
        if (errno == EOPNOTSUPP || errno == ENOSYS) return CAIRN_OK;
        return disk_files_fail(self, segment, "fallocate", errno);
    }
}

/* Allocated blocks are still marked unwritten, and the first sync of each would have to change
 * that; so they are written now. */
static int zeros_write(struct disk_files *self, uint32_t segment, int file,
                       const _Atomic bool *stop)
{
    uint64_t offset = 0;
    while (offset < self->segment_bytes) {
        if (atomic_load(stop)) return disk_files_fail(self, segment, "prepare", ECANCELED);
        uint64_t left = self->segment_bytes - offset;
        size_t size = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        ssize_t put = pwrite(file, zeros, size, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return disk_files_fail(self, segment, "pwrite", errno);
        /* O_DIRECT goes on at a block's edge only. Less than a block: the device is full. */
        if (put < (ssize_t)HOST_BLOCK_SIZE) return disk_files_fail(self, segment, "pwrite", ENOSPC);
        offset += (uint64_t)put & ~(uint64_t)(HOST_BLOCK_SIZE - 1);
    }
    return CAIRN_OK;
}

static int file_fill(struct disk_files *self, uint32_t segment, const char *name,
                     const _Atomic bool *stop)
{
    if (!os_file_size_is_allowed(self->segment_bytes)) {
        return disk_files_fail(self, segment, "fallocate", EFBIG);
    }
    int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | (self->direct ? O_DIRECT : 0);
    int file = openat(self->folder, name, flags, 0600);
    if (file < 0) return disk_files_fail(self, segment, "open", errno);
    int result = room_take(self, segment, file);
    if (result == CAIRN_OK) result = zeros_write(self, segment, file, stop);
    if (result == CAIRN_OK && fsync(file) != 0) {
        result = disk_files_fail(self, segment, "fsync", errno);
    }
    close(file);
    return result;
}

int disk_files_prepare(struct disk_files *self, uint32_t segment, const _Atomic bool *stop)
{
    if (disk_files_is_prepared(self, segment)) return CAIRN_OK;
    struct file_name draft = name_of(segment, "", ".new");
    struct file_name name = name_of(segment, "", "");
    int result = file_fill(self, segment, draft.text, stop);
    if (result != CAIRN_OK) goto draft_failed;
    if (renameat(self->folder, draft.text, self->folder, name.text) != 0) {
        result = disk_files_fail(self, segment, "rename", errno);
        goto draft_failed;
    }
    if (fsync(self->folder) != 0) {
        result = disk_files_fail(self, segment, "fsync of the folder for", errno);
        goto name_failed;
    }
    atomic_store_explicit(&self->files[segment].prepared, true, memory_order_release);
    return CAIRN_OK;

name_failed:
    (void)unlinkat(self->folder, name.text, 0);
draft_failed:
    (void)unlinkat(self->folder, draft.text, 0); /* nothing is kept of the attempt */
    return result;
}
