/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/realm.h"

#include "base/assert.h"

void realm_init(struct realm *self, const struct realm_limits *limits, uint64_t hash_seed,
                struct arena *arena)
{
    memset(self, 0, sizeof *self);
    self->own = ORIGIN_NONE;
    self->members_max = limits->members_max != 0 ? limits->members_max : CAIRN_MEMBERS_MAX;
    cells_init(&self->cells, limits->cells_max, limits->cell_bytes_max, hash_seed, arena);
    spaces_init(&self->spaces, limits->spaces_max, arena);
    origins_init(&self->origins);
    idempotency_init(&self->idempotency, limits->idempotency_keys_max, hash_seed, arena);
    pending_init(&self->pending, limits->pending_bytes_max, limits->pending_bundles_max, arena);
    self->run.ids = arena_take(arena, 1, FACT_RUN_IDS_BYTES, CACHE_LINE_SIZE);
}

int realm_begin(struct realm *self, uint32_t slot, uint32_t incarnation,
                const uint8_t link[ADDRESS_SIZE])
{
    bool alone = origins_newest(&self->origins, slot) == ORIGIN_NONE;
    uint32_t own = origins_add(&self->origins, slot, incarnation, link);
    if (own == ORIGIN_NONE) return CAIRN_FULL;
    /* Behind damage its predecessors may not be here: nothing was folded into it. */
    if (alone) memset(self->origins.details[own].base, 0, ADDRESS_SIZE);
    origins_fold_whole(&self->origins, slot);
    self->slot = slot;
    self->incarnation = incarnation;
    self->own = origins_find(&self->origins, slot, incarnation);
    return CAIRN_OK;
}

void realm_note_certified(struct realm *self, uint32_t incarnation, uint64_t last,
                          const uint8_t link[ADDRESS_SIZE])
{
    uint32_t index = origins_find(&self->origins, self->slot, incarnation);
    if (index == ORIGIN_NONE) return;
    struct origin *origin = &self->origins.details[index];
    if (last <= origin->certified) return;
    cairn_assert(last <= self->origins.clocks[index].applied); /* O4 */
    origin->certified = last;
    memcpy(origin->link, link, ADDRESS_SIZE);
}

static int stage_record(struct realm *self, uint32_t kind, const uint8_t *bytes, uint32_t size,
                        struct refusal *refusal)
{
    if (self->ring == NULL) return CAIRN_OK;
    if (!ring_has_room(self->ring, ring_entry_size(size))) {
        return refuse(refusal, CAIRN_BUSY, "staging ring", self->ring->size, self->ring->size);
    }
    memcpy(ring_stage(self->ring, kind, size), bytes, size);
    ring_publish(self->ring);
    return CAIRN_OK;
}

int realm_declare(struct realm *self, const struct space *space, uint32_t *handle,
                  struct refusal *refusal)
{
    uint8_t bytes[SPACE_DECLARATION_SIZE_MAX];
    uint32_t known = spaces_find(&self->spaces, space->id);
    if (known != SPACE_NONE) {
        *handle = known;
        return CAIRN_OK;
    }
    known = spaces_find_name(&self->spaces, space->realm, space->name);
    if (known != SPACE_NONE) {
        return refuse(refusal, CAIRN_CONFLICT, "space (declared before with type)",
                      self->spaces.table[known].type, 0);
    }
    if (spaces_are_full(&self->spaces)) {
        return refuse(refusal, CAIRN_FULL, "spaces", self->spaces.count, self->spaces.maximum);
    }
    int result = stage_record(self, RECORD_SPACE, bytes, space_encode(space, bytes), refusal);
    if (result != CAIRN_OK) return result;
    *handle = spaces_add(&self->spaces, space);
    return CAIRN_OK;
}

int realm_add_member(struct realm *self, uint32_t slot,
                     const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE], struct refusal *refusal)
{
    uint8_t bytes[RECORD_MEMBER_SIZE];
    const struct member *known = origins_member(&self->origins, slot);
    if (known != NULL) {
        if (memcmp(known->public_key, public_key, SIGNATURE_PUBLIC_KEY_SIZE) == 0) return CAIRN_OK;
        return refuse(refusal, CAIRN_FOREIGN, "public key of member slot", slot, 0);
    }
    if (self->origins.member_count >= self->members_max) {
        return refuse(refusal, CAIRN_FULL, "members", self->origins.member_count,
                      self->members_max);
    }
    store_u32(bytes, slot);
    store_u32(bytes + 4, 0);
    memcpy(bytes + 8, public_key, SIGNATURE_PUBLIC_KEY_SIZE);
    int result = stage_record(self, RECORD_MEMBER, bytes, sizeof bytes, refusal);
    if (result != CAIRN_OK) return result;
    return origins_add_member(&self->origins, slot, public_key);
}

