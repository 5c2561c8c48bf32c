/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first door: admission. Defects of other kernels that must not come back are named at their
 * tests: a dependency that was never seen is admitted, or one that was seen is refused (causality);
 * a fact is applied twice; state is changed although the caller is told "busy"; a sum wraps; a fact
 * of several effects is applied in part.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "facts/test_world.h"

/* As if there had been incarnations before. */
static const uint8_t some_link[ADDRESS_SIZE] = {1};

/* A member with two spaces (0: gcounter, 1: pncounter), three known members, some facts of 9. */
static struct test_member *open_realm(const struct test_limits *limits)
{
    struct test_member *member = test_member_open(allocate, 1, limits, NULL);
    assert_int_equal(test_member_declare(member, "grow", CAIRN_GCOUNTER), 0);
    assert_int_equal(test_member_declare(member, "sum", CAIRN_PNCOUNTER), 1);
    for (uint32_t slot = 0; slot < 3; slot++)
        test_member_knows(member, slot);
    test_member_begin(member, 4, some_link);
    memcpy(member->realm.origins.details[member->realm.own].base, some_link, ADDRESS_SIZE);
    return member;
}

/* As if facts of other members had been imported: slots 2, 3, ... with 100 facts each. */
static void see_others(struct test_member *member, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = origins_add(&member->realm.origins, 2 + i, 6, some_link);
        assert_int_not_equal(index, ORIGIN_NONE);
        member->realm.origins.clocks[index].applied = 100;
    }
}

static int admit(struct test_member *member, const struct cairn_fact *fact,
                 struct cairn_ticket *ticket)
{
    struct refusal refusal = {0};
    struct cairn_ticket unused;
    size_t admitted = 99;
    int result = realm_admit(&member->realm, fact, 1, ticket != NULL ? ticket : &unused, &admitted,
                             &refusal);
    assert_int_equal(admitted, result == CAIRN_OK);
    if (result != CAIRN_OK) {
        char text[CAIRN_ERROR_MESSAGE_SIZE_MAX];
        assert_int_equal(refusal.code, result);
        assert_int_equal(refusal.item, 0);
        assert_non_null(refusal.field);
        refusal_text(&refusal, text, sizeof text);
        assert_true(strlen(text) > 10);
    }
    return result;
}

static i128 sum_of(struct test_member *member, uint32_t space, const char *key)
{
    struct cell *cell =
        realm_cell(&member->realm, space, (const uint8_t *)key, (uint32_t)strlen(key));
    return cell == NULL ? 0 : cell->sum;
}

static uint64_t own_applied(const struct test_member *member)
{
    return member->realm.origins.clocks[member->realm.own].applied;
}

static void expect_refused(struct test_member *member, const struct cairn_fact *fact, int expected)
{
    uint8_t before[ADDRESS_SIZE];
    uint8_t after[ADDRESS_SIZE];
    test_member_fingerprint(member, before);
    int result = admit(member, fact, NULL);
    test_member_fingerprint(member, after);
    if (result != expected) fail_msg("%d in place of %d", result, expected);
    assert_memory_equal(before, after, ADDRESS_SIZE); /* F3 */
}

/* ---- Refusals ------------------------------------------------------------------------------ */

static uint8_t long_key[CAIRN_KEY_SIZE_MAX + 1];

