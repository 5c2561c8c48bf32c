/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stretches: up to 4,096 facts of the measured member. Keys and amounts are drawn before the clock
 * is read, and copied in the order of use, so what is timed is admission and not the caller's
 * memory.
 *
 * Inside the time of a single call: key, key size, amount and dependencies are put into one fact
 * that is used again and again; the call; the look at its result. Inside the time of a batch: the
 * call with 64 facts that lie ready, and the look at its result.
 */
#include <string.h>

#include "base/assert.h"
#include "cli/bench.h"

void bench_stretch_init(struct bench_stretch *self, struct bench_world *world,
                        uint32_t dependencies, uint64_t seed)
{
    cairn_assert(dependencies >= 1 && dependencies <= world->others);
    self->world = world;
    self->dependencies = dependencies;
    self->count = 0;
    self->rotations = world->others - dependencies + 1;
    prng_init(&self->random, seed);
}

/* Which members a fact depends on goes round; slots ascend, as in the canonical form. */
static void rotate(struct bench_stretch *self)
{
    for (uint32_t i = 0; i < self->rotations; i++) {
        for (uint32_t j = 0; j < self->dependencies; j++)
            self->rotated[i][j] = self->world->newest[1 + i + j];
    }
}

static void put(struct bench_stretch *self, uint32_t at, uint32_t index)
{
    const struct bench_keys *keys = self->world->keys;
    uint8_t *key = self->keys + self->keys_used;
    self->indexes[at] = index;
    memcpy(key, bench_key(keys, index), keys->sizes[index]);
    self->keys_used += keys->sizes[index];
    self->effects[at] =
        (struct cairn_effect){.key = key,
                              .key_size = keys->sizes[index],
                              .space = self->world->space,
                              .operation = CAIRN_ADD,
                              .amount = (int64_t)(prng_next(&self->random) >> 54) - 500};
    self->facts[at] = (struct cairn_fact){.effects = &self->effects[at],
                                          .dependencies = self->rotated[at % self->rotations],
                                          .effect_count = 1,
                                          .dependency_count = self->dependencies};
}

void bench_stretch_prepare(struct bench_stretch *self, uint32_t count)
{
    cairn_assert(count <= BENCH_STRETCH);
    self->count = count;
    self->keys_used = 0;
    rotate(self);
    for (uint32_t i = 0; i < count; i++)
        put(self, i, (uint32_t)prng_below(&self->random, self->world->keys->count));
}

void bench_stretch_prepare_all(struct bench_stretch *self, uint32_t count, uint32_t from)
{
    cairn_assert(count <= BENCH_STRETCH);
    self->count = count;
    self->keys_used = 0;
    rotate(self);
    for (uint32_t i = 0; i < count; i++)
        put(self, i, from + i);
}

void bench_stretch_count(struct bench_stretch *self)
{
    for (uint32_t i = 0; i < self->count; i++)
        bench_keys_add(self->world->keys, self->indexes[i], self->effects[i].amount);
}

int bench_stretch_single(struct bench_stretch *self, uint64_t *ns)
{
    cairn_engine *engine = self->world->engine;
    struct cairn_effect effect = self->effects[0];
    struct cairn_fact fact = {
        .effects = &effect, .effect_count = 1, .dependency_count = self->dependencies};
    struct cairn_ticket ticket;
    uint32_t rotation = 0;
    uint64_t start = bench_ns();
    for (uint32_t i = 0; i < self->count; i++) {
        effect.key = self->effects[i].key;
        effect.key_size = self->effects[i].key_size;
        effect.amount = self->effects[i].amount;
        fact.dependencies = self->rotated[rotation];
        rotation = rotation + 1 == self->rotations ? 0 : rotation + 1;
        int result = cairn_admit(engine, &fact, 1, &ticket, NULL);
        if (UNLIKELY(result != CAIRN_OK)) return bench_refused(engine, result, "cairn_admit");
        /* Only staging needs it, and it costs nothing to keep. */
        self->tickets[0].position = ticket.position;
    }
    *ns = bench_ns() - start;
    self->tickets[self->count - 1].position = self->tickets[0].position;
    bench_stretch_count(self);
    return 0;
}

int bench_stretch_batches(struct bench_stretch *self, uint64_t *ns)
{
    cairn_engine *engine = self->world->engine;
    uint64_t start = bench_ns();
    for (uint32_t at = 0; at < self->count; at += BENCH_BATCH) {
        uint32_t count = self->count - at < BENCH_BATCH ? self->count - at : BENCH_BATCH;
        int result = cairn_admit(engine, self->facts + at, count, self->tickets + at, NULL);
        if (UNLIKELY(result != CAIRN_OK)) return bench_refused(engine, result, "cairn_admit");
    }
    *ns = bench_ns() - start;
    bench_stretch_count(self);
    return 0;
}

int bench_stretch_patiently(struct bench_stretch *self, uint64_t *position)
{
    cairn_engine *engine = self->world->engine;
    for (uint32_t at = 0; at < self->count;) {
        uint32_t count = self->count - at < BENCH_BATCH ? self->count - at : BENCH_BATCH;
        size_t admitted;
        int result = cairn_admit(engine, self->facts + at, count, self->tickets + at, &admitted);
        if (admitted > 0) *position = self->tickets[at + admitted - 1].position;
        at += (uint32_t)admitted;
        if (LIKELY(result == CAIRN_OK)) continue;
        if (result != CAIRN_BUSY) return bench_refused(engine, result, "cairn_admit");
        result = cairn_wait_room(engine, BENCH_TIMEOUT_MS);
        if (result != CAIRN_OK) return bench_refused(engine, result, "cairn_wait_room");
    }
    bench_stretch_count(self);
    return 0;
}
