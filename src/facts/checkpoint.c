/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/checkpoint.h"

#include "base/assert.h"
#include "crypto/crc32c.h"

enum section {
    SECTION_MEMBERS,
    SECTION_ORIGINS,
    SECTION_SPACES,
    SECTION_KEYS,
    SECTION_CELLS,
    SECTION_END,
};

#define HEADER_CRC_OFFSET (CHECKPOINT_HEADER_SIZE - 4u)

void checkpoint_header_encode(const struct checkpoint_header *header,
                              uint8_t bytes[CHECKPOINT_HEADER_SIZE])
{
    struct writer writer;
    writer_init(&writer, bytes, CHECKPOINT_HEADER_SIZE);
    writer_u32(&writer, CHECKPOINT_MAGIC);
    writer_u32(&writer, CHECKPOINT_VERSION);
    writer_u64(&writer, header->generation);
    writer_bytes(&writer, header->cluster_id, CAIRN_CLUSTER_ID_SIZE);
    writer_u32(&writer, header->realm);
    writer_u32(&writer, header->slot);
    writer_u32(&writer, header->incarnation);
    writer_u32(&writer, 0);
    writer_u64(&writer, header->position);
    writer_u64(&writer, header->low_water);
    writer_u64(&writer, header->clock);
    writer_u64(&writer, header->body_size);
    writer_bytes(&writer, header->head, ADDRESS_SIZE);
    writer_bytes(&writer, header->body_address, ADDRESS_SIZE);
    writer_u64(&writer, header->previous_position);
    writer_u32(&writer, header->previous_crc);
    writer_u32(&writer, header->epoch);
    writer_zeros(&writer, HEADER_CRC_OFFSET - writer_size(&writer));
    writer_u32(&writer, crc32c(0, bytes, HEADER_CRC_OFFSET));
}

bool checkpoint_header_decode(struct checkpoint_header *header,
                              const uint8_t bytes[CHECKPOINT_HEADER_SIZE])
{
    struct reader reader;
    reader_init(&reader, bytes, CHECKPOINT_HEADER_SIZE);
    uint32_t magic = reader_u32(&reader);
    uint32_t version = reader_u32(&reader);
    header->generation = reader_u64(&reader);
    memcpy(header->cluster_id, reader_bytes(&reader, CAIRN_CLUSTER_ID_SIZE), CAIRN_CLUSTER_ID_SIZE);
    header->realm = reader_u32(&reader);
    header->slot = reader_u32(&reader);
    header->incarnation = reader_u32(&reader);
    uint32_t zero = reader_u32(&reader);
    header->position = reader_u64(&reader);
    header->low_water = reader_u64(&reader);
    header->clock = reader_u64(&reader);
    header->body_size = reader_u64(&reader);
    memcpy(header->head, reader_bytes(&reader, ADDRESS_SIZE), ADDRESS_SIZE);
    memcpy(header->body_address, reader_bytes(&reader, ADDRESS_SIZE), ADDRESS_SIZE);
    header->previous_position = reader_u64(&reader);
    header->previous_crc = reader_u32(&reader);
    header->epoch = reader_u32(&reader);
    if (magic != CHECKPOINT_MAGIC || version != CHECKPOINT_VERSION || zero != 0) return false;
    if (!bytes_are_zero(reader.next, HEADER_CRC_OFFSET - (size_t)(reader.next - bytes))) {
        return false;
    }
    if (header->generation == 0 || header->low_water > header->position) return false;
    if (header->body_size < CHECKPOINT_BODY_SIZE_MIN) return false;
    if (header->body_size > CHECKPOINT_BODY_SIZE_MAX) return false;
    if (header->position > CHECKPOINT_POSITION_MAX) return false;
    if ((header->position | header->low_water) % CHECKPOINT_POSITION_ALIGNMENT != 0) return false;
    return load_u32(bytes + HEADER_CRC_OFFSET) == crc32c(0, bytes, HEADER_CRC_OFFSET);
}

void checkpoint_encoder_init(struct checkpoint_encoder *self, const struct realm *realm)
{
    memset(self, 0, sizeof *self);
    self->realm = realm;
    address_stream_init(&self->address, ADDRESS_CHECKPOINT);
}

static uint64_t section_count(const struct realm *realm, uint32_t section)
{
    switch (section) {
    case SECTION_MEMBERS: return realm->origins.member_count;
    case SECTION_ORIGINS: return realm->origins.count;
    case SECTION_SPACES: return realm->spaces.count;
    case SECTION_KEYS: return idempotency_count(&realm->idempotency);
    default: return realm->cells.count;
    }
}

static void encode_member(const struct realm *realm, uint64_t at, struct writer *writer)
{
    const struct member *member = &realm->origins.members[at];
    writer_u32(writer, member->slot);
    writer_bytes(writer, member->public_key, SIGNATURE_PUBLIC_KEY_SIZE);
}

