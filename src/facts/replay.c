/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/replay.h"

#include "base/assert.h"

void replay_init(struct replay *self, struct realm *realm, struct certificate_index *index,
                 uint32_t slot, struct arena *arena)
{
    memset(self, 0, sizeof *self);
    self->realm = realm;
    self->index = index;
    self->slot = slot;
    for (uint32_t i = 0; i < ORIGINS_MAX; i++) {
        self->runs[i].run.ids = arena_take(arena, 1, FACT_RUN_IDS_BYTES, CACHE_LINE_SIZE);
    }
}

void replay_batch_end(struct replay *self)
{
    if (self->group_count == 0) return;
    if (!fact_run_add(&self->group_run->run, self->group, self->group_sizes, self->group_count)) {
        self->group_run->broken = true; /* longer than any certificate: its end was lost */
    }
    self->group_count = 0;
    self->group_run = NULL;
}

void replay_damage(struct replay *self)
{
    certificate_index_damage(self->index);
    replay_batch_end(self);
    for (uint32_t i = 0; i < self->run_count; i++)
        fact_run_stop(&self->runs[i].run);
}

static struct replay_run *find_run(struct replay *self, uint32_t slot, uint32_t incarnation)
{
    for (uint32_t i = 0; i < self->run_count; i++) {
        struct replay_run *run = &self->runs[i];
        if (run->slot == slot && run->incarnation == incarnation) return run;
    }
    return NULL;
}

static void remove_run(struct replay *self, struct replay_run *run)
{
    struct replay_run *last = &self->runs[--self->run_count];
    struct replay_run removed = *run;
    *run = *last;
    *last = removed; /* keeps the ids' memory */
    fact_run_clear(&last->run);
    last->broken = false;
}

static struct replay_run *begin_run(struct replay *self, uint32_t slot, uint32_t incarnation)
{
    /* Runs that damage left without a certificate may pile up; the oldest gives way. */
    if (self->run_count == ORIGINS_MAX) remove_run(self, &self->runs[0]);
    struct replay_run *run = &self->runs[self->run_count++];
    run->slot = slot;
    run->incarnation = incarnation;
    run->broken = false;
    fact_run_clear(&run->run);
    return run;
}

/* The run's next sequence, with what is collected but not hashed. */
static uint64_t next_of_run(const struct replay *self, const struct replay_run *run)
{
    if (run->run.count == 0 && self->group_run != run) return 0;
    uint64_t first = run->run.count > 0 ? run->run.first : fact_dot(self->group[0]).sequence;
    uint32_t grouped = self->group_run == run ? self->group_count : 0;
    return first + run->run.count + grouped;
}

/* Adds the fact to its run, so that its certificate can be checked. */
static void collect(struct replay *self, const struct fact *fact, const uint8_t *bytes)
{
    struct replay_run *run = self->group_run;
    if (run == NULL || run->slot != fact->dot.slot || run->incarnation != fact->dot.incarnation) {
        replay_batch_end(self);
        run = find_run(self, fact->dot.slot, fact->dot.incarnation);
        if (run == NULL) run = begin_run(self, fact->dot.slot, fact->dot.incarnation);
    }
    uint64_t next = next_of_run(self, run);
    if (next != 0 && fact->dot.sequence < next) return; /* came before */
    if (next != 0 && fact->dot.sequence > next) {
        replay_batch_end(self);
        run->broken = true;
        fact_run_clear(&run->run);
    }
    if (self->group_count == REPLAY_GROUP) replay_batch_end(self);
    self->group_run = run;
    self->group[self->group_count] = bytes;
    self->group_sizes[self->group_count++] = fact->size;
}

