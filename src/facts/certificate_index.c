/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/certificate_index.h"

#include "base/assert.h"
#include "cairn.h"

void certificate_index_init(struct certificate_index *self, uint64_t maximum, struct arena *arena)
{
    cairn_assert(maximum > 0);
    self->places = arena_take(arena, maximum, sizeof *self->places, CACHE_LINE_SIZE);
    self->maximum = maximum;
    atomic_init(&self->added, 0);
    self->run_count = 0;
    self->run_last = 0;
}

static bool is_of(const struct open_run *run, uint32_t slot, uint32_t incarnation)
{
    return run->slot == slot && run->incarnation == incarnation;
}

static bool is_run(const struct certificate_index *self, uint32_t at, uint32_t slot,
                   uint32_t incarnation)
{
    return at < self->run_count && is_of(&self->runs[at], slot, incarnation) &&
           !self->runs[at].stopped;
}

static uint32_t find_run(const struct certificate_index *self, uint32_t slot, uint32_t incarnation)
{
    uint32_t at = 0;
    while (at < self->run_count && !is_run(self, at, slot, incarnation))
        at++;
    return at;
}

void certificate_index_damage(struct certificate_index *self)
{
    for (uint32_t i = 0; i < self->run_count; i++)
        self->runs[i].stopped = true;
}

/*
 * The run that the certificate ends: the oldest with its count of facts, else the oldest with more
 * (some came twice), else none: facts of it lie before what is kept, or in damage.
 */
static uint32_t find_certified(const struct certificate_index *self,
                               const struct certificate *certificate)
{
    uint32_t found = self->run_count;
    for (uint32_t i = 0; i < self->run_count; i++) {
        const struct open_run *run = &self->runs[i];
        if (!is_of(run, certificate->slot, certificate->incarnation)) continue;
        if (run->count < certificate->count) continue;
        if (found == self->run_count) {
            found = i;
            continue;
        }
        const struct open_run *best = &self->runs[found];
        bool exact = run->count == certificate->count;
        bool best_exact = best->count == certificate->count;
        if (exact != best_exact ? exact : run->position < best->position) found = i;
    }
    return found;
}

/* Closes the origin's runs up to the position: no certificate of them will come any more. */
static void close_runs(struct certificate_index *self, const struct certificate *certificate,
                       uint64_t position)
{
    for (uint32_t i = 0; i < self->run_count;) {
        struct open_run *run = &self->runs[i];
        bool closes =
            is_of(run, certificate->slot, certificate->incarnation) && run->position <= position;
        if (closes) *run = self->runs[--self->run_count];
        if (!closes) i++;
    }
    self->run_last = 0;
}

void certificate_index_fact(struct certificate_index *self, uint32_t slot, uint32_t incarnation,
                            uint64_t position)
{
    if (!is_run(self, self->run_last, slot, incarnation)) {
        self->run_last = find_run(self, slot, incarnation);
    }
    if (self->run_last < self->run_count) {
        self->runs[self->run_last].count++;
        return;
    }
    /* More open runs than origins can be: a run that damage left without its certificate. */
    if (self->run_count == ORIGINS_MAX) self->runs[0] = self->runs[--self->run_count];
    self->run_last = self->run_count++;
    self->runs[self->run_last] = (struct open_run){position, slot, incarnation, 1, false};
}

void certificate_index_add(struct certificate_index *self, const struct certificate *certificate,
                           uint64_t position)
{
    uint32_t run = find_certified(self, certificate);
    bool whole = run < self->run_count;
    uint64_t facts_position = whole ? self->runs[run].position : CERTIFICATE_FACTS_GONE;
    uint64_t added = atomic_load_explicit(&self->added, memory_order_relaxed);
    struct certificate_place *place = &self->places[added % self->maximum];
    *place = (struct certificate_place){.first = certificate->first,
                                        .facts_position = facts_position,
                                        .position = position,
                                        .slot = certificate->slot,
                                        .incarnation = certificate->incarnation,
                                        .count = certificate->count};
    atomic_store_explicit(&self->added, added + 1, memory_order_release);
    close_runs(self, certificate, whole ? facts_position : position);
}

uint64_t certificate_index_first(const struct certificate_index *self)
{
    uint64_t added = atomic_load_explicit(&self->added, memory_order_acquire);
    /* One place is left out: the writer may be filling it. */
    return added < self->maximum ? 0 : added - self->maximum + 1;
}

int certificate_index_get(const struct certificate_index *self, uint64_t ordinal,
                          struct certificate_place *place)
{
    uint64_t added = atomic_load_explicit(&self->added, memory_order_acquire);
    if (ordinal >= added) return CAIRN_END;
    if (ordinal < certificate_index_first(self)) return CAIRN_RECLAIMED;
    *place = self->places[ordinal % self->maximum];
    /* Was it overwritten while it was read? */
    atomic_thread_fence(memory_order_acquire);
    if (ordinal < certificate_index_first(self)) return CAIRN_RECLAIMED;
    return CAIRN_OK;
}

uint64_t certificate_index_oldest(const struct certificate_index *self, uint64_t target,
                                  uint64_t position)
{
    uint64_t oldest = position;
    for (uint32_t i = 0; i < self->run_count; i++) {
        uint64_t begin = self->runs[i].position;
        if (begin >= target && begin < oldest) oldest = begin;
    }
    return oldest;
}
