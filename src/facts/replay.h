/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay: the journal's records back into a realm. The journal holds facts in the order of their
 * application, so each is applied when it comes; ids are computed again, and each certificate is
 * held against its facts and its signature.
 *
 *   Y1  what was in the checkpoint is passed over: nothing is applied twice
 *   Y2  behind damage, a fact whose predecessor or dependency is missing is not applied but
 *       counted (held); it comes again by import
 *   Y3  a certificate that does not match its facts is counted; facts before it stay, since the
 *       journal's own checksum held
 */
#ifndef CAIRN_FACTS_REPLAY_H
#define CAIRN_FACTS_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "facts/certificate_index.h"
#include "facts/realm.h"

#define REPLAY_GROUP 64u

/* Facts of one origin since its last certificate. */
struct replay_run {
    uint32_t slot;
    uint32_t incarnation;
    bool broken; /* facts of the run are missing or lie before the checkpoint */
    struct fact_run run;
};

struct replay {
    struct realm *realm;
    struct certificate_index *index;
    struct replay_run runs[ORIGINS_MAX];
    uint32_t run_count;
    /* Facts of one run that were not hashed yet: many at a time. */
    struct replay_run *group_run;
    uint32_t group_count;
    const uint8_t *group[REPLAY_GROUP];
    uint32_t group_sizes[REPLAY_GROUP];
    /* What was found of this member. */
    uint32_t slot;
    bool opened;                /* an OPEN record, or a checkpoint, named an incarnation */
    uint32_t incarnation;       /* the last one */
    uint8_t head[ADDRESS_SIZE]; /* link of the last own certificate */
    uint32_t head_incarnation;  /* of that certificate, or of the life that begins behind it */
    uint64_t head_last;         /* its last sequence; 0: it is of an earlier life */
    /* Counters. */
    uint64_t applied;
    uint64_t passed; /* were in the checkpoint, or came twice */
    uint64_t held;   /* Y2 */
    uint64_t certificates_verified;
    uint64_t certificates_partial; /* signature verified; some facts before checkpoint or damaged */
    uint64_t certificates_bad;     /* Y3 */
};

/* Room for the ids of all runs; from memory that lives as long as recovery does. */
void replay_init(struct replay *self, struct realm *realm, struct certificate_index *index,
                 uint32_t slot, struct arena *arena);

/*
 * Takes one record of the batch at `position`. The payload must stay until replay_batch_end().
 * OK; CORRUPT (a checked batch holds a record that no Cairn of this version writes), FULL.
 */
CHECKED int replay_record(struct replay *self, uint16_t kind, const uint8_t *payload, uint32_t size,
                          uint64_t position, struct refusal *refusal);
/*
 * Damage lies here. It may have taken own certificates: those that end runs which are not broken
 * ended them here, so the run must not be certified beyond (K3).
 */
void replay_damage(struct replay *self);
/* Hashes what was collected; call at the end of each batch. */
void replay_batch_end(struct replay *self);

/* The own facts that no certificate covers, for the certifier to go on with; NULL: none. */
const struct fact_run *replay_own_run(const struct replay *self);

#endif