static void encode_origin(const struct realm *realm, uint64_t at, struct writer *writer)
{
    const struct origin_clock *clock = &realm->origins.clocks[at];
    const struct origin *origin = &realm->origins.details[at];
    writer_u32(writer, clock->slot);
    writer_u32(writer, clock->incarnation);
    writer_u64(writer, clock->applied);
    writer_u64(writer, origin->certified);
    writer_u64(writer, origin->seen);
    writer_u64(writer, origin->folded);
    writer_bytes(writer, origin->link, ADDRESS_SIZE);
    writer_bytes(writer, origin->base, ADDRESS_SIZE);
}

static void encode_space(const struct realm *realm, uint64_t at, struct writer *writer)
{
    uint8_t bytes[SPACE_DECLARATION_SIZE_MAX];
    uint32_t size = space_encode(&realm->spaces.table[at], bytes);
    writer_u8(writer, (uint8_t)size);
    writer_bytes(writer, bytes, size);
}

static void encode_key(const struct realm *realm, uint64_t at, struct writer *writer)
{
    const struct idempotency_entry *entry = idempotency_get(&realm->idempotency, at);
    writer_bytes(writer, entry->key, CAIRN_IDEMPOTENCY_KEY_SIZE);
    writer_u64(writer, entry->sequence);
    writer_u32(writer, entry->incarnation);
    writer_u64(writer, entry->fingerprint);
}

static void encode_cell(const struct realm *realm, uint64_t *line, struct writer *writer)
{
    const struct cell *cell = cells_next(&realm->cells, line);
    writer_u32(writer, cell->space);
    writer_u32(writer, cell->key_size);
    writer_bytes(writer, &cell->sum, sizeof cell->sum);
    writer_bytes(writer, (const uint8_t *)cell + CELL_KEY_OFFSET, cell->key_size);
}

static void encode_entry(struct checkpoint_encoder *self, struct writer *writer)
{
    const struct realm *realm = self->realm;
    switch (self->section) {
    case SECTION_MEMBERS: encode_member(realm, self->next, writer); break;
    case SECTION_ORIGINS: encode_origin(realm, self->next, writer); break;
    case SECTION_SPACES: encode_space(realm, self->next, writer); break;
    case SECTION_KEYS: encode_key(realm, self->next, writer); break;
    default: encode_cell(realm, &self->line, writer); break;
    }
    self->next++;
}

uint32_t checkpoint_encode(struct checkpoint_encoder *self, uint8_t *bytes, uint32_t size)
{
    struct writer writer;
    cairn_assert(size >= CHECKPOINT_ENTRY_SIZE_MAX);
    writer_init(&writer, bytes, size);
    while (self->section != SECTION_END &&
           size - writer_size(&writer) >= CHECKPOINT_ENTRY_SIZE_MAX) {
        uint64_t count = section_count(self->realm, self->section);
        if (!self->counted) {
            writer_u64(&writer, count);
            self->counted = true;
        } else if (self->next < count) {
            encode_entry(self, &writer);
        } else {
            self->section++;
            self->counted = false;
            self->next = 0;
        }
    }
    uint32_t written = (uint32_t)writer_size(&writer);
    address_stream_add(&self->address, bytes, written);
    self->size += written;
    return written;
}

static bool decode_member(struct realm *realm, struct reader *reader)
{
    uint32_t slot = reader_u32(reader);
    const uint8_t *key = reader_bytes(reader, SIGNATURE_PUBLIC_KEY_SIZE);
    if (key == NULL || origins_member(&realm->origins, slot) != NULL) return false;
    return origins_add_member(&realm->origins, slot, key) == CAIRN_OK;
}

static bool decode_origin(struct realm *realm, struct reader *reader)
{
    struct origins *origins = &realm->origins;
    uint32_t slot = reader_u32(reader);
    uint32_t incarnation = reader_u32(reader);
    uint64_t applied = reader_u64(reader);
    uint64_t certified = reader_u64(reader);
    uint64_t seen = reader_u64(reader);
    uint64_t folded = reader_u64(reader);
    const uint8_t *link = reader_bytes(reader, ADDRESS_SIZE);
    const uint8_t *base = reader_bytes(reader, ADDRESS_SIZE);
    if (base == NULL || certified > applied || (seen != 0 && seen < applied)) return false;
    if (origins_find(origins, slot, incarnation) != ORIGIN_NONE) return false;
    uint32_t index = origins_add(origins, slot, incarnation, link);
    if (index == ORIGIN_NONE) return false;
    origins->clocks[index].applied = applied;
    origins->details[index].certified = certified;
    origins->details[index].seen = seen;
    origins->details[index].folded = folded;
    memcpy(origins->details[index].base, base, ADDRESS_SIZE);
    return true;
}

static bool decode_space(struct realm *realm, struct reader *reader)
{
    struct space space;
    uint8_t size = reader_u8(reader);
    const uint8_t *bytes = reader_bytes(reader, size);
    if (bytes == NULL || space_decode(&space, bytes, size) != CAIRN_OK) return false;
    if (spaces_find(&realm->spaces, space.id) != SPACE_NONE) return false;
    (void)spaces_add(&realm->spaces, &space);
    return true;
}

