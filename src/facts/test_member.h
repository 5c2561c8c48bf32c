/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests and fuzz targets only: a member in one process. A realm with its staging ring, the
 * certifier behind it, a log that stands for the journal, and a pool of bundles that stands for the
 * network. Allocates nothing: tables come from the caller's arena, so a test can trap allocation.
 */
#ifndef CAIRN_FACTS_TEST_MEMBER_H
#define CAIRN_FACTS_TEST_MEMBER_H

#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "facts/certifier.h"
#include "facts/realm.h"

#define TEST_REALM 7u
#define TEST_WALL_MS UINT64_C(1700000000000)

static const uint8_t test_cluster_id[CAIRN_CLUSTER_ID_SIZE] = "cairn test clust";

struct test_limits {
    struct realm_limits realm;
    uint64_t ring_bytes; /* 0: no ring */
    uint64_t log_bytes;
    uint64_t run_bytes; /* facts between two certificates */
    uint64_t hash_seed;
};

/* Records in the order in which a journal would hold them: u32 kind, u32 size, body, to 8 bytes. */
struct test_log {
    uint8_t *bytes;
    uint64_t size;
    uint64_t maximum;
};

struct test_bundle {
    const uint8_t *bytes;
    uint32_t size;
    uint32_t slot;
    uint32_t incarnation;
    uint32_t count;
    uint64_t first;
};

struct test_pool {
    uint8_t *bytes;
    uint64_t size;
    uint64_t maximum;
    struct test_bundle *bundles;
    uint32_t count;
    uint32_t bundles_max;
};

struct test_member {
    struct realm realm;
    struct ring ring;
    struct certifier certifier;
    struct signature_key key;
    struct test_log log;
    struct test_pool *pool; /* NULL: nothing is certified */
    uint8_t *run;           /* own facts since the last certificate */
    uint32_t run_size;
    uint32_t slot;
    uint32_t incarnation;
    uint8_t *tables; /* of the realm, without the scratch of bundle checks */
    uint64_t tables_size;
};

static inline struct test_limits test_limits_small(void)
{
    struct test_limits limits = {.realm = {.cells_max = 64,
                                           .cell_bytes_max = 64 * 128,
                                           .idempotency_keys_max = 16,
                                           .pending_bytes_max = 256 * 1024,
                                           .pending_bundles_max = 64,
                                           .spaces_max = 4},
                                 .ring_bytes = 16 * 1024,
                                 .log_bytes = 256 * 1024,
                                 .run_bytes = 256 * 1024,
                                 .hash_seed = 99};
    return limits;
}

static inline void test_seed_of_slot(uint32_t slot, uint8_t seed[SIGNATURE_SEED_SIZE])
{
    memset(seed, 0x5a, SIGNATURE_SEED_SIZE);
    store_u32(seed, slot);
}

static inline void test_key_of_slot(uint32_t slot, struct signature_key *key)
{
    uint8_t seed[SIGNATURE_SEED_SIZE];
    test_seed_of_slot(slot, seed);
    signature_key_from_seed(key, seed);
}

/* Takes all tables; with a dry arena, only counts. Members begin with test_member_begin(). */
static inline void test_member_init(struct test_member *self, uint32_t slot,
                                    const struct test_limits *limits, struct test_pool *pool,
                                    struct arena *arena)
{
    uint8_t seed[SIGNATURE_SEED_SIZE];
    memset(self, 0, sizeof *self);
    self->tables = arena->base == NULL ? NULL : arena->base + arena->used;
    uint64_t from = arena->used;
    realm_init(&self->realm, &limits->realm, limits->hash_seed, arena);
    self->tables_size = arena->used - from - FACT_RUN_IDS_BYTES; /* they come last */
    self->realm.realm = TEST_REALM;
    memcpy(self->realm.cluster_id, test_cluster_id, CAIRN_CLUSTER_ID_SIZE);
    realm_tick(&self->realm, TEST_WALL_MS);
    self->slot = slot;
    self->pool = pool;
    uint8_t *ring_bytes = arena_take(arena, limits->ring_bytes + 1, 1, 64);
    if (limits->ring_bytes > 0) {
        if (ring_bytes != NULL) ring_init(&self->ring, ring_bytes, limits->ring_bytes);
        self->realm.ring = &self->ring;
    }
    self->log.maximum = limits->log_bytes;
    self->log.bytes = arena_take(arena, limits->log_bytes + 1, 1, 64);
    self->run = arena_take(arena, limits->run_bytes + 1, 1, 64);
    test_seed_of_slot(slot, seed);
    test_key_of_slot(slot, &self->key);
    certifier_init(&self->certifier, TEST_REALM, slot, test_cluster_id, seed, arena);
}

