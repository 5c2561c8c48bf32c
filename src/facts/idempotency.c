/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/idempotency.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "crypto/table_hash.h"

void idempotency_init(struct idempotency *self, uint64_t maximum, uint64_t seed,
                      struct arena *arena)
{
    cairn_assert(maximum > 0 && maximum < UINT32_MAX);
    uint64_t size = 4;
    while (size < maximum * 2)
        size *= 2;
    self->entries = arena_take(arena, maximum, sizeof *self->entries, CACHE_LINE_SIZE);
    self->index = arena_take(arena, size, sizeof *self->index, CACHE_LINE_SIZE);
    self->maximum = maximum;
    self->added = 0;
    self->index_mask = size - 1;
    self->seed = seed;
}

static uint64_t home(const struct idempotency *self, const uint8_t *key)
{
    return table_hash(self->seed, 0, key, CAIRN_IDEMPOTENCY_KEY_SIZE) & self->index_mask;
}

const struct idempotency_entry *idempotency_find(const struct idempotency *self,
                                                 const uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE])
{
    for (uint64_t at = home(self, key);; at = (at + 1) & self->index_mask) {
        uint32_t entry = self->index[at];
        if (entry == 0) return NULL;
        if (memcmp(self->entries[entry - 1].key, key, CAIRN_IDEMPOTENCY_KEY_SIZE) == 0) {
            return &self->entries[entry - 1];
        }
    }
}

/* Deletes without tombstones: moves back what would no longer be reached (Knuth 6.4, R). */
static void forget(struct idempotency *self, const uint8_t *key)
{
    uint64_t at = home(self, key);
    while (memcmp(self->entries[self->index[at] - 1].key, key, CAIRN_IDEMPOTENCY_KEY_SIZE) != 0) {
        at = (at + 1) & self->index_mask;
        cairn_assert(self->index[at] != 0); /* D1 */
    }
    uint64_t hole = at;
    for (;;) {
        at = (at + 1) & self->index_mask;
        uint32_t entry = self->index[at];
        if (entry == 0) break;
        uint64_t from = home(self, self->entries[entry - 1].key);
        if (((at - from) & self->index_mask) < ((at - hole) & self->index_mask)) continue;
        self->index[hole] = entry;
        hole = at;
    }
    self->index[hole] = 0;
}

void idempotency_add(struct idempotency *self, const struct idempotency_entry *entry)
{
    uint64_t place = self->added % self->maximum;
    if (self->added >= self->maximum) forget(self, self->entries[place].key);
    self->entries[place] = *entry;
    uint64_t at = home(self, entry->key);
    while (self->index[at] != 0)
        at = (at + 1) & self->index_mask;
    self->index[at] = (uint32_t)place + 1;
    self->added++;
}

uint64_t idempotency_count(const struct idempotency *self)
{
    return self->added < self->maximum ? self->added : self->maximum;
}

const struct idempotency_entry *idempotency_get(const struct idempotency *self, uint64_t index)
{
    uint64_t count = idempotency_count(self);
    cairn_assert(index < count);
    return &self->entries[(self->added - count + index) % self->maximum];
}
