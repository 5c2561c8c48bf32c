/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/system.h"

#include "base/assert.h"
#include "base/bytes.h"

#define START_MS UINT64_C(1600000000000)
#define NANOSECONDS_PER_MS UINT64_C(1000000)
#define PAGE_SIZE 4096u

static void init(struct sim_system *self, uint64_t seed)
{
    memset(self, 0, sizeof *self);
    self->wall_ms = START_MS;
    prng_init(&self->prng, seed);
}

void sim_system_init_arena(struct sim_system *self, uint64_t seed, struct arena *arena)
{
    init(self, seed);
    self->arena = arena;
}

void sim_system_init_memory(struct sim_system *self, uint64_t seed, const struct sim_memory *memory)
{
    init(self, seed);
    self->memory = *memory;
}

void sim_system_advance(struct sim_system *self, uint64_t nanoseconds)
{
    /* By whole milliseconds of the monotonic clock, so that small steps add up. */
    uint64_t before = self->monotonic_ns / NANOSECONDS_PER_MS;
    self->monotonic_ns += nanoseconds;
    self->wall_ms += self->monotonic_ns / NANOSECONDS_PER_MS - before;
}

static uint64_t wall_ms(void *system)
{
    return ((struct sim_system *)system)->wall_ms;
}

static uint64_t monotonic_ns(void *system)
{
    return ((struct sim_system *)system)->monotonic_ns;
}

static int entropy(void *system, void *bytes, size_t size)
{
    struct sim_system *self = system;
    if (self->entropy_fails) return CAIRN_SYSTEM;
    prng_fill(&self->prng, bytes, size);
    return CAIRN_OK;
}

static void *take_from_arena(struct arena *arena, uint64_t size)
{
    uint64_t start = round_up(arena->used, PAGE_SIZE);
    if (start > arena->size || size > arena->size - start) return NULL;
    void *memory = arena_take(arena, 1, size, PAGE_SIZE);
    memset(memory, 0, size);
    return memory;
}

static void *memory_take(void *system, uint64_t size)
{
    struct sim_system *self = system;
    if (self->memory_refused) return NULL;
    if (self->arena != NULL) return take_from_arena(self->arena, size);
    return self->memory.take(self->memory.self, size);
}

static void memory_give(void *system, void *memory, uint64_t size)
{
    struct sim_system *self = system;
    if (self->arena == NULL) self->memory.give(self->memory.self, memory, size);
}

struct host_system sim_system_face(struct sim_system *self)
{
    return (struct host_system){
        .self = self,
        .wall_ms = wall_ms,
        .monotonic_ns = monotonic_ns,
        .entropy = entropy,
        .memory_take = memory_take,
        .memory_give = memory_give,
    };
}
