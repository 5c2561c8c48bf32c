/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second door: bundles of other members. What is refused changes nothing; what cannot be
 * applied yet waits, in bounded memory, and is never mixed with what contradicts it. Defects of
 * other kernels that must not come back: facts taken without their dependencies, bytes that nobody
 * signed, counts from the wire that size an allocation, a full buffer that loses what it took.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "facts/test_world.h"

/* ---- Refusals ------------------------------------------------------------------------------ */

struct forged {
    struct certificate certificate;
    uint8_t facts[64 * 1024];
    uint32_t facts_size;
    uint8_t bytes[CERTIFICATE_SIZE_MAX + 64 * 1024];
    uint32_t size;
};

static struct forged *forge(const struct test_bundle *bundle)
{
    static struct forged forged;
    memset(&forged, 0, sizeof forged);
    int result = certificate_decode(&forged.certificate, bundle->bytes, bundle->size);
    assert_int_equal(result, CAIRN_OK);
    forged.facts_size = bundle->size - forged.certificate.size;
    memcpy(forged.facts, bundle->bytes + forged.certificate.size, forged.facts_size);
    return &forged;
}

/* As a lying member would: count, size, root and link of these facts, signed by a slot's key. */
static void forge_certificate(struct forged *forged, uint32_t signer, bool recount)
{
    static uint8_t ids[1024][ADDRESS_SIZE];
    struct certificate *certificate = &forged->certificate;
    struct signature_key key;
    if (recount) {
        struct fact fact;
        uint32_t count = 0;
        for (uint32_t at = 0; at < forged->facts_size; at += fact.size) {
            int result = fact_decode(&fact, forged->facts + at, forged->facts_size - at);
            assert_int_equal(result, CAIRN_OK);
            address_of_record(ADDRESS_FACT, forged->facts + at, fact.size, ids[count++]);
        }
        certificate->count = count;
        certificate->facts_size = forged->facts_size;
        merkle_root(ids[0], count, certificate->root);
    }
    certificate_set_link(certificate);
    test_key_of_slot(signer, &key);
    certificate_sign(certificate, &key);
}

static void forge_bytes(struct forged *forged)
{
    forged->size = certificate_encode(&forged->certificate, forged->bytes);
    memcpy(forged->bytes + forged->size, forged->facts, forged->facts_size);
    forged->size += forged->facts_size;
}

static void expect_import(struct test_member *member, const uint8_t *bytes, uint64_t size,
                          int expected)
{
    uint8_t before[ADDRESS_SIZE];
    uint8_t after[ADDRESS_SIZE];
    struct cairn_import result;
    struct refusal refusal = {0};
    uint8_t *memory = malloc((size_t)size + (size == 0));
    assert_non_null(memory);
    memcpy(memory, bytes, (size_t)size);
    test_member_fingerprint(member, before);
    int code = realm_import(&member->realm, memory, size, &result, &refusal);
    test_member_fingerprint(member, after);
    free(memory);
    if (code != expected) fail_msg("%d in place of %d (%s)", code, expected, refusal.field);
    if (code != CAIRN_OK) {
        char text[CAIRN_ERROR_MESSAGE_SIZE_MAX];
        assert_int_equal(refusal.code, code);
        assert_non_null(refusal.field);
        refusal_text(&refusal, text, sizeof text);
    }
    assert_memory_equal(before, after, ADDRESS_SIZE);
}

static void expect_forged(struct test_member *member, struct forged *forged, int expected)
{
    forge_bytes(forged);
    expect_import(member, forged->bytes, forged->size, expected);
}

/* Member 1 made one bundle of four facts, member 2 one that depends on its last. */
static void two_bundles(struct world *world)
{
    struct test_limits limits = test_limits_small();
    world_init(world, 2, &limits, 41);
    for (uint32_t i = 0; i < 4; i++) {
        while (!world_admit(world, world->members[0]))
            abort();
    }
    settle(world);
    assert_int_equal(deliver(world, world->members[1], &world->pool.bundles[0]), CAIRN_OK);
    struct test_member *second = world->members[1];
    struct cairn_dot dot = {1, world->members[0]->incarnation, 4};
    struct cairn_effect effect = test_effect(handle_of(second, 1), "aaa", 1, 3);
    struct cairn_fact fact = {
        .effects = &effect, .effect_count = 1, .dependencies = &dot, .dependency_count = 1};
    struct cairn_ticket ticket;
    struct refusal refusal;
    size_t admitted;
    assert_int_equal(realm_admit(&second->realm, &fact, 1, &ticket, &admitted, &refusal), CAIRN_OK);
    settle(world);
    assert_int_equal(world->pool.count, 2);
}

