/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arena cuts a block of memory, given once, into aligned pieces that live as long as it does.
 * It is how a core gets its tables at init: first a dry run (base NULL) that adds up the size, then
 * the same calls on real memory.
 */
#ifndef CAIRN_BASE_ARENA_H
#define CAIRN_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena {
    uint8_t *base; /* NULL: dry run */
    uint64_t size; /* of the block; ignored in a dry run */
    uint64_t used;
};

void arena_init(struct arena *self, void *base, uint64_t size);
/*
 * The next `count * size` bytes at the alignment (a power of two, at most 4096 relative to a base
 * that is page-aligned). Memory is zero if the block was. NULL in a dry run; asserts that there is
 * room otherwise. Count times size must not overflow (asserted).
 */
void *arena_take(struct arena *self, uint64_t count, uint64_t size, uint64_t alignment);

#endif
