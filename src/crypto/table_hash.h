/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded 64-bit hashes for tables in memory only; never in a format. Long keys: XXH3-64, a face of
 * xxHash. Keys of 8 to 16 bytes, the common ones: one folded multiplication of the two halves, as
 * in wyhash (Wang Yi), inline, because the call would cost more than the hash.
 */
#ifndef CAIRN_CRYPTO_TABLE_HASH_H
#define CAIRN_CRYPTO_TABLE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/attributes.h"
#include "base/bytes.h"

#define TABLE_HASH_PRIME_1 UINT64_C(0x9e3779b97f4a7c15)
#define TABLE_HASH_PRIME_2 UINT64_C(0xe7037ed1a0b428db)

HOT_INLINE uint64_t table_hash_fold(uint64_t a, uint64_t b)
{
    u128 product = (u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * The seed is secret and random for each engine, so that keys cannot be chosen to collide; the
 * space goes into the seed, so that equal keys of different spaces are spread.
 */
HOT_INLINE uint64_t table_hash(uint64_t seed, uint32_t space, const void *key, size_t size)
{
    seed += space * TABLE_HASH_PRIME_1;
    if (LIKELY(size - 8 <= 8)) {
        uint64_t low = load_u64(key);
        uint64_t high = load_u64((const uint8_t *)key + size - 8);
        uint64_t folded = table_hash_fold(low ^ seed ^ TABLE_HASH_PRIME_1, high ^ (seed + size));
        return table_hash_fold(folded ^ TABLE_HASH_PRIME_2, seed ^ TABLE_HASH_PRIME_1);
    }
    return XXH3_64bits_withSeed(key, size, seed);
}

/* XXH3-64, whose values are stable since xxHash 0.8.0: for fingerprints that a checkpoint keeps. */
static inline uint64_t stable_hash(uint64_t seed, const void *bytes, size_t size)
{
    return XXH3_64bits_withSeed(bytes, size, seed);
}

#endif