static uint32_t size_of_fact(const uint8_t *bytes, uint32_t available)
{
    struct fact fact;
    assert_int_equal(fact_decode(&fact, bytes, available), CAIRN_OK);
    return fact.size;
}

static void every_refusal_of_a_bundle_changes_nothing(void **state)
{
    static struct world world;
    struct test_limits limits = test_limits_small();
    (void)state;
    two_bundles(&world);
    const struct test_bundle *bundle = &world.pool.bundles[0];
    struct test_member *observer = open_member(&limits, 99, 2, NULL, false);
    struct forged *forged = forge(bundle);

    forged->certificate.cluster_id[15] ^= 1;
    forge_certificate(forged, 1, true);
    expect_forged(observer, forged, CAIRN_FOREIGN);

    forged = forge(bundle);
    forged->certificate.realm++;
    forge_certificate(forged, 1, true);
    expect_forged(observer, forged, CAIRN_FOREIGN);

    forged = forge(bundle);
    forged->certificate.slot = 3;
    forge_certificate(forged, 3, true);
    expect_forged(observer, forged, CAIRN_UNKNOWN_MEMBER);

    forged = forge(bundle);
    forge_certificate(forged, 2, true);
    expect_forged(observer, forged, CAIRN_BAD_SIGNATURE);

    forged = forge(bundle); /* member 2 signs for itself, over facts of member 1 */
    forged->certificate.slot = 2;
    forge_certificate(forged, 2, true);
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    forged = forge(bundle);
    forged->certificate.incarnation++;
    forge_certificate(forged, 1, true);
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    forged = forge(bundle);
    forged->certificate.first++;
    forge_certificate(forged, 1, true);
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    forged = forge(bundle);
    forged->certificate.root[0] ^= 1;
    forge_certificate(forged, 1, false);
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    forged = forge(bundle);
    forged->certificate.count++;
    forge_certificate(forged, 1, false);
    forge_bytes(forged);
    assert_true(test_member_import(observer, forged->bytes, forged->size, &(uint64_t){0}) < 0);
    forged->certificate.count -= 2;
    forge_certificate(forged, 1, false);
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    forged = forge(bundle);
    forged->certificate.facts_size += 64;
    forge_certificate(forged, 1, false);
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    /* Reordered, doubled, missing, and one more: with the right root of just these bytes. */
    forged = forge(bundle);
    uint32_t first_size = size_of_fact(forged->facts, forged->facts_size);
    memmove(forged->facts, bundle->bytes + forged->certificate.size + first_size,
            forged->facts_size - first_size);
    memcpy(forged->facts + forged->facts_size - first_size,
           bundle->bytes + forged->certificate.size, first_size);
    forge_certificate(forged, 1, true);
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    forged = forge(bundle);
    memcpy(forged->facts + forged->facts_size, forged->facts, first_size);
    forged->facts_size += first_size;
    forge_certificate(forged, 1, true);
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    forged = forge(bundle);
    memmove(forged->facts, forged->facts + first_size, forged->facts_size - first_size);
    forged->facts_size -= first_size;
    forge_certificate(forged, 1, true);
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    forged = forge(bundle); /* the honest certificate, without its first fact */
    memmove(forged->facts, forged->facts + first_size, forged->facts_size - first_size);
    forged->facts_size -= first_size;
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    forged = forge(bundle); /* facts of another realm */
    store_u32(forged->facts + 4, TEST_REALM + 1);
    forge_certificate(forged, 1, true);
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    forged = forge(bundle); /* facts that an encoder would not make */
    forged->facts[1] = 0x80;
    forge_certificate(forged, 1, false);
    expect_forged(observer, forged, CAIRN_NOT_CANONICAL);

    forged = forge(bundle); /* bytes behind the last fact, counted in and not */
    memset(forged->facts + forged->facts_size, 0, 64);
    forged->facts_size += 64;
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);
    forged->certificate.facts_size += 64;
    forge_certificate(forged, 1, false);
    expect_forged(observer, forged, CAIRN_BAD_CERTIFICATE);

    /* A space that was not declared here; a negative amount for a grow-only counter. */
    struct test_member *stranger = test_member_open(allocate, 98, &limits, NULL);
    test_member_knows(stranger, 1);
    expect_import(stranger, bundle->bytes, bundle->size, CAIRN_UNKNOWN_SPACE);
    (void)test_member_declare(stranger, "grow", CAIRN_PNCOUNTER); /* another type, another id */
    expect_import(stranger, bundle->bytes, bundle->size, CAIRN_UNKNOWN_SPACE);

    assert_int_equal(deliver(&world, observer, bundle), CAIRN_OK);
    assert_int_equal(observer->realm.counters.facts_imported, 4);
}

