/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small deterministic generator for tests, simulation and schedules; never for keys.
 * Source: xoshiro256** 1.0, Blackman and Vigna 2018; seeded by SplitMix64.
 */
#ifndef CAIRN_BASE_PRNG_H
#define CAIRN_BASE_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_init(struct prng *self, uint64_t seed);
uint64_t prng_next(struct prng *self);
/* 0 .. bound - 1, unbiased; bound >= 1. */
uint64_t prng_below(struct prng *self, uint64_t bound);
/* True in `numerator` of `denominator` cases. */
bool prng_chance(struct prng *self, uint64_t numerator, uint64_t denominator);
void prng_fill(struct prng *self, void *bytes, size_t size);
/* Fisher-Yates on 32-bit items. */
void prng_shuffle(struct prng *self, uint32_t *items, size_t count);

#endif
