/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "crypto/table_hash.h"

#define KEYS 20000u
#define SLOTS 4096u

static void every_size_seed_and_space_counts(void **state)
{
    (void)state;
    assert_int_equal(stable_hash(0, "", 0), UINT64_C(0x2d06800538d394c2)); /* published */
    uint8_t key[300];
    struct prng prng;
    prng_init(&prng, 71);
    prng_fill(&prng, key, sizeof key);
    for (size_t size = 0; size <= sizeof key; size++) {
        uint64_t seed = prng_next(&prng);
        uint64_t hash = table_hash(seed, 0, key, size);
        assert_int_equal(stable_hash(seed, key, size), XXH3_64bits_withSeed(key, size, seed));
        assert_int_equal(hash, table_hash(seed, 0, key, size));
        if (size > 0) assert_int_not_equal(hash, table_hash(seed, 0, key, size - 1));
        assert_int_not_equal(hash, table_hash(seed + 1, 0, key, size));
        assert_int_not_equal(hash, table_hash(seed, 1, key, size));
    }
}

/* Sizes 8 to 16 have a hash of their own: every bit of the key must reach both halves of it. */
static void each_bit_of_a_short_key_counts(void **state)
{
    (void)state;
    uint8_t key[16];
    struct prng prng;
    prng_init(&prng, 72);
    for (size_t size = 8; size <= sizeof key; size++) {
        prng_fill(&prng, key, sizeof key);
        uint64_t seed = prng_next(&prng);
        uint64_t hash = table_hash(seed, 0, key, size);
        uint64_t flips = 0;
        for (size_t bit = 0; bit < 8 * size; bit++) {
            key[bit / 8] ^= (uint8_t)(1u << bit % 8);
            uint64_t changed = hash ^ table_hash(seed, 0, key, size);
            key[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_not_equal(changed >> 32, 0);
            assert_int_not_equal(changed & UINT32_MAX, 0);
            flips += (uint64_t)__builtin_popcountll(changed);
        }
        /* Half of the 64 bits change for each: within 10 %, over so many. */
        assert_in_range(flips / size, 8 * 32 * 9 / 10, 8 * 32 * 11 / 10);
    }
}

/* No slot holds many times its share: of keys that count up, and of one key in many spaces. */
static void close_keys_and_spaces_are_spread(void **state)
{
    (void)state;
    static uint32_t by_key[SLOTS];
    static uint32_t by_space[SLOTS];
    for (uint32_t i = 0; i < KEYS; i++) {
        uint64_t key = i;
        by_key[table_hash(5, 0, &key, sizeof key) % SLOTS]++;
        by_space[table_hash(5, i, "cell", 4) % SLOTS]++;
    }
    for (size_t i = 0; i < SLOTS; i++) { /* 4.9 expected; 25 is less likely than 10^-10 */
        assert_true(by_key[i] < 25);
        assert_true(by_space[i] < 25);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_seed_and_space_counts),
        cmocka_unit_test(each_bit_of_a_short_key_counts),
        cmocka_unit_test(close_keys_and_spaces_are_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
