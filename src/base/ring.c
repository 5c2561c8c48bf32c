/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ring.h"

#define RING_SIZE_MIN 64u

void ring_init(struct ring *self, void *bytes, uint64_t size)
{
    cairn_assert(is_power_of_two(size) && size >= RING_SIZE_MIN);
    cairn_assert(((uintptr_t)bytes & 7) == 0);
    self->bytes = bytes;
    self->size = size;
    self->staged = 0;
    self->consumed_seen = 0;
    self->published_seen = 0;
    atomic_init(&self->published, 0);
    atomic_init(&self->consumed, 0);
    atomic_init(&self->read, 0);
}

bool ring_take(struct ring *self, struct ring_entry *entry)
{
    /* Only the consumer writes `read`; it is atomic for ring_is_empty() on other threads. */
    uint64_t read = atomic_load_explicit(&self->read, memory_order_relaxed);
    for (;;) {
        if (read == self->published_seen) {
            self->published_seen = atomic_load_explicit(&self->published, memory_order_acquire);
            if (read == self->published_seen) return false; /* R3 */
        }
        uint64_t offset = read & (self->size - 1);
        const uint8_t *place = self->bytes + offset;
        uint32_t size = load_u32(place);
        uint32_t kind = load_u32(place + 4);
        uint64_t entry_size = ring_entry_size(size);
        cairn_assert(offset + entry_size <= self->size);         /* R2 */
        cairn_assert(entry_size <= self->published_seen - read); /* R1 */
        read += entry_size;
        if (kind == RING_SKIP) continue; /* an entry follows: both were published together */
        atomic_store_explicit(&self->read, read, memory_order_release);
        *entry = (struct ring_entry){place + RING_HEADER_SIZE, size, kind, read};
        return true;
    }
}

void ring_release(struct ring *self, uint64_t position)
{
    cairn_assert(position <= atomic_load_explicit(&self->read, memory_order_relaxed)); /* R1 */
    cairn_assert(position >= atomic_load_explicit(&self->consumed, memory_order_relaxed));
    atomic_store_explicit(&self->consumed, position, memory_order_release);
}

bool ring_is_empty(const struct ring *self)
{
    return atomic_load_explicit(&self->read, memory_order_acquire) ==
           atomic_load_explicit(&self->published, memory_order_acquire);
}