/* One lawful fact, and every way in which include/cairn.h lets it be refused. */
static void every_refusal_leaves_the_realm_as_it_was(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    struct cairn_effect effects[CAIRN_EFFECTS_MAX + 1];
    struct cairn_dot dots[CAIRN_DEPENDENCIES_MAX + 1];
    const uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE] = "idempotency key";
    (void)state;
    see_others(member, 2);
    test_member_add(member, 0, "known", 1);
    for (uint32_t i = 0; i <= CAIRN_EFFECTS_MAX; i++)
        effects[i] = test_effect(1, "k", 1, 1);
    for (uint32_t i = 0; i <= CAIRN_DEPENDENCIES_MAX; i++) {
        dots[i] = (struct cairn_dot){2, 6, 1 + i};
    }
    struct cairn_fact fact = {.effects = effects,
                              .dependencies = dots,
                              .idempotency_key = key,
                              .effect_count = CAIRN_EFFECTS_MAX,
                              .dependency_count = CAIRN_DEPENDENCIES_MAX};
    assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
    fact.idempotency_key = NULL;

    fact.effect_count = 0;
    expect_refused(member, &fact, CAIRN_INVALID_ARGUMENT);
    fact.effect_count = CAIRN_EFFECTS_MAX + 1;
    expect_refused(member, &fact, CAIRN_TOO_LARGE);
    fact.effect_count = UINT32_MAX;
    expect_refused(member, &fact, CAIRN_TOO_LARGE);
    fact.effect_count = CAIRN_EFFECTS_MAX;
    fact.effects = NULL;
    expect_refused(member, &fact, CAIRN_INVALID_ARGUMENT);
    fact.effects = effects;

    fact.dependency_count = CAIRN_DEPENDENCIES_MAX + 1;
    expect_refused(member, &fact, CAIRN_TOO_LARGE);
    fact.dependency_count = UINT32_MAX;
    expect_refused(member, &fact, CAIRN_TOO_LARGE);
    fact.dependency_count = CAIRN_DEPENDENCIES_MAX;
    fact.dependencies = NULL;
    expect_refused(member, &fact, CAIRN_INVALID_ARGUMENT);
    fact.dependencies = dots;

    /* At every index of the effects and of the dependencies. */
    for (uint32_t i = 0; i < CAIRN_EFFECTS_MAX; i++) {
        const struct cairn_effect good = effects[i];
        effects[i].key = NULL;
        expect_refused(member, &fact, CAIRN_INVALID_ARGUMENT);
        effects[i] = good;
        effects[i].key_size = 0;
        expect_refused(member, &fact, CAIRN_INVALID_ARGUMENT);
        effects[i].key = long_key;
        effects[i].key_size = CAIRN_KEY_SIZE_MAX + 1;
        expect_refused(member, &fact, CAIRN_TOO_LARGE);
        effects[i].key_size = UINT32_MAX;
        expect_refused(member, &fact, CAIRN_TOO_LARGE);
        effects[i] = good;
        effects[i].space = 2;
        expect_refused(member, &fact, CAIRN_UNKNOWN_SPACE);
        effects[i].space = UINT32_MAX;
        expect_refused(member, &fact, CAIRN_UNKNOWN_SPACE);
        effects[i] = good;
        effects[i].operation = 0;
        expect_refused(member, &fact, CAIRN_WRONG_TYPE);
        effects[i].operation = UINT32_MAX;
        expect_refused(member, &fact, CAIRN_WRONG_TYPE);
        effects[i].operation = CAIRN_ADD + 65536;
        expect_refused(member, &fact, CAIRN_WRONG_TYPE);
        effects[i] = good;
        effects[i].space = 0;
        effects[i].amount = -1;
        expect_refused(member, &fact, CAIRN_NEGATIVE);
        effects[i].amount = INT64_MIN;
        expect_refused(member, &fact, CAIRN_NEGATIVE);
        effects[i] = good;
        effects[i].reserved = 1;
        expect_refused(member, &fact, CAIRN_INVALID_ARGUMENT);
        effects[i] = good;
    }
    for (uint32_t i = 0; i < CAIRN_DEPENDENCIES_MAX; i++) {
        const struct cairn_dot good = dots[i];
        const struct cairn_dot unseen[] = {
            {2, 6, 101},
            {2, 6, UINT64_MAX},
            {2, 7, 1},
            {9, 1, 1},
            {1, 4, 3},
            {1, 5, 1},
            {258, 6, 1} /* shares a map entry with 2 */,
            {UINT32_MAX, 6, 1},
        };
        for (size_t j = 0; j < sizeof unseen / sizeof unseen[0]; j++) {
            dots[i] = unseen[j];
            expect_refused(member, &fact, CAIRN_UNSEEN_DEPENDENCY);
        }
        dots[i] = (struct cairn_dot){2, 6, 0};
        expect_refused(member, &fact, CAIRN_INVALID_ARGUMENT);
        dots[i] = good;
    }

    /* One byte too large: 32 + 128 + 4 effects. */
    fact.effect_count = 4;
    for (uint32_t i = 0; i < 3; i++)
        effects[i] = test_effect(1, long_key, CAIRN_KEY_SIZE_MAX, 1);
    effects[3] = test_effect(1, long_key, 864 - 128 + 1, 1);
    expect_refused(member, &fact, CAIRN_TOO_LARGE);
    effects[3].key_size--;
    assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);

    /* The same idempotency key for something else. */
    fact.idempotency_key = key;
    fact.effect_count = 1;
    expect_refused(member, &fact, CAIRN_IDEMPOTENCY_MISMATCH);
    assert_true(realm_is_valid(&member->realm));
}

/* What was admitted before the refusal stays, in order; the rest was not touched. */
static void a_batch_stops_at_its_first_refusal(void **state)
{
    enum { COUNT = 150 };
    (void)state;
    for (uint32_t bad = 0; bad <= COUNT; bad += rounds(8) == 8 ? 1 : 9) {
        struct test_limits limits = test_limits_small();
        limits.ring_bytes = 64 * 1024;
        struct test_member *member = open_realm(&limits);
        struct cairn_effect effects[COUNT];
        struct cairn_fact facts[COUNT];
        struct cairn_ticket tickets[COUNT];
        struct refusal refusal = {0};
        size_t admitted = 0;
        memset(facts, 0, sizeof facts);
        for (uint32_t i = 0; i < COUNT; i++) {
            effects[i] = test_effect(0, "k", 1, i == bad ? -1 : 1);
            facts[i].effects = &effects[i];
            facts[i].effect_count = 1;
        }
        int result = realm_admit(&member->realm, facts, COUNT, tickets, &admitted, &refusal);
        assert_int_equal(result, bad < COUNT ? CAIRN_NEGATIVE : CAIRN_OK);
        assert_int_equal(admitted, bad);
        if (bad < COUNT) assert_int_equal(refusal.item, bad);
        assert_true(sum_of(member, 0, "k") == bad);
        assert_int_equal(own_applied(member), bad);
        for (uint32_t i = 0; i < bad; i++) {
            assert_int_equal(tickets[i].dot.sequence, i + 1);
            assert_true(i == 0 || tickets[i].position > tickets[i - 1].position);
        }
        /* Everything admitted is published, and nothing else. */
        struct prng prng = {{1, 2, 3, 4}};
        uint64_t logged = member->log.size;
        test_member_drain(member, UINT64_MAX, 0, &prng);
        uint32_t found = 0;
        const uint8_t *bytes;
        uint32_t kind;
        uint32_t size;
        while (test_log_next(&member->log, &logged, &kind, &bytes, &size)) {
            found += kind == RECORD_FACT;
        }
        assert_int_equal(found, bad);
        if (bad == 0) assert_int_equal(member->realm.origins.clocks[member->realm.own].applied, 0);
        give_back(NULL);
    }
}

