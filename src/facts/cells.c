/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/cells.h"

#include <assert.h>

#include "base/assert.h"

static_assert(sizeof(struct cell) == CELL_LINE_SIZE, "a cell with a short key is one line");
static_assert(offsetof(struct cell, key) == CELL_KEY_OFFSET, "key offset");
static_assert(offsetof(struct cell, sum) == 16, "an i128 lies at its alignment");

static uint64_t slot_count(uint64_t maximum)
{
    uint64_t slots = 8;
    while (slots / 2 < maximum)
        slots *= 2; /* C2 */
    return slots;
}

uint64_t cells_index_bytes(uint64_t maximum)
{
    return slot_count(maximum) * sizeof(struct cell_slot);
}

void cells_init(struct cells *self, uint64_t maximum, uint64_t bytes, uint64_t hash_seed,
                struct arena *arena)
{
    uint64_t slots = slot_count(maximum);
    cairn_assert(maximum > 0 && bytes / CELL_LINE_SIZE < UINT32_MAX);
    self->slots = arena_take(arena, slots, sizeof *self->slots, 4096);
    self->slot_mask = slots - 1;
    self->line_count = bytes / CELL_LINE_SIZE + 1;
    self->lines = arena_take(arena, self->line_count, CELL_LINE_SIZE, 4096);
    self->line_next = 1;
    self->count = 0;
    self->maximum = maximum;
    self->hash_seed = hash_seed;
}

struct cell *cells_add(struct cells *self, uint64_t hash, uint32_t space, const uint8_t *key,
                       uint32_t key_size)
{
    uint64_t lines = cell_lines(key_size);
    cairn_assert(cells_have_room(self, 1, lines)); /* C2 */
    uint64_t at = hash & self->slot_mask;
    while (self->slots[at].line != 0)
        at = (at + 1) & self->slot_mask;
    uint32_t line = (uint32_t)self->line_next;
    struct cell *cell = cells_at(self, line);
    memset(cell, 0, (size_t)(lines * CELL_LINE_SIZE)); /* C3 */
    cell->hash = hash;
    cell->space = space;
    cell->key_size = key_size;
    memcpy((uint8_t *)cell + CELL_KEY_OFFSET, key, key_size);
    self->slots[at].tag = (uint32_t)(hash >> 32);
    self->slots[at].line = line;
    self->line_next += lines;
    self->count++;
    return cell;
}

struct cell *cells_next(const struct cells *self, uint64_t *line)
{
    uint64_t at = *line == 0 ? 1 : *line;
    if (at >= self->line_next) return NULL;
    struct cell *cell = cells_at(self, (uint32_t)at);
    *line = at + cell_lines(cell->key_size);
    return cell;
}

bool cells_are_valid(const struct cells *self)
{
    uint64_t line = 0;
    uint64_t count = 0;
    for (struct cell *cell; (cell = cells_next(self, &line)) != NULL; count++) {
        const uint8_t *key = (const uint8_t *)cell + CELL_KEY_OFFSET;
        uint64_t end = cell_lines(cell->key_size) * CELL_LINE_SIZE - CELL_KEY_OFFSET;
        if (cell->hash != cells_hash(self, cell->space, key, cell->key_size)) return false;
        if (cells_find(self, cell->hash, cell->space, key, cell->key_size) != cell) return false;
        if (!bytes_are_zero(key + cell->key_size, (size_t)(end - cell->key_size))) return false;
    }
    return count == self->count && line <= self->line_next && count <= self->maximum;
}