/* The fact's origin; a new incarnation is added, its predecessor folded only by a certificate. */
static uint32_t origin_of(struct replay *self, const struct fact *fact)
{
    struct origins *origins = &self->realm->origins;
    uint32_t index = origins_find(origins, fact->dot.slot, fact->dot.incarnation);
    if (index != ORIGIN_NONE || origins_has_folded(origins, &fact->dot)) return index;
    uint8_t link[ADDRESS_SIZE] = {0};
    uint32_t before = origins_before(origins, fact->dot.slot, fact->dot.incarnation);
    if (before != ORIGIN_NONE) memcpy(link, origins->details[before].link, ADDRESS_SIZE);
    index = origins_add(origins, fact->dot.slot, fact->dot.incarnation, link);
    /* Its base is known when a certificate names it: damage may hide an incarnation between. */
    if (index != ORIGIN_NONE) memset(origins->details[index].base, 0, ADDRESS_SIZE);
    return index;
}

static bool dependencies_seen(const struct realm *realm, const struct fact *fact)
{
    for (uint32_t i = 0; i < fact->dependency_count; i++) {
        if (!origins_has_seen(&realm->origins, &fact->dependencies[i])) return false;
    }
    return true;
}

/* Is it known that facts of the incarnation before this fact's are missing? */
static bool has_gap_before(const struct origins *origins, const struct fact *fact)
{
    uint32_t before = origins_before(origins, fact->dot.slot, fact->dot.incarnation);
    return before != ORIGIN_NONE && origins->details[before].seen > origins->clocks[before].applied;
}

static int replay_fact(struct replay *self, const uint8_t *payload, uint32_t size,
                       uint64_t position, struct refusal *refusal)
{
    struct realm *realm = self->realm;
    struct fact fact;
    uint32_t spaces[CAIRN_EFFECTS_MAX];
    int result = fact_decode(&fact, payload, size);
    /* The last sequence of all is in no certificate, and the one after it is no number. */
    bool lawful = result == CAIRN_OK && fact.size == size && fact.realm == realm->realm &&
                  fact.dot.sequence != UINT64_MAX;
    if (!lawful) {
        return refuse(refusal, CAIRN_CORRUPT, "fact in the batch at position", position, 0);
    }
    /* Of facts that are held as well: a later own fact must not carry a lower clock. */
    if (fact.clock > realm->clock.last) realm->clock.last = fact.clock;
    /* The record that opened the incarnation may be damaged. */
    if (fact.dot.slot == self->slot && fact.dot.incarnation > self->incarnation) {
        self->incarnation = fact.dot.incarnation;
        self->opened = true;
    }
    certificate_index_fact(self->index, fact.dot.slot, fact.dot.incarnation, position);
    uint32_t index = origin_of(self, &fact);
    if (index == ORIGIN_NONE) { /* folded: applied long ago (Y1) */
        self->passed++;
        return CAIRN_OK;
    }
    struct origin_clock *clock = &realm->origins.clocks[index];
    struct origin *origin = &realm->origins.details[index];
    if (fact.dot.sequence <= origin->certified) {
        self->passed++; /* Y1 */
        return CAIRN_OK;
    }
    collect(self, &fact, payload);
    if (fact.dot.sequence > origin->seen) origin->seen = fact.dot.sequence;
    if (fact.dot.sequence <= clock->applied) {
        self->passed++; /* Y1 */
        return CAIRN_OK;
    }
    /* Own incarnations begin over gaps: those facts were admitted without the rest. */
    bool gap = fact.dot.slot != self->slot && has_gap_before(&realm->origins, &fact);
    /* Its request was answered, whether it is applied now or when import mends the gap. */
    bool own_request = fact.dot.slot == self->slot && fact.idempotency_key != NULL;
    if (own_request) realm_remember(realm, &fact);
    if (fact.dot.sequence != clock->applied + 1 || gap || !dependencies_seen(realm, &fact)) {
        self->held++; /* Y2 */
        return CAIRN_OK;
    }
    result = realm_check_effects(realm, &fact, spaces, refusal);
    if (result != CAIRN_OK) { /* its declaration was damaged */
        self->held++;
        return CAIRN_OK;
    }
    if (!realm_has_cell_room(realm, &fact, spaces)) {
        return refuse(refusal, CAIRN_FULL, "cells", realm->cells.count, realm->cells.maximum);
    }
    realm_apply_effects(realm, &fact, spaces);
    clock->applied = fact.dot.sequence;
    self->applied++;
    return CAIRN_OK;
}