static bool decode_key(struct realm *realm, struct reader *reader)
{
    struct idempotency_entry entry = {0};
    const uint8_t *key = reader_bytes(reader, CAIRN_IDEMPOTENCY_KEY_SIZE);
    entry.sequence = reader_u64(reader);
    entry.incarnation = reader_u32(reader);
    entry.fingerprint = reader_u64(reader);
    if (reader->failed || idempotency_find(&realm->idempotency, key) != NULL) return false;
    memcpy(entry.key, key, CAIRN_IDEMPOTENCY_KEY_SIZE);
    /* A smaller table than the one that was saved keeps the newest: they come last. */
    idempotency_add(&realm->idempotency, &entry);
    return true;
}

static bool decode_cell(struct realm *realm, struct reader *reader)
{
    uint32_t space = reader_u32(reader);
    uint32_t key_size = reader_u32(reader);
    const uint8_t *sum = reader_bytes(reader, sizeof(i128));
    if (key_size == 0 || key_size > CAIRN_KEY_SIZE_MAX) return false;
    const uint8_t *key = reader_bytes(reader, key_size);
    if (key == NULL) return false;
#ifndef CAIRN_PLANTED_BUG_FACTS_CHECKPOINT /* Planted: a cell of a space that is not there. */
    if (space >= realm->spaces.count) return false;
#endif
    uint64_t hash = cells_hash(&realm->cells, space, key, key_size);
    if (cells_find(&realm->cells, hash, space, key, key_size) != NULL) return false;
    if (!cells_have_room(&realm->cells, 1, cell_lines(key_size))) return false;
    struct cell *cell = cells_add(&realm->cells, hash, space, key, key_size);
    memcpy(&cell->sum, sum, sizeof cell->sum);
    return true;
}

static bool decode_entry(struct realm *realm, uint32_t section, struct reader *reader)
{
    switch (section) {
    case SECTION_MEMBERS: return decode_member(realm, reader);
    case SECTION_ORIGINS: return decode_origin(realm, reader);
    case SECTION_SPACES: return decode_space(realm, reader);
    case SECTION_KEYS: return decode_key(realm, reader);
    default: return decode_cell(realm, reader);
    }
}

/* Limits are checked before the first entry, so that a small realm is told which one to raise. */
static int check_count(const struct realm *realm, uint32_t section, uint64_t count,
                       struct refusal *refusal)
{
    if (section == SECTION_SPACES && count > realm->spaces.maximum) {
        return refuse(refusal, CAIRN_FULL, "spaces in the checkpoint", count,
                      realm->spaces.maximum);
    }
    if (section == SECTION_CELLS && count > realm->cells.maximum) {
        return refuse(refusal, CAIRN_FULL, "cells in the checkpoint", count, realm->cells.maximum);
    }
    return CAIRN_OK;
}

/* Is there room for the cell at the reader? True as well when there is no lawful cell. */
static bool has_room_for_next(const struct realm *realm, const struct reader *reader)
{
    uint32_t key_size = reader_left(reader) >= 8 ? load_u32(reader->next + 4) : 0;
    if (key_size == 0 || key_size > CAIRN_KEY_SIZE_MAX) return true;
    return cells_have_room(&realm->cells, 1, cell_lines(key_size));
}

int checkpoint_decode(struct realm *realm, const struct checkpoint_header *header,
                      const uint8_t *body, uint64_t size, struct refusal *refusal)
{
    uint8_t address[ADDRESS_SIZE];
    struct reader reader;
    address_of_record(ADDRESS_CHECKPOINT, body, (size_t)size, address);
    if (size != header->body_size || memcmp(address, header->body_address, ADDRESS_SIZE) != 0) {
        return refuse(refusal, CAIRN_CORRUPT, "address of the checkpoint's body", 0, 0);
    }
    reader_init(&reader, body, (size_t)size);
    for (uint32_t section = 0; section < SECTION_END; section++) {
        uint64_t count = reader_u64(&reader);
        int result = check_count(realm, section, count, refusal);
        if (result != CAIRN_OK) return result;
        for (uint64_t i = 0; i < count; i++) {
            if (section == SECTION_CELLS && !has_room_for_next(realm, &reader)) {
                return refuse(refusal, CAIRN_FULL, "cells that fit of the checkpoint", i, count);
            }
            if (reader.failed || !decode_entry(realm, section, &reader)) {
                return refuse(refusal, CAIRN_CORRUPT, "entry of the checkpoint", i, 0);
            }
        }
    }
    if (!reader_done(&reader)) {
        return refuse(refusal, CAIRN_CORRUPT, "end of the checkpoint's body", reader_left(&reader),
                      0);
    }
    realm->clock.last = header->clock;
    return CAIRN_OK;
}
