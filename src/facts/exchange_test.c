/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exchange: several members admit, certify, restart and hear of each other in random orders. In the
 * end all stand where a sequential model stands. Defects of other kernels that must not come back:
 * an order of arrival that loses facts for ever, a duplicate that counts, a dependency that is too
 * old to be known, a lost push that nothing repairs.
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

/* ---- Convergence --------------------------------------------------------------------------- */

static void members_converge(void **state)
{
    uint64_t worlds = rounds(60);
    uint32_t restarts = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= worlds; seed++) {
        static struct world world;
        struct test_limits limits = test_limits_small();
        uint8_t digest[ADDRESS_SIZE];
        uint32_t member_count = 2 + (uint32_t)(seed % 4);
        if (seed % 5 == 0) limits.ring_bytes = 8192;
        limits.log_bytes = 4 * 1024 * 1024;
        world_init(&world, member_count, &limits, seed);
        world_run(&world, 60 + seed % 7 * 60, 1 + seed % 6, seed % 3 == 0 ? 0 : 40);
        for (uint32_t i = 0; i < member_count; i++)
            deliver_all(&world, world.members[i]);
        origins_digest(&world.members[0]->realm.origins, digest);
        for (uint32_t i = 0; i < member_count; i++) {
            check_member(&world, world.members[i], digest);
        }
        restarts += world.restarts;
        give_back_to(0);
    }
    assert_true(restarts > worlds);
}

/* An observer that never saw anything takes the world's bundles in the given order. */
static struct test_member *observe(struct world *world, const uint32_t *order, bool *waited)
{
    struct test_limits limits = test_limits_small();
    limits.realm.pending_bytes_max = UINT64_C(4) * 1024 * 1024;
    limits.realm.pending_bundles_max = 512;
    limits.log_bytes = 1024 * 1024;
    struct test_member *observer = open_member(&limits, 99, world->member_count, NULL, true);
    *waited = false;
    for (uint32_t i = 0; i < world->pool.count; i++) {
        assert_int_equal(deliver(world, observer, &world->pool.bundles[order[i]]), CAIRN_OK);
        *waited |= observer->realm.pending.count > 0;
    }
    test_member_drain(observer, UINT64_MAX, 0, &world->prng);
    return observer;
}

/* Thousands of random orders of all certificates: the same digests, most by way of waiting. */
static void any_order_gives_the_same_state(void **state)
{
    static const uint64_t seeds[] = {11, 12, 13, 14, 15, 16, 17, 18};
    uint64_t orders = 0;
    uint64_t waited_orders = 0;
    (void)state;
    for (size_t s = 0; s < sizeof seeds / sizeof seeds[0]; s++) {
        static struct world world;
        struct test_limits limits = test_limits_small();
        uint8_t digest[ADDRESS_SIZE];
        uint32_t order[BUNDLES_MAX];
        limits.log_bytes = 1024 * 1024;
        world_init(&world, 2 + (uint32_t)(s % 4), &limits, seeds[s]);
        world_run(&world, 50, 2, 12);
        deliver_all(&world, world.members[0]);
        origins_digest(&world.members[0]->realm.origins, digest);
        assert_true(world.pool.count > 4 && world.restarts > 0);
        uint32_t mark = piece_count;
        for (uint64_t round = 0; round < rounds(400); round++) {
            bool waited;
            for (uint32_t i = 0; i < world.pool.count; i++)
                order[i] = i;
            prng_shuffle(&world.prng, order, world.pool.count);
            struct test_member *observer = observe(&world, order, &waited);
            check_member(&world, observer, digest);
            orders++;
            waited_orders += waited;
            give_back_to(mark);
        }
        give_back_to(0);
    }
    assert_true(waited_orders * 2 > orders);
}

static bool next_permutation(uint32_t *order, uint32_t count)
{
    uint32_t at = count - 1;
    while (at > 0 && order[at - 1] > order[at])
        at--;
    if (at == 0) return false;
    uint32_t with = count - 1;
    while (order[with] < order[at - 1])
        with--;
    uint32_t moved = order[at - 1];
    order[at - 1] = order[with];
    order[with] = moved;
    for (uint32_t low = at, high = count - 1; low < high; low++, high--) {
        moved = order[low];
        order[low] = order[high];
        order[high] = moved;
    }
    return true;
}

/* All 720 orders of six bundles of three members, one of them with three incarnations. */
static void all_orders_of_a_small_world(void **state)
{
    static struct world world;
    struct test_limits limits = test_limits_small();
    uint8_t digest[ADDRESS_SIZE];
    uint32_t order[6] = {0, 1, 2, 3, 4, 5};
    bool waited;
    (void)state;
    world_init(&world, 3, &limits, 21);
    for (uint32_t i = 0; i < 6; i++) {
        /* A chain: each member depends on all that came before; member 1 restarts in between. */
        struct test_member *member = world.members[i % 2 == 0 ? 0 : 1 + i / 2 % 2];
        for (uint32_t bundle = 0; bundle < world.pool.count; bundle++) {
            assert_int_equal(deliver(&world, member, &world.pool.bundles[bundle]), CAIRN_OK);
        }
        assert_true(world_admit(&world, member) && world_admit(&world, member));
        settle(&world);
        if (member == world.members[0]) restart(&world, member);
    }
    assert_int_equal(world.pool.count, 6);
    deliver_all(&world, world.members[2]);
    origins_digest(&world.members[2]->realm.origins, digest);
    uint32_t mark = piece_count;
    uint32_t orders = 0;
    do {
        struct test_member *observer = observe(&world, order, &waited);
        check_member(&world, observer, digest);
        give_back_to(mark);
        orders++;
    } while (next_permutation(order, 6) && (orders < 40 || rounds(8) == 8));
    assert_true(orders == 720 || rounds(8) != 8);
}

/* Without one bundle, wherever it was, the facts digest differs, or something goes on waiting. */
static void a_missing_bundle_is_seen(void **state)
{
    static struct world world;
    struct test_limits limits = test_limits_small();
    uint8_t digest[ADDRESS_SIZE];
    (void)state;
    world_init(&world, 3, &limits, 31);
    world_run(&world, 120, 3, 30);
    deliver_all(&world, world.members[0]);
    origins_digest(&world.members[0]->realm.origins, digest);
    uint32_t mark = piece_count;
    for (uint32_t left_out = 0; left_out < world.pool.count; left_out++) {
        uint8_t other[ADDRESS_SIZE];
        struct test_member *observer = open_member(&limits, 99, 3, NULL, false);
        for (uint32_t i = 0; i < world.pool.count; i++) {
            if (i == left_out) continue;
            assert_int_equal(deliver(&world, observer, &world.pool.bundles[i]), CAIRN_OK);
        }
        origins_digest(&observer->realm.origins, other);
        assert_memory_not_equal(digest, other, ADDRESS_SIZE);
        assert_true(observer->realm.counters.facts_imported < world.model.facts);
        assert_true(realm_is_valid(&observer->realm));
        /* It comes late, and everything is there. */
        assert_int_equal(deliver(&world, observer, &world.pool.bundles[left_out]), CAIRN_OK);
        check_member(&world, observer, digest);
        give_back_to(mark);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, give_back)
        TEST(members_converge),
        TEST(any_order_gives_the_same_state),
        TEST(all_orders_of_a_small_world),
        TEST(a_missing_bundle_is_seen),
#undef TEST
    };
    address_init();
    if (!signature_init()) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
