/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts born elsewhere. A bundle is checked whole before anything changes (F6), then waits in the
 * pending buffer, and realm_release() applies from there whatever its dependencies allow: for a
 * bundle that comes in order, all of it, at once.
 */
#include "base/assert.h"
#include "facts/realm.h"

#define IMPORT_GROUP 64u

/* Where a certificate stands in the chain of its member. */
enum chain {
    CHAIN_NEXT,      /* continues what was applied */
    CHAIN_LATER,     /* something before it is missing */
    CHAIN_DUPLICATE, /* applied before */
    CHAIN_FORK,      /* contradicts what was applied */
};

/* Does the certificate begin an incarnation right behind this origin's end? (O3) */
static bool follows(const struct realm *self, uint32_t before,
                    const struct certificate *certificate)
{
    const struct origin *origin = &self->origins.details[before];
    return certificate->first == 1 && origin->certified == self->origins.clocks[before].applied &&
           memcmp(origin->link, certificate->previous, ADDRESS_SIZE) == 0;
}

/*
 * May something come before the oldest live origin of the slot? Only where replay left that one
 * behind damage: without a base, and without a certificate that says it is the first.
 */
static bool may_begin_before(const struct realm *self, uint32_t slot)
{
    uint32_t oldest = origins_oldest(&self->origins, slot);
    if (oldest == ORIGIN_NONE) return true;
    const struct origin *origin = &self->origins.details[oldest];
    return origin->certified == 0 && bytes_are_zero(origin->begun, ADDRESS_SIZE);
}

static enum chain chain_of_new_incarnation(const struct realm *self,
                                           const struct certificate *certificate)
{
    struct cairn_dot dot = {certificate->slot, certificate->incarnation, certificate->first};
    bool after_own = self->own != ORIGIN_NONE && certificate->slot == self->slot &&
                     certificate->incarnation > self->incarnation;
    if (after_own) return CHAIN_FORK; /* only a copy of this member's folder makes one */
    uint32_t before = origins_before(&self->origins, certificate->slot, certificate->incarnation);
    if (before != ORIGIN_NONE) {
        return follows(self, before, certificate) ? CHAIN_NEXT : CHAIN_LATER;
    }
    if (origins_has_folded(&self->origins, &dot)) return CHAIN_DUPLICATE;
    if (!may_begin_before(self, certificate->slot)) return CHAIN_FORK; /* a second beginning */
    bool genesis = bytes_are_zero(certificate->previous, ADDRESS_SIZE);
    return genesis && certificate->first == 1 ? CHAIN_NEXT : CHAIN_LATER;
}

static enum chain chain_of(const struct realm *self, const struct certificate *certificate)
{
    uint32_t index = origins_find(&self->origins, certificate->slot, certificate->incarnation);
    if (index == ORIGIN_NONE) return chain_of_new_incarnation(self, certificate);
    const struct origin *origin = &self->origins.details[index];
    uint64_t last = certificate_last(certificate);
    /* Own facts that come back before their certificate is durable; later dots are not ours. */
    if (index == self->own && last > origin->certified) {
        return last <= self->origins.clocks[index].applied ? CHAIN_DUPLICATE : CHAIN_FORK;
    }
    if (last == origin->certified) {
        bool same = memcmp(origin->link, certificate->link, ADDRESS_SIZE) == 0;
        return same ? CHAIN_DUPLICATE : CHAIN_FORK;
    }
    if (last < origin->certified) return CHAIN_DUPLICATE;
    if (certificate->first <= origin->certified) return CHAIN_FORK;
    if (certificate->first > origin->certified + 1) return CHAIN_LATER;
    bool continues = memcmp(origin->link, certificate->previous, ADDRESS_SIZE) == 0;
    if (origin->certified == 0) {
        /* Replay began it behind damage: its predecessor's end is what import brings. */
        uint32_t before =
            origins_before(&self->origins, certificate->slot, certificate->incarnation);
        bool follower = before != ORIGIN_NONE && follows(self, before, certificate);
        if (before != ORIGIN_NONE && !follower) return CHAIN_LATER;
        bool orphan = before == ORIGIN_NONE && bytes_are_zero(origin->base, ADDRESS_SIZE);
        bool genesis = bytes_are_zero(certificate->previous, ADDRESS_SIZE);
        if (orphan && !genesis) return CHAIN_LATER;
        continues |= follower || orphan;
    }
    bool begun = !bytes_are_zero(origin->begun, ADDRESS_SIZE);
    bool other = begun && memcmp(origin->begun, certificate->link, ADDRESS_SIZE) != 0;
    return continues && !other ? CHAIN_NEXT : CHAIN_FORK;
}

