/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-64 with a seed, for hash tables in memory only; never in a format. A face of xxHash. */
#ifndef CAIRN_CRYPTO_TABLE_HASH_H
#define CAIRN_CRYPTO_TABLE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/attributes.h"

/*
 * The seed is secret and random for each engine, so that keys cannot be chosen to collide; the
 * space goes into the seed, so that equal keys of different spaces are spread.
 */
HOT_INLINE uint64_t table_hash(uint64_t seed, uint32_t space, const void *key, size_t size)
{
    return XXH3_64bits_withSeed(key, size, seed + (uint64_t)space * UINT64_C(0x9e3779b97f4a7c15));
}

#endif
