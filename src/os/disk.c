/* SPDX-License-Identifier: Apache-2.0 */
#include "os/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* ---- Submitting ------------------------------------------------------------------------------ */

static void ready_push(struct os_disk *self, uint32_t token, int result)
{
    cairn_assert(self->ready_count < HOST_REQUESTS_MAX);
    uint32_t place = (self->ready_first + self->ready_count++) % HOST_REQUESTS_MAX;
    self->ready[place] = (struct host_completion){.token = token, .result = result};
}

void disk_complete(struct os_disk *self, uint32_t token, int result)
{
    cairn_assert(self->moving > 0);
    self->moving--;
    ready_push(self, token, result);
}

static void request_check(const struct os_disk *self, const struct host_request *request)
{
    const struct disk_files *files = &self->files;
    cairn_assert(request->segment < files->count);
    if (request->kind == HOST_PREPARE) return;
    cairn_assert(request->kind == HOST_WRITE || request->kind == HOST_READ);
    cairn_assert(request->size > 0 && request->size % HOST_BLOCK_SIZE == 0);
    cairn_assert(request->offset % HOST_BLOCK_SIZE == 0);
    cairn_assert((uintptr_t)request->bytes % HOST_BLOCK_SIZE == 0);
    cairn_assert(request->offset <= files->segment_bytes);
    cairn_assert(request->size <= files->segment_bytes - request->offset);
}

/* Completes what needs no engine. */
static bool request_is_done(struct os_disk *self, const struct host_request *request)
{
    if (disk_files_is_prepared(&self->files, request->segment)) {
        if (request->kind == HOST_PREPARE) {
            ready_push(self, request->token, CAIRN_OK);
            return true;
        }
        if (request->kind == HOST_READ || os_file_size_is_allowed(self->files.segment_bytes)) {
            return false;
        }
        int result = disk_files_fail(&self->files, request->segment, "write", EFBIG);
        ready_push(self, request->token, result);
        return true;
    }
    if (request->kind != HOST_READ) return false;
    memset(request->bytes, 0, request->size);
    ready_push(self, request->token, CAIRN_OK);
    return true;
}

static const struct disk_engine *engine_choose(const struct os_disk *self,
                                               const struct host_request *requests, uint32_t count)
{
    bool lone = count == 1 && self->moving == 0 && requests[0].kind == HOST_WRITE &&
                requests[0].size <= DISK_LONE_WRITE_BYTES_MAX;
    return lone ? &disk_plain : self->engine;
}

