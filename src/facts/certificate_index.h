/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the certificates and their facts lie in the journal, in the order in which they were
 * journaled: an order in which dependencies come first. One writer (the journal's side), readers on
 * other threads; the oldest entry is overwritten when the ring is full.
 */
#ifndef CAIRN_FACTS_CERTIFICATE_INDEX_H
#define CAIRN_FACTS_CERTIFICATE_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "facts/certificate.h"
#include "facts/origins.h"

/* No position: not all facts of the certificate are in the journal. */
#define CERTIFICATE_FACTS_GONE UINT64_MAX

struct certificate_place {
    uint64_t first;          /* sequence */
    uint64_t facts_position; /* of the batch with the run's first fact, or CERTIFICATE_FACTS_GONE */
    uint64_t position;       /* of the batch with the certificate */
    uint32_t slot;
    uint32_t incarnation;
    uint32_t count;
    uint32_t reserved;
};

/* A run of facts whose certificate has not come yet. */
struct open_run {
    uint64_t position;
    uint32_t slot;
    uint32_t incarnation;
    uint32_t count; /* facts */
    bool stopped;   /* damage lies behind it: what comes now is another run */
};

struct certificate_index {
    struct certificate_place *places;
    uint64_t maximum;
    _Atomic uint64_t added;
    struct open_run runs[ORIGINS_MAX];
    uint32_t run_count;
    uint32_t run_last; /* the run that was noted last: facts come in runs */
};

void certificate_index_init(struct certificate_index *self, uint64_t maximum, struct arena *arena);
/* Writer: a fact of this origin went into the batch at `position`. */
void certificate_index_fact(struct certificate_index *self, uint32_t slot, uint32_t incarnation,
                            uint64_t position);
/* Writer: damage lies here, and may have taken the certificates of the runs that are open. */
void certificate_index_damage(struct certificate_index *self);
/* Writer: a certificate went into the batch at `position`. */
void certificate_index_add(struct certificate_index *self, const struct certificate *certificate,
                           uint64_t position);
/*
 * The oldest position, at most `position`, where an open run begins that begins at or behind
 * `target`. Runs that were left open longer ago do not hold the journal back: their certificates,
 * should they come, are not served from here.
 */
uint64_t certificate_index_oldest(const struct certificate_index *self, uint64_t target,
                                  uint64_t position);
/*
 * Reader: entry `ordinal`, from 0. OK; END (not there yet); RECLAIMED (overwritten: *place is
 * not filled).
 */
CHECKED int certificate_index_get(const struct certificate_index *self, uint64_t ordinal,
                                  struct certificate_place *place);
/* Reader: the oldest ordinal that is still there. */
uint64_t certificate_index_first(const struct certificate_index *self);

#endif
