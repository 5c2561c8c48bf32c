/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/scan.h"

#include "base/assert.h"
#include "base/bytes.h"

#define NOWHERE UINT64_MAX

enum phase {
    WALK = 0,   /* from batch to batch */
    SEARCH = 1, /* from block to block, behind a bad batch */
    ENDED = 2,
};

/* Not a result: the caller goes on with the phase that was set. */
#define GOES_ON ((enum journal_scan_result)0)

void journal_scan_init(struct journal_scan *self, const struct journal_limits *limits,
                       uint64_t from, bool expects_chain, const struct journal_tail *tail)
{
    cairn_assert(is_power_of_two(limits->segment_bytes) && limits->segment_count > 0);
    cairn_assert(limits->segment_bytes >= JOURNAL_BLOCK_SIZE);
    cairn_assert(limits->segment_bytes <= JOURNAL_POSITION_MAX / limits->segment_count);
    cairn_assert(from % JOURNAL_BLOCK_SIZE == 0 && from <= JOURNAL_POSITION_MAX);
    cairn_assert(tail != NULL || !expects_chain);
    memset(self, 0, sizeof *self);
    self->limits = *limits;
    if (tail != NULL) self->tail = *tail;
    self->tail.position = from;
    self->position = from;
    uint64_t first = from / limits->segment_bytes;
    self->limit = (first + limits->segment_count) * limits->segment_bytes;
    self->expects_chain = expects_chain;
    self->first_valid = NOWHERE;
    self->phase = WALK;
}

void journal_scan_give(struct journal_scan *self, const uint8_t *bytes)
{
    self->segment_bytes = bytes;
    self->segment = self->wants;
    self->has_segment = true;
}

static uint64_t segment_end(const struct journal_scan *self, uint64_t position)
{
    return (position | (self->limits.segment_bytes - 1)) + 1;
}

/* False: the segment of the position must be given first. */
static bool has_segment_of(struct journal_scan *self, uint64_t position)
{
    uint64_t segment = position / self->limits.segment_bytes;
    if (self->has_segment && self->segment == segment) return true;
    self->wants = segment;
    return false;
}

static const uint8_t *block_at(const struct journal_scan *self, uint64_t position)
{
    if (self->segment_bytes == NULL) return NULL;
    return self->segment_bytes + (position & (self->limits.segment_bytes - 1));
}

/* The bytes that a batch at the position may take: it never straddles segments (J2). */
static uint64_t available_at(const struct journal_scan *self, uint64_t position)
{
#ifndef CAIRN_PLANTED_BUG_JOURNAL_SCAN
    return segment_end(self, position) - position;
#else
    (void)position;
    return self->limits.segment_bytes;
#endif
}

/* Does the header say that it stands where it was found, and point behind its batch (J2)? */
static bool header_stands(const struct journal_scan *self, const struct journal_header *header,
                          uint64_t position)
{
    if (header->position != position) return false;
    uint64_t batch_end = position + journal_batch_size(header->records_size);
    uint64_t end = segment_end(self, position);
    if (header->next == batch_end) return batch_end <= end;
    return header->next == end;
}

/* J1 */
static bool continues_chain(const struct journal_scan *self, const struct journal_header *header)
{
    return header->previous_position == self->tail.previous_position &&
           header->previous_crc == self->tail.previous_crc;
}

/* S4: epochs never go back, and each begins with an opening batch. */
static bool is_next_batch(const struct journal_scan *self, const struct journal_header *header)
{
    if (!header_stands(self, header, self->position)) return false;
    if (header->epoch < self->tail.epoch) return false;
    if (!self->expects_chain) return true;
    bool is_opening = header->record_count == 0;
    return is_opening == (header->epoch > self->tail.epoch) && continues_chain(self, header);
}

/* ---- The torn end (S3) ---- */

static uint64_t count_not_zero(const uint8_t *bytes, uint64_t size)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < size; i++)
        count += bytes[i] != 0;
    return count;
}

static uint64_t count_torn_bytes(const struct journal_scan *self)
{
    const uint8_t *block = block_at(self, self->position);
    if (block == NULL) return 0;
    uint64_t left = segment_end(self, self->position) - self->position;
    if (self->segment < self->limits.segment_count) return count_not_zero(block, left);
    /* A later lap: older batches are still there, and nobody can say which bytes are whose. */
    struct journal_header header;
    if (!journal_header_decode(&header, block) || header.position != self->position) return 0;
    uint64_t size = journal_batch_size(header.records_size);
    return count_not_zero(block, size < left ? size : left);
}