/* Decodes and checks every fact, and hashes all into the run. */
static int check_facts(struct realm *self, const struct certificate *certificate,
                       const uint8_t *facts, uint32_t size, struct refusal *refusal)
{
    const uint8_t *group[IMPORT_GROUP];
    uint32_t sizes[IMPORT_GROUP];
    uint32_t spaces[CAIRN_EFFECTS_MAX];
    struct fact fact;
    uint32_t offset = 0;
    uint32_t grouped = 0;
    fact_run_clear(&self->run);
    for (uint32_t i = 0; i < certificate->count; i++) {
        int result = fact_decode(&fact, facts + offset, size - offset);
        if (result != CAIRN_OK) {
            return refuse(refusal, result, "fact at byte of the bundle", certificate->size + offset,
                          0);
        }
        if (fact.dot.slot != certificate->slot ||
            fact.dot.incarnation != certificate->incarnation ||
#ifndef CAIRN_PLANTED_BUG_FACTS_BUNDLE /* Planted: a certificate may cover any sequences. */
            fact.dot.sequence != certificate->first + i ||
#endif
            fact.realm != certificate->realm) {
            return refuse(refusal, CAIRN_BAD_CERTIFICATE, "dot of the fact with index", i, 0);
        }
        result = realm_check_effects(self, &fact, spaces, refusal);
        if (result != CAIRN_OK) return result;
        group[grouped] = facts + offset;
        sizes[grouped++] = fact.size;
        offset += fact.size;
        if (grouped < IMPORT_GROUP && i + 1 < certificate->count) continue;
        if (!fact_run_add(&self->run, group, sizes, grouped)) {
            return refuse(refusal, CAIRN_BAD_CERTIFICATE, "size of the facts", size, 0);
        }
        grouped = 0;
    }
    if (offset != size) {
        return refuse(refusal, CAIRN_BAD_CERTIFICATE, "bytes behind the last fact", size - offset,
                      0);
    }
    return CAIRN_OK;
}

/* Everything about a bundle that does not depend on what was applied before. */
static int check_bundle(struct realm *self, const struct certificate *certificate,
                        const uint8_t *bundle, uint64_t size, struct refusal *refusal)
{
    uint8_t root[ADDRESS_SIZE];
    if (memcmp(certificate->cluster_id, self->cluster_id, CAIRN_CLUSTER_ID_SIZE) != 0) {
        return refuse(refusal, CAIRN_FOREIGN, "cluster id of the certificate", 0, 0);
    }
    if (certificate->realm != self->realm) {
        return refuse(refusal, CAIRN_FOREIGN, "realm of the certificate", certificate->realm, 0);
    }
    const struct member *member = origins_member(&self->origins, certificate->slot);
    if (member == NULL) {
        return refuse(refusal, CAIRN_UNKNOWN_MEMBER, "member slot", certificate->slot, 0);
    }
    if (!certificate_verify(certificate, member->public_key)) {
        return refuse(refusal, CAIRN_BAD_SIGNATURE, "signature of member slot", certificate->slot,
                      0);
    }
    if (size - certificate->size != certificate->facts_size) {
        return refuse(refusal, CAIRN_BAD_CERTIFICATE, "size of the facts", size - certificate->size,
                      certificate->facts_size);
    }
    int result = check_facts(self, certificate, bundle + certificate->size, certificate->facts_size,
                             refusal);
    if (result != CAIRN_OK) return result;
    fact_run_root(&self->run, root);
    if (memcmp(root, certificate->root, ADDRESS_SIZE) != 0) {
        return refuse(refusal, CAIRN_BAD_CERTIFICATE, "Merkle root of the fact ids", 0, 0);
    }
    return CAIRN_OK;
}

/* Facts of the run that are here already. */
static uint64_t count_seen(const struct realm *self, const struct certificate *certificate)
{
    struct cairn_dot dot = {certificate->slot, certificate->incarnation, certificate->first};
    if (!origins_has_seen(&self->origins, &dot)) return 0;
    uint32_t index = origins_find(&self->origins, certificate->slot, certificate->incarnation);
    if (index == ORIGIN_NONE) return certificate->count; /* folded */
    uint64_t seen = self->origins.clocks[index].applied - certificate->first + 1;
    return seen < certificate->count ? seen : certificate->count;
}

