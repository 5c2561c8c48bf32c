/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, and the model. The first eight bytes of a key are its index times an odd constant: they
 * look random, and give the index back without a table, so the recount shares nothing with the
 * engine.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "cli/bench.h"
#include "cli/memory.h"

#define KEY_FACTOR UINT64_C(0x9e3779b97f4a7c15)
#define KEY_SEED UINT64_C(20261120)

/* The inverse of an odd number modulo 2^64, by Newton's iteration: each step doubles the bits. */
static uint64_t inverse(uint64_t odd)
{
    uint64_t x = odd; /* right in 3 bits */
    for (unsigned step = 0; step < 5; step++)
        x *= 2 - odd * x;
    return x;
}

void bench_keys_init(struct bench_keys *self, uint32_t count, uint32_t size_min, uint32_t size_max)
{
    struct prng random;
    cairn_assert(size_min >= 8 && size_max <= BENCH_KEY_SIZE_MAX && size_min <= size_max);
    memset(self, 0, sizeof *self);
    self->count = count;
    self->stride = size_max;
    self->bytes = memory_take((size_t)count * size_max);
    self->sizes = memory_take(count);
    self->sums = memory_take(count * sizeof *self->sums);
    self->touched = memory_take(count);
    prng_init(&random, KEY_SEED);
    prng_fill(&random, self->bytes, (size_t)count * size_max);
    for (uint32_t i = 0; i < count; i++) {
        store_u64(self->bytes + (size_t)i * self->stride, (i + UINT64_C(1)) * KEY_FACTOR);
        self->sizes[i] = (uint8_t)(size_min + prng_below(&random, size_max - size_min + 1));
    }
    /* The model's pages are there before anything is timed, or memory counted. */
    memset(self->sums, 0, count * sizeof *self->sums);
    memset(self->touched, 0, count);
}

void bench_keys_free(struct bench_keys *self)
{
    free(self->bytes);
    free(self->sizes);
    free(self->sums);
    free(self->touched);
    memset(self, 0, sizeof *self);
}

void bench_keys_clear(struct bench_keys *self)
{
    memset(self->sums, 0, self->count * sizeof *self->sums);
    memset(self->touched, 0, self->count);
    self->touched_count = 0;
}

double bench_keys_mean_size(const struct bench_keys *self)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < self->count; i++)
        sum += self->sizes[i];
    return (double)sum / self->count;
}

/* The index of a key that has one, or `count`. */
static uint64_t index_of(const struct bench_keys *self, const struct cairn_cell *cell)
{
    if (cell->key_size < 8) return self->count;
    uint64_t index = load_u64(cell->key) * inverse(KEY_FACTOR) - 1;
    if (index >= self->count || cell->key_size != self->sizes[index]) return self->count;
    if (memcmp(cell->key, bench_key(self, (uint32_t)index), cell->key_size) != 0)
        return self->count;
    return index;
}

int bench_recount(cairn_engine *engine, const struct bench_keys *keys)
{
    struct cairn_cell cell;
    uint64_t cursor = 0;
    uint64_t count = 0;
    uint8_t *seen = memory_take(keys->count);
    int code = 0;
    while (code == 0 && cairn_cell_next(engine, &cursor, &cell) == CAIRN_OK) {
        uint64_t index = index_of(keys, &cell);
        if (index == keys->count || seen[index] != 0) {
            code = bench_failed("recount: a cell that no fact touched, or one twice");
            break;
        }
        int64_t wanted = keys->sums[index];
        seen[index] = 1;
        count++;
        if (cell.value.low_bits != (uint64_t)wanted || cell.value.high != (wanted < 0 ? -1 : 0))
            code = bench_failed("recount: a cell is %lld, but its facts add up to %lld",
                                (long long)cell.value.low, (long long)wanted);
    }
    free(seen);
    if (code == 0 && count != keys->touched_count) {
        code = bench_failed("recount: %llu cells instead of %llu", (unsigned long long)count,
                            (unsigned long long)keys->touched_count);
    }
    return code;
}
