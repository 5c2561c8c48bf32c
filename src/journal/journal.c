/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/journal.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/result.h"

static uint64_t segment_of(const struct journal *self, uint64_t position)
{
    return position / self->limits.segment_bytes;
}

static uint64_t segment_end(const struct journal *self, uint64_t position)
{
    return (position | (self->limits.segment_bytes - 1)) + 1;
}

static uint32_t file_of(const struct journal *self, uint64_t segment)
{
    return (uint32_t)(segment % self->limits.segment_count);
}

/* J4, J7: the first segment that is not free, since its file holds what low water keeps. */
static uint64_t free_segments_end(const struct journal *self)
{
    return segment_of(self, self->low_water) + self->limits.segment_count;
}

static bool is_prepared(const struct journal *self, uint64_t segment)
{
    if (segment >= free_segments_end(self)) return false;
    return self->segment_state[file_of(self, segment)] == JOURNAL_SEGMENT_PREPARED;
}

static uint32_t records_capacity(const struct journal *self)
{
    return self->limits.batch_bytes_max - JOURNAL_HEADER_SIZE - JOURNAL_FOOTER_SIZE;
}

static bool limits_are_valid(const struct journal_limits *limits)
{
    if (!is_power_of_two(limits->segment_bytes)) return false;
    if (limits->batch_bytes_max % JOURNAL_BLOCK_SIZE != 0) return false;
    if (limits->batch_bytes_max < JOURNAL_BATCH_BYTES_MIN) return false;
    if (limits->batch_bytes_max > JOURNAL_BATCH_BYTES_MAX) return false;
    if (limits->segment_bytes < UINT64_C(4) * limits->batch_bytes_max) return false;
    if (limits->segment_bytes > JOURNAL_POSITION_MAX / JOURNAL_SEGMENTS_MAX / 4) return false;
    return limits->segment_count >= 4 && limits->segment_count <= JOURNAL_SEGMENTS_MAX;
}

void journal_init(struct journal *self, const struct journal_limits *limits, struct arena *arena)
{
    cairn_assert(limits_are_valid(limits));
    memset(self, 0, sizeof *self);
    self->limits = *limits;
    self->open = JOURNAL_BUFFERS;
    for (uint32_t i = 0; i < JOURNAL_BUFFERS; i++)
        self->buffers[i].bytes = arena_take(arena, 1, limits->batch_bytes_max, JOURNAL_BLOCK_SIZE);
}

static void reset(struct journal *self)
{
    for (uint32_t i = 0; i < JOURNAL_BUFFERS; i++)
        self->buffers[i].state = JOURNAL_BUFFER_FREE;
    memset(self->segment_state, JOURNAL_SEGMENT_UNPREPARED, sizeof self->segment_state);
    self->open = JOURNAL_BUFFERS;
    self->in_flight = 0;
    self->opened = false;
    self->failed = false;
    self->storage_full = false;
}

void journal_start(struct journal *self, const struct journal_tail *tail, uint64_t low_water,
                   bool (*prepared)(void *argument, uint32_t segment), void *argument)
{
    cairn_assert(tail->position % JOURNAL_BLOCK_SIZE == 0 && low_water <= tail->position);
    cairn_assert(tail->position < JOURNAL_POSITION_MAX);
    reset(self);
    self->position = tail->position;
    self->durable_position = self->position;
    self->durable_tail = *tail;
    self->low_water = low_water;
    self->previous_position = tail->previous_position;
    self->previous_crc = tail->previous_crc;
    /* The last epoch is used for ever: then the chain of crcs must do alone. */
    self->epoch = tail->epoch == UINT32_MAX ? UINT32_MAX : tail->epoch + 1;

    uint64_t first = segment_of(self, self->position);
    uint64_t end = free_segments_end(self);
    cairn_assert(first <= end); /* J4: the tail is at most one ring ahead of low water */
    for (uint64_t segment = first; segment < end; segment++) {
        uint32_t file = file_of(self, segment);
        if (prepared(argument, file)) self->segment_state[file] = JOURNAL_SEGMENT_PREPARED;
    }
}

static uint32_t find_free_buffer(const struct journal *self)
{
    for (uint32_t i = 0; i < JOURNAL_BUFFERS; i++)
        if (self->buffers[i].state == JOURNAL_BUFFER_FREE) return i;
    return JOURNAL_BUFFERS;
}

static bool open_batch(struct journal *self)
{
    if (!is_prepared(self, segment_of(self, self->position))) return false; /* J7 */
    uint32_t index = find_free_buffer(self);
    if (index == JOURNAL_BUFFERS) return false;
    struct journal_buffer *buffer = &self->buffers[index];
    buffer->position = self->position;
    buffer->records_size = 0;
    buffer->record_count = 0;
    buffer->state = JOURNAL_BUFFER_OPEN;
    self->open = index;
    return true;
}

