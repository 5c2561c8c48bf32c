/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical bytes of a fact, version 1 (docs/formats.md, "Fact").
 *
 *    0 u8  version = 1                    4 u32 realm          16 u64 sequence, from 1
 *    1 u8  flags, bit 0: idempotency key  8 u32 slot           24 u64 hybrid clock
 *    2 u8  dependency count, 0..8        12 u32 incarnation
 *    3 u8  effect count, 1..8
 *   32     dependencies: u32 slot, u32 incarnation, u64 sequence from 1; slots strictly ascending,
 *          never the fact's own slot
 *          idempotency key: 16 bytes, if flagged
 *          effects: 16 bytes space id, u16 operation, u16 key size 1..1024, u32 payload size, key,
 *          payload
 *          zeros to a multiple of 64; at most 4,096 bytes in all
 *
 * One dependency for each slot is enough: sequences are dense and incarnations of a member follow
 * one another, so the newest dot of a slot implies all before it; an own dot is always implied.
 *
 * The padding makes ids cheap: records of whole 64-byte blocks are hashed many at a time.
 */
#ifndef CAIRN_FACTS_FACT_H
#define CAIRN_FACTS_FACT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "cairn.h"

#define FACT_VERSION 1u
#define FACT_FLAG_IDEMPOTENCY_KEY 1u
#define FACT_HEADER_SIZE 32u
#define FACT_DEPENDENCY_SIZE 16u
#define FACT_EFFECT_HEADER_SIZE 24u
#define FACT_ALIGNMENT 64u
#define FACT_ADD_PAYLOAD_SIZE 8u

/* One effect of a decoded fact; pointers go into the canonical bytes. */
struct fact_effect {
    const uint8_t *space_id;
    const uint8_t *key;
    const uint8_t *payload;
    uint32_t payload_size;
    uint16_t key_size;
    uint16_t operation;
};

struct fact {
    struct cairn_dot dot;
    uint64_t clock;
    uint32_t realm;
    uint32_t size; /* with padding */
    uint32_t dependency_count;
    uint32_t effect_count;
    const uint8_t *idempotency_key; /* NULL: none */
    struct cairn_dot dependencies[CAIRN_DEPENDENCIES_MAX];
    struct fact_effect effects[CAIRN_EFFECTS_MAX];
};

/*
 * Decodes the fact at the front of `available` bytes. Pointers in *fact go into `bytes`.
 * NOT_CANONICAL: these are not bytes that an encoder would have made.
 */
CHECKED int fact_decode(struct fact *fact, const uint8_t *bytes, uint64_t available);

/* The dot alone; precondition: the bytes are a canonical fact. */
HOT_INLINE struct cairn_dot fact_dot(const uint8_t *bytes)
{
    struct cairn_dot dot = {load_u32(bytes + 8), load_u32(bytes + 12), load_u64(bytes + 16)};
    return dot;
}

/* Size before padding of a fact with one effect of this key. */
HOT_INLINE uint32_t fact_size(uint32_t size)
{
    return (size + FACT_ALIGNMENT - 1u) & ~(FACT_ALIGNMENT - 1u);
}

/* Copies a key; sizes are small, and a call to memcpy costs more than these moves. */
HOT_INLINE void fact_copy(uint8_t *to, const uint8_t *from, uint32_t size)
{
    if (LIKELY(size >= 8)) {
        uint32_t at = 0;
        for (; at + 8 <= size; at += 8)
            store_u64(to + at, load_u64(from + at));
        store_u64(to + size - 8, load_u64(from + size - 8));
        return;
    }
    for (uint32_t at = 0; at < size; at++)
        to[at] = from[at];
}

/* The last `size` bytes of a fact start as zeros: at most 63 of padding, cleared as one line. */
HOT_INLINE uint8_t *fact_encode_header(uint8_t *place, uint32_t padded_size, uint32_t realm,
                                       const struct cairn_dot *dot, uint64_t clock,
                                       const struct cairn_dot *dependencies,
                                       uint32_t dependency_count, const uint8_t *idempotency_key,
                                       uint32_t effect_count)
{
    memset(place + padded_size - FACT_ALIGNMENT, 0, FACT_ALIGNMENT);
    store_u32(place, FACT_VERSION |
                         (idempotency_key != NULL ? FACT_FLAG_IDEMPOTENCY_KEY << 8 : 0u) |
                         dependency_count << 16 | effect_count << 24);
    store_u32(place + 4, realm);
    store_u32(place + 8, dot->slot);
    store_u32(place + 12, dot->incarnation);
    store_u64(place + 16, dot->sequence);
    store_u64(place + 24, clock);
    uint8_t *next = place + FACT_HEADER_SIZE;
    for (uint32_t i = 0; i < dependency_count; i++) {
        memcpy(next, &dependencies[i], FACT_DEPENDENCY_SIZE);
        next += FACT_DEPENDENCY_SIZE;
    }
    if (UNLIKELY(idempotency_key != NULL)) {
        memcpy(next, idempotency_key, CAIRN_IDEMPOTENCY_KEY_SIZE);
        next += CAIRN_IDEMPOTENCY_KEY_SIZE;
    }
    return next;
}

/* One ADD effect; returns the place after it. */
HOT_INLINE uint8_t *fact_encode_add(uint8_t *next, const uint8_t *space_id, const uint8_t *key,
                                    uint32_t key_size, int64_t amount)
{
    memcpy(next, space_id, CAIRN_SPACE_ID_SIZE);
    store_u64(next + 16, (uint64_t)CAIRN_ADD | (uint64_t)key_size << 16 |
                             (uint64_t)FACT_ADD_PAYLOAD_SIZE << 32);
    fact_copy(next + FACT_EFFECT_HEADER_SIZE, key, key_size);
    next += FACT_EFFECT_HEADER_SIZE + key_size;
    store_u64(next, (uint64_t)amount);
    return next + FACT_ADD_PAYLOAD_SIZE;
}

#endif