/* ---- Exactly once -------------------------------------------------------------------------- */

static void the_same_request_a_thousand_times_counts_once(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    const uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE] = "request";
    struct cairn_effect effect = test_effect(0, "k", 1, 5);
    struct cairn_fact fact = {.effects = &effect, .effect_count = 1, .idempotency_key = key};
    struct cairn_ticket first;
    (void)state;
    assert_int_equal(admit(member, &fact, &first), CAIRN_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        struct cairn_ticket again = {{0, 0, 0}, 0};
        uint8_t before[ADDRESS_SIZE];
        uint8_t after[ADDRESS_SIZE];
        test_member_fingerprint(member, before);
        assert_int_equal(admit(member, &fact, &again), CAIRN_OK);
        assert_memory_equal(&again, &first, sizeof first);
        test_member_fingerprint(member, after);
        assert_memory_equal(before, after, ADDRESS_SIZE);
        /* The first ticket, even when the realm went on meanwhile. */
        if (i % 100 == 0) test_member_add(member, 1, "other", 1);
    }
    assert_true(sum_of(member, 0, "k") == 5);
    assert_int_equal(own_applied(member), 11);
    assert_int_equal(member->realm.origins.clocks[member->realm.own].applied, 11);
    /* Twice in one batch. */
    const uint8_t second_key[CAIRN_IDEMPOTENCY_KEY_SIZE] = "second";
    struct cairn_fact twice[2] = {fact, fact};
    struct cairn_ticket tickets[2];
    struct refusal refusal;
    size_t admitted;
    twice[0].idempotency_key = twice[1].idempotency_key = second_key;
    assert_int_equal(realm_admit(&member->realm, twice, 2, tickets, &admitted, &refusal), CAIRN_OK);
    assert_int_equal(admitted, 2);
    assert_memory_equal(&tickets[0], &tickets[1], sizeof tickets[0]);
    assert_true(sum_of(member, 0, "k") == 10);
}

static void a_key_is_bound_to_its_effects(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    const uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE] = "request";
    struct cairn_effect effects[3] = {test_effect(1, "aa", 2, 5), test_effect(1, "b", 1, -6),
                                      test_effect(1, "b", 1, -6)};
    struct cairn_fact fact = {.effects = effects, .effect_count = 2, .idempotency_key = key};
    (void)state;
    assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
    assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
    fact.effect_count = 1;
    expect_refused(member, &fact, CAIRN_IDEMPOTENCY_MISMATCH);
    fact.effect_count = 3;
    expect_refused(member, &fact, CAIRN_IDEMPOTENCY_MISMATCH);
    fact.effect_count = 2;
    const struct cairn_effect other[] = {
        test_effect(1, "aa", 2, 6),  test_effect(0, "aa", 2, 5), test_effect(1, "a", 1, 5),
        test_effect(1, "aab", 3, 5), test_effect(1, "ab", 2, 5), test_effect(1, "b", 1, -6),
    };
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        const struct cairn_effect good = effects[0];
        effects[0] = other[i];
        expect_refused(member, &fact, CAIRN_IDEMPOTENCY_MISMATCH);
        effects[0] = good;
    }
    struct cairn_effect first = effects[0];
    effects[0] = effects[1];
    effects[1] = first;
    expect_refused(member, &fact, CAIRN_IDEMPOTENCY_MISMATCH);
    assert_true(sum_of(member, 1, "aa") == 5 && sum_of(member, 1, "b") == -6);
}

/* A refused request is not remembered: the key is free for the mended one. */
static void a_refused_request_leaves_its_key_free(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    const uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE] = "request";
    struct cairn_dot unseen = {2, 1, 1};
    struct cairn_effect effect = test_effect(0, "k", 1, 5);
    struct cairn_fact fact = {.effects = &effect,
                              .effect_count = 1,
                              .idempotency_key = key,
                              .dependencies = &unseen,
                              .dependency_count = 1};
    (void)state;
    expect_refused(member, &fact, CAIRN_UNSEEN_DEPENDENCY);
    effect.amount = 6;
    fact.dependency_count = 0;
    assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
    assert_true(sum_of(member, 0, "k") == 6);
}

