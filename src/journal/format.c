/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/format.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "crypto/crc32c.h"

#define HEADER_CRC_OFFSET 60u
#define RECORDS_SIZE_MAX (JOURNAL_BATCH_BYTES_MAX - JOURNAL_HEADER_SIZE - JOURNAL_FOOTER_SIZE)

_Static_assert(JOURNAL_HEADER_SIZE % 8 == 0 && JOURNAL_RECORD_HEADER_SIZE == 8,
               "records and their payloads are 8-aligned");

void journal_header_encode(const struct journal_header *header, uint8_t bytes[JOURNAL_HEADER_SIZE])
{
    store_u32(bytes + 0, JOURNAL_HEADER_MAGIC);
    store_u32(bytes + 4, header->epoch);
    store_u64(bytes + 8, header->position);
    store_u64(bytes + 16, header->next);
    store_u64(bytes + 24, header->synced);
    store_u32(bytes + 32, header->records_size);
    store_u32(bytes + 36, header->record_count);
    store_u32(bytes + 40, header->previous_crc);
    store_u32(bytes + 44, 0);
    store_u64(bytes + 48, header->previous_position);
    store_u32(bytes + 56, 0);
    store_u32(bytes + HEADER_CRC_OFFSET, crc32c(0, bytes, HEADER_CRC_OFFSET));
}

static bool header_sizes_agree(const struct journal_header *header)
{
    if (header->records_size % 8 != 0 || header->records_size > RECORDS_SIZE_MAX) return false;
    if ((header->record_count == 0) != (header->records_size == 0)) return false;
    return header->record_count <= header->records_size / JOURNAL_RECORD_HEADER_SIZE;
}

static bool header_positions_agree(const struct journal_header *header)
{
    uint64_t together =
        header->position | header->next | header->synced | header->previous_position;
    if (together % JOURNAL_BLOCK_SIZE != 0) return false;
    if (header->next >= JOURNAL_POSITION_MAX || header->position >= header->next) return false;
    /* J2: what is skipped at the end of a segment is less than a largest batch. */
    uint64_t size = journal_batch_size(header->records_size);
    uint64_t span = header->next - header->position;
    if (span < size || span - size >= JOURNAL_BATCH_BYTES_MAX) return false;
    if (header->synced > header->position) return false;
    if (header->position == 0) return header->previous_position == 0 && header->previous_crc == 0;
    return header->previous_position < header->position;
}

bool journal_header_decode(struct journal_header *header, const uint8_t bytes[JOURNAL_HEADER_SIZE])
{
    if (load_u32(bytes) != JOURNAL_HEADER_MAGIC) return false;
    if (load_u32(bytes + HEADER_CRC_OFFSET) != crc32c(0, bytes, HEADER_CRC_OFFSET)) return false;
    if (load_u32(bytes + 44) != 0 || load_u32(bytes + 56) != 0) return false;
    header->epoch = load_u32(bytes + 4);
    header->position = load_u64(bytes + 8);
    header->next = load_u64(bytes + 16);
    header->synced = load_u64(bytes + 24);
    header->records_size = load_u32(bytes + 32);
    header->record_count = load_u32(bytes + 36);
    header->previous_crc = load_u32(bytes + 40);
    header->previous_position = load_u64(bytes + 48);
    return header->epoch != 0 && header_sizes_agree(header) && header_positions_agree(header);
}

/* J1: the header's own crc is that of its bytes 0..59, so the records just go on from it. */
static uint32_t batch_crc(const uint8_t *batch, uint32_t records_size)
{
    return crc32c(load_u32(batch + HEADER_CRC_OFFSET), batch + JOURNAL_HEADER_SIZE, records_size);
}

uint32_t journal_batch_seal(uint8_t *batch, const struct journal_header *header)
{
    uint8_t *footer = batch + JOURNAL_HEADER_SIZE + header->records_size;
    uint32_t crc = batch_crc(batch, header->records_size);
    store_u32(footer, JOURNAL_FOOTER_MAGIC);
    store_u32(footer + 4, crc);
    store_u64(footer + 8, header->position);
    uint32_t end = JOURNAL_HEADER_SIZE + header->records_size + JOURNAL_FOOTER_SIZE;
    /* The buffer holds an older batch: none of it may reach the disk. */
    memset(batch + end, 0, journal_batch_size(header->records_size) - end);
    return crc;
}

static bool footer_agrees(const uint8_t *batch, const struct journal_header *header, uint32_t crc)
{
    const uint8_t *footer = batch + JOURNAL_HEADER_SIZE + header->records_size;
    if (load_u32(footer) != JOURNAL_FOOTER_MAGIC || load_u32(footer + 4) != crc) return false;
    return load_u64(footer + 8) == header->position;
}

/* `left` is a multiple of 8, at least 8. Gives the bytes that the record takes. */
static bool record_is_canonical(const uint8_t *record, uint32_t left, uint32_t *record_size)
{
    uint32_t payload_size = load_u32(record);
    if (load_u16(record + 6) != 0) return false;
#ifndef CAIRN_PLANTED_BUG_JOURNAL_BATCH
    /* Before it is rounded up, so that nothing wraps. */
    if (payload_size > left - JOURNAL_RECORD_HEADER_SIZE) return false;
#else
    (void)left;
#endif
    *record_size = journal_record_size(payload_size);
    uint32_t end = JOURNAL_RECORD_HEADER_SIZE + payload_size;
    return bytes_are_zero(record + end, *record_size - end);
}

static bool records_are_canonical(const uint8_t *batch, const struct journal_header *header)
{
    const uint8_t *records = batch + JOURNAL_HEADER_SIZE;
    uint32_t count = 0;
    uint32_t offset = 0;
    while (offset < header->records_size) {
        uint32_t size;
        if (!record_is_canonical(records + offset, header->records_size - offset, &size))
            return false;
        offset += size;
        count++;
    }
    return offset == header->records_size && count == header->record_count;
}

bool journal_batch_check(const uint8_t *batch, uint64_t available, struct journal_header *header,
                         uint32_t *crc)
{
    if (available < JOURNAL_HEADER_SIZE || !journal_header_decode(header, batch)) return false;
    uint32_t size = journal_batch_size(header->records_size);
    if (size > available) return false;
    *crc = batch_crc(batch, header->records_size);
    if (!footer_agrees(batch, header, *crc)) return false;
    uint32_t end = JOURNAL_HEADER_SIZE + header->records_size + JOURNAL_FOOTER_SIZE;
    return bytes_are_zero(batch + end, size - end) && records_are_canonical(batch, header);
}

bool journal_record_next(const uint8_t *batch, const struct journal_header *header,
                         uint32_t *offset, struct journal_record *record)
{
    if (*offset >= header->records_size) return false;
    const uint8_t *bytes = batch + JOURNAL_HEADER_SIZE + *offset;
    record->size = load_u32(bytes);
    record->kind = load_u16(bytes + 4);
    record->payload = bytes + JOURNAL_RECORD_HEADER_SIZE;
    *offset += journal_record_size(record->size);
    cairn_assert(*offset <= header->records_size); /* the batch was checked */
    return true;
}
