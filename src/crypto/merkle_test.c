/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "crypto/merkle.h"

#define COUNT_MAX 300u
#define ENUMERATED 70u

typedef uint8_t entry[ADDRESS_SIZE];

static entry leaves[COUNT_MAX];

/* Lets expect_assert_failure() catch a failed assertion. */
static void on_assert(const char *expression, const char *file, int line)
{
    mock_assert(0, expression, file, line);
}

/* RFC 6962, section 2.1, word for word. */
static void direct_root(const entry *from, size_t count, entry root)
{
    if (count == 1) {
        memcpy(root, from[0], ADDRESS_SIZE);
        return;
    }
    size_t split = 1;
    while (split * 2 < count)
        split *= 2;
    entry node[2];
    direct_root(from, split, node[0]);
    direct_root(from + split, count - split, node[1]);
    address_of_record(ADDRESS_NODE, node, sizeof node, root);
}

/* RFC 6962, section 2.1.1. */
static size_t direct_path(const entry *from, size_t count, size_t index, entry *path)
{
    if (count == 1) return 0;
    size_t split = 1;
    while (split * 2 < count)
        split *= 2;
    if (index < split) {
        size_t length = direct_path(from, split, index, path);
        direct_root(from + split, count - split, path[length]);
        return length + 1;
    }
    size_t length = direct_path(from + split, count - split, index - split, path);
    direct_root(from, split, path[length]);
    return length + 1;
}

static void root_of(size_t count, entry root)
{
    static entry scratch[COUNT_MAX];
    memcpy(scratch, leaves, count * ADDRESS_SIZE);
    merkle_root(scratch[0], count, root);
}

static size_t path_of(size_t count, size_t index, entry path[MERKLE_PATH_MAX])
{
    static entry scratch[COUNT_MAX];
    memcpy(scratch, leaves, count * ADDRESS_SIZE);
    return merkle_path(scratch[0], count, index, path);
}

/* Does the path lead from the leaf to this root? */
static bool leads(const entry leaf, size_t index, size_t count, entry *path, size_t length,
                  const entry root)
{
    entry got;
    if (!merkle_root_of_path(leaf, index, count, (const entry *)path, length, got)) return false;
    return memcmp(got, root, ADDRESS_SIZE) == 0;
}

static void roots_have_the_shape_of_rfc_6962(void **state)
{
    (void)state;
    for (size_t count = 1; count <= COUNT_MAX; count++) {
        entry root;
        entry expected;
        root_of(count, root);
        direct_root((const entry *)leaves, count, expected);
        assert_memory_equal(root, expected, ADDRESS_SIZE);
    }
    expect_assert_failure(merkle_root(leaves[0], 0, leaves[0]));
}

static void all_paths_lead_to_the_root(void **state)
{
    (void)state;
    for (size_t count = 1; count <= ENUMERATED; count++) {
        entry root;
        root_of(count, root);
        for (size_t index = 0; index < count; index++) {
            entry path[MERKLE_PATH_MAX];
            entry expected[MERKLE_PATH_MAX];
            size_t length = path_of(count, index, path);
            assert_int_equal(length, direct_path((const entry *)leaves, count, index, expected));
            assert_memory_equal(path, expected, length * ADDRESS_SIZE);
            assert_true(leads(leaves[index], index, count, path, length, root));
        }
    }
    entry path[MERKLE_PATH_MAX];
    expect_assert_failure(merkle_path(leaves[0], 5, 5, path));
}

static void no_other_index_or_length_will_do(void **state)
{
    (void)state;
    for (size_t count = 1; count <= ENUMERATED; count++) {
        entry root;
        root_of(count, root);
        for (size_t index = 0; index < count; index++) {
            entry path[MERKLE_PATH_MAX] = {{0}};
            size_t length = path_of(count, index, path);
            for (size_t other = 0; other <= count + 1; other++) {
                if (other == index) continue;
                assert_false(leads(leaves[index], other, count, path, length, root));
            }
            for (size_t other = 0; other <= length + 2; other++) {
                if (other == length) continue;
                assert_false(leads(leaves[index], index, count, path, other, root));
            }
        }
    }
    entry path[MERKLE_PATH_MAX + 1] = {{0}};
    assert_false(leads(leaves[0], 0, 0, path, 0, leaves[0]));
    assert_false(leads(leaves[0], 0, SIZE_MAX, path, MERKLE_PATH_MAX + 1, leaves[0]));
}

static void no_bit_can_change(void **state)
{
    (void)state;
    static const size_t counts[] = {2, 3, 6, 7, 13};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        size_t count = counts[i];
        entry root;
        root_of(count, root);
        for (size_t index = 0; index < count; index++) {
            entry path[MERKLE_PATH_MAX];
            size_t length = path_of(count, index, path);
            entry leaf;
            memcpy(leaf, leaves[index], ADDRESS_SIZE);
            for (size_t bit = 0; bit < 256; bit++) {
                leaf[bit / 8] ^= (uint8_t)(1u << bit % 8);
                assert_false(leads(leaf, index, count, path, length, root));
                leaf[bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
            for (size_t bit = 0; bit < length * 256; bit++) {
                path[bit / 256][bit / 8 % 32] ^= (uint8_t)(1u << bit % 8);
                assert_false(leads(leaf, index, count, path, length, root));
                path[bit / 256][bit / 8 % 32] ^= (uint8_t)(1u << bit % 8);
            }
        }
    }
}

/* Roots of different counts of the same leaves, and of exchanged leaves, differ. */
static void the_root_binds_count_and_order(void **state)
{
    (void)state;
    static entry roots[COUNT_MAX + 1];
    for (size_t count = 1; count <= COUNT_MAX; count++) {
        root_of(count, roots[count]);
        for (size_t other = 1; other < count; other++) {
            assert_memory_not_equal(roots[count], roots[other], ADDRESS_SIZE);
        }
    }
    for (size_t left = 0; left < 11; left++) {
        for (size_t right = 0; right < left; right++) {
            entry scratch[11];
            entry root;
            memcpy(scratch, leaves, sizeof scratch);
            memcpy(scratch[left], leaves[right], ADDRESS_SIZE);
            memcpy(scratch[right], leaves[left], ADDRESS_SIZE);
            merkle_root(scratch[0], 11, root);
            assert_memory_not_equal(root, roots[11], ADDRESS_SIZE);
        }
    }
}

/* The result may lie in the leaves themselves. */
static void the_root_may_overwrite_the_first_leaf(void **state)
{
    (void)state;
    entry scratch[9];
    entry root;
    root_of(9, root);
    memcpy(scratch, leaves, sizeof scratch);
    merkle_root(scratch[0], 9, scratch[0]);
    assert_memory_equal(scratch[0], root, ADDRESS_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_have_the_shape_of_rfc_6962),
        cmocka_unit_test(all_paths_lead_to_the_root),
        cmocka_unit_test(no_other_index_or_length_will_do),
        cmocka_unit_test(no_bit_can_change),
        cmocka_unit_test(the_root_binds_count_and_order),
        cmocka_unit_test(the_root_may_overwrite_the_first_leaf),
    };
    struct prng prng;
    cairn_assert_hook = on_assert;
    address_init();
    prng_init(&prng, 31);
    prng_fill(&prng, leaves, sizeof leaves);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
