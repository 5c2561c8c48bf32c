/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes through io_uring. A HOST_WRITE is two entries: the write, and an fdatasync that
 * is linked to it.
 *
 *   U1  a write is durable only by a sync that ended after the whole write had ended. A short write
 *       breaks the link and cancels the sync; a kernel that is short of memory may cut the link and
 *       run the sync too early. In both cases what is missing is submitted again.
 *   U2  a slot is free only when no entry of it is in the kernel; then its bytes are the caller's
 *   U3  the ring holds the LOCK open. The kernel ends a killed process without waiting for its
 *       direct writes, but a ring only after them; so nobody opens the folder and then finds it
 *       overwritten by the dead
 *
 * The ring is set up without IORING_SETUP_SINGLE_ISSUER, because the thread changes between
 * recovery and journal; and without COOP_TASKRUN, because the sync is to start when the write ends,
 * not when the journal thread next enters the kernel. RWF_DSYNC in place of the sync would be one
 * entry, but its end runs in a per-CPU kernel worker, which waits a whole tick (4 ms) behind any
 * busy process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "os/disk.h"

#define ENTRIES_MAX (2 * HOST_REQUESTS_MAX)
#define ATTEMPTS_MAX 100u /* without progress, before the disk counts as failed */

struct slot {
    struct host_request request;
    const char *call; /* that failed with `error` */
    int error;
    int file;
    uint32_t done; /* bytes moved, in whole blocks */
    uint32_t attempts;
    bool used;
    bool move_pending; /* the kernel has the write or the read */
    bool sync_pending;
    bool synced; /* U1 */
};

struct uring {
    struct io_uring ring;
    struct slot slots[HOST_REQUESTS_MAX];
};

/* ---- Submitting ------------------------------------------------------------------------------
 *
 * The data of an entry is twice the index of its slot, plus 1 if it is the sync.
 */

static struct io_uring_sqe *entry_take(struct uring *self)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&self->ring);
    cairn_assert(entry); /* there are two for each slot, and uring_flush() submits all */
    return entry;
}

static void move_start(struct uring *self, struct slot *slot)
{
    const struct host_request *request = &slot->request;
    struct io_uring_sqe *entry = entry_take(self);
    uint8_t *bytes = request->bytes + slot->done;
    uint32_t left = request->size - slot->done;
    uint64_t offset = request->offset + slot->done;
    if (request->kind == HOST_READ) {
        io_uring_prep_read(entry, slot->file, bytes, left, offset);
    } else {
        io_uring_prep_write(entry, slot->file, bytes, left, offset);
        entry->flags |= IOSQE_IO_LINK;
    }
    io_uring_sqe_set_data64(entry, (uint64_t)(slot - self->slots) * 2);
    slot->move_pending = true;
}

