/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A realm at one member: spaces, cells, version vector, and the one place where facts are applied.
 * A pure core: no clock, no file, no thread, no allocation after init. Its owner calls two doors:
 *
 *   realm_admit()   facts born here: checked, numbered, staged, applied (admit.c)
 *   realm_import()  bundles of other members: verified, applied or kept waiting (import.c)
 *
 * and recovery a third, realm_replay() (replay.c).
 *
 *   F1  a fact is applied once: its dot is exactly applied + 1 of its origin
 *   F2  a fact is applied after its dependencies: every visible state is causally closed
 *   F3  a fact is applied whole or not at all; a refusal changes nothing
 *   F4  a fact is staged for the journal before any state shows it, in the order of application
 *   F5  amounts are i64, sums i128: 2^63 facts cannot overflow a sum
 *   F6  a bundle is applied only if its certificate is signed by its origin's member and covers
 *       exactly its facts
 */
#ifndef CAIRN_FACTS_REALM_H
#define CAIRN_FACTS_REALM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/hybrid_clock.h"
#include "base/result.h"
#include "base/ring.h"
#include "cairn.h"
#include "facts/cells.h"
#include "facts/certificate.h"
#include "facts/fact.h"
#include "facts/idempotency.h"
#include "facts/origins.h"
#include "facts/pending.h"
#include "facts/record.h"
#include "facts/space.h"

struct realm_limits {
    uint64_t cells_max;
    uint64_t cell_bytes_max;
    uint64_t idempotency_keys_max;
    uint64_t pending_bytes_max;
    uint32_t pending_bundles_max;
    uint32_t spaces_max;
    uint32_t members_max; /* at most CAIRN_MEMBERS_MAX */
};

struct realm_counters {
    uint64_t facts_imported;
    uint64_t facts_duplicate;
};

struct realm {
    /* Read by every admission. */
    struct ring *ring; /* where facts are staged; NULL: durability none */
    uint32_t own;      /* index of this member's live origin */
    uint32_t slot;
    uint32_t incarnation;
    uint32_t realm;
    uint64_t wall_ms; /* as of the last event */
    struct hybrid_clock clock;
    struct cells cells;
    struct spaces spaces;
    struct origins origins;
    struct idempotency idempotency;
    /* The rest. */
    struct pending pending;
    struct fact_run run; /* for checking bundles */
    uint32_t members_max;
    uint8_t cluster_id[CAIRN_CLUSTER_ID_SIZE];
    struct realm_counters counters;
};

/* Takes all tables from the arena; also in its dry run, which only adds up the size. */
void realm_init(struct realm *self, const struct realm_limits *limits, uint64_t hash_seed,
                struct arena *arena);

/*
 * Begins an incarnation of this member: from now on facts are admitted as (slot, incarnation).
 * The predecessor is folded away if it was applied to its end; `link` is its last link, or zeros.
 * FULL: too many origins live.
 */
CHECKED int realm_begin(struct realm *self, uint32_t slot, uint32_t incarnation,
                        const uint8_t link[ADDRESS_SIZE]);

/* The wall clock, in milliseconds since 1970, as an event. */
HOT_INLINE void realm_tick(struct realm *self, uint64_t wall_ms)
{
    self->wall_ms = wall_ms;
}

/*
 * Admits facts in order until the first refusal, whose code it returns and whose details it writes
 * to *refusal; *admitted (may be NULL): how many came before. See include/cairn.h, cairn_admit().
 */
CHECKED int realm_admit(struct realm *self, const struct cairn_fact *facts, size_t count,
                        struct cairn_ticket *tickets, size_t *admitted, struct refusal *refusal);

/* Declares a space (staged), or finds it. See cairn_space_declare(). */
CHECKED int realm_declare(struct realm *self, const struct space *space, uint32_t *handle,
                          struct refusal *refusal);
/* Makes a member known (staged). See cairn_member_add(). */
CHECKED int realm_add_member(struct realm *self, uint32_t slot,
                             const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE],
                             struct refusal *refusal);

/*
 * Checks a bundle (F6) and takes it into the pending buffer, from where realm_release() applies it.
 * A bundle whose facts are all here is a duplicate and is not kept. See cairn_import().
 */
CHECKED int realm_import(struct realm *self, const uint8_t *bundle, uint64_t size,
                         struct cairn_import *result, struct refusal *refusal);
/*
 * Applies what can be applied of what waits. Returns CAIRN_OK when only missing facts hold the rest
 * back; BUSY when the staging ring is full, FULL when the cells are: call again after a change.
 */
CHECKED int realm_release(struct realm *self, uint64_t *applied, struct refusal *refusal);

/*
 * The own certificates as they become durable: the journal side cut one up to `last`.
 */
void realm_note_certified(struct realm *self, uint32_t incarnation, uint64_t last,
                          const uint8_t link[ADDRESS_SIZE]);

struct cell *realm_cell(struct realm *self, uint32_t space, const uint8_t *key, uint32_t key_size);

/* Applies one decoded, dense, checked fact to the cells; room was checked. Shared by all doors. */
void realm_apply_effects(struct realm *self, const struct fact *fact, const uint32_t *spaces);
/* Handles of the fact's spaces; are they known, and do their types take the effects? */
CHECKED int realm_check_effects(const struct realm *self, const struct fact *fact,
                                uint32_t spaces[CAIRN_EFFECTS_MAX], struct refusal *refusal);
/* Room for the cells that the fact would make. */
bool realm_has_cell_room(const struct realm *self, const struct fact *fact, const uint32_t *spaces);
/* Fingerprint of a request's effects, the same from a request and from its canonical bytes. */
uint64_t realm_fingerprint(uint64_t previous, const uint8_t *space_id, uint32_t operation,
                           const uint8_t *key, uint32_t key_size, int64_t amount);

/* Remembers the request of an own fact that comes from the journal or, after damage, from others.
 * Precondition: it has an idempotency key. */
void realm_remember(struct realm *self, const struct fact *fact);

/*
 * Digest of all cells: over the sorted addresses of their records (docs/formats.md, "Cells
 * digest"). `scratch` has room for cells.count addresses.
 */
void realm_cells_digest(const struct realm *self, uint8_t *scratch, uint8_t digest[ADDRESS_SIZE]);

/* Walks all invariants; for tests. */
bool realm_is_valid(const struct realm *self);

#endif