static bool dependencies_seen(const struct realm *self, const struct fact *fact,
                              struct cairn_dot *missing)
{
    for (uint32_t i = 0; i < fact->dependency_count; i++) {
        if (origins_has_seen(&self->origins, &fact->dependencies[i])) continue;
        *missing = fact->dependencies[i];
        return false;
    }
    return true;
}

/* Could a fact of the bundle be applied at once? Then it must get in, or nothing ever moves. */
static bool starts_now(const struct realm *self, const struct certificate *certificate,
                       enum chain chain, const uint8_t *bundle, uint64_t size)
{
    struct fact fact;
    struct cairn_dot missing;
    uint64_t offset = certificate->size;
    if (chain != CHAIN_NEXT) return false;
    do {
        int code = fact_decode(&fact, bundle + offset, size - offset);
        cairn_assert(code == CAIRN_OK); /* checked before */
        offset += fact.size;
    } while (offset < size && origins_has_seen(&self->origins, &fact.dot));
    return dependencies_seen(self, &fact, &missing) &&
           hybrid_clock_is_near(fact.clock, self->wall_ms);
}

/*
 * Takes a copy into the pending buffer. When that is full of bundles that wait for this one, they
 * give way: they come again, and this one is progress.
 */
static int keep(struct realm *self, const struct certificate *certificate, enum chain chain,
                const uint8_t *bundle, uint64_t size, struct refusal *refusal)
{
    struct pending *pending = &self->pending;
    struct pending_entry *entry =
        pending_find(pending, certificate->slot, certificate->incarnation, certificate->first);
    if (entry != NULL) {
        bool same = memcmp(entry->bundle, bundle, CERTIFICATE_BODY_SIZE) == 0;
        if (same) return CAIRN_OK; /* waits already */
        return refuse(refusal, CAIRN_EQUIVOCATION, "certificate that begins at sequence",
                      certificate->first, 0);
    }
    entry = pending_add(pending, certificate->slot, (uint32_t)size);
    if (entry == NULL && starts_now(self, certificate, chain, bundle, size)) {
        entry = pending_add_first(pending, certificate->slot, (uint32_t)size);
    }
    if (entry == NULL) {
        pending->dropped++;
        return refuse(refusal, CAIRN_BUSY, "bytes in the pending buffer", pending->bytes,
                      pending->page_count * PENDING_PAGE_SIZE);
    }
    memcpy(entry->bundle, bundle, (size_t)size);
    entry->incarnation = certificate->incarnation;
    entry->first = certificate->first;
    entry->last = certificate_last(certificate);
    entry->next = entry->first;
    entry->next_offset = certificate->size;
    return CAIRN_OK;
}

int realm_import(struct realm *self, const uint8_t *bundle, uint64_t size,
                 struct cairn_import *result, struct refusal *refusal)
{
    struct certificate certificate;
    memset(result, 0, sizeof *result);
    int code = certificate_decode(&certificate, bundle, size);
    if (code != CAIRN_OK) {
        return refuse(refusal, code, "certificate at the front of the bundle", 0, 0);
    }
    code = check_bundle(self, &certificate, bundle, size, refusal);
    if (code != CAIRN_OK) return code;
    result->duplicate = count_seen(self, &certificate);
    enum chain chain = chain_of(self, &certificate);
    switch (chain) {
    case CHAIN_DUPLICATE: self->counters.facts_duplicate += certificate.count; return CAIRN_OK;
    case CHAIN_FORK:
        return refuse(refusal, CAIRN_EQUIVOCATION, "certificate that begins at sequence",
                      certificate.first, 0);
    case CHAIN_NEXT:
    case CHAIN_LATER: break;
    }
    return keep(self, &certificate, chain, bundle, size, refusal);
}

/* ---- Applying what waits ------------------------------------------------------------------- */

enum progress {
    PROGRESS_DONE,    /* the whole bundle is applied; its entry is gone */
    PROGRESS_WAITING, /* something is missing */
    PROGRESS_BLOCKED, /* no room: in the ring, the cells or the origins */
    PROGRESS_FORKED,  /* contradicts what was applied meanwhile; its entry is gone */
};