static void sync_start(struct uring *self, struct slot *slot)
{
    struct io_uring_sqe *entry = entry_take(self);
    io_uring_prep_fsync(entry, slot->file, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data64(entry, (uint64_t)(slot - self->slots) * 2 + 1);
    slot->sync_pending = true;
}

/* Asks the kernel for what is missing of a slot. */
static void slot_start(struct uring *self, struct slot *slot)
{
    slot->error = 0;
    slot->synced = false;
    if (slot->done < slot->request.size) move_start(self, slot);
    if (slot->request.kind == HOST_WRITE) sync_start(self, slot);
}

static void uring_submit(struct os_disk *disk, const struct host_request *request)
{
    struct uring *self = disk->engine_self;
    int file = disk_files_take(&disk->files, request->segment);
    if (file < 0) {
        disk_complete(disk, request->token, CAIRN_STORAGE_FAILED);
        return;
    }
    struct slot *slot = self->slots;
    while (slot->used)
        slot++; /* at most HOST_REQUESTS_MAX are in flight, so one is free */
    *slot = (struct slot){.request = *request, .file = file, .used = true};
    slot_start(self, slot);
}

/* Entries cannot be taken back, so they are submitted, however long memory is short. */
static void uring_flush(struct os_disk *disk)
{
    struct uring *self = disk->engine_self;
    while (io_uring_sq_ready(&self->ring) > 0) {
        int result = io_uring_submit(&self->ring);
        if (result > 0) continue;
        /* Anything else is a defect of this file. */
        cairn_assert(result == 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY ||
                     result == -ENOMEM);
        struct timespec pause = {.tv_nsec = 100000};
        nanosleep(&pause, NULL);
    }
}

/* ---- Completing ------------------------------------------------------------------------------ */

static void slot_error(struct slot *slot, int error, const char *call)
{
    slot->error = error;
    slot->call = call;
}

static void move_ended(struct slot *slot, int result)
{
    slot->move_pending = false;
    const char *call = slot->request.kind == HOST_READ ? "read" : "write";
    if (result < 0) {
        slot_error(slot, -result, call);
        return;
    }
    /* O_DIRECT goes on at a block's edge only. */
    uint32_t moved = (uint32_t)result & ~(HOST_BLOCK_SIZE - 1);
    if (moved == 0) slot_error(slot, EIO, call); /* the file ends, or the device */
    slot->done += moved;
    slot->attempts = 0;
}

static void sync_ended(struct slot *slot, int result)
{
    slot->sync_pending = false;
    if (result == 0) slot->synced = !slot->move_pending; /* U1 */
    if (result < 0 && result != -ECANCELED) slot_error(slot, -result, "fdatasync");
}

static void slot_end(struct os_disk *disk, struct slot *slot, int result)
{
    slot->used = false; /* U2 */
    disk_files_give(&disk->files, slot->request.segment);
    disk_complete(disk, slot->request.token, result);
}

/* Nothing of the slot is in the kernel: it has ended, or the rest is asked for. */
static void slot_judge(struct os_disk *disk, struct slot *slot)
{
    bool whole = slot->done == slot->request.size;
    if (slot->error == 0 && whole && (slot->synced || slot->request.kind == HOST_READ)) {
        slot_end(disk, slot, CAIRN_OK);
        return;
    }
    bool failed = slot->error != 0 && slot->error != EINTR && slot->error != EAGAIN;
    if (!failed && ++slot->attempts > ATTEMPTS_MAX) {
        if (slot->error == 0) slot_error(slot, EIO, "fdatasync");
        failed = true;
    }
    if (failed) {
        int result = disk_files_fail(&disk->files, slot->request.segment, slot->call, slot->error);
        slot_end(disk, slot, result);
        return;
    }
    slot_start(disk->engine_self, slot);
}

static void uring_reap(struct os_disk *disk)
{
    struct uring *self = disk->engine_self;
    struct io_uring_cqe *entry;
    while (io_uring_peek_cqe(&self->ring, &entry) == 0) {
        uint64_t data = io_uring_cqe_get_data64(entry);
        int result = entry->res;
        io_uring_cqe_seen(&self->ring, entry);

        cairn_assert(data / 2 < HOST_REQUESTS_MAX);
        struct slot *slot = &self->slots[data / 2];
        cairn_assert(slot->used); /* U2 */
        if (data % 2 == 0) move_ended(slot, result);
        if (data % 2 == 1) sync_ended(slot, result);
        if (!slot->move_pending && !slot->sync_pending) slot_judge(disk, slot);
    }
    uring_flush(disk);
}

/* ---- Open and close -------------------------------------------------------------------------- */

static bool uring_open(struct os_disk *disk)
{
    struct uring *self = calloc(1, sizeof *self);
    if (!self) return false;
    if (io_uring_queue_init(ENTRIES_MAX, &self->ring, 0) != 0) goto ring_failed;
    /* As old as the plain read and write entries; older kernels have only the vectored ones. */
    if (!(self->ring.features & IORING_FEAT_RW_CUR_POS)) goto features_failed;
    if (io_uring_register_eventfd(&self->ring, disk->signal.fd) != 0) goto features_failed;
    if (io_uring_register_files(&self->ring, &disk->lock, 1) != 0) goto features_failed; /* U3 */
    disk->engine_self = self;
    return true;

features_failed:
    io_uring_queue_exit(&self->ring);
ring_failed:
    free(self);
    return false;
}

static void uring_close(struct os_disk *disk)
{
    struct uring *self = disk->engine_self;
    for (uring_reap(disk); disk->moving > 0; uring_reap(disk)) {
        (void)disk_signal_sleep(&disk->signal, -1);
    }
    io_uring_queue_exit(&self->ring);
    free(self);
}

const struct disk_engine disk_uring = {
    .name = "io_uring",
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .flush = uring_flush,
    .reap = uring_reap,
};