static void disk_submit(void *context, const struct host_request *requests, uint32_t count)
{
    struct os_disk *self = context;
    const struct disk_engine *engine = engine_choose(self, requests, count);
    for (uint32_t i = 0; i < count; i++) {
        request_check(self, &requests[i]);
        cairn_assert(self->accepted < HOST_REQUESTS_MAX);
        self->accepted++;
        if (request_is_done(self, &requests[i])) continue;
        if (requests[i].kind == HOST_PREPARE) {
            disk_prepare_submit(&self->prepare, &requests[i]);
            continue;
        }
        self->moving++;
        engine->submit(self, &requests[i]);
    }
    engine->flush(self);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void ready_gather(struct os_disk *self)
{
    if (self->moving > 0) self->engine->reap(self);
    struct host_completion done[HOST_REQUESTS_MAX];
    uint32_t count = disk_prepare_reap(&self->prepare, done);
    for (uint32_t i = 0; i < count; i++)
        ready_push(self, done[i].token, done[i].result);
}

static uint32_t ready_take(struct os_disk *self, struct host_completion *completions,
                           uint32_t maximum)
{
    uint32_t count = self->ready_count < maximum ? self->ready_count : maximum;
    for (uint32_t i = 0; i < count; i++) {
        completions[i] = self->ready[self->ready_first];
        self->ready_first = (self->ready_first + 1) % HOST_REQUESTS_MAX;
    }
    self->ready_count -= count;
    self->accepted -= count;
    return count;
}

static uint32_t disk_wait(void *context, struct host_completion *completions, uint32_t maximum,
                          int64_t timeout_ns)
{
    struct os_disk *self = context;
    cairn_assert(maximum > 0);
    int64_t deadline = timeout_ns > 0 ? disk_signal_now_ns() + timeout_ns : timeout_ns;
    for (;;) {
        /* Before the look at what is there: a wake during it counts for the next round. */
        bool woken = atomic_exchange(&self->woken, false);
        ready_gather(self);
        uint32_t count = ready_take(self, completions, maximum);
        if (count > 0 || woken || timeout_ns == 0) return count;
        if (!disk_signal_sleep(&self->signal, deadline)) return 0;
    }
}

static void disk_wake(void *context)
{
    struct os_disk *self = context;
    if (!atomic_exchange(&self->woken, true)) disk_signal_raise(&self->signal);
}

static int disk_read(void *context, uint32_t segment, uint64_t offset, void *bytes, uint32_t size)
{
    struct os_disk *self = context;
    struct host_request request = {
        .kind = HOST_READ, .segment = segment, .offset = offset, .bytes = bytes, .size = size};
    request_check(self, &request);
    if (disk_files_is_prepared(&self->files, segment)) {
        return disk_files_read(&self->files, segment, offset, bytes, size);
    }
    memset(bytes, 0, size);
    return CAIRN_OK;
}

static bool disk_is_prepared(void *context, uint32_t segment)
{
    struct os_disk *self = context;
    return disk_files_is_prepared(&self->files, segment);
}

/* ---- Open and close -------------------------------------------------------------------------- */

static bool geometry_is_valid(const struct disk_options *options)
{
    return options->segment_count > 0 && options->segment_bytes > 0 &&
           options->segment_bytes % HOST_BLOCK_SIZE == 0 && options->segment_bytes <= INT64_MAX;
}

/* Through the page cache a ring has nothing to overlap: the data is copied by the caller. */
static void engine_open(struct os_disk *self, bool uring)
{
    self->engine = &disk_uring;
    if (uring && self->files.direct && self->engine->open(self)) return;
    self->engine = &disk_plain;
    (void)self->engine->open(self); /* cannot fail */
}

int disk_open(struct os_disk **disk, const struct disk_options *options, struct os_failure *failure)
{
    *disk = NULL;
    if (!geometry_is_valid(options)) {
        return os_refuse(failure, CAIRN_INVALID_ARGUMENT, "journal: %u segments of %llu bytes",
                         options->segment_count, (unsigned long long)options->segment_bytes);
    }
    struct os_disk *self = aligned_alloc(CACHE_LINE_SIZE, sizeof *self);
    if (!self) return os_fail(failure, CAIRN_NO_MEMORY, "malloc", "", ENOMEM);
    memset(self, 0, sizeof *self);
    self->lock = options->lock;

    int result = disk_files_open(&self->files, options->folder, options->segment_bytes,
                                 options->segment_count, failure);
    if (result != CAIRN_OK) goto files_failed;
    result = disk_signal_open(&self->signal, failure);
    if (result != CAIRN_OK) goto signal_failed;
    result = disk_prepare_open(&self->prepare, &self->files, &self->signal);
    if (result != CAIRN_OK) goto prepare_failed;
    engine_open(self, options->uring);
    *disk = self;
    return CAIRN_OK;

prepare_failed:
    disk_signal_close(&self->signal);
signal_failed:
    disk_files_close(&self->files);
files_failed:
    free(self);
    return result;
}

void disk_close(struct os_disk *self)
{
    if (!self) return;
    self->engine->close(self);
    disk_prepare_close(&self->prepare);
    disk_signal_close(&self->signal);
    disk_files_close(&self->files);
    free(self);
}

struct host_disk disk_face(struct os_disk *self)
{
    return (struct host_disk){
        .self = self,
        .segment_bytes = self->files.segment_bytes,
        .segment_count = self->files.count,
        .submit = disk_submit,
        .wait = disk_wait,
        .wake = disk_wake,
        .read = disk_read,
        .is_prepared = disk_is_prepared,
    };
}