static void every_bit_of_a_bundle_matters(void **state)
{
    static struct world world;
    struct test_limits limits = test_limits_small();
    uint8_t bytes[4096];
    (void)state;
    two_bundles(&world);
    struct test_member *observer = open_member(&limits, 99, 2, NULL, false);
    for (uint32_t b = 0; b < 2; b++) {
        const struct test_bundle *bundle = &world.pool.bundles[b];
        struct cairn_import result;
        struct refusal refusal;
        uint8_t before[ADDRESS_SIZE];
        uint8_t after[ADDRESS_SIZE];
        assert_true(bundle->size <= sizeof bytes);
        memcpy(bytes, bundle->bytes, bundle->size);
        test_member_fingerprint(observer, before);
        for (uint32_t bit = 0; bit < bundle->size * 8; bit += rounds(8) == 8 ? 1 : 11) {
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            int code = realm_import(&observer->realm, bytes, bundle->size, &result, &refusal);
            if (code == CAIRN_OK) fail_msg("bundle %u bit %u", b, bit);
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        for (uint32_t left = 0; left < bundle->size; left += rounds(8) == 8 ? 1 : 5) {
            int code = realm_import(&observer->realm, bytes, left, &result, &refusal);
            assert_int_not_equal(code, CAIRN_OK);
        }
        test_member_fingerprint(observer, after);
        assert_memory_equal(before, after, ADDRESS_SIZE);
        assert_int_equal(deliver(&world, observer, bundle), CAIRN_OK);
    }
    assert_int_equal(observer->realm.counters.facts_imported, 5);
}

/* A second certificate of the same origin for dots that another one covers, in all overlaps. */
static void equivocation_is_refused(void **state)
{
    static struct world world;
    struct test_limits limits = test_limits_small();
    (void)state;
    two_bundles(&world);
    const struct test_bundle *bundle = &world.pool.bundles[0];
    struct forged *forged = forge(bundle);
    uint32_t first_size = size_of_fact(forged->facts, forged->facts_size);

    /* Applied before: other content for the same dots. */
    struct test_member *observer = open_member(&limits, 99, 2, NULL, false);
    assert_int_equal(deliver(&world, observer, bundle), CAIRN_OK);
    store_u64(forged->facts + 24, load_u64(forged->facts + 24) + 1); /* the first fact's clock */
    forge_certificate(forged, 1, true);
    expect_forged(observer, forged, CAIRN_EQUIVOCATION);
    /* The same facts, cut otherwise: shorter is a duplicate, later beginning is a contradiction. */
    forged = forge(bundle);
    memmove(forged->facts, forged->facts + first_size, forged->facts_size - first_size);
    forged->facts_size -= first_size;
    forged->certificate.first = 2;
    forge_certificate(forged, 1, true);
    expect_forged(observer, forged, CAIRN_EQUIVOCATION);
    /* It continues, but names another predecessor. */
    forged = forge(bundle);
    forged->certificate.first = 5;
    forged->facts_size = first_size;
    store_u64(forged->facts + 16, 5);
    forged->certificate.previous[0] ^= 1;
    forge_certificate(forged, 1, true);
    expect_forged(observer, forged, CAIRN_EQUIVOCATION);
}

/* The same while the first of the two still waits: what waits is not mixed with the other. */
static void equivocation_of_what_waits_is_refused(void **state)
{
    static struct world world;
    struct test_limits limits = test_limits_small();
    (void)state;
    two_bundles(&world);
    const struct test_bundle *bundle = &world.pool.bundles[1]; /* waits for bundle 0 */
    struct test_member *observer = open_member(&limits, 99, 2, NULL, false);
    assert_int_equal(deliver(&world, observer, bundle), CAIRN_OK);
    assert_int_equal(observer->realm.pending.count, 1);
    struct forged *forged = forge(bundle);
    store_u64(forged->facts + 24, load_u64(forged->facts + 24) + 1);
    forge_certificate(forged, 2, true);
    expect_forged(observer, forged, CAIRN_EQUIVOCATION);
    /* The very same again is only a duplicate. */
    expect_import(observer, bundle->bytes, bundle->size, CAIRN_OK);
}

/*
 * A bundle that was applied in part, and waits; another certificate for its dots, longer and
 * shorter. Whatever is taken, the facts of one certificate are never mixed with another's.
 */
static void a_bundle_in_progress_keeps_others_out(void **state)
{
    (void)state;
    for (uint32_t length = 1; length <= 4; length++) {
        static struct world world;
        struct test_limits limits = test_limits_small();
        world_init(&world, 2, &limits, 51);
        struct test_member *first = world.members[0];
        struct test_member *second = world.members[1];
        /* Member 2: a fact, one that depends on member 1, and one more: all in one bundle. */
        assert_true(world_admit(&world, first));
        settle(&world);
        assert_true(world_admit(&world, second));
        assert_int_equal(deliver(&world, second, &world.pool.bundles[0]), CAIRN_OK);
        struct cairn_dot dot = {1, first->incarnation, 1};
        struct cairn_effect effect = test_effect(handle_of(second, 1), "aaa", 1, 3);
        struct cairn_fact fact = {
            .effects = &effect, .effect_count = 1, .dependencies = &dot, .dependency_count = 1};
        struct cairn_ticket ticket;
        struct refusal refusal;
        size_t admitted;
        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(realm_admit(&second->realm, &fact, 1, &ticket, &admitted, &refusal),
                             CAIRN_OK);
        }
        settle(&world);
        assert_int_equal(world.pool.count, 2);
        struct test_member *observer = open_member(&limits, 99, 2, NULL, false);
        const struct test_bundle *bundle = &world.pool.bundles[1];
        assert_int_equal(deliver(&world, observer, bundle), CAIRN_OK);
        assert_int_equal(observer->realm.counters.facts_imported, 1);
        assert_int_equal(observer->realm.pending.count, 1);
        /* A lie of `length` facts without dependencies, each with its own clock. */
        struct forged *forged = forge(bundle);
        uint32_t size = size_of_fact(forged->facts, forged->facts_size);
        for (uint32_t i = 0; i < length; i++) {
            memmove(forged->facts + i * size, forged->facts, size);
            store_u64(forged->facts + i * size + 16, i + 1);
            store_u64(forged->facts + i * size + 24, load_u64(forged->facts + 24) + 1);
        }
        forged->facts_size = length * size;
        forge_certificate(forged, 2, true);
        expect_forged(observer, forged, CAIRN_EQUIVOCATION);
        uint64_t applied = 0;
        assert_int_equal(realm_release(&observer->realm, &applied, &refusal), CAIRN_OK);
        assert_int_equal(deliver(&world, observer, &world.pool.bundles[0]), CAIRN_OK);
        assert_int_equal(observer->realm.counters.facts_imported, 4);
        uint32_t index = origins_newest(&observer->realm.origins, 2);
        assert_memory_equal(observer->realm.origins.details[index].link, second->certifier.link,
                            ADDRESS_SIZE);
        assert_int_equal(observer->realm.origins.details[index].certified, 3);
        assert_true(realm_is_valid(&observer->realm));
        give_back_to(0);
    }
}

