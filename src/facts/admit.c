/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission: facts born at this member. The hot path of Cairn.
 *
 * Order (DESIGN, facts): shape -> room in the staging ring -> idempotency key -> dependencies ->
 * types and cells of all effects -> staged -> cells, vector and clock -> ticket. Nothing is changed
 * before the last check has passed (F3).
 *
 * Budget of a call with one dependency and one effect, cells in the cache: one look-up in the
 * vector (2 lines), one hash (3 ns), one slot, one cell, no division, no allocation, no clock.
 */
#include "base/assert.h"
#include "facts/realm.h"

#define ADMIT_CHUNK 64u

/* What the checks of one fact leave for its commit. */
struct admission {
    const struct cairn_fact *fact;
    const struct cairn_dot *dependencies; /* canonical: ascending slots, none our own */
    uint32_t dependency_count;
    uint32_t size; /* of the canonical fact, padded */
    struct cell *cells[CAIRN_EFFECTS_MAX];
    uint64_t hashes[CAIRN_EFFECTS_MAX];
    struct cairn_dot sorted[CAIRN_DEPENDENCIES_MAX];
};

COLD static int refuse_shape(const struct cairn_fact *fact, struct refusal *refusal)
{
    if (fact->effect_count == 0 || fact->effects == NULL) {
        return refuse(refusal, CAIRN_INVALID_ARGUMENT, "effects (a fact has at least one)", 0, 0);
    }
    if (fact->effect_count > CAIRN_EFFECTS_MAX) {
        return refuse(refusal, CAIRN_TOO_LARGE, "effect count", fact->effect_count,
                      CAIRN_EFFECTS_MAX);
    }
    if (fact->dependency_count > CAIRN_DEPENDENCIES_MAX) {
        return refuse(refusal, CAIRN_TOO_LARGE, "dependency count", fact->dependency_count,
                      CAIRN_DEPENDENCIES_MAX);
    }
    return refuse(refusal, CAIRN_INVALID_ARGUMENT, "dependencies", 0, 0);
}

COLD static int refuse_effect(const struct realm *self, const struct cairn_effect *effect,
                              struct refusal *refusal)
{
    if (effect->space >= self->spaces.count) {
        return refuse(refusal, CAIRN_UNKNOWN_SPACE, "space handle", effect->space, 0);
    }
    if (effect->key == NULL || effect->key_size == 0) {
        return refuse(refusal, CAIRN_INVALID_ARGUMENT, "key (at least one byte)", 0, 0);
    }
    if (effect->key_size > CAIRN_KEY_SIZE_MAX) {
        return refuse(refusal, CAIRN_TOO_LARGE, "key size", effect->key_size, CAIRN_KEY_SIZE_MAX);
    }
    if (effect->reserved != 0) {
        return refuse(refusal, CAIRN_INVALID_ARGUMENT, "reserved field of the effect (must be 0)",
                      effect->reserved, 0);
    }
    uint32_t type = self->spaces.table[effect->space].type;
    int code = space_check_effect(type, effect->operation, effect->amount);
    return refuse(refusal, code, code == CAIRN_NEGATIVE ? "amount" : "operation",
                  code == CAIRN_NEGATIVE ? 0 : effect->operation, 0);
}

HOT_INLINE bool effect_is_valid(const struct realm *self, const struct cairn_effect *effect)
{
    if (effect->space >= self->spaces.count || effect->key == NULL) return false;
    if (effect->key_size - 1u >= CAIRN_KEY_SIZE_MAX || effect->reserved != 0) return false;
    uint32_t type = self->spaces.table[effect->space].type;
    return space_check_effect(type, effect->operation, effect->amount) == CAIRN_OK;
}

/* Size of the canonical fact with so many dependencies. Precondition: its shape was checked. */
COLD static uint32_t request_size(const struct cairn_fact *fact, uint32_t dependency_count)
{
    uint32_t size = FACT_HEADER_SIZE + dependency_count * FACT_DEPENDENCY_SIZE;
    if (fact->idempotency_key != NULL) size += CAIRN_IDEMPOTENCY_KEY_SIZE;
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        size += FACT_EFFECT_HEADER_SIZE + fact->effects[i].key_size + FACT_ADD_PAYLOAD_SIZE;
    }
    return fact_size(size);
}

