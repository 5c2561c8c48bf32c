/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of this room: engines on virtual hosts, and a memory of every fact that was ever
 * admitted, so that any state can be held against it.
 *
 *   E1  a fact that was reported durable is there, once; of each life, the first so many facts are
 *       there and no others; all cells are exactly what these facts say
 *   E2  what was never admitted is not there
 *   E3  a certificate that left the node, and each of its facts, has the same bytes for ever
 *   E4  each open that succeeds begins an incarnation that was never seen before
 *   E5  a fact is there only with its dependency
 *   E6  after a failed write or sync nothing more becomes durable, and calls say STORAGE_FAILED
 *   E7  a request that is tried again gets the dot of the first time, if that fact is there
 */
#ifndef CAIRN_NODE_TEST_WORLD_H
#define CAIRN_NODE_TEST_WORLD_H

#include "node/test_engine.h"

#define WORLD_NODES_MAX 2u
#define WORLD_LIVES_MAX 256u
#define WORLD_KEYS 48u
#define WORLD_BATCH_MAX 12u
#define WORLD_LOST_MAX 64u

struct world_fact {
    uint64_t serial; /* its idempotency key is made from it; 0: none */
    int64_t amount;
    uint64_t position;
    struct cairn_dot dependency; /* sequence 0: none */
    uint32_t key;
    uint8_t address[ADDRESS_SIZE]; /* of its bytes, once it was exported */
    uint64_t certificate_first;    /* 0: not exported yet */
    uint8_t certificate[ADDRESS_SIZE];
};

/* The facts of one incarnation of one node. */
struct world_life {
    uint32_t slot;
    uint32_t incarnation;
    struct world_fact *facts;
    uint64_t maximum;
    uint64_t count;     /* admitted and not lost */
    uint64_t attempted; /* and those of a call that did not return */
    uint64_t exported;
    uint64_t durable[WORLD_NODES_MAX]; /* so many were reported durable at the node */
};

struct world_node {
    struct test_node node;
    uint32_t life; /* index of the live one */
    uint32_t spaces[2];
    uint32_t extras; /* further spaces */
    uint32_t extras_durable;
    uint64_t cursor[WORLD_NODES_MAX]; /* of exports to the other */
    uint64_t failed_durable;          /* E6: the position where it failed */
    bool failed;
    uint32_t incarnation_max;
    uint64_t serials;
    struct world_fact lost[WORLD_LOST_MAX];
    uint32_t lost_count;
};

struct world {
    uint64_t seed;
    struct prng prng;
    uint32_t node_count;
    struct world_node nodes[WORLD_NODES_MAX];
    struct world_life lives[WORLD_LIVES_MAX];
    uint32_t life_count;
    uint8_t *bundle;
    bool allows_reclaimed; /* laps of the ring: not all can be exported for ever */
    bool has_damage;       /* a test of damage does its own checks of what is missing */
    /* What happened, for a test to assert that it did. */
    uint64_t cuts;
    uint64_t opens;
    uint64_t facts;
    uint64_t lost_facts;
    uint64_t again;
    uint64_t bundles;
    uint64_t failures;
    uint64_t checkpoints;
    uint64_t reclaimed;
};

#define world_check(world, condition)                                                              \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg("seed %llu, %s:%d: %s", (unsigned long long)(world)->seed, __FILE__,          \
                     __LINE__, #condition);                                                        \
        }                                                                                          \
    } while (0)

static inline struct world_node *world_node_of_slot(struct world *self, uint32_t slot)
{
    return &self->nodes[slot - 1];
}

static inline struct world_life *world_find_life(struct world *self, uint32_t slot,
                                                 uint32_t incarnation)
{
    for (uint32_t i = 0; i < self->life_count; i++) {
        struct world_life *life = &self->lives[i];
        if (life->slot == slot && life->incarnation == incarnation) return life;
    }
    return NULL;
}

/* The n-th key: of many lengths. */
static inline uint32_t world_key(uint32_t number, uint8_t bytes[CAIRN_KEY_SIZE_MAX])
{
    uint32_t size = number % 12 == 0 ? 700 : 4 + number * 37 % 60;
    memset(bytes, 'k', size);
    store_u32(bytes, number);
    return size;
}

static inline void world_idempotency_key(uint64_t serial, uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE])
{
    store_u64(key, serial);
    store_u64(key + 8, ~serial * UINT64_C(0x9e3779b97f4a7c15));
}

