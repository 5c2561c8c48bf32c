/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cells of a realm: a hash table over variable-size cells in one block of 64-byte lines.
 *
 *   index   open addressing, 8 bytes a slot: tag (upper half of the hash), line number; 0 is empty
 *   lines   a cell: 48 bytes of head and state, then its key, in whole lines; cells lie in the
 *           order of their creation and never move
 *
 *   line 0  | hash 8 | space 4 | key size 4 | sum 16 | reserved 16 | key 16 ... |
 *   line 1+ | ... key, zeros |
 *
 * A look-up misses the cache twice: the slot, then the cell with its key; a batch prefetches both.
 *
 *   C1  every cell is reachable: its slot holds its line, and no empty slot lies between that slot
 *       and the home of its hash
 *   C2  at most half of the slots are taken, so that nearly every look-up ends at its home slot
 *   C3  the padding behind a key is zero
 */
#ifndef CAIRN_FACTS_CELLS_H
#define CAIRN_FACTS_CELLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attributes.h"
#include "base/bytes.h"
#include "cairn.h"
#include "crypto/table_hash.h"

#define CELL_LINE_SIZE 64u
#define CELL_KEY_OFFSET 48u

struct cell {
    uint64_t hash;
    uint32_t space;
    uint32_t key_size;
    i128 sum;
    uint64_t reserved[2];
    uint8_t key[16]; /* goes on in the lines behind */
};

struct cell_slot {
    uint32_t tag;
    uint32_t line;
};

struct cells {
    struct cell_slot *slots;
    uint8_t *lines;
    uint64_t slot_mask;
    uint64_t line_count; /* of the block; line 0 is never used */
    uint64_t line_next;  /* first free line */
    uint64_t count;
    uint64_t maximum;
    uint64_t hash_seed;
    uint64_t prefetch_from; /* bytes in use from which prefetching pays */
};

/* Cells that fit in a processor's second-level cache need no prefetching. */
#define CELLS_CACHED_BYTES (UINT64_C(512) * 1024)

HOT_INLINE uint64_t cell_lines(uint32_t key_size)
{
    return (CELL_KEY_OFFSET + (uint64_t)key_size + CELL_LINE_SIZE - 1) / CELL_LINE_SIZE;
}

/* Bytes that a table of these limits takes: index and lines. */
uint64_t cells_index_bytes(uint64_t maximum);
void cells_init(struct cells *self, uint64_t maximum, uint64_t bytes, uint64_t hash_seed,
                struct arena *arena);

HOT_INLINE uint64_t cells_hash(const struct cells *self, uint32_t space, const uint8_t *key,
                               uint32_t key_size)
{
    return table_hash(self->hash_seed, space, key, key_size);
}

HOT_INLINE struct cell *cells_at(const struct cells *self, uint32_t line)
{
    return (struct cell *)(void *)(self->lines + (uint64_t)line * CELL_LINE_SIZE);
}

HOT_INLINE bool cell_key_equals(const uint8_t *stored, const uint8_t *key, uint32_t size)
{
    if (LIKELY(size >= 8)) {
        uint32_t at = 0;
        for (; at + 8 < size; at += 8) {
            if (load_u64(stored + at) != load_u64(key + at)) return false;
        }
        return load_u64(stored + size - 8) == load_u64(key + size - 8);
    }
    for (uint32_t at = 0; at < size; at++) {
        if (stored[at] != key[at]) return false;
    }
    return true;
}

/* The cell, or NULL. */
HOT_INLINE struct cell *cells_find(const struct cells *self, uint64_t hash, uint32_t space,
                                   const uint8_t *key, uint32_t key_size)
{
    uint32_t tag = (uint32_t)(hash >> 32);
    for (uint64_t at = hash & self->slot_mask;; at = (at + 1) & self->slot_mask) {
        struct cell_slot slot = self->slots[at];
        if (LIKELY(slot.tag == tag && slot.line != 0)) {
            struct cell *cell = cells_at(self, slot.line);
            if (LIKELY(cell->hash == hash && cell->space == space && cell->key_size == key_size &&
                       cell_key_equals(cell->key, key, key_size))) {
                return cell;
            }
        }
        if (slot.line == 0) return NULL;
    }
}

/* Is there room for `count` new cells of `lines` lines together? */
HOT_INLINE bool cells_have_room(const struct cells *self, uint64_t count, uint64_t lines)
{
    return self->count + count <= self->maximum && self->line_next + lines <= self->line_count;
}

/* Makes the cell, with a sum of 0. Precondition: it is not there, and there is room. */
struct cell *cells_add(struct cells *self, uint64_t hash, uint32_t space, const uint8_t *key,
                       uint32_t key_size);

HOT_INLINE void cells_prefetch_slot(const struct cells *self, uint64_t hash)
{
    __builtin_prefetch(&self->slots[hash & self->slot_mask], 0, 3);
}

/* Prefetches the cell that the hash's home slot names: right in most cases, harmless in others. */
HOT_INLINE void cells_prefetch_cell(const struct cells *self, uint64_t hash, uint32_t key_size)
{
    struct cell_slot slot = self->slots[hash & self->slot_mask];
    if (slot.tag != (uint32_t)(hash >> 32)) {
        slot = self->slots[(hash + 1) & self->slot_mask];
        if (slot.tag != (uint32_t)(hash >> 32)) return;
    }
    const uint8_t *cell = self->lines + (uint64_t)slot.line * CELL_LINE_SIZE;
    __builtin_prefetch(cell, 1, 3);
    if (key_size > sizeof(((struct cell *)0)->key)) __builtin_prefetch(cell + CELL_LINE_SIZE, 0, 3);
}

HOT_INLINE bool cells_want_prefetch(const struct cells *self)
{
    return self->line_next * CELL_LINE_SIZE > CELLS_CACHED_BYTES;
}

/*
 * Walks all cells in the order of their creation: start with *line = 0. NULL after the last.
 */
struct cell *cells_next(const struct cells *self, uint64_t *line);

/* Walks C1 to C3; for tests. */
bool cells_are_valid(const struct cells *self);

#endif
