/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/prng.h"

/* Lets expect_assert_failure() catch a failed assertion. */
static void on_assert(const char *expression, const char *file, int line)
{
    mock_assert(0, expression, file, line);
}

/* Published outputs of the reference code, for the state 1, 2, 3, 4. */
static void the_generator_is_xoshiro256_star_star(void **state)
{
    (void)state;
    static const uint64_t expected[] = {
        11520,
        0,
        1509978240,
        1215971899390074240,
        1216172134540287360,
        607988272756665600,
        UINT64_C(16172922978634559625),
        8476171486693032832,
        UINT64_C(10595114339597558777),
        2904607092377533576,
    };
    struct prng prng = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(prng_next(&prng), expected[i]);
    }
}

/* Published outputs of SplitMix64 for the seed 1234567. */
static void the_seed_goes_through_splitmix64(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1234567);
    assert_int_equal(prng.state[0], 6457827717110365317);
    assert_int_equal(prng.state[1], 3203168211198807973);
    assert_int_equal(prng.state[2], UINT64_C(9817491932198370423));
    assert_int_equal(prng.state[3], 4593380528125082431);
    prng_init(&prng, 0);
    assert_false(bytes_are_zero(prng.state, sizeof prng.state));
}

static void below_stays_below_and_is_even(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    for (uint64_t bound = 1; bound <= 20; bound++) {
        uint64_t counts[20] = {0};
        for (uint64_t i = 0; i < bound * 2000; i++) {
            uint64_t value = prng_below(&prng, bound);
            assert_true(value < bound);
            counts[value]++;
        }
        /* 2,000 expected, standard deviation below 45: eight of them never happen. */
        for (uint64_t i = 0; i < bound; i++)
            assert_in_range(counts[i], 1640, 2360);
    }
    /* Of four raw outputs two would give a multiple of 3 here, were none thrown away. */
    uint64_t multiples = 0;
    for (int i = 0; i < 30000; i++)
        multiples += prng_below(&prng, UINT64_C(3) << 62) % 3 == 0;
    assert_in_range(multiples, 9300, 10700);
    assert_true(prng_below(&prng, UINT64_MAX) < UINT64_MAX);
    expect_assert_failure(prng_below(&prng, 0));
}

static void chance_keeps_its_odds(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 4);
    uint64_t hits = 0;
    for (int i = 0; i < 10000; i++) {
        assert_false(prng_chance(&prng, 0, 7));
        assert_true(prng_chance(&prng, 7, 7));
        hits += prng_chance(&prng, 1, 4);
    }
    assert_in_range(hits, 2100, 2900);
}

static void fill_is_the_outputs_in_order(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 40; size++) {
        struct prng one;
        struct prng other;
        uint8_t bytes[41];
        uint8_t expected[48];
        memset(bytes, 0xee, sizeof bytes);
        prng_init(&one, size);
        other = one;
        prng_fill(&one, bytes, size);
        for (size_t i = 0; i < size; i += 8)
            store_u64(expected + i, prng_next(&other));
        assert_memory_equal(bytes, expected, size);
        assert_int_equal(bytes[size], 0xee);
        assert_int_equal(prng_next(&one), prng_next(&other));
    }
}

static void shuffle_gives_each_permutation_its_share(void **state)
{
    (void)state;
    struct prng prng;
    uint64_t counts[256] = {0};
    prng_init(&prng, 5);
    for (int i = 0; i < 24000; i++) {
        uint32_t items[4] = {0, 1, 2, 3};
        prng_shuffle(&prng, items, 4);
        counts[items[0] | items[1] << 2 | items[2] << 4 | items[3] << 6]++;
    }
    size_t permutations = 0;
    for (size_t i = 0; i < 256; i++) {
        if (counts[i] == 0) continue;
        permutations++;
        assert_in_range(counts[i], 750, 1250);
    }
    assert_int_equal(permutations, 24); /* all that there are, and nothing lost or doubled */
    prng_shuffle(&prng, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_xoshiro256_star_star),
        cmocka_unit_test(the_seed_goes_through_splitmix64),
        cmocka_unit_test(below_stays_below_and_is_even),
        cmocka_unit_test(chance_keeps_its_odds),
        cmocka_unit_test(fill_is_the_outputs_in_order),
        cmocka_unit_test(shuffle_gives_each_permutation_its_share),
    };
    cairn_assert_hook = on_assert;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