/* ---- Dependencies -------------------------------------------------------------------------- */

/* The last record of the ring, as the journal takes it. */
static struct ring_entry last_staged(struct test_member *member, struct fact *fact)
{
    struct ring_entry entry;
    struct ring_entry last = {NULL, 0, 0, 0};
    while (ring_take(&member->ring, &entry))
        last = entry;
    assert_non_null(last.body);
    assert_int_equal(last.kind, RECORD_FACT);
    assert_int_equal(fact_decode(fact, last.body, last.size), CAIRN_OK);
    assert_int_equal(fact->size, last.size); /* exactly the fact, with its own padding */
    ring_release(&member->ring, last.end);
    return last;
}

/*
 * All lists of up to three dots from a set, then eight of one kind: whatever the order, repetitions
 * and own dots, what is staged is canonical and names the newest dot of each other slot.
 */
static void dependencies_become_canonical(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    const struct cairn_dot set[] = {
        {2, 6, 1}, {2, 6, 100}, {2, 5, 7}, {3, 6, 4}, {4, 6, 100}, {1, 4, 1}, {1, 3, 9}, {0, 6, 2},
    };
    enum { SET = sizeof set / sizeof set[0] };
    (void)state;
    see_others(member, 3);
    uint32_t zero = origins_add(&member->realm.origins, 0, 6, no_link);
    member->realm.origins.clocks[zero].applied = 2;
    test_member_add(member, 0, "k", 1);
    struct fact fact;
    (void)last_staged(member, &fact);
    const uint32_t keys[] = {1, 9, 25, 41, 57};
    for (uint32_t list = 0; list < (SET + 1) * (SET + 1) * (SET + 1) + SET; list++) {
        struct cairn_dot dots[CAIRN_DEPENDENCIES_MAX];
        uint32_t count = 0;
        uint32_t rest = list;
        if (list >= (SET + 1) * (SET + 1) * (SET + 1)) {
            for (; count < CAIRN_DEPENDENCIES_MAX; count++)
                dots[count] = set[list % SET];
        }
        for (uint32_t i = 0; count < CAIRN_DEPENDENCIES_MAX && i < 3; i++, rest /= SET + 1) {
            if (rest % (SET + 1) < SET) dots[count++] = set[rest % (SET + 1)];
        }
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            struct cairn_effect effect = test_effect(1, long_key, keys[k], 1);
            struct cairn_fact request = {.effects = &effect,
                                         .effect_count = 1,
                                         .dependencies = dots,
                                         .dependency_count = count};
            memset(member->ring.bytes, 0xee, member->ring.size); /* nothing old may shine through */
            assert_int_equal(admit(member, &request, NULL), CAIRN_OK);
            (void)last_staged(member, &fact);
            uint32_t expected = 0;
            for (uint32_t slot = 0; slot <= 4; slot++) {
                const struct cairn_dot *newest = NULL;
                for (uint32_t i = 0; i < count; i++) {
                    if (dots[i].slot != slot || slot == 1) continue;
                    if (newest == NULL || dots[i].incarnation > newest->incarnation ||
                        (dots[i].incarnation == newest->incarnation &&
                         dots[i].sequence > newest->sequence)) {
                        newest = &dots[i];
                    }
                }
                if (newest == NULL) continue;
                assert_true(expected < fact.dependency_count);
                assert_memory_equal(&fact.dependencies[expected], newest, sizeof *newest);
                expected++;
            }
            assert_int_equal(fact.dependency_count, expected);
        }
    }
    assert_true(realm_is_valid(&member->realm));
}

/*
 * No horizon: after many facts, the first dot of each origin is as good as the last, and a dot
 * beyond the last is refused (a Bloom filter or a ring of recent facts fails here).
 */
static void causality_is_exact_at_any_age(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    struct prng prng;
    (void)state;
    prng_init(&prng, 1);
    see_others(member, 60);
    for (uint32_t i = 0; i < rounds(5000); i++) {
        struct cairn_dot dot = {2 + (uint32_t)prng_below(&prng, 60), 6, 1 + prng_below(&prng, 200)};
        struct cairn_effect effect = test_effect(0, "k", 1, 1);
        struct cairn_fact fact = {
            .effects = &effect, .effect_count = 1, .dependencies = &dot, .dependency_count = 1};
        if (dot.sequence <= 100) {
            struct fact staged;
            assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
            (void)last_staged(member, &staged);
        } else {
            expect_refused(member, &fact, CAIRN_UNSEEN_DEPENDENCY);
        }
    }
}

/* ---- Bounded tables ------------------------------------------------------------------------ */

