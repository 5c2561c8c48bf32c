/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "os/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

static const char *const file_names[HOST_FILES] = {
    [HOST_FILE_MEMBER] = "member",
    [HOST_FILE_CHECKPOINT_A] = "checkpoint.a",
    [HOST_FILE_CHECKPOINT_B] = "checkpoint.b",
};

static int file_fail(struct os_store *self, enum host_file file, const char *call, int error)
{
    return os_fail_storage(self->failure, call, file_names[file], error);
}

/* Opens the file if need be. Without O_CREAT in `flags` the fd stays -1 when it is not there. */
static int file_open(struct os_store *self, enum host_file file, int flags)
{
    cairn_assert((unsigned)file < HOST_FILES);
    struct os_store_file *state = &self->files[file];
    if (state->fd >= 0) return CAIRN_OK;
    state->fd =
        openat(self->folder, file_names[file], O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (state->fd >= 0 || errno == ENOENT) return CAIRN_OK;
    return file_fail(self, file, "open", errno);
}

static int store_size(void *context, enum host_file file, uint64_t *size)
{
    struct os_store *self = context;
    *size = 0;
    int result = file_open(self, file, 0);
    if (result != CAIRN_OK) return result;
    if (self->files[file].fd < 0) return CAIRN_OK;
    struct stat status;
    if (fstat(self->files[file].fd, &status) != 0) return file_fail(self, file, "fstat", errno);
    *size = (uint64_t)status.st_size;
    return CAIRN_OK;
}

static int store_read(void *context, enum host_file file, uint64_t offset, void *bytes, size_t size)
{
    struct os_store *self = context;
    int result = file_open(self, file, 0);
    if (result != CAIRN_OK) return result;
    if (self->files[file].fd < 0) return file_fail(self, file, "open", ENOENT);
    uint8_t *next = bytes;
    while (size > 0) {
        ssize_t got = pread(self->files[file].fd, next, size, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return file_fail(self, file, "pread", errno);
        if (got == 0) {
            return os_refuse(self->failure, CAIRN_STORAGE_FAILED,
                             "pread %s: the file ends %zu bytes early", file_names[file], size);
        }
        next += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return CAIRN_OK;
}

/* Makes the file if it is not there, for `call`, which makes it `size` bytes long. */
static int file_make(struct os_store *self, enum host_file file, const char *call, uint64_t size)
{
    if (!os_file_size_is_allowed(size)) return file_fail(self, file, call, EFBIG);
    int result = file_open(self, file, O_CREAT);
    if (result != CAIRN_OK || self->files[file].fd >= 0) return result;
    return file_fail(self, file, "open", ENOENT); /* the folder itself was removed */
}

static int store_write(void *context, enum host_file file, uint64_t offset, const void *bytes,
                       size_t size)
{
    struct os_store *self = context;
    int result = file_make(self, file, "pwrite", offset + size);
    if (result != CAIRN_OK) return result;
    const uint8_t *next = bytes;
    while (size > 0) {
        ssize_t put = pwrite(self->files[file].fd, next, size, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return file_fail(self, file, "pwrite", put < 0 ? errno : EIO);
        next += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
    }
    return CAIRN_OK;
}

static int store_truncate(void *context, enum host_file file, uint64_t size)
{
    struct os_store *self = context;
    int result = file_open(self, file, 0);
    if (result != CAIRN_OK) return result;
    if (self->files[file].fd < 0 && size == 0) return CAIRN_OK; /* it reads as empty already */
    result = file_make(self, file, "ftruncate", size);
    if (result != CAIRN_OK) return result;
    while (ftruncate(self->files[file].fd, (off_t)size) != 0) {
        if (errno != EINTR) return file_fail(self, file, "ftruncate", errno);
    }
    if (size == 0) self->files[file].sync_failed = false;
    return CAIRN_OK;
}

static int store_sync(void *context, enum host_file file)
{
    struct os_store *self = context;
    int result = file_open(self, file, 0);
    if (result != CAIRN_OK) return result;
    struct os_store_file *state = &self->files[file];
    if (state->fd < 0) return CAIRN_OK; /* never made: there is nothing that could be lost */
    if (state->sync_failed || fdatasync(state->fd) != 0) {
        int error = state->sync_failed ? EIO : errno;
        state->sync_failed = true;
        return os_fail(self->failure, CAIRN_STORAGE_FAILED, "fdatasync", file_names[file], error);
    }
    if (state->name_durable) return CAIRN_OK;
    if (fsync(self->folder) != 0) {
        return os_fail(self->failure, CAIRN_STORAGE_FAILED, "fsync of the folder for",
                       file_names[file], errno);
    }
    state->name_durable = true;
    return CAIRN_OK;
}

void os_store_open(struct os_store *self, int folder, struct os_failure *failure)
{
    self->failure = failure;
    self->folder = folder;
    for (uint32_t i = 0; i < HOST_FILES; i++)
        self->files[i] = (struct os_store_file){.fd = -1};
}

void os_store_close(struct os_store *self)
{
    for (uint32_t i = 0; i < HOST_FILES; i++) {
        if (self->files[i].fd >= 0) close(self->files[i].fd);
    }
}

struct host_store os_store_face(struct os_store *self)
{
    return (struct host_store){
        .self = self,
        .size = store_size,
        .read = store_read,
        .write = store_write,
        .truncate = store_truncate,
        .sync = store_sync,
    };
}