/* A member on memory of the caller's: `allocate` gives zeroed pages that are never given back. */
static inline struct test_member *test_member_open(void *(*allocate)(uint64_t size), uint32_t slot,
                                                   const struct test_limits *limits,
                                                   struct test_pool *pool)
{
    struct arena arena;
    struct test_member *self = allocate(sizeof *self);
    arena_init(&arena, NULL, 0);
    test_member_init(self, slot, limits, pool, &arena);
    uint64_t size = round_up(arena.used, 4096);
    arena_init(&arena, allocate(size), size);
    test_member_init(self, slot, limits, pool, &arena);
    return self;
}

static inline void test_log_add(struct test_log *self, uint32_t kind, const uint8_t *bytes,
                                uint32_t size)
{
    cairn_assert(self->size + size + 16 <= self->maximum);
    store_u32(self->bytes + self->size, kind);
    store_u32(self->bytes + self->size + 4, size);
    memcpy(self->bytes + self->size + 8, bytes, size);
    self->size += 8 + round_up(size, 8);
}

/* The next record of a log; false after the last. */
static inline bool test_log_next(const struct test_log *self, uint64_t *offset, uint32_t *kind,
                                 const uint8_t **bytes, uint32_t *size)
{
    if (*offset >= self->size) return false;
    *kind = load_u32(self->bytes + *offset);
    *size = load_u32(self->bytes + *offset + 4);
    *bytes = self->bytes + *offset + 8;
    *offset += 8 + round_up(*size, 8);
    return true;
}

/* Certificate and facts as one bundle of the pool. */
static inline struct test_bundle *test_pool_add(struct test_pool *self,
                                                const struct certificate *certificate,
                                                const uint8_t *facts, uint32_t facts_size)
{
    cairn_assert(self->count < self->bundles_max);
    cairn_assert(self->size + CERTIFICATE_SIZE_MAX + facts_size <= self->maximum);
    uint8_t *place = self->bytes + self->size;
    uint32_t size = certificate_encode(certificate, place);
    memcpy(place + size, facts, facts_size);
    struct test_bundle *bundle = &self->bundles[self->count++];
    *bundle = (struct test_bundle){place,
                                   size + facts_size,
                                   certificate->slot,
                                   certificate->incarnation,
                                   certificate->count,
                                   certificate->first};
    self->size += round_up(size + facts_size, 64);
    return bundle;
}

/* Cuts a certificate of what was drained; journals it, puts the bundle into the pool. */
static inline void test_member_cut(struct test_member *self)
{
    struct certificate certificate;
    uint8_t bytes[CERTIFICATE_SIZE_MAX];
    if (certifier_is_empty(&self->certifier)) return;
    certifier_cut(&self->certifier, &certificate);
    uint32_t size = certificate_encode(&certificate, bytes);
    test_log_add(&self->log, RECORD_CERTIFICATE, bytes, size);
    (void)test_pool_add(self->pool, &certificate, self->run, self->run_size);
    self->run_size = 0;
    realm_note_certified(&self->realm, self->incarnation, certificate_last(&certificate),
                         certificate.link);
}

/*
 * The journal's side: takes what is staged, at most `entries`; cuts with a chance of 1 in
 * `cut_one_in` behind each own fact (0: never).
 */
static inline void test_member_drain(struct test_member *self, uint64_t entries,
                                     uint64_t cut_one_in, struct prng *prng)
{
    struct ring_entry entry;
    uint64_t end = 0;
    while (entries-- > 0 && self->realm.ring != NULL && ring_take(&self->ring, &entry)) {
        test_log_add(&self->log, entry.kind, entry.body, entry.size);
        end = entry.end;
        struct cairn_dot dot = {0, 0, 0};
        if (entry.kind == RECORD_FACT) dot = fact_dot(entry.body);
        bool own = self->pool != NULL && entry.kind == RECORD_FACT && dot.slot == self->slot &&
                   dot.incarnation == self->incarnation;
        if (!own) continue;
        if (certifier_is_full(&self->certifier)) test_member_cut(self);
        uint8_t *place = self->run + self->run_size;
        memcpy(place, entry.body, entry.size);
        self->run_size += entry.size;
        certifier_add(&self->certifier, place, entry.size, 0);
        if (cut_one_in != 0 && prng_chance(prng, 1, cut_one_in)) test_member_cut(self);
    }
    if (end != 0) ring_release(&self->ring, end);
}

