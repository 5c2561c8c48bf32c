/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/space.h"

#include "base/assert.h"
#include "crypto/address.h"

static bool name_is_valid(const char *name, size_t size)
{
    if (size == 0 || size > CAIRN_SPACE_NAME_SIZE_MAX) return false;
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        bool ok =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!ok) return false;
    }
    return true;
}

/* The size of the name, or one more than the limit; never reads further. */
static size_t name_size(const char *name)
{
    size_t size = 0;
    while (size <= CAIRN_SPACE_NAME_SIZE_MAX && name[size] != 0)
        size++;
    return size;
}

const char *space_type_name(uint32_t type)
{
    switch (type) {
#define SPACE_TYPE_CASE(constant, number, text)                                                    \
    case number: return text;
        SPACE_TYPE_MAP(SPACE_TYPE_CASE)
#undef SPACE_TYPE_CASE
    default: return NULL;
    }
}

uint32_t space_type_of_name(const char *name)
{
#define SPACE_TYPE_MATCH(constant, number, text)                                                   \
    if (strcmp(name, text) == 0) return number;
    SPACE_TYPE_MAP(SPACE_TYPE_MATCH)
#undef SPACE_TYPE_MATCH
    return 0;
}

static void space_set_id(struct space *space)
{
    uint8_t bytes[SPACE_DECLARATION_SIZE_MAX];
    uint8_t address[ADDRESS_SIZE];
    uint32_t size = space_encode(space, bytes);
    address_of_record(ADDRESS_SPACE, bytes, size, address);
    memcpy(space->id, address, sizeof space->id);
}

int space_make(struct space *space, uint32_t realm, const char *name, uint32_t type,
               struct refusal *refusal)
{
    size_t size = name_size(name);
    if (size > CAIRN_SPACE_NAME_SIZE_MAX) {
        return refuse(refusal, CAIRN_TOO_LARGE, "size of the space name", size,
                      CAIRN_SPACE_NAME_SIZE_MAX);
    }
    if (!name_is_valid(name, size)) {
        return refuse(refusal, CAIRN_INVALID_ARGUMENT,
                      "space name (1 to 64 characters of a-z 0-9 . _ -)", 0, 0);
    }
    if (space_type_name(type) == NULL) {
        return refuse(refusal, CAIRN_INVALID_ARGUMENT, "type of the space", type, 0);
    }
    memset(space, 0, sizeof *space);
    space->type = type;
    space->realm = realm;
    memcpy(space->name, name, size);
    space_set_id(space);
    return CAIRN_OK;
}

uint32_t space_encode(const struct space *space, uint8_t *bytes)
{
    struct writer writer;
    size_t size = name_size(space->name);
    writer_init(&writer, bytes, SPACE_DECLARATION_SIZE_MAX);
    writer_u8(&writer, SPACE_VERSION);
    writer_u8(&writer, (uint8_t)space->type);
    writer_u16(&writer, SPACE_TYPE_VERSION);
    writer_u32(&writer, space->realm);
    writer_u8(&writer, (uint8_t)size);
    writer_bytes(&writer, space->name, size);
    return (uint32_t)writer_size(&writer);
}

int space_decode(struct space *space, const uint8_t *bytes, uint32_t size)
{
    struct reader reader;
    reader_init(&reader, bytes, size);
    memset(space, 0, sizeof *space);
    uint8_t version = reader_u8(&reader);
    space->type = reader_u8(&reader);
    uint16_t type_version = reader_u16(&reader);
    space->realm = reader_u32(&reader);
    uint8_t length = reader_u8(&reader);
#ifdef CAIRN_PLANTED_BUG_FACTS_SPACE
    /* Planted: a name of 255 bytes fits the length byte, not the table. */
    if (reader.failed || reader_left(&reader) < length) return CAIRN_NOT_CANONICAL;
    memcpy(space->name, reader.next, length);
    reader.next += length;
    const uint8_t *name = (const uint8_t *)space->name;
#else
    const uint8_t *name = reader_bytes(&reader, length);
#endif
    if (!reader_done(&reader) || version != SPACE_VERSION) return CAIRN_NOT_CANONICAL;
    if (type_version != SPACE_TYPE_VERSION) return CAIRN_NOT_CANONICAL;
    if (space_type_name(space->type) == NULL) return CAIRN_NOT_CANONICAL;
    if (!name_is_valid((const char *)name, length)) return CAIRN_NOT_CANONICAL;
    memcpy(space->name, name, length);
    space_set_id(space);
    return CAIRN_OK;
}

void spaces_init(struct spaces *self, uint32_t maximum, struct arena *arena)
{
    cairn_assert(maximum > 0);
    uint32_t size = 4;
    while (size < maximum * 2)
        size *= 2;
    self->table = arena_take(arena, maximum, sizeof *self->table, CACHE_LINE_SIZE);
    self->index = arena_take(arena, size, sizeof *self->index, CACHE_LINE_SIZE);
    self->index_size = size;
    self->count = 0;
    self->maximum = maximum;
}

uint32_t spaces_find(const struct spaces *self, const uint8_t id[CAIRN_SPACE_ID_SIZE])
{
    uint32_t mask = self->index_size - 1;
    for (uint32_t at = load_u32(id) & mask;; at = (at + 1) & mask) {
        uint32_t entry = self->index[at];
        if (entry == 0) return SPACE_NONE;
        if (memcmp(self->table[entry - 1].id, id, CAIRN_SPACE_ID_SIZE) == 0) return entry - 1;
    }
}

uint32_t spaces_find_name(const struct spaces *self, uint32_t realm, const char *name)
{
    for (uint32_t i = 0; i < self->count; i++) {
        const struct space *space = &self->table[i];
        if (space->realm == realm && strcmp(space->name, name) == 0) return i;
    }
    return SPACE_NONE;
}

uint32_t spaces_add(struct spaces *self, const struct space *space)
{
    cairn_assert(self->count < self->maximum);
    uint32_t mask = self->index_size - 1;
    uint32_t at = load_u32(space->id) & mask;
    while (self->index[at] != 0)
        at = (at + 1) & mask;
    self->table[self->count] = *space;
    self->index[at] = ++self->count;
    return self->count - 1;
}

bool spaces_are_full(const struct spaces *self)
{
    return self->count == self->maximum;
}
