/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual system: time that a test sets, entropy from a seed, memory from an arena or from a
 * function of the test, and no threads, so that an engine runs its journal turn inside its calls.
 */
#ifndef CAIRN_SIM_SYSTEM_H
#define CAIRN_SIM_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/prng.h"
#include "host/host.h"

struct sim_memory {
    void *self;
    /* As in struct host_system: zeroed, at a page boundary, or NULL. */
    void *(*take)(void *self, uint64_t size);
    void (*give)(void *self, void *memory, uint64_t size);
};

struct sim_system {
    uint64_t wall_ms;      /* may be set to anything: clocks jump */
    uint64_t monotonic_ns; /* moved by sim_system_advance() only */
    bool entropy_fails;
    bool memory_refused;
    struct prng prng;
    struct arena *arena; /* or NULL, then `memory` */
    struct sim_memory memory;
};

/* Memory that is given back to an arena stays taken. */
void sim_system_init_arena(struct sim_system *self, uint64_t seed, struct arena *arena);
void sim_system_init_memory(struct sim_system *self, uint64_t seed,
                            const struct sim_memory *memory);

/* Both clocks go on. */
void sim_system_advance(struct sim_system *self, uint64_t nanoseconds);

struct host_system sim_system_face(struct sim_system *self);

#endif