/* Shape of the fact, its effects and its size. */
HOT_INLINE int check_shape(const struct realm *self, struct admission *admission,
                           struct refusal *refusal)
{
    const struct cairn_fact *fact = admission->fact;
    if (UNLIKELY(fact->effect_count - 1u >= CAIRN_EFFECTS_MAX || fact->effects == NULL ||
                 fact->dependency_count > CAIRN_DEPENDENCIES_MAX ||
                 (fact->dependency_count != 0 && fact->dependencies == NULL))) {
        return refuse_shape(fact, refusal);
    }
    uint32_t size = FACT_HEADER_SIZE + fact->dependency_count * FACT_DEPENDENCY_SIZE;
    if (UNLIKELY(fact->idempotency_key != NULL)) size += CAIRN_IDEMPOTENCY_KEY_SIZE;
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        const struct cairn_effect *effect = &fact->effects[i];
        if (UNLIKELY(!effect_is_valid(self, effect))) return refuse_effect(self, effect, refusal);
        size += FACT_EFFECT_HEADER_SIZE + effect->key_size + FACT_ADD_PAYLOAD_SIZE;
    }
    admission->size = fact_size(size);
    if (UNLIKELY(admission->size > CAIRN_FACT_SIZE_MAX)) {
        return refuse(refusal, CAIRN_TOO_LARGE, "size of the fact in bytes", admission->size,
                      CAIRN_FACT_SIZE_MAX);
    }
    return CAIRN_OK;
}

COLD static int refuse_dependency(const struct cairn_dot *dot, struct refusal *refusal)
{
    return refuse(refusal, dot->sequence == 0 ? CAIRN_INVALID_ARGUMENT : CAIRN_UNSEEN_DEPENDENCY,
                  dot->sequence == 0 ? "sequence of a dependency (from 1)"
                                     : "sequence of a dependency",
                  dot->sequence, 0);
}

/* Sorts by slot, keeps the newest of each, leaves out our own: all were seen. */
COLD static void canonicalise(struct realm *self, struct admission *admission)
{
    const struct cairn_fact *fact = admission->fact;
    uint32_t count = 0;
    for (uint32_t i = 0; i < fact->dependency_count; i++) {
        struct cairn_dot dot = fact->dependencies[i];
        if (dot.slot == self->slot) continue;
        uint32_t at = 0;
        while (at < count && admission->sorted[at].slot < dot.slot)
            at++;
        if (at < count && admission->sorted[at].slot == dot.slot) {
            struct cairn_dot *known = &admission->sorted[at];
            bool newer = dot.incarnation > known->incarnation ||
                         (dot.incarnation == known->incarnation && dot.sequence > known->sequence);
            if (newer) *known = dot;
            continue;
        }
        for (uint32_t j = count; j > at; j--)
            admission->sorted[j] = admission->sorted[j - 1];
        admission->sorted[at] = dot;
        count++;
    }
    admission->dependencies = admission->sorted;
    admission->dependency_count = count;
    admission->size = request_size(fact, count);
}

HOT_INLINE int check_dependencies(struct realm *self, struct admission *admission,
                                  struct refusal *refusal)
{
    const struct cairn_fact *fact = admission->fact;
    bool canonical = true;
    admission->dependencies = fact->dependencies;
    admission->dependency_count = fact->dependency_count;
    for (uint32_t i = 0; i < fact->dependency_count; i++) {
        const struct cairn_dot *dot = &fact->dependencies[i];
        if (UNLIKELY(dot->sequence == 0 || !origins_has_seen(&self->origins, dot))) {
            return refuse_dependency(dot, refusal); /* F2 */
        }
        canonical &= dot->slot != self->slot && (i == 0 || dot[-1].slot < dot->slot);
    }
    if (UNLIKELY(!canonical)) canonicalise(self, admission);
    return CAIRN_OK;
}

