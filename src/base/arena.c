/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/assert.h"
#include "base/bytes.h"

#define ALIGNMENT_MAX 4096u

void arena_init(struct arena *self, void *base, uint64_t size)
{
    self->base = base;
    self->size = size;
    self->used = 0;
}

void *arena_take(struct arena *self, uint64_t count, uint64_t size, uint64_t alignment)
{
    cairn_assert(is_power_of_two(alignment) && alignment <= ALIGNMENT_MAX);
    uint64_t total;
    cairn_assert(!__builtin_mul_overflow(count, size, &total));
    cairn_assert(self->used <= UINT64_MAX - ALIGNMENT_MAX);
    uint64_t start = round_up(self->used, alignment);
    uint64_t end;
    cairn_assert(!__builtin_add_overflow(start, total, &end));
    self->used = end;
    if (!self->base) return NULL;
    cairn_assert(end <= self->size);
    /* Offsets are aligned, so that a dry run counts the same; addresses are only with the base. */
    cairn_assert(((uintptr_t)self->base & (alignment - 1)) == 0);
    return self->base + start;
}