/* Busy comes before any change, for every offset of the ring; room makes the same call succeed. */
static void a_full_ring_is_busy_before_anything_changes(void **state)
{
    struct test_limits limits = test_limits_small();
    limits.ring_bytes = 8192;
    struct test_member *member = open_realm(&limits);
    struct prng prng;
    uint64_t admitted = 0;
    uint64_t busy = 0;
    (void)state;
    prng_init(&prng, 2);
    test_member_drain(member, UINT64_MAX, 0, &prng);
    for (uint64_t i = 0; i < rounds(8000); i++) {
        uint32_t key_size = prng_chance(&prng, 1, 9) ? 1024 : 1 + (uint32_t)prng_below(&prng, 90);
        memset(long_key, 0, sizeof long_key);
        struct cairn_effect effect = test_effect(0, long_key, key_size, 1);
        uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE] = {0};
        store_u64(key, i);
        /* Few cells: keys of all sizes are folded into a few. */
        effect.key_size = key_size > 90 ? 1024 : key_size / 8 + 1;
        struct cairn_fact fact = {
            .effects = &effect, .effect_count = 1, .idempotency_key = i % 3 == 0 ? key : NULL};
        uint32_t size = FACT_HEADER_SIZE + FACT_EFFECT_HEADER_SIZE + FACT_ADD_PAYLOAD_SIZE +
                        effect.key_size + (i % 3 == 0 ? 16 : 0);
        if (ring_has_room(&member->ring, ring_entry_size(fact_size(size)))) {
            assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
            admitted++;
        } else {
            expect_refused(member, &fact, CAIRN_BUSY);
            busy++;
            if (prng_chance(&prng, 1, 2)) continue;
            struct ring_entry entry;
            uint64_t end = 0;
            uint64_t most = prng_below(&prng, 20);
            while (most-- > 0 && ring_take(&member->ring, &entry))
                end = entry.end;
            if (end != 0) ring_release(&member->ring, end);
        }
    }
    assert_int_equal(own_applied(member), admitted);
    assert_int_equal(member->realm.origins.clocks[member->realm.own].applied, admitted);
    assert_true(busy > 100);
    assert_true(realm_is_valid(&member->realm));
}

static void full_cells_refuse_new_keys_only(void **state)
{
    struct test_limits limits = test_limits_small();
    limits.realm.cells_max = 10;
    struct test_member *member = open_realm(&limits);
    char key[16];
    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "k%u", i % 10);
        test_member_add(member, 1, key, 1);
    }
    struct cairn_effect effects[2] = {test_effect(1, "k1", 2, 7), test_effect(1, "new", 3, 7)};
    struct cairn_fact fact = {.effects = effects, .effect_count = 2};
    expect_refused(member, &fact, CAIRN_FULL);
    assert_true(sum_of(member, 1, "k1") == 1);
    effects[1] = test_effect(0, "k1", 2, 7); /* the same key in another space is another cell */
    expect_refused(member, &fact, CAIRN_FULL);
    effects[1] = test_effect(1, "k1", 2, 7);
    assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
    assert_true(sum_of(member, 1, "k1") == 15);
    /* Bytes run out before the count does. */
    limits.realm.cells_max = 64;
    limits.realm.cell_bytes_max = 64 * 20;
    member = open_realm(&limits);
    effects[0] = test_effect(1, long_key, 1024, 1); /* 17 lines */
    fact.effect_count = 1;
    assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
    effects[0].key_size = 1023;
    expect_refused(member, &fact, CAIRN_FULL);
    effects[0].key_size = 100;
    assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
    assert_true(realm_is_valid(&member->realm));
}

/* ---- Effects ------------------------------------------------------------------------------- */

/* Facts of several effects against sums kept here; one bad effect in any place voids all. */
static void several_effects_are_applied_whole_or_not_at_all(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    const char *keys[] = {"a", "b", "c", "d", "e"};
    i128 sums[2][5] = {{0}};
    struct prng prng;
    (void)state;
    prng_init(&prng, 3);
    for (uint64_t i = 0; i < rounds(4000); i++) {
        struct cairn_effect effects[CAIRN_EFFECTS_MAX];
        uint32_t count = 1 + (uint32_t)prng_below(&prng, CAIRN_EFFECTS_MAX);
        uint32_t where[CAIRN_EFFECTS_MAX];
        bool lawful = true;
        for (uint32_t j = 0; j < count; j++) {
            uint32_t space = (uint32_t)prng_below(&prng, 2);
            where[j] = (uint32_t)prng_below(&prng, 5);
            int64_t amount = (int64_t)prng_next(&prng);
            if (space == 0 && amount < 0 && !prng_chance(&prng, 1, 8)) amount = ~amount;
            lawful &= space == 1 || amount >= 0;
            effects[j] = test_effect(space, keys[where[j]], 1, amount);
        }
        struct cairn_fact fact = {.effects = effects, .effect_count = count};
        if (!lawful) {
            expect_refused(member, &fact, CAIRN_NEGATIVE);
            continue;
        }
        struct fact staged;
        assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
        (void)last_staged(member, &staged);
        assert_int_equal(staged.effect_count, count);
        for (uint32_t j = 0; j < count; j++) {
            sums[effects[j].space][where[j]] += effects[j].amount;
        }
    }
    for (uint32_t space = 0; space < 2; space++) {
        for (uint32_t j = 0; j < 5; j++)
            assert_true(sum_of(member, space, keys[j]) == sums[space][j]);
    }
    assert_true(realm_is_valid(&member->realm));
}

