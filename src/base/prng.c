/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prng.h"

#include "base/assert.h"
#include "base/attributes.h"
#include "base/bytes.h"

/* SplitMix64: spreads a seed, even 0, over the whole state, which must not be all zero. */
static uint64_t split_mix(uint64_t *seed)
{
    uint64_t mixed = *seed += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static uint64_t rotate_left(uint64_t value, unsigned count)
{
    return value << count | value >> (64 - count);
}

void prng_init(struct prng *self, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++)
        self->state[i] = split_mix(&seed);
}

uint64_t prng_next(struct prng *self)
{
    uint64_t *state = self->state;
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

/* Source: Lemire, Fast Random Integer Generation in an Interval, 2019. */
uint64_t prng_below(struct prng *self, uint64_t bound)
{
    cairn_assert(bound >= 1);
    u128 product = (u128)prng_next(self) * bound;
    if ((uint64_t)product < bound) {
        /* 2^64 mod bound: as many of the lowest products would make some results likelier. */
        uint64_t excess = (0 - bound) % bound;
        while ((uint64_t)product < excess)
            product = (u128)prng_next(self) * bound;
    }
    return (uint64_t)(product >> 64);
}

bool prng_chance(struct prng *self, uint64_t numerator, uint64_t denominator)
{
    return prng_below(self, denominator) < numerator;
}

void prng_fill(struct prng *self, void *bytes, size_t size)
{
    uint8_t *next = bytes;
    for (; size >= 8; next += 8, size -= 8)
        store_u64(next, prng_next(self));
    if (size == 0) return;
    uint64_t rest = prng_next(self);
    memcpy(next, &rest, size);
}

void prng_shuffle(struct prng *self, uint32_t *items, size_t count)
{
    for (size_t left = count; left > 1; left--) {
        size_t chosen = prng_below(self, left);
        uint32_t last = items[left - 1];
        items[left - 1] = items[chosen];
        items[chosen] = last;
    }
}