/*
 * Own facts come back from a peer: nothing to do. Facts of an own dot that was not given out here,
 * or of a newer incarnation of this member, can only come from a copy of its folder.
 */
static void own_facts_that_come_back_change_nothing(void **state)
{
    static struct world world;
    (void)state;
    two_bundles(&world);
    struct test_member *member = world.members[0];
    const struct test_bundle *bundle = &world.pool.bundles[0];
    uint8_t before[ADDRESS_SIZE];
    uint8_t after[ADDRESS_SIZE];
    test_member_fingerprint(member, before);
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t duplicates = member->realm.counters.facts_duplicate;
        assert_int_equal(deliver(&world, member, bundle), CAIRN_OK);
        assert_int_equal(member->realm.counters.facts_duplicate, duplicates + 4);
        member->realm.counters.facts_duplicate = duplicates;
    }
    test_member_fingerprint(member, after);
    assert_memory_equal(before, after, ADDRESS_SIZE);

    struct forged *forged = forge(bundle);
    uint32_t size = size_of_fact(forged->facts, forged->facts_size);
    forged->facts_size = size;
    forged->certificate.first = 5;
    store_u64(forged->facts + 16, 5);
    memcpy(forged->certificate.previous, member->certifier.link, ADDRESS_SIZE);
    forge_certificate(forged, 1, true);
    expect_forged(member, forged, CAIRN_EQUIVOCATION);

    forged = forge(bundle);
    forged->facts_size = size;
    forged->certificate.incarnation++;
    store_u32(forged->facts + 12, forged->certificate.incarnation);
    memcpy(forged->certificate.previous, member->certifier.link, ADDRESS_SIZE);
    forge_certificate(forged, 1, true);
    expect_forged(member, forged, CAIRN_EQUIVOCATION);
    assert_true(world_admit(&world, member));
    assert_true(realm_is_valid(&member->realm));
}