static inline uint64_t world_read(struct world *self, struct world_node *at, uint32_t space,
                                  const void *key, size_t size)
{
    struct cairn_value value;
    int result = cairn_read(at->node.engine, space, key, size, &value);
    world_check(self, result == CAIRN_OK);
    return value.low_bits;
}

static inline uint64_t world_life_count_at(struct world *self, struct world_node *at,
                                           const struct world_life *life)
{
    uint8_t key[8];
    store_u32(key, life->slot);
    store_u32(key + 4, life->incarnation);
    return world_read(self, at, at->spaces[0], key, sizeof key);
}

/* How many facts of each life the node shows. */
static inline void world_counts(struct world *self, struct world_node *at,
                                uint64_t counts[WORLD_LIVES_MAX])
{
    for (uint32_t i = 0; i < self->life_count; i++) {
        counts[i] = world_life_count_at(self, at, &self->lives[i]);
    }
}

/* E1, E2, E5: the whole state against the memory. */
static inline void world_check_state(struct world *self, struct world_node *at)
{
    uint64_t counts[WORLD_LIVES_MAX];
    int64_t sums[WORLD_KEYS] = {0};
    bool touched[WORLD_KEYS] = {0};
    uint8_t key[CAIRN_KEY_SIZE_MAX];
    uint64_t cells = 0;
    uint64_t applied = 0;
    uint32_t number = (uint32_t)(at - self->nodes);
    world_counts(self, at, counts);
    for (uint32_t i = 0; i < self->life_count; i++) {
        const struct world_life *life = &self->lives[i];
        bool own = life->slot == at->node.member.slot;
        if (!self->has_damage) world_check(self, counts[i] >= life->durable[number]);
        world_check(self, counts[i] <= (own ? life->count : life->exported));
        cells += counts[i] > 0;
        applied += counts[i];
        for (uint64_t j = 0; j < counts[i]; j++) {
            const struct world_fact *fact = &life->facts[j];
            sums[fact->key] += fact->amount;
            touched[fact->key] = true;
            if (fact->dependency.sequence == 0) continue;
            /* Damage may take a part of an earlier life and leave the later one. */
            if (self->has_damage && fact->dependency.slot == life->slot) continue;
            const struct world_life *other =
                world_find_life(self, fact->dependency.slot, fact->dependency.incarnation);
            world_check(self, other != NULL);
            world_check(self, counts[other - self->lives] >= fact->dependency.sequence);
        }
    }
    for (uint32_t i = 0; i < WORLD_KEYS; i++) {
        uint32_t size = world_key(i, key);
        world_check(self, world_read(self, at, at->spaces[1], key, size) == (uint64_t)sums[i]);
        cells += touched[i];
    }
    struct cairn_status status;
    cairn_status(at->node.engine, &status);
    world_check(self, status.cells == cells);
    world_check(self, status.facts_applied == applied);
    world_check(self, realm_is_valid(&at->node.engine->realm));
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* What the node lost of its own lives is gone for ever; it is kept for later retries (E7). */
static inline void world_forget_lost(struct world *self, struct world_node *at)
{
    for (uint32_t i = 0; i < self->life_count; i++) {
        struct world_life *life = &self->lives[i];
        if (life->slot != at->node.member.slot) continue;
        uint64_t count = world_life_count_at(self, at, life);
        world_check(self, count <= life->attempted);
        if (self->has_damage && count < life->exported) continue;
        world_check(self, count >= life->exported);
        for (uint64_t j = count; j < life->attempted; j++) {
            self->lost_facts++;
            if (life->facts[j].serial == 0 || at->lost_count == WORLD_LOST_MAX) continue;
            at->lost[at->lost_count++] = life->facts[j];
        }
        life->count = count;
        life->attempted = count;
    }
}

/* False: a fault came in between. */
static inline bool world_declare(struct world *self, struct world_node *at)
{
    struct cairn_engine *engine = at->node.engine;
    int result = cairn_space_declare(engine, "count", CAIRN_GCOUNTER, &at->spaces[0]);
    if (result == CAIRN_OK) {
        result = cairn_space_declare(engine, "sum", CAIRN_PNCOUNTER, &at->spaces[1]);
    }
    for (uint32_t i = 0; i < self->node_count && result == CAIRN_OK; i++) {
        const struct member_file *member = &self->nodes[i].node.member;
        result = cairn_member_add(engine, member->slot, member->public_key);
    }
    bool known =
        result == CAIRN_OK || result == CAIRN_STORAGE_FULL || result == CAIRN_STORAGE_FAILED;
    world_check(self, known);
    return result == CAIRN_OK;
}

/* Extra spaces are numbered: those that were durable are there, and no hole is between them. */
static inline void world_check_extras(struct world *self, struct world_node *at)
{
    char name[32];
    uint32_t handle;
    uint32_t found = 0;
    for (;; found++) {
        (void)snprintf(name, sizeof name, "extra-%u", found);
        if (cairn_space_find(at->node.engine, name, &handle) != CAIRN_OK) break;
    }
    if (!self->has_damage) world_check(self, found >= at->extras_durable);
    world_check(self, found <= at->extras + 1);
    at->extras = found;
    at->extras_durable = found;
}

static inline void world_check_recovery(struct world *self, struct world_node *at)
{
    const struct cairn_recovery *recovery = &at->node.engine->recovery;
    if (self->has_damage) return;
    world_check(self, recovery->damaged_ranges == 0);
    world_check(self, recovery->certificates_bad == 0);
    world_check(self, recovery->facts_held == 0);
}

/* Opens, and holds what was recovered against the memory. False: the open failed, and may again. */
static inline bool world_try_open(struct world *self, struct world_node *at)
{
    int result = test_node_open(&at->node);
    if (result != CAIRN_OK) {
        bool known = result == CAIRN_STORAGE_FAILED || result == CAIRN_STORAGE_FULL ||
                     result == CAIRN_TIMEOUT;
        world_check(self, known);
        return false;
    }
    struct cairn_engine *engine = at->node.engine;
    uint32_t incarnation = engine->realm.incarnation;
    self->opens++;
    world_check(self, incarnation > at->incarnation_max); /* E4 */
    world_check_recovery(self, at);
    at->incarnation_max = incarnation;
    at->failed = false;
    memset(at->cursor, 0, sizeof at->cursor);
    world_check_extras(self, at);
    if (!world_declare(self, at)) {
        test_node_crash(&at->node);
        return false;
    }
    world_forget_lost(self, at);
    world_check(self, self->life_count < WORLD_LIVES_MAX);
    at->life = self->life_count++;
    struct world_life *life = &self->lives[at->life];
    memset(life, 0, sizeof *life);
    life->slot = at->node.member.slot;
    life->incarnation = incarnation;
    world_check_state(self, at);
    return true;
}

static inline void world_open(struct world *self, struct world_node *at)
{
    for (uint32_t i = 0; i < 4; i++) {
        if (world_try_open(self, at)) return;
    }
    fail_msg("seed %llu: slot %u does not open: %s", (unsigned long long)self->seed,
             at->node.member.slot, cairn_result_name(at->node.refusal.code));
}

static inline void world_init(struct world *self, uint64_t seed, uint32_t node_count,
                              uint32_t segment_count)
{
    memset(self, 0, sizeof *self);
    self->seed = seed;
    prng_init(&self->prng, seed ^ UINT64_C(0x51ed270b4d2c8f1));
    self->node_count = node_count;
    self->bundle = malloc(CAIRN_BUNDLE_SIZE_MAX);
    assert_non_null(self->bundle);
    for (uint32_t i = 0; i < node_count; i++) {
        test_node_init(&self->nodes[i].node, i + 1, segment_count, seed * 16 + i);
        /* Serials of different nodes never meet. */
        self->nodes[i].serials = (uint64_t)(i + 1) << 40;
    }
}

static inline void world_free(struct world *self)
{
    for (uint32_t i = 0; i < self->node_count; i++) {
        struct test_node *node = &self->nodes[i].node;
        if (node->is_open) engine_abandon(node->engine);
        test_node_free(node);
    }
    for (uint32_t i = 0; i < self->life_count; i++)
        free(self->lives[i].facts);
    free(self->bundle);
}

static inline void world_crash(struct world *self, struct world_node *at)
{
    test_node_crash(&at->node);
    self->cuts++;
}

/* ---- Reports of the engine ------------------------------------------------------------------- */

/* Remembers what the engine has reported durable; E6. */
static inline void world_note_durable(struct world *self, struct world_node *at)
{
    if (!at->node.is_open) return;
    uint32_t number = (uint32_t)(at - self->nodes);
    struct world_life *life = &self->lives[at->life];
    struct recorder *recorder = &at->node.engine->recorder;
    uint64_t position = cairn_durable(at->node.engine);
    while (life->durable[number] < life->count &&
           life->facts[life->durable[number]].position <= position) {
        life->durable[number]++;
    }
    if (at->failed) world_check(self, position == at->failed_durable);
    if (atomic_load(&recorder->failed) == 0 || at->failed) return;
    at->failed = true;
    at->failed_durable = position;
    self->failures++;
}

/* Everything that the node shows is durable. */
static inline void world_note_all_durable(struct world *self, struct world_node *at)
{
    uint64_t counts[WORLD_LIVES_MAX];
    uint32_t number = (uint32_t)(at - self->nodes);
    world_counts(self, at, counts);
    for (uint32_t i = 0; i < self->life_count; i++)
        self->lives[i].durable[number] = counts[i];
    at->extras_durable = at->extras;
}

static inline void world_check_result(struct world *self, struct world_node *at, int result)
{
    world_note_durable(self, at);
    switch (result) {
    case CAIRN_OK:
    case CAIRN_BUSY:
    case CAIRN_STORAGE_FULL:
    case CAIRN_END: return;
    case CAIRN_STORAGE_FAILED: world_check(self, at->failed); return;
    default:
        fail_msg("seed %llu: slot %u answers %s: %s", (unsigned long long)self->seed,
                 at->node.member.slot, cairn_result_name(result),
                 cairn_error_message(at->node.engine));
    }
}

/* E6: all that a failed engine says. */
static inline void world_check_failed(struct world *self, struct world_node *at)
{
    struct cairn_engine *engine = at->node.engine;
    struct cairn_effect effect = {"x", 1, at->spaces[0], CAIRN_ADD, 0, 1};
    struct cairn_fact fact = {.effects = &effect, .effect_count = 1};
    struct cairn_ticket ticket;
    size_t admitted;
    uint64_t last = self->lives[at->life].count;
    for (uint32_t i = 0; i < 3; i++) {
        int result = cairn_admit(engine, &fact, 1, &ticket, &admitted);
        world_check(self, result == CAIRN_STORAGE_FAILED);
        world_check(self, admitted == 0);
        world_check(self, cairn_wait(engine, UINT64_MAX, 100) == CAIRN_STORAGE_FAILED);
        world_check(self, cairn_wait(engine, at->failed_durable, 100) == CAIRN_OK);
        engine_pump(engine);
        world_check(self, cairn_durable(engine) == at->failed_durable);
    }
    world_check(self, engine->realm.origins.clocks[engine->realm.own].applied == last);
    if (engine->recorder.ring.staged > at->failed_durable) {
        world_check(self, cairn_flush(engine, 100) == CAIRN_STORAGE_FAILED);
        world_check(self, cairn_checkpoint(engine) == CAIRN_STORAGE_FAILED);
    }
}

/* ---- Calls ----------------------------------------------------------------------------------- */

struct world_batch {
    struct cairn_effect effects[WORLD_BATCH_MAX][2];
    struct cairn_fact facts[WORLD_BATCH_MAX];
    struct cairn_ticket tickets[WORLD_BATCH_MAX];
    struct cairn_dot dependencies[WORLD_BATCH_MAX];
    uint8_t keys[WORLD_BATCH_MAX][CAIRN_KEY_SIZE_MAX];
    uint8_t life_keys[WORLD_BATCH_MAX][8];
    uint8_t idempotency_keys[WORLD_BATCH_MAX][CAIRN_IDEMPOTENCY_KEY_SIZE];
    struct cairn_dot expected[WORLD_BATCH_MAX]; /* sequence 0: a new fact */
};

static inline struct world_fact *world_add_fact(struct world_life *life)
{
    if (life->attempted == life->maximum) {
        life->maximum = life->maximum == 0 ? 64 : 2 * life->maximum;
        life->facts = realloc(life->facts, life->maximum * sizeof *life->facts);
        cairn_assert(life->facts != NULL);
    }
    struct world_fact *fact = &life->facts[life->attempted++];
    memset(fact, 0, sizeof *fact);
    return fact;
}

static inline void world_fill(struct world_node *at, struct world_batch *batch, uint32_t i,
                              const struct world_life *life, const struct world_fact *fact)
{
    store_u32(batch->life_keys[i], life->slot);
    store_u32(batch->life_keys[i] + 4, life->incarnation);
    uint32_t size = world_key(fact->key, batch->keys[i]);
    batch->effects[i][0] =
        (struct cairn_effect){batch->life_keys[i], 8, at->spaces[0], CAIRN_ADD, 0, 1};
    batch->effects[i][1] =
        (struct cairn_effect){batch->keys[i], size, at->spaces[1], CAIRN_ADD, 0, fact->amount};
    batch->dependencies[i] = fact->dependency;
    world_idempotency_key(fact->serial, batch->idempotency_keys[i]);
    batch->facts[i] = (struct cairn_fact){
        .effects = batch->effects[i],
        .dependencies = fact->dependency.sequence != 0 ? &batch->dependencies[i] : NULL,
        .idempotency_key = fact->serial != 0 ? batch->idempotency_keys[i] : NULL,
        .effect_count = 2,
        .dependency_count = fact->dependency.sequence != 0};
}

/* A request of earlier, which must get its first dot again. False: there is none. */
static inline bool world_fill_again(struct world *self, struct world_node *at,
                                    struct world_batch *batch, uint32_t i)
{
    struct world_life *life = &self->lives[prng_below(&self->prng, self->life_count)];
    if (life->slot != at->node.member.slot || life->count == 0) return false;
    uint64_t index = prng_below(&self->prng, life->count);
    const struct world_fact *fact = &life->facts[index];
    if (self->has_damage && index >= world_life_count_at(self, at, life)) return false;
    /* The engine remembers the newest 4,096 requests. */
    if (fact->serial == 0 || fact->serial + 3000 < at->serials) return false;
    world_fill(at, batch, i, life, fact);
    batch->expected[i] = (struct cairn_dot){life->slot, life->incarnation, index + 1};
    return true;
}

static inline void world_new_fact(struct world *self, struct world_node *at,
                                  struct world_fact *fact)
{
    fact->key = (uint32_t)prng_below(&self->prng, WORLD_KEYS);
    fact->amount = (int64_t)prng_below(&self->prng, 2001) - 1000;
    if (at->lost_count > 0 && prng_chance(&self->prng, 1, 4)) {
        fact->serial = at->lost[--at->lost_count].serial;
    } else if (prng_chance(&self->prng, 1, 3)) {
        fact->serial = ++at->serials;
    }
    const struct world_life *life = &self->lives[prng_below(&self->prng, self->life_count)];
    if (!prng_chance(&self->prng, 1, 2) || life == &self->lives[at->life]) return;
    uint64_t seen = world_life_count_at(self, at, life);
    if (seen == 0) return;
    fact->dependency =
        (struct cairn_dot){life->slot, life->incarnation, 1 + prng_below(&self->prng, seen)};
}

/* Facts are in the memory before the call: it may never return. */
static inline int world_admit(struct world *self, struct world_node *at, uint32_t count)
{
    static struct world_batch batch;
    struct world_life *life = &self->lives[at->life];
    struct cairn_engine *engine = at->node.engine;
    uint8_t before[ADDRESS_SIZE];
    uint8_t after[ADDRESS_SIZE];
    size_t admitted;
    memset(&batch, 0, sizeof batch);
    world_check(self, count <= WORLD_BATCH_MAX && life->attempted == life->count);
    for (uint32_t i = 0; i < count; i++) {
        if (prng_chance(&self->prng, 1, 6) && world_fill_again(self, at, &batch, i)) continue;
        struct world_fact *fact = world_add_fact(life);
        world_new_fact(self, at, fact);
        world_fill(at, &batch, i, life, fact);
    }
    bool looks = prng_chance(&self->prng, 1, 8);
    if (looks) world_check(self, cairn_cells_digest(engine, before) == CAIRN_OK);
    int result = cairn_admit(engine, batch.facts, count, batch.tickets, &admitted);
    for (size_t i = 0; i < admitted; i++) {
        const struct cairn_ticket *ticket = &batch.tickets[i];
        const struct cairn_dot *expected = &batch.expected[i];
        if (expected->sequence != 0) {
            world_check(self, memcmp(&ticket->dot, expected, sizeof *expected) == 0); /* E7 */
            bool earlier = expected->incarnation != life->incarnation;
            world_check(self, !earlier || ticket->position == 0);
            self->again++;
            continue;
        }
        world_check(self, ticket->dot.slot == life->slot);
        world_check(self, ticket->dot.incarnation == life->incarnation);
        world_check(self, ticket->dot.sequence == life->count + 1);
        world_check(self, ticket->position > 0);
        life->facts[life->count++].position = ticket->position;
        self->facts++;
    }
    life->attempted = life->count;
    if (looks && admitted == 0) {
        world_check(self, cairn_cells_digest(engine, after) == CAIRN_OK);
        world_check(self, memcmp(before, after, ADDRESS_SIZE) == 0);
    }
    world_check(self, (result == CAIRN_OK) == (admitted == count));
    world_check_result(self, at, result);
    return result;
}

static inline int world_wait(struct world *self, struct world_node *at)
{
    const struct world_life *life = &self->lives[at->life];
    if (life->count == 0) return CAIRN_OK;
    uint64_t index = prng_below(&self->prng, life->count);
    uint64_t position = life->facts[index].position;
    int result = cairn_wait(at->node.engine, position, 10000);
    world_check_result(self, at, result);
    if (result == CAIRN_OK) {
        world_check(self, life->durable[at - self->nodes] > index);
    }
    return result;
}

static inline int world_flush(struct world *self, struct world_node *at)
{
    int result = cairn_flush(at->node.engine, 10000);
    world_check_result(self, at, result);
    if (result != CAIRN_OK) return result;
    world_note_all_durable(self, at);
    return result;
}

static inline int world_checkpoint(struct world *self, struct world_node *at)
{
    int result = cairn_checkpoint(at->node.engine);
    world_note_durable(self, at);
    if (result == CAIRN_OK) {
        world_note_all_durable(self, at);
        self->checkpoints++;
        return result;
    }
    /* A file may fail alone: the journal goes on without the checkpoint. */
    world_check(self, result == CAIRN_STORAGE_FAILED || result == CAIRN_STORAGE_FULL);
    return result;
}

static inline int world_declare_extra(struct world *self, struct world_node *at)
{
    char name[32];
    uint32_t handle;
    if (at->extras >= 40) return CAIRN_OK;
    (void)snprintf(name, sizeof name, "extra-%u", at->extras);
    int result = cairn_space_declare(at->node.engine, name, CAIRN_PNCOUNTER, &handle);
    world_check_result(self, at, result);
    if (result == CAIRN_OK) at->extras++;
    return result;
}

/* E3 */
static inline void world_note_bundle(struct world *self, const uint8_t *bytes, size_t size)
{
    struct certificate certificate;
    uint8_t address[ADDRESS_SIZE];
    world_check(self, certificate_decode(&certificate, bytes, size) == CAIRN_OK);
    struct world_life *life = world_find_life(self, certificate.slot, certificate.incarnation);
    world_check(self, life != NULL && certificate_last(&certificate) <= life->count);
    uint64_t offset = certificate.size;
    address_of_bytes(bytes, certificate.size, address);
    for (uint32_t i = 0; i < certificate.count; i++) {
        struct fact fact;
        struct world_fact *known = &life->facts[certificate.first - 1 + i];
        uint8_t fact_address[ADDRESS_SIZE];
        world_check(self, fact_decode(&fact, bytes + offset, size - offset) == CAIRN_OK);
        world_check(self, fact.dot.sequence == certificate.first + i);
        address_of_bytes(bytes + offset, fact.size, fact_address);
        if (known->certificate_first == 0) {
            known->certificate_first = certificate.first;
            memcpy(known->certificate, address, ADDRESS_SIZE);
            memcpy(known->address, fact_address, ADDRESS_SIZE);
        }
        world_check(self, known->certificate_first == certificate.first);
        world_check(self, memcmp(known->certificate, address, ADDRESS_SIZE) == 0);
        world_check(self, memcmp(known->address, fact_address, ADDRESS_SIZE) == 0);
        world_check(self, fact.effect_count == 2);
        world_check(self, (int64_t)load_u64(fact.effects[1].payload) == known->amount);
        offset += fact.size;
    }
    world_check(self, offset == size);
    if (life->exported < certificate_last(&certificate)) {
        life->exported = certificate_last(&certificate);
    }
    self->bundles++;
}

/* The next bundle into self->bundle. */
static inline int world_export(struct world *self, struct world_node *from, uint64_t *cursor,
                               size_t *size)
{
    int result = cairn_export(from->node.engine, cursor, self->bundle, CAIRN_BUNDLE_SIZE_MAX, size);
    /* The way to a certificate's facts may lead through damage. */
    if (result == CAIRN_CORRUPT && self->has_damage) result = CAIRN_RECLAIMED;
    if (result == CAIRN_RECLAIMED && self->allows_reclaimed) {
        self->reclaimed++;
        world_note_durable(self, from);
        return result;
    }
    world_note_durable(self, from);
    bool not_read = result == CAIRN_STORAGE_FAILED && from->node.disk.counts.failed_reads > 0;
    if (!not_read) world_check_result(self, from, result);
    if (result == CAIRN_OK) world_note_bundle(self, self->bundle, *size);
    return result;
}

/* Up to `count` bundles; facts that were applied are added to *applied. */
static inline int world_exchange(struct world *self, struct world_node *from, struct world_node *to,
                                 uint32_t count, uint64_t *applied)
{
    uint64_t *cursor = &from->cursor[to - self->nodes];
    for (uint32_t i = 0; i < count; i++) {
        struct cairn_import import;
        size_t size = 0;
        uint64_t before = *cursor;
        int result = world_export(self, from, cursor, &size);
        if (result == CAIRN_RECLAIMED) {
            world_check(self, *cursor > before);
            continue;
        }
        if (result != CAIRN_OK) return result;
        result = cairn_import(to->node.engine, self->bundle, size, &import);
        world_check_result(self, to, result);
        *applied += import.applied;
        if (result == CAIRN_OK) continue;
        *cursor = before; /* it comes again */
        return result;
    }
    return CAIRN_OK;
}

static inline void world_flush_surely(struct world *self, struct world_node *at)
{
    int result = world_flush(self, at);
    if (result == CAIRN_OK) return;
    fail_msg("seed %llu: slot %u: flush: %s", (unsigned long long)self->seed, at->node.member.slot,
             cairn_error_message(at->node.engine));
}

/* Everything to everyone; then all states, and both digests, are the same. */
static inline void world_converge(struct world *self)
{
    uint64_t applied;
    uint32_t rounds = 0;
    for (uint32_t i = 0; i < self->node_count; i++) {
        world_flush_surely(self, &self->nodes[i]);
        memset(self->nodes[i].cursor, 0, sizeof self->nodes[i].cursor);
    }
    do {
        applied = 0;
        world_check(self, rounds++ < 40);
        for (uint32_t i = 0; i < self->node_count; i++) {
            for (uint32_t j = 0; j < self->node_count; j++) {
                if (i == j) continue;
                struct world_node *from = &self->nodes[i];
                int result;
                from->cursor[j] = 0;
                while ((result = world_exchange(self, from, &self->nodes[j], 1, &applied)) !=
                       CAIRN_END) {
                    bool known = result == CAIRN_OK || result == CAIRN_BUSY;
                    world_check(self, known);
                    if (result == CAIRN_BUSY) {
                        world_flush_surely(self, &self->nodes[j]);
                    }
                }
            }
        }
    } while (applied > 0);
    uint8_t digests[WORLD_NODES_MAX][2][ADDRESS_SIZE];
    for (uint32_t i = 0; i < self->node_count; i++) {
        struct world_node *at = &self->nodes[i];
        uint64_t counts[WORLD_LIVES_MAX];
        world_flush_surely(self, at);
        world_check_state(self, at);
        world_counts(self, at, counts);
        for (uint32_t j = 0; j < self->life_count; j++) {
            world_check(self, counts[j] == self->lives[j].count);
        }
        world_check(self, cairn_cells_digest(at->node.engine, digests[i][0]) == CAIRN_OK);
        world_check(self, cairn_facts_digest(at->node.engine, digests[i][1]) == CAIRN_OK);
        world_check(self, memcmp(digests[0][0], digests[i][0], ADDRESS_SIZE) == 0);
        world_check(self, memcmp(digests[0][1], digests[i][1], ADDRESS_SIZE) == 0);
    }
}

/* Runs the step; a power cut ends it. False: it was cut, and the node is closed. */
static inline bool world_run(struct world *self, void (*step)(struct world *world))
{
    if (setjmp(test_cut_jump) == 0) {
        step(self);
        return true;
    }
    for (uint32_t i = 0; i < self->node_count; i++) {
        if (&self->nodes[i].node == test_cut_node) world_crash(self, &self->nodes[i]);
    }
    return false;
}

#endif
