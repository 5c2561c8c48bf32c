/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal core: gathers records into batches, writes each batch once, and says what is durable.
 * A pure step: no clock, no file, no thread.
 *
 * Buffers: a small number of batch buffers, each one batch. One is open and takes records; a flush
 * seals it and asks for its write; up to JOURNAL_WRITES_IN_FLIGHT are on their way at once; a
 * completed one is free again.
 *
 *   J5  durable_position never goes back, and passes a batch only when that batch and all before it
 *       have completed (group commit; writes may complete in any order)
 *   J6  after one failed write nothing more is ever acknowledged or written (failed)
 *   J7  a batch is opened only where its whole largest size is free (below low water + ring size)
 *       and lies in a prepared segment; so an accepted record can always be written
 *   J8  batches are written in the order of their positions
 *   J9  the opening batch (format.h) is durable before another is written
 */
#ifndef CAIRN_JOURNAL_JOURNAL_H
#define CAIRN_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "journal/format.h"

#define JOURNAL_WRITES_IN_FLIGHT 2u
#define JOURNAL_BUFFERS 3u
#define JOURNAL_SEGMENTS_AHEAD 2u /* kept prepared beyond the one that is written */
#define JOURNAL_SEGMENTS_MAX 4096u
#define JOURNAL_OUTBOX_MAX 8u

struct journal_limits {
    uint64_t segment_bytes;   /* a power of two, at least 4 * batch_bytes_max */
    uint32_t segment_count;   /* 4 .. JOURNAL_SEGMENTS_MAX; not necessarily a power of two */
    uint32_t batch_bytes_max; /* whole blocks, JOURNAL_BATCH_BYTES_MIN .. _MAX; the others are
                                   fixed for a journal, this may change from open to open */
};

/* Where writing goes on after recovery. All zero: an empty journal. */
struct journal_tail {
    uint64_t position;          /* of the next batch */
    uint64_t previous_position; /* of the last valid batch */
    uint32_t previous_crc;
    uint32_t epoch; /* highest epoch seen; the next open takes the next */
};

enum journal_event_kind {
    JOURNAL_FLUSH = 1,     /* seal the open batch if it holds records and a write may start */
    JOURNAL_WRITTEN = 2,   /* a write completed: buffer, result */
    JOURNAL_PREPARED = 3,  /* a segment is prepared, or not: segment, result */
    JOURNAL_LOW_WATER = 4, /* everything before `position` may be recycled */
};

struct journal_event {
    uint32_t kind;
    uint32_t buffer;
    uint32_t segment;
    int32_t result;
    uint64_t position;
};

enum journal_action_kind {
    JOURNAL_WRITE = 1,   /* write `size` bytes of the buffer at segment and offset, then sync */
    JOURNAL_PREPARE = 2, /* prepare the segment */
};

struct journal_action {
    uint32_t kind;
    uint32_t buffer;
    uint32_t segment; /* file number, already mod segment_count */
    uint32_t size;
    uint64_t offset;
    uint8_t *bytes;
};

struct journal_outbox {
    uint32_t count;
    struct journal_action actions[JOURNAL_OUTBOX_MAX];
};

enum journal_buffer_state {
    JOURNAL_BUFFER_FREE = 0,
    JOURNAL_BUFFER_OPEN = 1,
    JOURNAL_BUFFER_WRITING = 2,
    JOURNAL_BUFFER_WRITTEN = 3, /* completed, but one before it has not */
};

enum journal_segment_state {
    JOURNAL_SEGMENT_UNPREPARED = 0, /* or not free yet */
    JOURNAL_SEGMENT_ASKED = 1,
    JOURNAL_SEGMENT_PREPARED = 2,
};

struct journal_buffer {
    uint8_t *bytes;
    uint64_t position;
    uint64_t next;
    uint32_t state;
    uint32_t records_size;
    uint32_t record_count;
    uint32_t crc; /* once it is sealed */
};

