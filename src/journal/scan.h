/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a journal back: a pull scanner over whole segments, for recovery, export and inspection.
 * Pure: the caller reads segments, the scanner looks at them.
 *
 * From a start position the scanner walks the chain of batches. Where a batch is not valid, it
 * searches the rest of the ring for headers of the same or a later epoch that stand where they say
 * they stand:
 *
 *   S1  bytes that are not valid and that a valid header behind them claims as synced (J3) are
 *       damage: reported as a range of whole batches, from the bad batch to the first valid one
 *       behind it, or to the end of what is claimed if that comes first; the walk goes on there
 *   S2  a bad batch that nothing claims is torn: the walk ends there, the tail is its position. A
 *       valid batch behind it was never acknowledged, and goes with it
 *   S3  a torn end is reported with the number of bytes behind it that are not zero, up to the end
 *       of the segment; in a segment of a later lap, where older bytes are left, only those of the
 *       torn batch, if its header is there
 *   S4  what the scanner hands out is checked: journal_batch_check() and the chain (J1), which
 *       starts anew only behind damage; an epoch begins with an opening batch (J9), which is handed
 *       out like any other and has no records
 *   S5  the tail's epoch is the highest that any header in the searched part of the ring shows
 *
 * The last JOURNAL_WRITES_IN_FLIGHT acknowledged batches, damaged, cannot be told from torn ones
 * when they were in flight together and nothing was written behind them: no header claims them.
 * When the last one was written alone, that is true of it only. The next opening batch claims them
 * all. The format page says so.
 */
#ifndef CAIRN_JOURNAL_SCAN_H
#define CAIRN_JOURNAL_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/format.h"
#include "journal/journal.h"

enum journal_scan_result {
    JOURNAL_SCAN_WANTS = 1,  /* give segment number self->wants (not mod count), then call again */
    JOURNAL_SCAN_BATCH = 2,  /* self->batch, self->header, self->crc describe a valid batch */
    JOURNAL_SCAN_DAMAGE = 3, /* [self->damage_from, self->damage_to) is damaged */
    JOURNAL_SCAN_END = 4,    /* self->tail is where writing goes on */
};

struct journal_scan {
    /* Read by the caller. */
    uint64_t wants; /* segment number; the file is wants mod segment_count */
    const uint8_t *batch;
    struct journal_header header;
    uint32_t crc;
    uint64_t damage_from;
    uint64_t damage_to;
    uint64_t torn_bytes;
    struct journal_tail tail;
    /* Inside. */
    struct journal_limits limits;
    const uint8_t *segment_bytes; /* the one given last; the caller keeps it until the next */
    uint64_t segment;             /* its number */
    uint64_t limit;               /* one ring behind the segment where the scan started */
    uint64_t position;            /* of the next batch to look at */
    uint64_t search_from;         /* the bad batch */
    uint64_t search_at;           /* next block to look at */
    uint64_t first_valid;         /* first valid batch behind it, or UINT64_MAX */
    uint64_t claimed_to;          /* highest `synced` of a header behind it, at least search_from */
    uint32_t phase;
    uint32_t epoch_seen;
    bool has_segment;
    bool expects_chain; /* the next batch must continue tail.previous_crc */
};

/*
 * Starts at `from`, and covers one ring from its segment on. Of the limits, batch_bytes_max is not
 * used.
 *
 * With `expects_chain`, `tail` is the chain at `from`: all zero for 0, else from a checkpoint
 * (journal_durable_tail()) or from an earlier scan. So does a recovery.
 *
 * Without, any valid batch at `from` starts the chain, and `tail` may be NULL: for an export from
 * the middle. Right only where a batch is known to be durable: where the end may be, a whole batch
 * of an earlier life may stand, which was never acknowledged.
 */
void journal_scan_init(struct journal_scan *self, const struct journal_limits *limits,
                       uint64_t from, bool expects_chain, const struct journal_tail *tail);

/* Hands over the segment that was wanted: limits.segment_bytes bytes, or NULL when that file was
 * never prepared (reads as zeros). */
void journal_scan_give(struct journal_scan *self, const uint8_t *bytes);

enum journal_scan_result journal_scan_next(struct journal_scan *self);

#endif
