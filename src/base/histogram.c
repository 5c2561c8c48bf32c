/* SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

#include <string.h>

#include "base/assert.h"

void histogram_init(struct histogram *self)
{
    memset(self, 0, sizeof *self);
}

uint64_t histogram_upper_edge(uint32_t bucket)
{
    cairn_assert(bucket < HISTOGRAM_BUCKETS);
    if (bucket < HISTOGRAM_STEPS) return bucket;
    uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
    uint64_t mantissa = HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS;
    /* Of the last bucket the sum is 2^64 and wraps to 0: its edge is UINT64_MAX, as it should. */
    return ((mantissa + 1) << shift) - 1;
}

/* The number of the sample that is the quantile, from 1: nearest rank, rounded up. */
static uint64_t histogram_rank(uint64_t count, uint32_t per_mille)
{
    uint64_t rank = (uint64_t)(((u128)count * per_mille + 999) / 1000);
    return rank == 0 ? 1 : rank;
}

uint64_t histogram_quantile(const struct histogram *self, uint32_t per_mille)
{
    cairn_assert(per_mille <= 1000);
    if (self->count == 0) return 0;
    uint64_t rank = histogram_rank(self->count, per_mille);
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += self->buckets[bucket];
        if (seen >= rank) return histogram_upper_edge(bucket);
    }
    /* A copy made while the writer ran may count a sample whose bucket it has not. */
    return self->maximum;
}
