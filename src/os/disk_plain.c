/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes on the calling thread, inside submit(). */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "os/disk.h"

/* What counts of a transfer of `size` bytes: O_DIRECT goes on at a block's edge only. */
static ssize_t whole_blocks(ssize_t size)
{
    return size & ~(ssize_t)(HOST_BLOCK_SIZE - 1);
}

static int bytes_write(struct disk_files *files, const struct host_request *request, int file)
{
    uint32_t done = 0;
    while (done < request->size) {
        ssize_t put = pwrite(file, request->bytes + done, request->size - done,
                             (off_t)(request->offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return disk_files_fail(files, request->segment, "pwrite", errno);
        if (whole_blocks(put) == 0) return disk_files_fail(files, request->segment, "pwrite", EIO);
        done += (uint32_t)whole_blocks(put);
    }
    if (fdatasync(file) == 0) return CAIRN_OK;
    return disk_files_fail(files, request->segment, "fdatasync", errno);
}

static void plain_submit(struct os_disk *disk, const struct host_request *request)
{
    int result = CAIRN_STORAGE_FAILED;
    int file = disk_files_take(&disk->files, request->segment);
    if (file >= 0) {
        result = request->kind == HOST_WRITE
                     ? bytes_write(&disk->files, request, file)
                     : disk_files_read_from(&disk->files, request->segment, file, request->offset,
                                            request->bytes, request->size);
        disk_files_give(&disk->files, request->segment);
    }
    disk_complete(disk, request->token, result);
}

static bool plain_open(struct os_disk *disk)
{
    (void)disk;
    return true;
}

static void plain_nothing(struct os_disk *disk)
{
    (void)disk;
}

const struct disk_engine disk_plain = {
    .name = "plain",
    .open = plain_open,
    .close = plain_nothing,
    .submit = plain_submit,
    .flush = plain_nothing,
    .reap = plain_nothing,
};
