/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/journal_driver.h"

#include "base/assert.h"
#include "base/bytes.h"

/* Tokens: a write has the number of its buffer, a prepare this and the number of its segment. */
#define PREPARE_TOKEN 0x10000u
#define COMPLETIONS_MAX 8u
#define WAIT_FOR_EVER (-1)

void sim_journal_driver_init(struct sim_journal_driver *self, struct journal *journal,
                             const struct host_disk *disk)
{
    cairn_assert(disk->segment_bytes == journal->limits.segment_bytes);
    cairn_assert(disk->segment_count == journal->limits.segment_count);
    self->journal = journal;
    self->disk = *disk;
    self->in_flight = 0;
}

void sim_journal_driver_start(struct sim_journal_driver *self, const struct journal_tail *tail,
                              uint64_t low_water)
{
    self->in_flight = 0;
    journal_start(self->journal, tail, low_water, self->disk.is_prepared, self->disk.self);
}

static void fill_request(struct host_request *request, const struct journal_action *action)
{
    memset(request, 0, sizeof *request);
    request->segment = action->segment;
    if (action->kind == JOURNAL_PREPARE) {
        request->kind = HOST_PREPARE;
        request->token = PREPARE_TOKEN + action->segment;
        return;
    }
    request->kind = HOST_WRITE;
    request->token = action->buffer;
    request->offset = action->offset;
    request->bytes = action->bytes;
    request->size = action->size;
}

static void step(struct sim_journal_driver *self, const struct journal_event *event)
{
    struct journal_outbox outbox = {.count = 0};
    struct host_request requests[JOURNAL_OUTBOX_MAX];
    journal_step(self->journal, event, &outbox);
    for (uint32_t i = 0; i < outbox.count; i++)
        fill_request(&requests[i], &outbox.actions[i]);
    self->in_flight += outbox.count;
    if (outbox.count > 0) self->disk.submit(self->disk.self, requests, outbox.count);
}

void sim_journal_driver_flush(struct sim_journal_driver *self)
{
    step(self, &(struct journal_event){.kind = JOURNAL_FLUSH});
}

void sim_journal_driver_low_water(struct sim_journal_driver *self, uint64_t position)
{
    step(self, &(struct journal_event){.kind = JOURNAL_LOW_WATER, .position = position});
}

static void feed_back(struct sim_journal_driver *self, const struct host_completion *completion)
{
    struct journal_event event = {.result = completion->result};
    if (completion->token < PREPARE_TOKEN) {
        event.kind = JOURNAL_WRITTEN;
        event.buffer = completion->token;
    } else {
        event.kind = JOURNAL_PREPARED;
        event.segment = completion->token - PREPARE_TOKEN;
    }
    self->in_flight--;
    step(self, &event);
}

uint32_t sim_journal_driver_wait(struct sim_journal_driver *self, int64_t timeout_ns)
{
    struct host_completion completions[COMPLETIONS_MAX];
    uint32_t count = self->disk.wait(self->disk.self, completions, COMPLETIONS_MAX, timeout_ns);
    for (uint32_t i = 0; i < count; i++)
        feed_back(self, &completions[i]);
    return count;
}

bool sim_journal_driver_append(struct sim_journal_driver *self, uint16_t kind, const void *bytes,
                               uint32_t size, uint64_t *position)
{
    while (journal_room(self->journal) < journal_record_size(size)) {
        if (self->journal->failed) return false;
        sim_journal_driver_flush(self);
        if (journal_room(self->journal) >= journal_record_size(size)) break;
        if (self->in_flight == 0) return false; /* nothing will change by waiting */
        /* Then only a prepare is on its way, and its refusal is the answer. */
        bool waits_for_space = journal_is_idle(self->journal);
        sim_journal_driver_wait(self, WAIT_FOR_EVER);
        if (waits_for_space && self->journal->storage_full) return false;
    }
    uint8_t *place = journal_append(self->journal, kind, size, position);
    if (size > 0) memcpy(place, bytes, size);
    return true;
}

bool sim_journal_driver_drain(struct sim_journal_driver *self)
{
    while (!self->journal->failed && !journal_is_idle(self->journal)) {
        sim_journal_driver_flush(self);
        sim_journal_driver_wait(self, WAIT_FOR_EVER);
    }
    return !self->journal->failed;
}

enum journal_scan_result sim_journal_scan_next(struct journal_scan *scan,
                                               const struct host_disk *disk, uint8_t *buffer,
                                               bool *failed)
{
    *failed = false;
    enum journal_scan_result result = journal_scan_next(scan);
    while (result == JOURNAL_SCAN_WANTS) {
        uint32_t file = (uint32_t)(scan->wants % disk->segment_count);
        bool is_prepared = disk->is_prepared(disk->self, file);
        uint32_t size = (uint32_t)disk->segment_bytes;
        if (is_prepared && disk->read(disk->self, file, 0, buffer, size) != CAIRN_OK) {
            *failed = true;
            return result;
        }
        journal_scan_give(scan, is_prepared ? buffer : NULL);
        result = journal_scan_next(scan);
    }
    return result;
}
