/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte ring between one producer and one consumer, on different threads or the same.
 *
 *   R1  consumed <= published <= consumed + size
 *   R2  an entry lies whole in the ring: where it would wrap, a skip entry fills the end
 *   R3  the consumer sees an entry only after its bytes were published (release, acquire)
 *
 * Positions are bytes since init and never wrap (64 bits). An entry is an 8-byte header
 * (u32 size of the body, u32 kind) and the body, rounded up to 8 bytes. Kind 0 is the skip entry.
 *
 * Fences are the caller's affair: ring_publish() is a release store; who sleeps on an empty ring
 * needs its own wake-up protocol.
 */
#ifndef CAIRN_BASE_RING_H
#define CAIRN_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/attributes.h"
#include "base/bytes.h"

#define RING_HEADER_SIZE 8u
#define RING_SKIP 0u

struct ring {
    uint8_t *bytes;
    uint64_t size; /* a power of two */
    /* Producer's line. */
    CACHE_ALIGNED uint64_t staged; /* written, perhaps not published */
    uint64_t consumed_seen;        /* last known value of `consumed` */
    /* Shared lines. */
    CACHE_ALIGNED _Atomic uint64_t published;
    CACHE_ALIGNED _Atomic uint64_t consumed;
    /* Consumer's line. */
    CACHE_ALIGNED _Atomic uint64_t read; /* taken, perhaps not released; others may look */
    uint64_t published_seen;
};

struct ring_entry {
    const uint8_t *body;
    uint32_t size;
    uint32_t kind;
    uint64_t end; /* position after the entry: pass to ring_release() */
};

/* `size` is a power of two, at least 64; `bytes` is 8-aligned and lives as long as the ring. */
void ring_init(struct ring *self, void *bytes, uint64_t size);

/* Bytes that an entry with this body takes. */
HOT_INLINE uint64_t ring_entry_size(uint64_t body_size)
{
    return RING_HEADER_SIZE + ((body_size + 7) & ~UINT64_C(7));
}

/*
 * Producer: true when an entry of that size fits, with the skip that a wrap costs. An entry of at
 * most half the ring always fits an empty ring; a larger one may never fit at some offsets, so who
 * waits for room must not stage larger ones.
 */
HOT_INLINE bool ring_has_room(struct ring *self, uint64_t entry_size)
{
    uint64_t offset = self->staged & (self->size - 1);
    uint64_t skip = offset + entry_size > self->size ? self->size - offset : 0;
    uint64_t limit = self->size - entry_size - skip;
    if (UNLIKELY(entry_size + skip > self->size)) return false;
    if (LIKELY(self->staged - self->consumed_seen <= limit)) return true;
    self->consumed_seen = atomic_load_explicit(&self->consumed, memory_order_acquire);
    return self->staged - self->consumed_seen <= limit;
}

/*
 * Producer: the place for the next body. ring_has_room() must have been true for this entry.
 * Nothing is visible to the consumer before ring_publish().
 */
HOT_INLINE uint8_t *ring_stage(struct ring *self, uint32_t kind, uint32_t body_size)
{
    uint64_t entry_size = ring_entry_size(body_size);
    uint64_t offset = self->staged & (self->size - 1);
    if (UNLIKELY(offset + entry_size > self->size)) {
        uint64_t skip = self->size - offset;
        store_u32(self->bytes + offset, (uint32_t)(skip - RING_HEADER_SIZE));
        store_u32(self->bytes + offset + 4, RING_SKIP);
        self->staged += skip;
        offset = 0;
    }
    uint8_t *place = self->bytes + offset;
    store_u32(place, body_size);
    store_u32(place + 4, kind);
    self->staged += entry_size;
    return place + RING_HEADER_SIZE;
}

HOT_INLINE void ring_publish(struct ring *self)
{
    atomic_store_explicit(&self->published, self->staged, memory_order_release);
}

/* Consumer: the next published entry, skips left out; false when there is none. */
CHECKED bool ring_take(struct ring *self, struct ring_entry *entry);
/* Consumer: gives back everything up to `position`, an `end` of a taken entry. */
void ring_release(struct ring *self, uint64_t position);
/* Consumer or a third party: is there anything published and not yet taken? */
bool ring_is_empty(const struct ring *self);

#endif