/* Folds what is whole; folding moves origins about, the own one too. */
static void fold(struct realm *self, uint32_t slot)
{
    origins_fold_whole(&self->origins, slot);
    if (self->own == ORIGIN_NONE) return;
    self->own = origins_find(&self->origins, self->slot, self->incarnation);
}

/* The live origin of the entry, begun if its predecessor is whole. */
static enum progress begin_origin(struct realm *self, struct pending_entry *entry, uint32_t *index,
                                  struct refusal *refusal)
{
    struct certificate certificate;
    int code = certificate_decode(&certificate, entry->bundle, entry->size);
    cairn_assert(code == CAIRN_OK); /* checked at import */
    switch (chain_of(self, &certificate)) {
    case CHAIN_LATER: {
        uint32_t before = origins_find(&self->origins, entry->slot, entry->incarnation);
        if (before == ORIGIN_NONE) {
            before = origins_before(&self->origins, entry->slot, entry->incarnation);
        }
        entry->missing = (struct cairn_dot){entry->slot, entry->incarnation, 1};
        if (before != ORIGIN_NONE) {
            entry->missing.incarnation = self->origins.clocks[before].incarnation;
            entry->missing.sequence = self->origins.clocks[before].applied + 1;
        }
        entry->waits_for_chain = true;
        return PROGRESS_WAITING;
    }
    case CHAIN_DUPLICATE: pending_remove(&self->pending, entry); return PROGRESS_DONE;
    case CHAIN_FORK: pending_remove(&self->pending, entry); return PROGRESS_FORKED;
    case CHAIN_NEXT: break;
    }
    *index = origins_find(&self->origins, entry->slot, entry->incarnation);
    if (*index == ORIGIN_NONE) {
        *index = origins_add(&self->origins, entry->slot, entry->incarnation, certificate.previous);
        if (*index == ORIGIN_NONE) {
            (void)refuse(refusal, CAIRN_FULL, "live origins", ORIGINS_MAX, ORIGINS_MAX);
            return PROGRESS_BLOCKED;
        }
    }
    memcpy(self->origins.details[*index].begun, certificate.link, ADDRESS_SIZE);
    if (entry->first == 1) {
        memcpy(self->origins.details[*index].link, certificate.previous, ADDRESS_SIZE);
        memcpy(self->origins.details[*index].base, certificate.previous, ADDRESS_SIZE);
        fold(self, entry->slot);
        *index = origins_find(&self->origins, entry->slot, entry->incarnation);
    }
    entry->checked_chain = true;
    return PROGRESS_DONE;
}

/* One fact, dense and checked: F1, F2 and room are seen to here. */
static enum progress apply_fact(struct realm *self, struct pending_entry *entry,
                                struct origin_clock *clock, struct fact *fact,
                                struct refusal *refusal)
{
    uint32_t spaces[CAIRN_EFFECTS_MAX];
    if (!dependencies_seen(self, fact, &entry->missing)) return PROGRESS_WAITING; /* F2 */
    if (!hybrid_clock_is_near(fact->clock, self->wall_ms)) {
        entry->missing = (struct cairn_dot){0, 0, 0}; /* waits for the wall clock */
        return PROGRESS_WAITING;
    }
    int code = realm_check_effects(self, fact, spaces, refusal);
    cairn_assert(code == CAIRN_OK); /* checked at import; declarations stay */
    if (!realm_has_cell_room(self, fact, spaces)) {
        (void)refuse(refusal, CAIRN_FULL, "cells", self->cells.count, self->cells.maximum);
        return PROGRESS_BLOCKED;
    }
    if (self->ring != NULL) {
        if (!ring_has_room(self->ring, ring_entry_size(fact->size))) {
            (void)refuse(refusal, CAIRN_BUSY, "staging ring", self->ring->size, self->ring->size);
            return PROGRESS_BLOCKED;
        }
        uint8_t *place = ring_stage(self->ring, RECORD_FACT, fact->size); /* F4 */
        memcpy(place, entry->bundle + entry->next_offset, fact->size);
    }
    realm_apply_effects(self, fact, spaces);
    hybrid_clock_merge(&self->clock, fact->clock);
    clock->applied = fact->dot.sequence; /* F1 */
    if (UNLIKELY(fact->dot.slot == self->slot) && fact->idempotency_key != NULL) {
        realm_remember(self, fact);
    }
    return PROGRESS_DONE;
}