/* A new cell named by several effects of one fact is made once. */
static void a_new_cell_twice_in_one_fact_is_one_cell(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    (void)state;
    for (uint32_t count = 2; count <= CAIRN_EFFECTS_MAX; count++) {
        struct cairn_effect effects[CAIRN_EFFECTS_MAX];
        char key[8] = {'n', (char)('0' + count), 0};
        uint64_t before = member->realm.cells.count;
        for (uint32_t i = 0; i < count; i++)
            effects[i] = test_effect(1, key, 2, 10 + i);
        struct cairn_fact fact = {.effects = effects, .effect_count = count};
        assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
        assert_int_equal(member->realm.cells.count, before + 1);
        assert_true(sum_of(member, 1, key) == 10 * count + count * (count - 1) / 2);
    }
    assert_true(realm_is_valid(&member->realm));
}

/* F5: the sums of extreme amounts are exact, far beyond 64 bits. */
static void sums_do_not_wrap(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    struct fact staged;
    (void)state;
    for (uint32_t i = 1; i <= 1000; i++) {
        test_member_add(member, 0, "most", INT64_MAX);
        test_member_add(member, 1, "least", INT64_MIN);
        test_member_add(member, 1, "both", i % 2 ? INT64_MAX : INT64_MIN);
        (void)last_staged(member, &staged);
        assert_true(sum_of(member, 0, "most") == (i128)INT64_MAX * i);
        assert_true(sum_of(member, 1, "least") == (i128)INT64_MIN * i);
        assert_true(sum_of(member, 1, "both") == (i128)INT64_MAX * (i % 2) - i / 2);
    }
}

/* ---- Clock --------------------------------------------------------------------------------- */

static void a_clock_far_ahead_of_the_wall_is_busy(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    struct cairn_effect effect = test_effect(0, "k", 1, 1);
    struct cairn_fact fact = {.effects = &effect, .effect_count = 1};
    struct fact staged;
    uint64_t last = 0;
    (void)state;
    assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
    /* The wall goes back by every offset up to the limit: admission goes on, clocks ascend. */
    for (uint64_t back = 0; back <= HYBRID_CLOCK_OFFSET_MS_MAX; back++) {
        realm_tick(&member->realm, TEST_WALL_MS - back);
        assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
        (void)last_staged(member, &staged);
        assert_true(staged.clock > last);
        assert_int_equal(staged.clock >> HYBRID_CLOCK_SHIFT, TEST_WALL_MS);
        last = staged.clock;
    }
    realm_tick(&member->realm, TEST_WALL_MS - HYBRID_CLOCK_OFFSET_MS_MAX - 1);
    expect_refused(member, &fact, CAIRN_CLOCK);
    realm_tick(&member->realm, 0);
    expect_refused(member, &fact, CAIRN_CLOCK);
    realm_tick(&member->realm, TEST_WALL_MS + 5);
    assert_int_equal(admit(member, &fact, NULL), CAIRN_OK);
    (void)last_staged(member, &staged);
    assert_int_equal(staged.clock >> HYBRID_CLOCK_SHIFT, TEST_WALL_MS + 5);
}

/* ---- Batches ------------------------------------------------------------------------------- */

/*
 * The same requests one by one and in batches of random sizes, on tables large enough for
 * prefetching: the same bytes are staged, and the same cells stand.
 */