/* Finds the cells of all effects; is there room for those that are not there? */
HOT_INLINE int check_cells(struct realm *self, struct admission *admission, const uint64_t *hash,
                           struct refusal *refusal)
{
    const struct cairn_fact *fact = admission->fact;
    uint64_t missing = 0;
    uint64_t lines = 0;
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        const struct cairn_effect *effect = &fact->effects[i];
        admission->hashes[i] = hash != NULL && i == 0 ? *hash
                                                      : cells_hash(&self->cells, effect->space,
                                                                   effect->key, effect->key_size);
        admission->cells[i] = cells_find(&self->cells, admission->hashes[i], effect->space,
                                         effect->key, effect->key_size);
        if (UNLIKELY(admission->cells[i] == NULL)) {
            missing++;
            lines += cell_lines(effect->key_size);
        }
    }
    if (UNLIKELY(missing > 0 && !cells_have_room(&self->cells, missing, lines))) {
        return refuse(refusal, CAIRN_FULL, "cells", self->cells.count, self->cells.maximum);
    }
    return CAIRN_OK;
}

/* Makes a cell that was missing; an earlier effect of the same fact may have made it since. */
__attribute__((noinline)) static struct cell *make_cell(struct realm *self,
                                                        const struct cairn_effect *effect,
                                                        uint64_t hash)
{
    struct cell *cell =
        cells_find(&self->cells, hash, effect->space, effect->key, effect->key_size);
    if (cell != NULL) return cell;
    return cells_add(&self->cells, hash, effect->space, effect->key, effect->key_size);
}

/* Canonical bytes into the ring (F4). */
HOT_INLINE void stage(struct realm *self, const struct admission *admission,
                      const struct cairn_dot *dot, uint64_t clock)
{
    const struct cairn_fact *fact = admission->fact;
    uint8_t *place = ring_stage(self->ring, RECORD_FACT, admission->size);
    uint8_t *next =
        fact_encode_header(place, admission->size, self->realm, dot, clock, admission->dependencies,
                           admission->dependency_count, fact->idempotency_key, fact->effect_count);
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        const struct cairn_effect *effect = &fact->effects[i];
        next = fact_encode_add(next, self->spaces.table[effect->space].id, effect->key,
                               effect->key_size, effect->amount);
    }
}

static uint64_t request_fingerprint(const struct realm *self, const struct cairn_fact *fact)
{
    uint64_t fingerprint = fact->effect_count;
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        const struct cairn_effect *effect = &fact->effects[i];
        fingerprint =
            realm_fingerprint(fingerprint, self->spaces.table[effect->space].id, effect->operation,
                              effect->key, effect->key_size, effect->amount);
    }
    return fingerprint;
}

/* A request that was seen: the first ticket again, or a mismatch. False: it is new. */
COLD static bool answer_again(const struct realm *self, const struct cairn_fact *fact,
                              struct cairn_ticket *ticket, struct refusal *refusal, int *result)
{
    const struct idempotency_entry *entry =
        idempotency_find(&self->idempotency, fact->idempotency_key);
    if (entry == NULL) return false;
    if (entry->fingerprint != request_fingerprint(self, fact)) {
        *result = refuse(refusal, CAIRN_IDEMPOTENCY_MISMATCH, "idempotency key", 0, 0);
        return true;
    }
    ticket->dot = (struct cairn_dot){self->slot, entry->incarnation, entry->sequence};
    ticket->position = entry->position;
    *result = CAIRN_OK;
    return true;
}

COLD static void remember(struct realm *self, const struct cairn_fact *fact,
                          const struct cairn_ticket *ticket)
{
    struct idempotency_entry entry = {.sequence = ticket->dot.sequence,
                                      .incarnation = ticket->dot.incarnation,
                                      .position = ticket->position,
                                      .fingerprint = request_fingerprint(self, fact)};
    memcpy(entry.key, fact->idempotency_key, sizeof entry.key);
    idempotency_add(&self->idempotency, &entry);
}

/* The last step: nothing can be refused any more. */
HOT_INLINE void commit(struct realm *self, struct admission *admission, struct cairn_ticket *ticket)
{
    const struct cairn_fact *fact = admission->fact;
    struct origin_clock *own = &self->origins.clocks[self->own];
    struct cairn_dot dot = {self->slot, self->incarnation, own->applied + 1}; /* F1 */
    uint64_t clock = hybrid_clock_next(&self->clock, self->wall_ms);
    ticket->dot = dot;
    ticket->position = 0;
    if (self->ring != NULL) {
        stage(self, admission, &dot, clock);
        ticket->position = self->ring->staged;
    }
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        struct cell *cell = admission->cells[i];
        if (UNLIKELY(cell == NULL)) {
            cell = make_cell(self, &fact->effects[i], admission->hashes[i]);
        }
        cell->sum += fact->effects[i].amount; /* F5 */
    }
    own->applied = dot.sequence;
    if (UNLIKELY(fact->idempotency_key != NULL)) remember(self, fact, ticket);
}