bool journal_is_open(const struct journal *self)
{
    return self->opened && self->durable_position >= self->opened_position;
}

struct journal_tail journal_durable_tail(const struct journal *self)
{
    return self->durable_tail;
}

uint32_t journal_room(struct journal *self)
{
    if (UNLIKELY(self->failed || !self->opened)) return 0; /* J6, J9 */
    if (self->open == JOURNAL_BUFFERS && !open_batch(self)) return 0;
    return records_capacity(self) - self->buffers[self->open].records_size;
}

uint8_t *journal_append(struct journal *self, uint16_t kind, uint32_t size, uint64_t *position)
{
    cairn_assert(self->open < JOURNAL_BUFFERS && !self->failed);
    struct journal_buffer *buffer = &self->buffers[self->open];
    uint32_t left = records_capacity(self) - buffer->records_size;
    cairn_assert(left >= JOURNAL_RECORD_HEADER_SIZE && size <= left - JOURNAL_RECORD_HEADER_SIZE);

    uint8_t *record = buffer->bytes + JOURNAL_HEADER_SIZE + buffer->records_size;
    uint32_t record_size = journal_record_size(size);
    /* The last word first: the caller's bytes go over it, and the padding stays zero. */
    store_u64(record + record_size - 8, 0);
    store_u32(record, size);
    store_u16(record + 4, kind);
    store_u16(record + 6, 0);
    buffer->records_size += record_size;
    buffer->record_count++;
    *position = buffer->position;
    return record + JOURNAL_RECORD_HEADER_SIZE;
}

/* Of `left` bytes to the end of a segment, those that batches take before J2 may skip the rest. */
static uint64_t bytes_before_skip(const struct journal *self, uint64_t left)
{
    if (left < self->limits.batch_bytes_max) return 0;
    return left - self->limits.batch_bytes_max + JOURNAL_BLOCK_SIZE;
}

static bool has_open_records(const struct journal *self)
{
    return self->open < JOURNAL_BUFFERS && self->buffers[self->open].record_count > 0;
}

uint64_t journal_prepared_bytes(const struct journal *self)
{
    if (self->failed || !self->opened) return 0;
    uint64_t segment = segment_of(self, self->position);
    if (!is_prepared(self, segment)) return 0;
    uint64_t left = segment_end(self, self->position) - self->position;
    if (has_open_records(self)) left -= journal_batch_size(self->buffers[self->open].records_size);
    uint64_t bytes = bytes_before_skip(self, left);
    while (is_prepared(self, ++segment))
        bytes += bytes_before_skip(self, self->limits.segment_bytes);
    return bytes;
}

bool journal_is_idle(const struct journal *self)
{
    return !has_open_records(self) && self->in_flight == 0;
}

