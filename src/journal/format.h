/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the journal: batches of records in segments. docs/formats.md, "Journal".
 *
 * A position is a byte offset since the journal began. Segment number n covers positions
 * [n * segment_bytes, (n + 1) * segment_bytes) and lies in file n mod segment_count. A batch starts
 * at a 4 KiB boundary, ends in the segment where it starts, and is:
 *
 *   header   64 bytes
 *   records  each: u32 payload size, u16 kind, u16 zero, payload, zeros up to 8 bytes
 *   footer   16 bytes: u32 magic, u32 crc, u64 position
 *   zeros    up to 4 KiB
 *
 * header:  0 u32 magic      4 u32 epoch      8 u64 position   16 u64 next   24 u64 synced
 *         32 u32 records size   36 u32 record count   40 u32 previous crc   44 u32 zero
 *         48 u64 previous position   56 u32 zero   60 u32 crc of bytes 0..59
 *
 *   J1  the footer's crc is the CRC of header bytes 0..59 and the records behind them; the header
 *       holds epoch and previous crc, so a batch is valid only behind the very batch it was written
 *       behind. (Bytes 60..63 are left out on purpose: a message followed by its own CRC has a
 *       constant CRC, so with them the footer's crc would say nothing about the header.)
 *   J2  `next` is where the next batch begins: the next 4 KiB boundary behind the footer, or the
 *       start of the next segment when less than a largest batch would be left in this one
 *   J3  everything before `synced` was synced when the header was made: a bad batch before it is
 *       damage, not a torn write
 *   J4  acknowledged blocks are not written again before they are below the low-water mark
 *
 *   J9  each open begins a new epoch with a batch without records, the opening batch, which is
 *       durable before another batch is written. Every other batch has records
 *
 * Why J9: a torn batch may lack only a sector that the next batch at its place happens to write
 * alike (zeros, or the same record tried again). If that write is torn too, the old batch would be
 * complete, and what a recovery had cut would be back. A durable opening batch has replaced its
 * header before anything else is written.
 *
 * The batch at position 0 has previous position and previous crc 0. A batch that was written at the
 * end of damage (scan.h), where the batch before it cannot be read, has the position where the
 * damage begins, and previous crc 0. Positions stay below JOURNAL_POSITION_MAX.
 */
#ifndef CAIRN_JOURNAL_FORMAT_H
#define CAIRN_JOURNAL_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"

#define JOURNAL_BLOCK_SIZE 4096u
#define JOURNAL_HEADER_SIZE 64u
#define JOURNAL_FOOTER_SIZE 16u
#define JOURNAL_RECORD_HEADER_SIZE 8u
#define JOURNAL_BATCH_BYTES_MIN (64u * 1024u) /* smallest and largest value of the largest batch */
#define JOURNAL_BATCH_BYTES_MAX (4u * 1024u * 1024u)
#define JOURNAL_POSITION_MAX (UINT64_C(1) << 62)
#define JOURNAL_HEADER_MAGIC UINT32_C(0x4a4e5243) /* "CRNJ" */
#define JOURNAL_FOOTER_MAGIC UINT32_C(0x454e5243) /* "CRNE" */

struct journal_header {
    uint64_t position;
    uint64_t next;
    uint64_t synced;
    uint64_t previous_position;
    uint32_t epoch; /* of the open that wrote it; grows with each */
    uint32_t records_size;
    uint32_t record_count;
    uint32_t previous_crc;
};

struct journal_record {
    const uint8_t *payload;
    uint32_t size;
    uint16_t kind;
};

/* Bytes that a record takes in a batch. */
HOT_INLINE uint32_t journal_record_size(uint32_t payload_size)
{
    return JOURNAL_RECORD_HEADER_SIZE + ((payload_size + 7u) & ~7u);
}

/* Bytes on disk of a batch with so many bytes of records: whole blocks. */
HOT_INLINE uint32_t journal_batch_size(uint32_t records_size)
{
    uint32_t size = JOURNAL_HEADER_SIZE + records_size + JOURNAL_FOOTER_SIZE;
    return (size + JOURNAL_BLOCK_SIZE - 1u) & ~(JOURNAL_BLOCK_SIZE - 1u);
}

void journal_header_encode(const struct journal_header *header, uint8_t bytes[JOURNAL_HEADER_SIZE]);
/* False: magic, crc, zeros or sizes are not those of a header. */
CHECKED bool journal_header_decode(struct journal_header *header,
                                   const uint8_t bytes[JOURNAL_HEADER_SIZE]);

/* Writes footer and padding behind the encoded header and the records; returns the batch's crc. */
uint32_t journal_batch_seal(uint8_t *batch, const struct journal_header *header);

/*
 * Checks a whole batch of `available` bytes at `batch`: header, that every record is canonical and
 * their count and size agree, footer, crc, zero padding. Fills header and crc. False: not valid.
 */
CHECKED bool journal_batch_check(const uint8_t *batch, uint64_t available,
                                 struct journal_header *header, uint32_t *crc);

/*
 * Walks the records of a checked batch: start with *offset = 0. False at the end.
 */
CHECKED bool journal_record_next(const uint8_t *batch, const struct journal_header *header,
                                 uint32_t *offset, struct journal_record *record);

#endif
