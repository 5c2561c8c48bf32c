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

static void space_0_is_xxh3_with_the_seed(void **state)
{
    (void)state;
    assert_int_equal(table_hash(0, 0, "", 0), UINT64_C(0x2d06800538d394c2)); /* published */
    uint8_t key[300];
    struct prng prng;
    prng_init(&prng, 71);
    prng_fill(&prng, key, sizeof key);
    for (size_t size = 0; size <= sizeof key; size++) {
        uint64_t seed = prng_next(&prng);
        uint64_t hash = table_hash(seed, 0, key, size);
        assert_int_equal(hash, XXH3_64bits_withSeed(key, size, seed));
        assert_int_equal(hash, table_hash(seed, 0, key, size));
        if (size > 0) assert_int_not_equal(hash, table_hash(seed, 0, key, size - 1));
        assert_int_not_equal(hash, table_hash(seed + 1, 0, key, size));
        assert_int_not_equal(hash, table_hash(seed, 1, key, size));
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
        cmocka_unit_test(space_0_is_xxh3_with_the_seed),
        cmocka_unit_test(close_keys_and_spaces_are_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