static struct journal_action *add_action(struct journal_outbox *outbox, uint32_t kind)
{
    cairn_assert(outbox->count < JOURNAL_OUTBOX_MAX);
    struct journal_action *action = &outbox->actions[outbox->count++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    return action;
}

/* J2 */
static uint64_t position_behind(const struct journal *self, uint64_t position, uint32_t size)
{
    uint64_t end = segment_end(self, position);
    cairn_assert(size <= end - position);
    uint64_t next = position + size;
    return end - next < self->limits.batch_bytes_max ? end : next;
}

static void seal(struct journal *self, struct journal_buffer *buffer)
{
    uint32_t size = journal_batch_size(buffer->records_size);
    buffer->next = position_behind(self, buffer->position, size);
    cairn_assert(buffer->next < JOURNAL_POSITION_MAX);
    struct journal_header header = {
        .position = buffer->position,
        .next = buffer->next,
        .synced = self->durable_position, /* J3 */
        .previous_position = self->previous_position,
        .epoch = self->epoch,
        .records_size = buffer->records_size,
        .record_count = buffer->record_count,
        .previous_crc = self->previous_crc,
    };
    journal_header_encode(&header, buffer->bytes);
    buffer->crc = journal_batch_seal(buffer->bytes, &header);
    self->previous_crc = buffer->crc; /* J1 */
    self->previous_position = buffer->position;
    self->position = buffer->next;
    /* A segment that was left holds what must be kept, until low water passes it (J4). */
    uint64_t left = segment_of(self, buffer->position);
    if (segment_of(self, buffer->next) != left)
        self->segment_state[file_of(self, left)] = JOURNAL_SEGMENT_UNPREPARED;
}

/* The open batch. */
static void write_batch(struct journal *self, struct journal_outbox *outbox)
{
    uint32_t index = self->open;
    struct journal_buffer *buffer = &self->buffers[index];
    seal(self, buffer);
    buffer->state = JOURNAL_BUFFER_WRITING;
    self->open = JOURNAL_BUFFERS;
    self->in_flight++;

    struct journal_action *action = add_action(outbox, JOURNAL_WRITE); /* J8 */
    action->buffer = index;
    action->segment = file_of(self, segment_of(self, buffer->position));
    action->offset = buffer->position & (self->limits.segment_bytes - 1);
    action->size = journal_batch_size(buffer->records_size);
    action->bytes = buffer->bytes;
}

static void on_flush(struct journal *self, struct journal_outbox *outbox)
{
    if (!has_open_records(self)) return;
    if (!journal_is_open(self)) return;                      /* J9 */
    if (self->in_flight == JOURNAL_WRITES_IN_FLIGHT) return; /* group commit: it gathers more */
    write_batch(self, outbox);
}

/* J9: at once when there is a place for it. */
static void write_opening_batch(struct journal *self, struct journal_outbox *outbox)
{
    if (self->opened || !open_batch(self)) return;
    write_batch(self, outbox);
    self->opened = true;
    self->opened_position = self->position;
}

static uint32_t sealed_buffer_at(const struct journal *self, uint64_t position)
{
    for (uint32_t i = 0; i < JOURNAL_BUFFERS; i++) {
        const struct journal_buffer *buffer = &self->buffers[i];
        if (buffer->state < JOURNAL_BUFFER_WRITING) continue;
        if (buffer->position == position) return i;
    }
    return JOURNAL_BUFFERS;
}

/* J5: passes completed batches from the oldest on, and stops at one that is still on its way. */
static void advance_durable(struct journal *self)
{
    for (;;) {
        uint32_t index = sealed_buffer_at(self, self->durable_position);
        if (index == JOURNAL_BUFFERS) return;
        struct journal_buffer *buffer = &self->buffers[index];
        if (buffer->state != JOURNAL_BUFFER_WRITTEN) return;
        self->durable_position = buffer->next;
        self->durable_tail = (struct journal_tail){
            .position = buffer->next,
            .previous_position = buffer->position,
            .previous_crc = buffer->crc,
            .epoch = self->epoch,
        };
        buffer->state = JOURNAL_BUFFER_FREE;
    }
}

static void on_written(struct journal *self, const struct journal_event *event)
{
    cairn_assert(event->buffer < JOURNAL_BUFFERS);
    struct journal_buffer *buffer = &self->buffers[event->buffer];
    cairn_assert(buffer->state == JOURNAL_BUFFER_WRITING && self->in_flight > 0);
    buffer->state = JOURNAL_BUFFER_WRITTEN;
    self->in_flight--;
    if (event->result != CAIRN_OK) self->failed = true;
    if (!self->failed) advance_durable(self); /* J6 */
}

static void on_prepared(struct journal *self, const struct journal_event *event)
{
    cairn_assert(event->segment < self->limits.segment_count);
    uint8_t *state = &self->segment_state[event->segment];
    cairn_assert(*state == JOURNAL_SEGMENT_ASKED);
    bool done = event->result == CAIRN_OK;
    *state = done ? JOURNAL_SEGMENT_PREPARED : JOURNAL_SEGMENT_UNPREPARED;
    self->storage_full = !done;
}

static void on_low_water(struct journal *self, const struct journal_event *event)
{
    cairn_assert(event->position <= self->durable_position);
    if (event->position > self->low_water) self->low_water = event->position;
}

/* Asks for the first segment that is wanted, free and not prepared, unless one is asked for. */
static void ask_for_segment(struct journal *self, struct journal_outbox *outbox)
{
    uint64_t first = segment_of(self, self->position);
    uint64_t end = first + JOURNAL_SEGMENTS_AHEAD + 1;
    if (end > free_segments_end(self)) end = free_segments_end(self); /* J4 */
    uint32_t wanted = JOURNAL_SEGMENTS_MAX;
    for (uint64_t segment = first; segment < end; segment++) {
        uint32_t file = file_of(self, segment);
        if (self->segment_state[file] == JOURNAL_SEGMENT_ASKED) return;
        if (self->segment_state[file] == JOURNAL_SEGMENT_PREPARED) continue;
        if (wanted == JOURNAL_SEGMENTS_MAX) wanted = file;
    }
    if (wanted == JOURNAL_SEGMENTS_MAX) return;
    self->segment_state[wanted] = JOURNAL_SEGMENT_ASKED;
    add_action(outbox, JOURNAL_PREPARE)->segment = wanted;
}

void journal_step(struct journal *self, const struct journal_event *event,
                  struct journal_outbox *outbox)
{
    cairn_assert(event->kind >= JOURNAL_FLUSH && event->kind <= JOURNAL_LOW_WATER);
    bool tries_again = false; /* after a refusal */
    switch (event->kind) {
    case JOURNAL_FLUSH:
        tries_again = !has_open_records(self);
        if (!self->failed) on_flush(self, outbox); /* J6 */
        break;
    case JOURNAL_WRITTEN: on_written(self, event); break;
    case JOURNAL_PREPARED: on_prepared(self, event); break;
    case JOURNAL_LOW_WATER:
        tries_again = true;
        on_low_water(self, event);
        break;
    }
    if (self->failed) return; /* J6 */
    write_opening_batch(self, outbox);
    if (tries_again || !self->storage_full) ask_for_segment(self, outbox);
}

/* ---- Invariants, for tests ---- */

static bool counts_are_valid(const struct journal *self)
{
    uint32_t writing = 0;
    uint32_t open = 0;
    for (uint32_t i = 0; i < JOURNAL_BUFFERS; i++) {
        if (self->buffers[i].state > JOURNAL_BUFFER_WRITTEN) return false;
        if (self->buffers[i].state == JOURNAL_BUFFER_WRITING) writing++;
        if (self->buffers[i].state != JOURNAL_BUFFER_OPEN) continue;
        open++;
        if (self->open != i) return false;
    }
    if (open != (self->open < JOURNAL_BUFFERS ? 1u : 0u)) return false;
    return writing == self->in_flight && self->in_flight <= JOURNAL_WRITES_IN_FLIGHT;
}

/* J5, J8: the sealed buffers reach from durable_position to position without a gap, and the first
 * has not completed, or it would be durable. */
static bool chain_is_valid(const struct journal *self)
{
    uint64_t position = self->durable_position;
    uint32_t sealed = 0;
    for (uint32_t i = 0; i < JOURNAL_BUFFERS && position != self->position; i++) {
        uint32_t index = sealed_buffer_at(self, position);
        if (index == JOURNAL_BUFFERS) return false;
        const struct journal_buffer *buffer = &self->buffers[index];
        if (i == 0 && !self->failed && buffer->state != JOURNAL_BUFFER_WRITING) return false;
        if (segment_of(self, position) >= free_segments_end(self)) return false; /* J4 */
        uint32_t size = journal_batch_size(buffer->records_size);
        if (buffer->next != position_behind(self, position, size)) return false; /* J2 */
        position = buffer->next;
        sealed++;
    }
    uint32_t all = 0;
    for (uint32_t i = 0; i < JOURNAL_BUFFERS; i++)
        if (self->buffers[i].state >= JOURNAL_BUFFER_WRITING) all++;
    return position == self->position && sealed == all;
}

static bool open_is_valid(const struct journal *self)
{
    if (self->open == JOURNAL_BUFFERS) return true;
    const struct journal_buffer *buffer = &self->buffers[self->open];
    if (buffer->position != self->position) return false;
    if (buffer->records_size > records_capacity(self)) return false;
    return is_prepared(self, segment_of(self, self->position)); /* J7 */
}

static bool segments_are_valid(const struct journal *self)
{
    uint64_t first = segment_of(self, self->position);
    uint64_t end = free_segments_end(self);
    uint32_t asked = 0;
    for (uint64_t i = 0; i < self->limits.segment_count; i++) {
        uint8_t state = self->segment_state[file_of(self, first + i)];
        if (state > JOURNAL_SEGMENT_PREPARED) return false;
        if (state == JOURNAL_SEGMENT_ASKED) asked++;
        if (first + i >= end && state != JOURNAL_SEGMENT_UNPREPARED) return false; /* J4 */
    }
    return asked <= 1;
}

bool journal_is_valid(const struct journal *self)
{
    if (!limits_are_valid(&self->limits) || self->open > JOURNAL_BUFFERS) return false;
    if (self->low_water > self->durable_position) return false;
    if (self->durable_position > self->position) return false;
    if (self->durable_tail.position != self->durable_position) return false;
    if (self->position % JOURNAL_BLOCK_SIZE != 0) return false;
    /* J7: a largest batch fits before the end of the segment. The opening batch does anyway. */
    uint64_t left = segment_end(self, self->position) - self->position;
    if (self->opened && left < self->limits.batch_bytes_max) return false;
    if (!journal_is_open(self) && self->in_flight > 1) return false; /* J9 */
    if (!self->opened && (self->in_flight > 0 || self->open < JOURNAL_BUFFERS)) return false;
    if (segment_of(self, self->position) > free_segments_end(self)) return false;
    return counts_are_valid(self) && chain_is_valid(self) && open_is_valid(self) &&
           segments_are_valid(self);
}