static void batches_do_what_single_calls_do(void **state)
{
    enum { FACTS = 6000, KEY_COUNT = 12000, LONG_KEY = 40 };
    struct test_limits limits = test_limits_small();
    limits.realm.cells_max = 20000;
    limits.realm.cell_bytes_max = 20000 * 128;
    limits.ring_bytes = 4 * 1024 * 1024;
    limits.log_bytes = 8 * 1024 * 1024;
    struct test_member *members[2] = {open_realm(&limits), open_realm(&limits)};
    struct cairn_fact *facts = allocate(FACTS * sizeof *facts);
    struct cairn_effect *effects = allocate(FACTS * 2 * sizeof *effects);
    struct cairn_ticket *tickets = allocate(FACTS * sizeof *tickets);
    uint8_t(*keys)[LONG_KEY] = allocate(KEY_COUNT * sizeof *keys);
    struct cairn_dot dot = {2, 6, 1};
    struct refusal refusal;
    struct prng prng;
    size_t admitted;
    (void)state;
    prng_init(&prng, 4);
    for (uint32_t i = 0; i < KEY_COUNT; i++)
        store_u32(keys[i], i);
    for (uint32_t m = 0; m < 2; m++)
        see_others(members[m], 1);
    for (uint64_t round = 0; round < 2 + rounds(3); round++) {
        for (uint32_t i = 0; i < FACTS; i++) {
            facts[i] = (struct cairn_fact){.effects = &effects[2 * i],
                                           .effect_count = 1 + (uint32_t)prng_below(&prng, 2),
                                           .dependencies = &dot,
                                           .dependency_count = (uint32_t)prng_below(&prng, 2)};
            for (uint32_t j = 0; j < 2; j++) {
                uint32_t key = (uint32_t)prng_below(&prng, KEY_COUNT);
                effects[2 * i + j] =
                    test_effect(1, keys[key], key % 2 ? 8 : LONG_KEY, (int64_t)prng_next(&prng));
            }
        }
        for (uint32_t i = 0; i < FACTS; i++) {
            assert_int_equal(admit(members[0], &facts[i], &tickets[i]), CAIRN_OK);
        }
        for (uint32_t i = 0; i < FACTS;) {
            uint32_t count = 1 + (uint32_t)prng_below(&prng, 200);
            if (count > FACTS - i) count = FACTS - i;
            struct cairn_ticket batch[200];
            assert_int_equal(
                realm_admit(&members[1]->realm, facts + i, count, batch, &admitted, &refusal),
                CAIRN_OK);
            assert_int_equal(admitted, count);
            assert_memory_equal(batch, tickets + i, count * sizeof *tickets);
            i += count;
        }
        for (uint32_t m = 0; m < 2; m++) {
            members[m]->log.size = 0;
            test_member_drain(members[m], UINT64_MAX, 0, &prng);
        }
        assert_int_equal(members[0]->log.size, members[1]->log.size);
        assert_memory_equal(members[0]->log.bytes, members[1]->log.bytes, members[0]->log.size);
        assert_memory_equal(members[0]->realm.cells.lines, members[1]->realm.cells.lines,
                            members[0]->realm.cells.line_next * CELL_LINE_SIZE);
    }
    assert_true(cells_want_prefetch(&members[1]->realm.cells));
    assert_true(realm_is_valid(&members[1]->realm));
}

/* Durability none: no ring; everything else is the same. */
static void a_realm_without_a_ring_admits(void **state)
{
    struct test_limits limits = test_limits_small();
    limits.ring_bytes = 0;
    struct test_member *member = open_realm(&limits);
    struct cairn_effect effect = test_effect(0, "k", 1, 1);
    struct cairn_fact fact = {.effects = &effect, .effect_count = 1};
    struct cairn_ticket ticket;
    (void)state;
    for (uint32_t i = 1; i <= 10000; i++) {
        assert_int_equal(admit(member, &fact, &ticket), CAIRN_OK);
        assert_int_equal(ticket.dot.sequence, i);
        assert_int_equal(ticket.position, 0);
    }
    assert_true(sum_of(member, 0, "k") == 10000);
}

/* ---- Declarations and members -------------------------------------------------------------- */

static void declarations_and_members_are_refused_whole(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    struct refusal refusal;
    struct space space;
    uint8_t before[ADDRESS_SIZE];
    uint8_t after[ADDRESS_SIZE];
    uint8_t key[SIGNATURE_PUBLIC_KEY_SIZE] = {1};
    uint32_t handle = 77;
    (void)state;
    /* Again: the same handle, nothing staged. */
    test_member_fingerprint(member, before);
    assert_int_equal(test_member_declare(member, "sum", CAIRN_PNCOUNTER), 1);
    test_member_knows(member, 2);
    assert_int_equal(space_make(&space, TEST_REALM, "sum", CAIRN_GCOUNTER, &refusal), CAIRN_OK);
    assert_int_equal(realm_declare(&member->realm, &space, &handle, &refusal), CAIRN_CONFLICT);
    assert_int_equal(realm_add_member(&member->realm, 2, key, &refusal), CAIRN_FOREIGN);
    test_member_fingerprint(member, after);
    assert_memory_equal(before, after, ADDRESS_SIZE);
    assert_int_equal(test_member_declare(member, "third", CAIRN_PNCOUNTER), 2);
    assert_int_equal(test_member_declare(member, "fourth", CAIRN_PNCOUNTER), 3);
    assert_int_equal(space_make(&space, TEST_REALM, "fifth", CAIRN_GCOUNTER, &refusal), CAIRN_OK);
    test_member_fingerprint(member, before);
    assert_int_equal(realm_declare(&member->realm, &space, &handle, &refusal), CAIRN_FULL);
    test_member_fingerprint(member, after);
    assert_memory_equal(before, after, ADDRESS_SIZE);
    assert_int_equal(handle, 77);
    for (uint32_t slot = 3; slot < CAIRN_MEMBERS_MAX; slot++)
        test_member_knows(member, slot);
    test_member_fingerprint(member, before);
    assert_int_equal(realm_add_member(&member->realm, 99, key, &refusal), CAIRN_FULL);
    test_member_fingerprint(member, after);
    assert_memory_equal(before, after, ADDRESS_SIZE);

    /* A full ring: busy, and nothing declared. */
    limits.ring_bytes = 1024;
    member = open_realm(&limits);
    while (ring_has_room(&member->ring, ring_entry_size(11))) {
        memset(ring_stage(&member->ring, RECORD_CLOSE, 11), 0, 11);
    }
    test_member_fingerprint(member, before);
    assert_int_equal(realm_declare(&member->realm, &space, &handle, &refusal), CAIRN_BUSY);
    assert_int_equal(realm_add_member(&member->realm, 99, key, &refusal), CAIRN_BUSY);
    test_member_fingerprint(member, after);
    assert_memory_equal(before, after, ADDRESS_SIZE);
}