/* Any fact, with the reason when it is refused. */
__attribute__((noinline)) static int admit_any(struct realm *self, const struct cairn_fact *fact,
                                               const uint64_t *hash, struct cairn_ticket *ticket,
                                               struct refusal *refusal)
{
    struct admission admission;
    admission.fact = fact;
    int result = check_shape(self, &admission, refusal);
    if (result != CAIRN_OK) return result;
    if (self->ring != NULL && !ring_has_room(self->ring, ring_entry_size(admission.size))) {
        return refuse(refusal, CAIRN_BUSY, "staging ring", self->ring->size, self->ring->size);
    }
    if (fact->idempotency_key != NULL && answer_again(self, fact, ticket, refusal, &result)) {
        return result;
    }
    result = check_dependencies(self, &admission, refusal);
    if (result != CAIRN_OK) return result;
    result = check_cells(self, &admission, hash, refusal);
    if (result != CAIRN_OK) return result;
    commit(self, &admission, ticket);
    return CAIRN_OK;
}

/* Seen, and in canonical order: what needs no second look. */
HOT_INLINE bool dependencies_are_plain(const struct realm *self, const struct cairn_fact *fact)
{
    const struct cairn_dot *dots = fact->dependencies;
    uint32_t count = fact->dependency_count;
    if (UNLIKELY(count > CAIRN_DEPENDENCIES_MAX || (count != 0 && dots == NULL))) return false;
    for (uint32_t i = 0; i < count; i++) {
        if (UNLIKELY(dots[i].sequence == 0 || dots[i].slot == self->slot)) return false;
        if (UNLIKELY(i > 0 && dots[i].slot <= dots[i - 1].slot)) return false;
        if (UNLIKELY(!origins_has_seen(&self->origins, &dots[i]))) return false;
    }
    return true;
}

/*
 * The common fact, straight through: one effect on a cell that is there, no idempotency key,
 * dependencies seen and in order. It admits exactly what admit_any() would admit, to the same
 * bytes; where anything is not plain it changes nothing and returns false, and admit_any() decides.
 */
HOT_INLINE bool admit_plain(struct realm *self, const struct cairn_fact *fact,
                            const uint64_t *hash_given, struct cairn_ticket *ticket)
{
    const struct cairn_effect *effect = fact->effects;
    if (UNLIKELY(fact->effect_count != 1 || effect == NULL)) return false;
    if (UNLIKELY(fact->idempotency_key != NULL || !effect_is_valid(self, effect))) return false;
    if (UNLIKELY(!dependencies_are_plain(self, fact))) return false;
    struct ring *ring = self->ring;
    uint32_t size = fact_size(FACT_HEADER_SIZE + fact->dependency_count * FACT_DEPENDENCY_SIZE +
                              FACT_EFFECT_HEADER_SIZE + effect->key_size + FACT_ADD_PAYLOAD_SIZE);
    if (ring != NULL && UNLIKELY(!ring_has_room(ring, ring_entry_size(size)))) return false;
    uint64_t hash = hash_given != NULL
                        ? *hash_given
                        : cells_hash(&self->cells, effect->space, effect->key, effect->key_size);
    struct cell *cell =
        cells_find(&self->cells, hash, effect->space, effect->key, effect->key_size);
    if (UNLIKELY(cell == NULL)) return false;

    struct origin_clock *own = &self->origins.clocks[self->own];
    struct cairn_dot dot = {self->slot, self->incarnation, own->applied + 1}; /* F1 */
    uint64_t clock = hybrid_clock_next(&self->clock, self->wall_ms);
    uint64_t position = 0;
    if (ring != NULL) { /* F4 */
        uint8_t *place = ring_stage(ring, RECORD_FACT, size);
        uint8_t *next = fact_encode_header(place, size, self->realm, &dot, clock,
                                           fact->dependencies, fact->dependency_count, NULL, 1);
        fact_encode_add(next, self->spaces.table[effect->space].id, effect->key, effect->key_size,
                        effect->amount);
        position = ring->staged;
    }
    cell->sum += effect->amount; /* F5 */
    own->applied = dot.sequence;
    ticket->dot = dot;
    ticket->position = position;
    return true;
}

