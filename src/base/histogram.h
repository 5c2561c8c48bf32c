/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log-linear histogram of u64 values with one writer: 32 linear steps for each power of two, so a
 * quantile is off by at most 1/32 of its value. 1,920 buckets, 15 KiB, no atomic operation.
 */
#ifndef CAIRN_BASE_HISTOGRAM_H
#define CAIRN_BASE_HISTOGRAM_H

#include <stdint.h>

#include "base/attributes.h"

#define HISTOGRAM_STEPS 32u
#define HISTOGRAM_BUCKETS 1920u

struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t maximum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Bucket of a value: values below 32 are exact; above, 5 bits after the leading one. */
HOT_INLINE uint32_t histogram_bucket(uint64_t value)
{
    if (value < HISTOGRAM_STEPS) return (uint32_t)value;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - 5u;
    return (shift + 1) * HISTOGRAM_STEPS + (uint32_t)((value >> shift) & (HISTOGRAM_STEPS - 1));
}

HOT_INLINE void histogram_record(struct histogram *self, uint64_t value)
{
    self->count++;
    self->sum += value;
    if (value > self->maximum) self->maximum = value;
    self->buckets[histogram_bucket(value)]++;
}

void histogram_init(struct histogram *self);
/* The upper edge of the bucket that holds the quantile; per_mille 0..1000. 0 when empty. */
uint64_t histogram_quantile(const struct histogram *self, uint32_t per_mille);
/* The largest value that falls into the bucket. */
uint64_t histogram_upper_edge(uint32_t bucket);

#endif