/* ---- Digest of cells ----------------------------------------------------------------------- */

/* As docs/formats.md says it, with the library's sort. */
static void direct_digest(const struct realm *realm, uint8_t *scratch, uint8_t digest[ADDRESS_SIZE])
{
    uint64_t line = 0;
    size_t count = 0;
    for (struct cell *cell; (cell = cells_next(&realm->cells, &line)) != NULL; count++) {
        uint8_t record[36 + CAIRN_KEY_SIZE_MAX];
        memcpy(record, realm->spaces.table[cell->space].id, 16);
        memcpy(record + 16, &cell->sum, 16);
        store_u32(record + 32, cell->key_size);
        memcpy(record + 36, (uint8_t *)cell + CELL_KEY_OFFSET, cell->key_size);
        address_of_record(ADDRESS_CELL, record, 36 + cell->key_size,
                          scratch + count * ADDRESS_SIZE);
    }
    qsort(scratch, count, ADDRESS_SIZE, compare_addresses);
    address_of_record(ADDRESS_CELLS, scratch, count * ADDRESS_SIZE, digest);
}

static void the_cells_digest_is_of_sorted_records(void **state)
{
    enum { CELLS = 1500 };
    struct test_limits limits = test_limits_small();
    limits.realm.cells_max = CELLS;
    limits.realm.cell_bytes_max = CELLS * 64;
    limits.ring_bytes = 0;
    struct test_member *member = open_realm(&limits);
    uint8_t *scratch = allocate(CELLS * ADDRESS_SIZE);
    uint8_t digest[ADDRESS_SIZE];
    uint8_t expected[ADDRESS_SIZE];
    uint8_t last[ADDRESS_SIZE] = {0};
    (void)state;
    for (uint32_t i = 0; i < CELLS; i++) {
        char key[16];
        if (i < 100 || i % 37 == 0) {
            realm_cells_digest(&member->realm, scratch, digest);
            direct_digest(&member->realm, scratch, expected);
            assert_memory_equal(digest, expected, ADDRESS_SIZE);
            assert_memory_not_equal(digest, last, ADDRESS_SIZE);
            memcpy(last, digest, ADDRESS_SIZE);
        }
        snprintf(key, sizeof key, "%u", i);
        test_member_add(member, i % 2, key, (int64_t)i);
    }
}

/* A cell whose sum came back to zero was touched, and the digest says so. */
static void the_cells_digest_sees_every_change(void **state)
{
    struct test_limits limits = test_limits_small();
    struct test_member *member = open_realm(&limits);
    uint8_t *scratch = allocate(4096);
    uint8_t digests[6][ADDRESS_SIZE];
    uint32_t count = 0;
    (void)state;
    realm_cells_digest(&member->realm, scratch, digests[count++]);
    test_member_add(member, 1, "a", 0);
    realm_cells_digest(&member->realm, scratch, digests[count++]);
    test_member_add(member, 1, "a", 1);
    realm_cells_digest(&member->realm, scratch, digests[count++]);
    test_member_add(member, 1, "b", 0);
    realm_cells_digest(&member->realm, scratch, digests[count++]);
    test_member_add(member, 0, "b", 0);
    realm_cells_digest(&member->realm, scratch, digests[count++]);
    member->realm.cells.lines[CELL_LINE_SIZE + 31] ^= 0x80; /* the sum's uppermost bit */
    realm_cells_digest(&member->realm, scratch, digests[count++]);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            assert_memory_not_equal(digests[i], digests[j], ADDRESS_SIZE);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, give_back)
        TEST(every_refusal_leaves_the_realm_as_it_was),
        TEST(a_batch_stops_at_its_first_refusal),
        TEST(the_same_request_a_thousand_times_counts_once),
        TEST(a_key_is_bound_to_its_effects),
        TEST(a_refused_request_leaves_its_key_free),
        TEST(dependencies_become_canonical),
        TEST(causality_is_exact_at_any_age),
        TEST(a_full_ring_is_busy_before_anything_changes),
        TEST(full_cells_refuse_new_keys_only),
        TEST(several_effects_are_applied_whole_or_not_at_all),
        TEST(a_new_cell_twice_in_one_fact_is_one_cell),
        TEST(sums_do_not_wrap),
        TEST(a_clock_far_ahead_of_the_wall_is_busy),
        TEST(batches_do_what_single_calls_do),
        TEST(a_realm_without_a_ring_admits),
        TEST(declarations_and_members_are_refused_whole),
        TEST(the_cells_digest_is_of_sorted_records),
        TEST(the_cells_digest_sees_every_change),
#undef TEST
    };
    address_init();
    if (!signature_init()) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