/* ---- Bounded buffers ----------------------------------------------------------------------- */

/* Everything in reverse order through a pending buffer that cannot hold it: busy, and later all. */
static void a_full_pending_buffer_is_busy_and_later_completes(void **state)
{
    uint64_t busy = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        static struct world world;
        struct test_limits limits = test_limits_small();
        uint8_t digest[ADDRESS_SIZE];
        limits.log_bytes = 1024 * 1024;
        world_init(&world, 3, &limits, 60 + seed);
        world_run(&world, 150, 2, 40);
        deliver_all(&world, world.members[0]);
        origins_digest(&world.members[0]->realm.origins, digest);
        if (seed % 2 == 0) limits.realm.pending_bytes_max = 6 * PENDING_PAGE_SIZE;
        if (seed % 2 != 0) limits.realm.pending_bundles_max = 4;
        struct test_member *observer = open_member(&limits, 99, 3, NULL, false);
        uint64_t dropped_before = UINT64_MAX;
        for (uint32_t pass = 0; observer->realm.pending.dropped != dropped_before; pass++) {
            dropped_before = observer->realm.pending.dropped;
            for (uint32_t i = world.pool.count; i-- > 0;) {
                const struct test_bundle *bundle = &world.pool.bundles[i];
                struct cairn_import result;
                struct refusal refusal = {0};
                uint8_t before[ADDRESS_SIZE];
                uint8_t after[ADDRESS_SIZE];
                uint64_t dropped = observer->realm.pending.dropped;
                test_member_fingerprint(observer, before);
                int code =
                    realm_import(&observer->realm, bundle->bytes, bundle->size, &result, &refusal);
                if (code == CAIRN_BUSY) {
                    busy++;
                    test_member_fingerprint(observer, after);
                    assert_memory_equal(before, after, ADDRESS_SIZE);
                    assert_int_equal(observer->realm.pending.dropped, dropped + 1);
                    continue;
                }
                assert_int_equal(code, CAIRN_OK);
                uint64_t applied = 0;
                assert_int_equal(realm_release(&observer->realm, &applied, &refusal), CAIRN_OK);
                test_member_drain(observer, UINT64_MAX, 0, &world.prng);
            }
            assert_true(pass < 200);
        }
        check_member(&world, observer, digest);
        give_back_to(0);
    }
    assert_true(busy > 50);
}

/*
 * The ring is full in the middle of a bundle, at every place: BUSY, and the next release goes on
 * there. What the journal sees is each fact once, in order, then the certificate.
 */
static void a_full_ring_in_the_middle_of_a_release(void **state)
{
    static struct world world;
    struct test_limits limits = test_limits_small();
    uint8_t digest[ADDRESS_SIZE];
    (void)state;
    limits.ring_bytes = 32 * 1024;
    world_init(&world, 2, &limits, 71);
    for (uint32_t i = 0; i < 60; i++)
        assert_true(world_admit(&world, world.members[0]));
    settle(&world);
    assert_int_equal(world.pool.count, 1);
    origins_digest(&world.members[0]->realm.origins, digest);
    limits.ring_bytes = 8192;
    uint32_t mark = piece_count;
    for (uint64_t drained = 1; drained <= 70; drained++) {
        struct test_member *observer = open_member(&limits, 99, 2, NULL, true);
        const struct test_bundle *bundle = &world.pool.bundles[0];
        struct cairn_import result;
        struct refusal refusal = {0};
        uint64_t applied = 0;
        uint32_t blocked = 0;
        int code = realm_import(&observer->realm, bundle->bytes, bundle->size, &result, &refusal);
        assert_int_equal(code, CAIRN_OK);
        while ((code = realm_release(&observer->realm, &applied, &refusal)) != CAIRN_OK) {
            uint64_t had = applied;
            assert_int_equal(code, CAIRN_BUSY);
            assert_int_equal(realm_release(&observer->realm, &applied, &refusal), CAIRN_BUSY);
            assert_int_equal(applied, had);
            assert_true(realm_is_valid(&observer->realm));
            test_member_drain(observer, drained, 0, &world.prng);
            blocked++;
        }
        assert_true(blocked > 0);
        assert_int_equal(applied, 60);
        test_member_drain(observer, UINT64_MAX, 0, &world.prng);
        check_member(&world, observer, digest);
        uint64_t offset = 0;
        uint64_t facts = 0;
        uint64_t certificates = 0;
        const uint8_t *bytes;
        uint32_t kind;
        uint32_t size;
        while (test_log_next(&observer->log, &offset, &kind, &bytes, &size)) {
            if (kind == RECORD_FACT) assert_int_equal(fact_dot(bytes).sequence, ++facts);
            if (kind != RECORD_CERTIFICATE) continue;
            assert_int_equal(facts, 60);
            certificates++;
        }
        assert_int_equal(certificates, 1);
        give_back_to(mark);
    }
}

