/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scanner over a small ring of any bytes, to its end: in bounded steps, always forwards, and
 * never beyond the ring. The input is a list of patches to blocks; with bit 0 of the first byte
 * set, each patched block becomes the start of a batch that is right in itself, sometimes of the
 * chain.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "crypto/crc32c.h"
#include "journal/scan.h"

#define SEGMENT_BYTES 16384u
#define SEGMENTS 4u
#define BLOCKS (SEGMENTS * SEGMENT_BYTES / JOURNAL_BLOCK_SIZE)
/* Each block can be torn out, damaged or delivered once; each of these may want each segment. */
#define STEPS_MAX (4u * BLOCKS * SEGMENTS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct journal_limits limits = {
    .segment_bytes = SEGMENT_BYTES,
    .segment_count = SEGMENTS,
    .batch_bytes_max = 4096,
};

/* Segments in memory of their own, so that a sanitizer sees a read past the end of each. */
static uint8_t *segments[SEGMENTS];
static uint64_t from;
static uint64_t previous_position;
static uint32_t previous_crc;

struct patch {
    uint8_t block;
    uint8_t flags; /* 1 chained, 2 next is the end of the segment, 4 no footer, 8 claims a lot */
    uint8_t epoch;
    uint8_t records_size; /* in units of 512 bytes */
    uint8_t synced;       /* blocks */
    uint8_t size;         /* of the bytes that follow */
};

/* The position at which a block of the ring stands in the lap that starts at `from`. */
static uint64_t position_of(uint32_t block)
{
    uint64_t ring = (uint64_t)SEGMENTS * SEGMENT_BYTES;
    uint64_t first = from & ~(uint64_t)(SEGMENT_BYTES - 1);
    uint64_t position = first / ring * ring + (uint64_t)block * JOURNAL_BLOCK_SIZE;
    return position < first ? position + ring : position;
}

static void put_right(const struct patch *patch, uint8_t *block, uint32_t left)
{
    uint64_t position = position_of(patch->block % BLOCKS);
    struct journal_header header = {
        .position = position,
        .epoch = patch->epoch,
        .records_size = patch->records_size * 512u,
        .record_count = patch->records_size * 64u, /* empty records, where nothing else is */
        .synced = patch->synced * UINT64_C(4096),
    };
    header.next = position + journal_batch_size(header.records_size);
    if ((patch->flags & 2) != 0) header.next = (position | (SEGMENT_BYTES - 1)) + 1;
    if ((patch->flags & 8) != 0 || header.synced > position) header.synced = position;
    if ((patch->flags & 1) != 0) {
        header.previous_position = previous_position;
        header.previous_crc = previous_crc;
    }
    journal_header_encode(&header, block);
    if (left < JOURNAL_HEADER_SIZE + header.records_size + JOURNAL_FOOTER_SIZE) return;
    if ((patch->flags & 4) != 0) return;
    uint8_t *footer = block + JOURNAL_HEADER_SIZE + header.records_size;
    uint32_t crc = crc32c(load_u32(block + 60), block + JOURNAL_HEADER_SIZE, header.records_size);
    store_u32(footer, JOURNAL_FOOTER_MAGIC);
    store_u32(footer + 4, crc);
    store_u64(footer + 8, position);
    previous_position = position;
    previous_crc = crc;
}

static void fill_ring(const uint8_t *data, size_t size, bool is_put_right)
{
    struct patch patch;
    while (size >= sizeof patch) {
        memcpy(&patch, data, sizeof patch);
        data += sizeof patch;
        size -= sizeof patch;
        uint32_t offset = patch.block % BLOCKS * JOURNAL_BLOCK_SIZE;
        uint8_t *block = segments[offset / SEGMENT_BYTES] + offset % SEGMENT_BYTES;
        uint32_t left = SEGMENT_BYTES - offset % SEGMENT_BYTES;
        uint32_t length = patch.size < size ? patch.size : (uint32_t)size;
        memcpy(is_put_right ? block + JOURNAL_HEADER_SIZE : block, data, length);
        data += length;
        size -= length;
        if (is_put_right) put_right(&patch, block, left);
    }
}

static void check_batch(const struct journal_scan *scan, uint64_t position)
{
    uint32_t count = 0;
    uint32_t offset = 0;
    struct journal_record record;
    cairn_assert(scan->header.position == position && scan->header.next == scan->position);
    while (journal_record_next(scan->batch, &scan->header, &offset, &record)) {
        if (record.size > 0) cairn_assert(record.payload[record.size - 1] <= UINT8_MAX);
        count++;
    }
    cairn_assert(count == scan->header.record_count);
}

static void run_scan(struct journal_scan *scan, uint32_t absent)
{
    uint64_t end = (from / SEGMENT_BYTES + SEGMENTS) * SEGMENT_BYTES;
    uint64_t position = from;
    for (uint32_t steps = 0;; steps++) {
        cairn_assert(steps < STEPS_MAX);
        enum journal_scan_result result = journal_scan_next(scan);
        uint64_t before = position;
        switch (result) {
        case JOURNAL_SCAN_WANTS:
            cairn_assert(scan->wants >= from / SEGMENT_BYTES);
            cairn_assert(scan->wants < from / SEGMENT_BYTES + SEGMENTS);
            uint32_t file = (uint32_t)(scan->wants % SEGMENTS);
            journal_scan_give(scan, file == absent ? NULL : segments[file]);
            break;
        case JOURNAL_SCAN_BATCH:
            /* Behind what was handed out last, where it says it stands. */
            cairn_assert(scan->header.position >= before);
            check_batch(scan, scan->header.position);
            position = scan->header.next;
            break;
        case JOURNAL_SCAN_DAMAGE:
            cairn_assert(scan->damage_from == before && scan->damage_to > before);
            position = scan->damage_to;
            break;
        default:
            cairn_assert(result == JOURNAL_SCAN_END);
            cairn_assert(scan->tail.position >= position && scan->tail.position <= end);
            cairn_assert(scan->torn_bytes <= SEGMENT_BYTES);
            return;
        }
        cairn_assert(position <= end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    bool is_put_right = (data[0] & 1) != 0;
    bool expects_chain = (data[0] & 2) != 0;
    /* Bits 2..4: a segment that was never prepared, or none. */
    uint32_t absent = data[0] >> 2 & 7u;
    from = data[1] * UINT64_C(4096);
    struct journal_tail tail = {
        .previous_position = from == 0 ? 0 : from - JOURNAL_BLOCK_SIZE,
        .previous_crc = from == 0 ? 0 : data[2],
        .epoch = data[2] % 4u,
    };
    previous_position = tail.previous_position;
    previous_crc = tail.previous_crc;
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        segments[i] = calloc(1, SEGMENT_BYTES);
        cairn_assert(segments[i] != NULL);
    }
    fill_ring(data + 3, size - 3, is_put_right);
    struct journal_scan scan;
    journal_scan_init(&scan, &limits, from, expects_chain, &tail);
    run_scan(&scan, absent);
    for (uint32_t i = 0; i < SEGMENTS; i++)
        free(segments[i]);
    return 0;
}