/* Does the run hold exactly the certificate's facts? */
static bool covers(const struct certificate *certificate, struct replay_run *run)
{
    uint8_t root[ADDRESS_SIZE];
    if (run == NULL || run->run.count != certificate->count) return false;
    if (run->run.first != certificate->first) return false;
    fact_run_root(&run->run, root);
    return memcmp(root, certificate->root, ADDRESS_SIZE) == 0;
}

/* An own certificate that came back by import stands behind those of later incarnations. */
static void note_head(struct replay *self, const struct certificate *certificate)
{
    uint64_t last = certificate_last(certificate);
    if (certificate->incarnation < self->head_incarnation) return;
    if (certificate->incarnation == self->head_incarnation && last <= self->head_last) return;
    self->head_incarnation = certificate->incarnation;
    self->head_last = last;
    memcpy(self->head, certificate->link, ADDRESS_SIZE);
}

/*
 * Was the origin begun behind a gap that import has mended since? Then its first certificate names
 * the last link of its predecessor, which is whole by now.
 */
static bool follows_whole(const struct origins *origins, uint32_t index,
                          const struct certificate *certificate)
{
    uint32_t before = origins_before(origins, certificate->slot, certificate->incarnation);
    if (origins->details[index].certified != 0 || certificate->first != 1) return false;
    if (before == ORIGIN_NONE) return false;
    const struct origin *origin = &origins->details[before];
    return origin->certified == origins->clocks[before].applied &&
           memcmp(origin->link, certificate->previous, ADDRESS_SIZE) == 0;
}

static int replay_certificate(struct replay *self, const uint8_t *payload, uint32_t size,
                              uint64_t position, struct refusal *refusal)
{
    struct origins *origins = &self->realm->origins;
    struct certificate certificate;
    replay_batch_end(self);
    int result = certificate_decode(&certificate, payload, size);
    if (result != CAIRN_OK || certificate.size != size) {
        return refuse(refusal, CAIRN_CORRUPT, "certificate in the batch at position", position, 0);
    }
    certificate_index_add(self->index, &certificate, position);
    struct replay_run *run = find_run(self, certificate.slot, certificate.incarnation);
    uint32_t index = origins_find(origins, certificate.slot, certificate.incarnation);
    bool passed =
        index == ORIGIN_NONE || certificate_last(&certificate) <= origins->details[index].certified;
    bool own = certificate.slot == self->slot;
    /* Its facts, and the record that opened the incarnation, may be damaged. */
    if (own && certificate.incarnation > self->incarnation) {
        self->incarnation = certificate.incarnation;
        self->opened = true;
    }
    bool lost = index == ORIGIN_NONE && certificate.incarnation == self->incarnation;
    if (own && (!passed || lost)) note_head(self, &certificate);
    if (passed) {
        if (run != NULL) remove_run(self, run);
        return CAIRN_OK; /* Y1 */
    }
    const struct member *member = origins_member(origins, certificate.slot);
    bool is_signed = member != NULL && certificate_verify(&certificate, member->public_key);
    bool partial = run == NULL || run->broken || run->run.first != certificate.first;
    bool whole = !partial && covers(&certificate, run);
    if (run != NULL) remove_run(self, run);
    struct origin *origin = &origins->details[index];
    if (!is_signed || (!partial && !whole)) {
        self->certificates_bad++; /* Y3 */
        return CAIRN_OK;
    }
    if (origin->seen < certificate_last(&certificate)) {
        origin->seen = certificate_last(&certificate);
    }
    if (whole) self->certificates_verified++;
    if (partial) self->certificates_partial++;
    if (origins->clocks[index].applied < certificate_last(&certificate)) return CAIRN_OK; /* Y2 */
    bool continues = memcmp(origin->link, certificate.previous, ADDRESS_SIZE) == 0;
    if (!continues && !follows_whole(origins, index, &certificate)) return CAIRN_OK;
    if (origin->certified == 0) memcpy(origin->base, certificate.previous, ADDRESS_SIZE);
    origin->certified = certificate_last(&certificate);
    memcpy(origin->link, certificate.link, ADDRESS_SIZE);
    origins_fold_whole(origins, certificate.slot);
    return CAIRN_OK;
}