/* Cells are full in the middle of a release: FULL, as often as it is tried, and nothing breaks. */
static void full_cells_hold_a_release_back(void **state)
{
    static struct world world;
    struct test_limits limits = test_limits_small();
    (void)state;
    world_init(&world, 2, &limits, 81);
    for (uint32_t i = 0; i < 30; i++)
        assert_true(world_admit(&world, world.members[0]));
    settle(&world);
    limits.realm.cells_max = 5;
    struct test_member *observer = open_member(&limits, 99, 2, NULL, false);
    uint64_t applied = 0;
    struct refusal refusal = {0};
    int code = test_member_import(observer, world.pool.bundles[0].bytes, world.pool.bundles[0].size,
                                  &applied);
    assert_int_equal(code, CAIRN_FULL);
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t before[ADDRESS_SIZE];
        uint8_t after[ADDRESS_SIZE];
        test_member_fingerprint(observer, before);
        assert_int_equal(realm_release(&observer->realm, &applied, &refusal), CAIRN_FULL);
        test_member_fingerprint(observer, after);
        assert_memory_equal(before, after, ADDRESS_SIZE);
    }
    assert_true(applied < 30 && realm_is_valid(&observer->realm));
}

/* ---- Time ---------------------------------------------------------------------------------- */

/* A fact from more than 500 ms ahead waits, unmerged, until the wall clock has come closer. */
static void facts_from_the_future_wait(void **state)
{
    static struct world world;
    struct test_limits limits = test_limits_small();
    struct refusal refusal;
    uint64_t applied = 0;
    (void)state;
    world_init(&world, 2, &limits, 91);
    realm_tick(&world.members[0]->realm, TEST_WALL_MS + 501);
    assert_true(world_admit(&world, world.members[0]));
    settle(&world);
    struct test_member *observer = open_member(&limits, 99, 2, NULL, false);
    for (uint64_t wall = TEST_WALL_MS - 400; wall <= TEST_WALL_MS; wall += 100) {
        realm_tick(&observer->realm, wall);
        assert_int_equal(deliver(&world, observer, &world.pool.bundles[0]), CAIRN_OK);
        assert_int_equal(realm_release(&observer->realm, &applied, &refusal), CAIRN_OK);
        assert_int_equal(observer->realm.counters.facts_imported, 0);
        assert_int_equal(observer->realm.pending.count, 1);
        assert_int_equal(observer->realm.clock.last, 0);
    }
    realm_tick(&observer->realm, TEST_WALL_MS + 1);
    assert_int_equal(realm_release(&observer->realm, &applied, &refusal), CAIRN_OK);
    assert_int_equal(observer->realm.counters.facts_imported, 1);
    assert_int_equal(observer->realm.clock.last, world.members[0]->realm.clock.last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, give_back)
        TEST(every_refusal_of_a_bundle_changes_nothing),
        TEST(every_bit_of_a_bundle_matters),
        TEST(equivocation_is_refused),
        TEST(equivocation_of_what_waits_is_refused),
        TEST(a_bundle_in_progress_keeps_others_out),
        TEST(own_facts_that_come_back_change_nothing),
        TEST(a_full_pending_buffer_is_busy_and_later_completes),
        TEST(a_full_ring_in_the_middle_of_a_release),
        TEST(full_cells_hold_a_release_back),
        TEST(facts_from_the_future_wait),
#undef TEST
    };
    address_init();
    if (!signature_init()) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