/* ---- The search ---- */

static void begin_search(struct journal_scan *self)
{
    self->phase = SEARCH;
    self->search_from = self->position;
    self->search_at = self->position;
    self->claimed_to = self->position;
    self->first_valid = NOWHERE;
    self->torn_bytes = count_torn_bytes(self);
}

static void look_at_block(struct journal_scan *self, const uint8_t *block)
{
    struct journal_header header;
    uint32_t crc;
    if (!journal_header_decode(&header, block)) return;
    if (!header_stands(self, &header, self->search_at)) return;
    /* Older than the last batch of the chain: left by a life whose end was cut. */
    if (header.epoch < self->tail.epoch) return;
    if (header.epoch > self->epoch_seen) self->epoch_seen = header.epoch;   /* S5 */
    if (header.synced > self->claimed_to) self->claimed_to = header.synced; /* S1 */
    if (self->first_valid != NOWHERE || self->search_at == self->search_from) return;
    if (!journal_batch_check(block, available_at(self, self->search_at), &header, &crc)) return;
    self->first_valid = self->search_at;
}

/* More headers could not change where the walk goes on. */
static bool search_is_decided(const struct journal_scan *self)
{
    return self->first_valid != NOWHERE && self->claimed_to >= self->first_valid;
}

static enum journal_scan_result end_scan(struct journal_scan *self)
{
    self->phase = ENDED;
    self->tail.position = self->position;
    if (self->epoch_seen > self->tail.epoch) self->tail.epoch = self->epoch_seen;
    return JOURNAL_SCAN_END;
}

static enum journal_scan_result end_search(struct journal_scan *self)
{
    if (self->claimed_to == self->search_from) return end_scan(self); /* S2 */

    /* S1. What is not claimed and not valid either is torn: the walk will find that out. */
    self->damage_from = self->search_from;
    self->damage_to = self->first_valid < self->claimed_to ? self->first_valid : self->claimed_to;
    self->torn_bytes = 0;
    self->position = self->damage_to;
    /* Nobody can continue a batch that cannot be read: format.h says what stands in its place. */
    self->tail.position = self->damage_to;
    self->tail.previous_position = self->damage_from;
    self->tail.previous_crc = 0;
    self->expects_chain = false;
    self->phase = WALK;
    return JOURNAL_SCAN_DAMAGE;
}

static enum journal_scan_result search(struct journal_scan *self)
{
    while (self->search_at < self->limit && !search_is_decided(self)) {
        if (!has_segment_of(self, self->search_at)) return JOURNAL_SCAN_WANTS;
        const uint8_t *block = block_at(self, self->search_at);
        if (block != NULL) look_at_block(self, block);
        self->search_at = block != NULL ? self->search_at + JOURNAL_BLOCK_SIZE
                                        : segment_end(self, self->search_at);
    }
    return end_search(self);
}

/* ---- The walk ---- */

static enum journal_scan_result walk(struct journal_scan *self)
{
    if (self->position >= self->limit) return end_scan(self); /* the ring is full */
    if (!has_segment_of(self, self->position)) return JOURNAL_SCAN_WANTS;

    const uint8_t *block = block_at(self, self->position);
    uint64_t available = available_at(self, self->position);
    if (block == NULL || !journal_batch_check(block, available, &self->header, &self->crc) ||
        !is_next_batch(self, &self->header)) {
        begin_search(self);
        return GOES_ON;
    }
    self->batch = block;
    self->position = self->header.next;
    self->expects_chain = true;
    self->tail.position = self->header.next;
    self->tail.previous_position = self->header.position;
    self->tail.previous_crc = self->crc;
    self->tail.epoch = self->header.epoch;
    return JOURNAL_SCAN_BATCH;
}

enum journal_scan_result journal_scan_next(struct journal_scan *self)
{
    enum journal_scan_result result = GOES_ON;
    /* Ends: each turn hands something out, or goes on further behind in a ring of limited size. */
    while (result == GOES_ON) {
        if (self->phase == WALK)
            result = walk(self);
        else if (self->phase == SEARCH)
            result = search(self);
        else
            result = JOURNAL_SCAN_END;
    }
    return result;
}