struct journal {
    struct journal_limits limits;
    uint64_t position;                /* of the batch that is open or will be opened next */
    uint64_t durable_position;        /* J5: everything before it is synced */
    struct journal_tail durable_tail; /* the chain there */
    uint64_t low_water;
    uint64_t previous_position;
    uint32_t previous_crc;
    uint32_t epoch;
    uint64_t opened_position; /* behind the opening batch, once it is sealed (J9) */
    bool opened;              /* the opening batch is sealed */
    bool failed;              /* J6 */
    bool storage_full;        /* the last prepare was refused for want of room */
    uint32_t open;            /* index of the open buffer, or JOURNAL_BUFFERS */
    uint32_t in_flight;
    struct journal_buffer buffers[JOURNAL_BUFFERS];
    /* By file, for the lap that will be written there next: enum journal_segment_state. */
    uint8_t segment_state[JOURNAL_SEGMENTS_MAX];
};

/* Takes the buffers (block-aligned) from the arena; also in its dry run. */
void journal_init(struct journal *self, const struct journal_limits *limits, struct arena *arena);

/*
 * Starts writing behind the tail, in epoch tail->epoch + 1. `low_water`: the oldest position that
 * must be kept. `prepared(argument, segment)` tells which segments are prepared already.
 *
 * Then send an event, for example JOURNAL_FLUSH: it asks for the first segment and writes the
 * opening batch. There is room for records as soon as that is on its way, but until
 * journal_is_open(), a power cut can bring back what this recovery has cut: do not answer anybody
 * from the recovered state before.
 *
 * Everything before the tail counts as durable from here on (J3), so it must be: when a process
 * died, but not the machine, whoever opens the disk syncs the segments before they are scanned.
 */
void journal_start(struct journal *self, const struct journal_tail *tail, uint64_t low_water,
                   bool (*prepared)(void *argument, uint32_t segment), void *argument);

/* True when the opening batch is durable (J9). */
bool journal_is_open(const struct journal *self);

/*
 * The chain at durable_position: what a checkpoint that covers everything before it stores, so that
 * a scan can go on from there with expects_chain.
 */
struct journal_tail journal_durable_tail(const struct journal *self);

/* Bytes of records that the open batch still takes; 0: no buffer, no room, or failed. */
uint32_t journal_room(struct journal *self);

/*
 * The place for a record's payload in the open batch. Precondition: journal_record_size(size) <=
 * journal_room(). The caller fills exactly `size` bytes before the next call; the journal zeroes
 * the padding. *position: of the batch the record goes into; it is durable when durable_position is
 * beyond it.
 */
uint8_t *journal_append(struct journal *self, uint16_t kind, uint32_t size, uint64_t *position);

/*
 * Free and prepared bytes from the write position on: what may still be accepted without asking the
 * disk. Conservative: counts only prepared segments below low water + ring size, up to the first
 * that is not prepared, and leaves out what J2 may skip at the end of each. 0 before the opening
 * batch is sealed.
 *
 * J7 holds for whoever charges each record that is not appended yet with what it takes in a batch
 * of its own, journal_batch_size(journal_record_size(size)), and accepts only while the sum of the
 * charges is not above this number: then all of them can be written however they are batched, even
 * if no segment is ever prepared again.
 */
uint64_t journal_prepared_bytes(const struct journal *self);

/* True when nothing is open with records, and nothing is in flight. */
bool journal_is_idle(const struct journal *self);

/*
 * Takes one event. Adds its actions, at most one write and one prepare, behind those that are in
 * the outbox; the caller empties it (count = 0).
 *
 * One segment is asked for at a time. After a refusal (storage_full) the journal asks again at the
 * next JOURNAL_LOW_WATER, or JOURNAL_FLUSH that finds no open records: so a driver that has nothing
 * to write, or no room, sends one of them now and then while storage_full is set.
 */
void journal_step(struct journal *self, const struct journal_event *event,
                  struct journal_outbox *outbox);

/* Walks all invariants; for tests. */
bool journal_is_valid(const struct journal *self);

#endif