static int replay_open(struct replay *self, const uint8_t *payload, uint32_t size,
                       uint64_t position, struct refusal *refusal)
{
    uint32_t slot = size == RECORD_OPEN_SIZE ? load_u32(payload) : 0;
    uint32_t incarnation = size == RECORD_OPEN_SIZE ? load_u32(payload + 4) : 0;
    bool foreign = size != RECORD_OPEN_SIZE || slot != self->slot ||
                   memcmp(payload + 16, self->realm->cluster_id, CAIRN_CLUSTER_ID_SIZE) != 0;
    if (foreign) {
        return refuse(refusal, CAIRN_FOREIGN, "open record in the batch at position", position, 0);
    }
    if (self->opened && incarnation <= self->incarnation) return CAIRN_OK; /* Y1 */
    self->opened = true;
    self->incarnation = incarnation;
    /* The last certificate before it may be damaged; its link is here as well. */
    self->head_incarnation = incarnation;
    self->head_last = 0;
    memcpy(self->head, payload + 32, ADDRESS_SIZE);
    int result = realm_begin(self->realm, slot, incarnation, payload + 32);
    if (result == CAIRN_OK) return CAIRN_OK;
    return refuse(refusal, result, "live origins", ORIGINS_MAX, ORIGINS_MAX);
}

static int replay_space(struct replay *self, const uint8_t *payload, uint32_t size,
                        uint64_t position, struct refusal *refusal)
{
    struct spaces *spaces = &self->realm->spaces;
    struct space space;
    int result = space_decode(&space, payload, size);
    if (result != CAIRN_OK) {
        return refuse(refusal, CAIRN_CORRUPT, "declaration in the batch at position", position, 0);
    }
    if (spaces_find(spaces, space.id) != SPACE_NONE) return CAIRN_OK; /* Y1 */
    if (spaces_are_full(spaces)) {
        return refuse(refusal, CAIRN_FULL, "spaces", spaces->count, spaces->maximum);
    }
    (void)spaces_add(spaces, &space);
    return CAIRN_OK;
}

static int replay_member(struct replay *self, const uint8_t *payload, uint32_t size,
                         uint64_t position, struct refusal *refusal)
{
    (void)size;
#ifndef CAIRN_PLANTED_BUG_FACTS_REPLAY /* Planted: a short record is read past its end. */
    if (size != RECORD_MEMBER_SIZE) {
        return refuse(refusal, CAIRN_CORRUPT, "size of a member in the batch at position", position,
                      0);
    }
#endif
    if (load_u32(payload + 4) != 0) {
        return refuse(refusal, CAIRN_CORRUPT, "member in the batch at position", position, 0);
    }
    int result = origins_add_member(&self->realm->origins, load_u32(payload), payload + 8);
    if (result == CAIRN_OK) return CAIRN_OK;
    return refuse(refusal, result, "member slot", load_u32(payload), 0);
}

int replay_record(struct replay *self, uint16_t kind, const uint8_t *payload, uint32_t size,
                  uint64_t position, struct refusal *refusal)
{
    switch (kind) {
    case RECORD_FACT: return replay_fact(self, payload, size, position, refusal);
    case RECORD_CERTIFICATE: return replay_certificate(self, payload, size, position, refusal);
    case RECORD_OPEN: return replay_open(self, payload, size, position, refusal);
    case RECORD_SPACE: return replay_space(self, payload, size, position, refusal);
    case RECORD_MEMBER: return replay_member(self, payload, size, position, refusal);
    case RECORD_CLOSE: return CAIRN_OK;
    default: return refuse(refusal, CAIRN_CORRUPT, "kind of a record", kind, 0);
    }
}

const struct fact_run *replay_own_run(const struct replay *self)
{
    for (uint32_t i = 0; i < self->run_count; i++) {
        const struct replay_run *run = &self->runs[i];
        if (run->slot == self->slot && run->incarnation == self->incarnation && !run->broken) {
            return &run->run;
        }
    }
    return NULL;
}