struct cell *realm_cell(struct realm *self, uint32_t space, const uint8_t *key, uint32_t key_size)
{
    uint64_t hash = cells_hash(&self->cells, space, key, key_size);
    return cells_find(&self->cells, hash, space, key, key_size);
}

int realm_check_effects(const struct realm *self, const struct fact *fact,
                        uint32_t spaces[CAIRN_EFFECTS_MAX], struct refusal *refusal)
{
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        const struct fact_effect *effect = &fact->effects[i];
        spaces[i] = spaces_find(&self->spaces, effect->space_id);
        if (UNLIKELY(spaces[i] == SPACE_NONE)) {
            return refuse(refusal, CAIRN_UNKNOWN_SPACE, "space id (first bytes)",
                          load_u64(effect->space_id), 0);
        }
        int64_t amount = (int64_t)load_u64(effect->payload);
        uint32_t type = self->spaces.table[spaces[i]].type;
        int result = space_check_effect(type, effect->operation, amount);
        if (UNLIKELY(result != CAIRN_OK)) {
            return refuse(refusal, result, "effect of the fact with sequence", fact->dot.sequence,
                          0);
        }
    }
    return CAIRN_OK;
}

bool realm_has_cell_room(const struct realm *self, const struct fact *fact, const uint32_t *spaces)
{
    uint64_t lines = 0;
    uint64_t missing = 0;
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        lines += cell_lines(fact->effects[i].key_size);
    }
    if (LIKELY(cells_have_room(&self->cells, fact->effect_count, lines))) return true;
    lines = 0;
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        const struct fact_effect *effect = &fact->effects[i];
        uint64_t hash = cells_hash(&self->cells, spaces[i], effect->key, effect->key_size);
        if (cells_find(&self->cells, hash, spaces[i], effect->key, effect->key_size)) continue;
        missing++;
        lines += cell_lines(effect->key_size);
    }
    return cells_have_room(&self->cells, missing, lines);
}

void realm_apply_effects(struct realm *self, const struct fact *fact, const uint32_t *spaces)
{
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        const struct fact_effect *effect = &fact->effects[i];
        uint64_t hash = cells_hash(&self->cells, spaces[i], effect->key, effect->key_size);
        struct cell *cell =
            cells_find(&self->cells, hash, spaces[i], effect->key, effect->key_size);
        if (cell == NULL) {
            cell = cells_add(&self->cells, hash, spaces[i], effect->key, effect->key_size);
        }
        cell->sum += (int64_t)load_u64(effect->payload); /* F5 */
    }
}

uint64_t realm_fingerprint(uint64_t previous, const uint8_t *space_id, uint32_t operation,
                           const uint8_t *key, uint32_t key_size, int64_t amount)
{
    uint64_t fingerprint = stable_hash(previous + operation, space_id, CAIRN_SPACE_ID_SIZE);
    fingerprint = stable_hash(fingerprint, key, key_size);
    return stable_hash(fingerprint, &amount, sizeof amount);
}

void realm_remember(struct realm *self, const struct fact *fact)
{
    if (idempotency_find(&self->idempotency, fact->idempotency_key) != NULL) return;
    uint64_t fingerprint = fact->effect_count;
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        const struct fact_effect *effect = &fact->effects[i];
        fingerprint =
            realm_fingerprint(fingerprint, effect->space_id, effect->operation, effect->key,
                              effect->key_size, (int64_t)load_u64(effect->payload));
    }
    struct idempotency_entry entry = {.sequence = fact->dot.sequence,
                                      .incarnation = fact->dot.incarnation,
                                      .position = 0,
                                      .fingerprint = fingerprint};
    memcpy(entry.key, fact->idempotency_key, sizeof entry.key);
    idempotency_add(&self->idempotency, &entry);
}

bool realm_is_valid(const struct realm *self)
{
    return cells_are_valid(&self->cells) && origins_are_valid(&self->origins) &&
           pending_is_valid(&self->pending);
}
