/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/prng.h"

#define BLOCK_SIZE (64u * 1024u)

/* Lets expect_assert_failure() catch a failed assertion. */
static void on_assert(const char *expression, const char *file, int line)
{
    mock_assert(0, expression, file, line);
}

/* Takes pieces of random shapes; returns what is used in the end. */
static uint64_t take_random(struct arena *arena, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    for (int i = 0; i < 12; i++) {
        uint64_t before = arena->used;
        uint64_t count = prng_below(&prng, 9);
        uint64_t size = prng_below(&prng, 65);
        uint64_t alignment = UINT64_C(1) << prng_below(&prng, 13);
        uint8_t *piece = arena_take(arena, count, size, alignment);
        assert_true(arena->used >= before + count * size);
        assert_true(arena->used < before + count * size + alignment);
        if (!arena->base) {
            assert_null(piece);
            continue;
        }
        assert_int_equal((uintptr_t)piece & (alignment - 1), 0);
        assert_true(piece >= arena->base + before); /* behind all earlier pieces */
        assert_true(bytes_are_zero(piece, (size_t)(count * size)));
        memset(piece, 0xff, (size_t)(count * size));
    }
    return arena->used;
}

static void a_dry_run_counts_what_the_real_one_uses(void **state)
{
    (void)state;
    uint8_t *block = aligned_alloc(4096, BLOCK_SIZE);
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct arena arena;
        arena_init(&arena, NULL, 0);
        uint64_t size = take_random(&arena, seed);
        assert_true(size <= BLOCK_SIZE);
        memset(block, 0, BLOCK_SIZE);
        arena_init(&arena, block, size); /* exactly enough */
        assert_int_equal(take_random(&arena, seed), size);
    }
    free(block);
}

static void what_does_not_fit_is_a_defect(void **state)
{
    (void)state;
    _Alignas(64) uint8_t block[64];
    struct arena arena;
    arena_init(&arena, block, sizeof block);
    assert_non_null(arena_take(&arena, 8, 8, 8));
    expect_assert_failure(arena_take(&arena, 1, 1, 1));
    arena_init(&arena, block + 1, 63);
    expect_assert_failure(arena_take(&arena, 1, 8, 8)); /* the base is not aligned */
}

static void nonsense_is_a_defect(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    expect_assert_failure(arena_take(&arena, UINT64_MAX / 8 + 1, 8, 8));
    expect_assert_failure(arena_take(&arena, 1, 8, 0));
    expect_assert_failure(arena_take(&arena, 1, 8, 3));
    expect_assert_failure(arena_take(&arena, 1, 8, 8192));
    assert_null(arena_take(&arena, UINT64_MAX - 8192, 1, 1));
    assert_null(arena_take(&arena, 8192, 1, 1)); /* the sum is UINT64_MAX: just possible */
    expect_assert_failure(arena_take(&arena, 1, 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dry_run_counts_what_the_real_one_uses),
        cmocka_unit_test(what_does_not_fit_is_a_defect),
        cmocka_unit_test(nonsense_is_a_defect),
    };
    cairn_assert_hook = on_assert;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
