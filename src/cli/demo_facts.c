/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "cli/memory.h"
#include "cli/say.h"

#define NAME_SIZE_MAX 256u

/* Where a package stands. */
struct place {
    const char *file; /* base name */
    uint64_t index;
    uint32_t slot; /* whose it is */
    uint32_t other_slot;
    uint64_t other_count;
};

/* The same fact of the same input has the same key in every life of the member. */
static void make_idempotency_key(uint8_t result[CAIRN_IDEMPOTENCY_KEY_SIZE],
                                 const struct place *place, enum demo_kind kind, const void *term,
                                 size_t term_size)
{
    uint8_t bytes[NAME_SIZE_MAX + CAIRN_KEY_SIZE_MAX + 32];
    uint8_t address[CAIRN_ADDRESS_SIZE];
    struct writer writer;
    writer_init(&writer, bytes, sizeof bytes);
    writer_bytes(&writer, "demo", sizeof "demo");
    writer_bytes(&writer, place->file, strlen(place->file) + 1);
    writer_u64(&writer, place->index);
    writer_u8(&writer, (uint8_t)kind);
    writer_bytes(&writer, term, term_size);
    cairn_address(bytes, writer_size(&writer), address);
    memcpy(result, address, CAIRN_IDEMPOTENCY_KEY_SIZE);
}

static void add_fact(struct demo_facts *self, const struct place *place, enum demo_kind kind,
                     const void *key, size_t key_size, int64_t amount, bool keep)
{
    if (key_size == 0 || key_size > CAIRN_KEY_SIZE_MAX) return;
    self->counts[place->slot]++;
    if (!keep) return;
    self->facts = memory_grow(self->facts, &self->capacity, self->count + 1, sizeof *self->facts);
    self->keys = memory_grow(self->keys, &self->keys_capacity, self->keys_size + key_size, 1);
    struct demo_fact *fact = &self->facts[self->count++];
    *fact = (struct demo_fact){
        .amount = amount,
        .key_offset = self->keys_size,
        .key_size = (uint16_t)key_size,
        .kind = (uint8_t)kind,
        .other_slot = kind == DEMO_SIZE ? (uint8_t)place->other_slot : 0,
        .other_count = place->other_count,
    };
    make_idempotency_key(fact->idempotency_key, place, kind, key, key_size);
    memcpy(self->keys + self->keys_size, key, key_size);
    self->keys_size += key_size;
}

static void add_package(struct demo_facts *self, const struct place *place,
                        const struct package *package, bool keep)
{
    add_fact(self, place, DEMO_SECTION, package->section, strlen(package->section), 1, keep);
    if (package->has_installed_size) {
        add_fact(self, place, DEMO_SIZE, package->maintainer, strlen(package->maintainer),
                 package->installed_size, keep);
    }
    for (size_t i = 0; i < package->term_count; i++) {
        const struct package_term *term = &package->terms[i];
        add_fact(self, place, DEMO_DEPENDENT, term->name, term->size, 1, keep);
    }
    self->terms += package->term_count;
}

static int read_file(struct demo_facts *self, const char *path, uint32_t slot,
                     int (*read)(void *argument, uint64_t packages), void *argument)
{
    struct package_reader reader;
    struct package package;
    enum line_result result = LINE_END;
    const char *slash = strrchr(path, '/');
    struct place place = {.file = slash != NULL ? slash + 1 : path};
    if (strlen(place.file) >= NAME_SIZE_MAX)
        return say_failure(CAIRN_TOO_LARGE, "%s: the name is too long", path);
    int code = package_reader_open(&reader, path);
    while (code == 0 && (result = package_reader_next(&reader, &package)) == LINE_READ) {
        place.index = package.index;
        place.slot = (uint32_t)(self->packages % DEMO_MEMBERS) + 1;
        place.other_slot = 0;
        if (self->packages > 0) {
            place.other_slot = (uint32_t)((self->packages - 1) % DEMO_MEMBERS) + 1;
            place.other_count = self->counts[place.other_slot];
        }
        add_package(self, &place, &package, slot == place.slot);
        self->packages++;
        if (read != NULL && self->packages % 1024 == 0) code = read(argument, self->packages);
    }
    if (result == LINE_FAILED) code = say_errno("reading", path);
    int close_code = package_reader_close(&reader, code == 0);
    return code != 0 ? code : close_code;
}

int demo_facts_read(struct demo_facts *self, char *const *paths, uint32_t path_count, uint32_t slot,
                    int (*read)(void *argument, uint64_t packages), void *argument)
{
    cairn_assert(slot < DEMO_SLOTS);
    memset(self, 0, sizeof *self);
    int code = 0;
    for (uint32_t i = 0; i < path_count && code == 0; i++)
        code = read_file(self, paths[i], slot, read, argument);
    return code;
}

void demo_facts_free(struct demo_facts *self)
{
    free(self->facts);
    free(self->keys);
    memset(self, 0, sizeof *self);
}
