/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_batch_check() and the walk over the records, on any bytes. With bit 0 of the first byte
 * set, magics, crcs and what must agree with them are put right first, so that the fuzzer reaches
 * what lies behind them.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "crypto/crc32c.h"
#include "journal/format.h"

#define BLOCKS_MAX 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_right(uint8_t *batch, size_t size)
{
    uint64_t position = load_u64(batch + 8) % (UINT64_C(1) << 40) & ~UINT64_C(4095);
    uint32_t records_size = load_u32(batch + 32) % (uint32_t)size & ~7u;
    if (journal_batch_size(records_size) > size) records_size = (uint32_t)size - 80;
    store_u32(batch, JOURNAL_HEADER_MAGIC);
    store_u64(batch + 8, position);
    store_u64(batch + 16, position + journal_batch_size(records_size));
    store_u64(batch + 24, 0);
    store_u32(batch + 32, records_size);
    store_u32(batch + 44, 0);
    store_u64(batch + 48, 0);
    store_u32(batch + 56, 0);
    uint32_t crc = crc32c(0, batch, 60);
    store_u32(batch + 60, crc);
    uint8_t *footer = batch + JOURNAL_HEADER_SIZE + records_size;
    store_u32(footer, JOURNAL_FOOTER_MAGIC);
    store_u32(footer + 4, crc32c(crc, batch + JOURNAL_HEADER_SIZE, records_size));
    store_u64(footer + 8, position);
}

/* What was accepted is walked to its end, and is what an encoder would have produced. */
static void check_accepted(const uint8_t *batch, const struct journal_header *header, uint32_t crc)
{
    uint32_t size = journal_batch_size(header->records_size);
    uint8_t *copy = calloc(1, size);
    cairn_assert(copy != NULL);
    struct journal_record record;
    uint32_t offset = 0;
    uint32_t count = 0;
    uint32_t end = 0;
    while (journal_record_next(batch, header, &offset, &record)) {
        uint8_t *to = copy + JOURNAL_HEADER_SIZE + end;
        store_u32(to, record.size);
        store_u16(to + 4, record.kind);
        memcpy(to + JOURNAL_RECORD_HEADER_SIZE, record.payload, record.size);
        end += journal_record_size(record.size);
        cairn_assert(end == offset);
        count++;
    }
    cairn_assert(count == header->record_count && end == header->records_size);
    journal_header_encode(header, copy);
    cairn_assert(journal_batch_seal(copy, header) == crc);
    cairn_assert(memcmp(copy, batch, size) == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > BLOCKS_MAX * JOURNAL_BLOCK_SIZE) return 0;
    bool is_put_right = (data[0] & 1) != 0;
    data++;
    size--;
    /* Whole blocks, so that a short input can be a batch; sometimes just what is there. */
    size_t available = is_put_right ? round_up(size + 1, JOURNAL_BLOCK_SIZE) : size;
    uint8_t *batch = calloc(1, available + (available == 0));
    cairn_assert(batch != NULL);
    memcpy(batch, data, size);
    if (is_put_right) put_right(batch, available);
    struct journal_header header;
    uint32_t crc;
    if (journal_batch_check(batch, available, &header, &crc)) check_accepted(batch, &header, crc);
    free(batch);
    return 0;
}