/* The certificate, behind the last of its facts. */
static enum progress apply_certificate(struct realm *self, struct pending_entry *entry,
                                       uint32_t index, struct refusal *refusal)
{
    struct certificate certificate;
    int code = certificate_decode(&certificate, entry->bundle, entry->size);
    cairn_assert(code == CAIRN_OK);
    if (self->ring != NULL) {
        if (!ring_has_room(self->ring, ring_entry_size(certificate.size))) {
            (void)refuse(refusal, CAIRN_BUSY, "staging ring", self->ring->size, self->ring->size);
            return PROGRESS_BLOCKED;
        }
        memcpy(ring_stage(self->ring, RECORD_CERTIFICATE, certificate.size), entry->bundle,
               certificate.size);
    }
    struct origin *origin = &self->origins.details[index];
    origin->certified = entry->last;
    memcpy(origin->link, certificate.link, ADDRESS_SIZE);
    memset(origin->begun, 0, ADDRESS_SIZE);
    if (origin->seen < entry->last) origin->seen = entry->last;
    fold(self, entry->slot); /* a gap that this closes held later incarnations back */
    pending_remove(&self->pending, entry);
    return PROGRESS_DONE;
}

static enum progress release_entry(struct realm *self, struct pending_entry *entry,
                                   uint64_t *applied, struct refusal *refusal)
{
    uint32_t index = origins_find(&self->origins, entry->slot, entry->incarnation);
    if (!entry->checked_chain || index == ORIGIN_NONE) {
        enum progress progress = begin_origin(self, entry, &index, refusal);
        if (progress != PROGRESS_DONE || entry->bundle == NULL) return progress;
    }
    struct origin_clock *clock = &self->origins.clocks[index];
    struct origin *origin = &self->origins.details[index];
    while (entry->next <= entry->last) {
        struct fact fact;
        int code = fact_decode(&fact, entry->bundle + entry->next_offset,
                               entry->size - entry->next_offset);
        cairn_assert(code == CAIRN_OK);
        if (fact.dot.sequence > clock->applied) {
            cairn_assert(fact.dot.sequence == clock->applied + 1); /* F1 */
            enum progress progress = apply_fact(self, entry, clock, &fact, refusal);
            if (progress != PROGRESS_DONE) return progress;
            if (origin->seen < clock->applied) origin->seen = clock->applied;
            (*applied)++;
        }
        if (entry->next == entry->last) break; /* P2: next never passes last */
        entry->next++;
        entry->next_offset += fact.size;
    }
    return apply_certificate(self, entry, index, refusal);
}

/*
 * Has what the entry waits for come? Cheap, since it is asked of every entry in every round. The
 * first bundle of an incarnation is tried each time: only its previous link names its predecessor.
 */
static bool may_go_on(const struct realm *self, const struct pending_entry *entry)
{
    if (!entry->waits_for_chain) {
        return entry->missing.sequence == 0 || origins_has_seen(&self->origins, &entry->missing);
    }
    uint32_t index = origins_find(&self->origins, entry->slot, entry->incarnation);
    if (index != ORIGIN_NONE) return self->origins.details[index].certified + 1 >= entry->first;
    struct cairn_dot dot = {entry->slot, entry->incarnation, entry->first};
    return entry->first == 1 || origins_has_folded(&self->origins, &dot);
}

int realm_release(struct realm *self, uint64_t *applied, struct refusal *refusal)
{
    int result = CAIRN_OK;
    uint64_t before = *applied;
    bool moved = self->pending.count > 0;
    while (moved && result == CAIRN_OK) {
        moved = false;
        for (uint32_t i = 0; i < self->pending.used_end && result == CAIRN_OK; i++) {
            struct pending_entry *entry = &self->pending.entries[i];
            if (entry->bundle == NULL) continue;
            if (!may_go_on(self, entry)) continue;
            entry->missing.sequence = 0;
            entry->waits_for_chain = false;
            uint64_t had = *applied;
            switch (release_entry(self, entry, applied, refusal)) {
            case PROGRESS_DONE: moved = true; break;
            case PROGRESS_WAITING: moved |= *applied > had; break;
            case PROGRESS_BLOCKED: result = refusal->code; break;
            case PROGRESS_FORKED:
                result = refuse(refusal, CAIRN_EQUIVOCATION, "waiting certificate", 0, 0);
                break;
            }
        }
    }
    self->counters.facts_imported += *applied - before;
    if (self->ring != NULL) ring_publish(self->ring);
    return result;
}