/*
 * Starts the cache misses of a chunk before the first of its facts needs them: first all slots,
 * then all cells. Facts that admission will refuse are passed over.
 */
static void prefetch_chunk(const struct realm *self, const struct cairn_fact *facts, size_t count,
                           uint64_t *hashes)
{
    for (size_t i = 0; i < count; i++) {
        const struct cairn_effect *effect = facts[i].effects;
        hashes[i] = 0;
        if (facts[i].effect_count == 0 || effect == NULL) continue;
        if (!effect_is_valid(self, effect)) continue;
        hashes[i] = cells_hash(&self->cells, effect->space, effect->key, effect->key_size);
        cells_prefetch_slot(&self->cells, hashes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (hashes[i] == 0) continue;
        cells_prefetch_cell(&self->cells, hashes[i], facts[i].effects->key_size);
    }
}

static bool clock_is_near(const struct realm *self)
{
    return hybrid_clock_is_near(self->clock.last, self->wall_ms);
}

/* Admits facts until the first refusal; returns its code. */
static int admit_until_refused(struct realm *self, const struct cairn_fact *facts, size_t count,
                               struct cairn_ticket *tickets, size_t *done, struct refusal *refusal)
{
    uint64_t hashes[ADMIT_CHUNK];
    bool prefetch = count > 1 && cells_want_prefetch(&self->cells);
    for (size_t from = 0; from < count; from += ADMIT_CHUNK) {
        size_t chunk = count - from < ADMIT_CHUNK ? count - from : ADMIT_CHUNK;
        if (prefetch) prefetch_chunk(self, facts + from, chunk, hashes);
        for (size_t i = 0; i < chunk; i++) {
            const struct cairn_fact *fact = &facts[from + i];
            const uint64_t *hash = prefetch && hashes[i] != 0 ? &hashes[i] : NULL;
            *done = from + i;
            if (LIKELY(admit_plain(self, fact, hash, &tickets[from + i]))) continue;
            int result = admit_any(self, fact, hash, &tickets[from + i], refusal);
            if (result != CAIRN_OK) return result;
        }
    }
    *done = count;
    return CAIRN_OK;
}

/* More than one fact, or one that is not plain. */
__attribute__((noinline)) static int admit_batch(struct realm *self, const struct cairn_fact *facts,
                                                 size_t count, struct cairn_ticket *tickets,
                                                 size_t *admitted, struct refusal *refusal)
{
    size_t done = 0;
    int result = CAIRN_OK;
    /* An origin that is ahead of its wall clock stops, before others would hold its facts back. */
    if (UNLIKELY(!clock_is_near(self)) && count > 0) {
        result = refuse(refusal, CAIRN_CLOCK, "milliseconds of the clock ahead of the wall clock",
                        (self->clock.last >> HYBRID_CLOCK_SHIFT) - self->wall_ms,
                        HYBRID_CLOCK_OFFSET_MS_MAX);
    } else {
        result = admit_until_refused(self, facts, count, tickets, &done, refusal);
    }
    if (result != CAIRN_OK) refusal->item = (uint32_t)done;
    if (self->ring != NULL && done > 0) ring_publish(self->ring);
    if (admitted != NULL) *admitted = done;
    return result;
}

int realm_admit(struct realm *self, const struct cairn_fact *facts, size_t count,
                struct cairn_ticket *tickets, size_t *admitted, struct refusal *refusal)
{
    bool plain = count == 1 && clock_is_near(self) && admit_plain(self, facts, NULL, tickets);
    if (UNLIKELY(!plain)) return admit_batch(self, facts, count, tickets, admitted, refusal);
    if (self->ring != NULL) ring_publish(self->ring);
    if (admitted != NULL) *admitted = 1;
    return CAIRN_OK;
}