/* Begins an incarnation; the one before must be drained and cut. */
static inline void test_member_begin(struct test_member *self, uint32_t incarnation,
                                     const uint8_t link[ADDRESS_SIZE])
{
    uint8_t bytes[RECORD_OPEN_SIZE] = {0};
    int result = realm_begin(&self->realm, self->slot, incarnation, link);
    cairn_assert(result == CAIRN_OK);
    certifier_begin(&self->certifier, incarnation, link);
    self->incarnation = incarnation;
    store_u32(bytes, self->slot);
    store_u32(bytes + 4, incarnation);
    memcpy(bytes + 16, test_cluster_id, CAIRN_CLUSTER_ID_SIZE);
    memcpy(bytes + 32, link, ADDRESS_SIZE);
    test_log_add(&self->log, RECORD_OPEN, bytes, sizeof bytes);
}

static inline uint32_t test_member_declare(struct test_member *self, const char *name,
                                           uint32_t type)
{
    struct refusal refusal;
    struct space space;
    uint32_t handle = 0;
    int result = space_make(&space, TEST_REALM, name, type, &refusal);
    cairn_assert(result == CAIRN_OK);
    result = realm_declare(&self->realm, &space, &handle, &refusal);
    cairn_assert(result == CAIRN_OK);
    return handle;
}

static inline void test_member_knows(struct test_member *self, uint32_t slot)
{
    struct refusal refusal;
    struct signature_key key;
    test_key_of_slot(slot, &key);
    int result = realm_add_member(&self->realm, slot, key.public_key, &refusal);
    cairn_assert(result == CAIRN_OK);
}

/* Import, then release, as the engine does it. */
static inline int test_member_import(struct test_member *self, const uint8_t *bytes, uint64_t size,
                                     uint64_t *applied)
{
    struct cairn_import result;
    struct refusal refusal;
    int code = realm_import(&self->realm, bytes, size, &result, &refusal);
    if (code != CAIRN_OK) return code;
    return realm_release(&self->realm, applied, &refusal);
}

/*
 * Everything that a refusal must leave alone: the realm's tables and fields, and the ring's
 * position. Left out: the scratch of bundle checks, and the count of what was dropped.
 */
static inline void test_member_fingerprint(const struct test_member *self,
                                           uint8_t fingerprint[ADDRESS_SIZE])
{
    struct address_stream stream;
    struct realm realm;
    uint64_t positions[2] = {self->ring.staged, self->ring.published};
    memcpy(&realm, &self->realm, sizeof realm);
    memset(&realm.run, 0, sizeof realm.run);
    realm.pending.dropped = 0;
    address_stream_init_plain(&stream);
    address_stream_add(&stream, &realm, sizeof realm);
    address_stream_add(&stream, self->tables, self->tables_size);
    address_stream_add(&stream, positions, sizeof positions);
    address_stream_end(&stream, fingerprint);
}

static inline struct cairn_effect test_effect(uint32_t space, const void *key, uint32_t key_size,
                                              int64_t amount)
{
    struct cairn_effect effect = {key, key_size, space, CAIRN_ADD, 0, amount};
    return effect;
}

/* Admits one fact with one effect; asserts that it was taken. */
static inline struct cairn_dot test_member_add(struct test_member *self, uint32_t space,
                                               const char *key, int64_t amount)
{
    struct cairn_effect effect = test_effect(space, key, (uint32_t)strlen(key), amount);
    struct cairn_fact fact = {.effects = &effect, .effect_count = 1};
    struct cairn_ticket ticket;
    struct refusal refusal;
    size_t admitted;
    int result = realm_admit(&self->realm, &fact, 1, &ticket, &admitted, &refusal);
    cairn_assert(result == CAIRN_OK && admitted == 1);
    return ticket.dot;
}

#endif
