/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/hybrid_clock.h"
#include "base/prng.h"

#define SHIFT HYBRID_CLOCK_SHIFT

/* Lets expect_assert_failure() catch a failed assertion. */
static void on_assert(const char *expression, const char *file, int line)
{
    mock_assert(0, expression, file, line);
}

static uint64_t largest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* H1, over walls that jump in both directions and remotes within the offset. */
static void next_is_above_all_that_was_seen(void **state)
{
    (void)state;
    struct prng prng;
    struct hybrid_clock clock = {0};
    prng_init(&prng, 1);
    for (int i = 0; i < 200000; i++) {
        uint64_t wall_ms = 1000000 + prng_below(&prng, 2000);
        uint64_t remote = ((wall_ms + prng_below(&prng, 1000)) << SHIFT) + prng_below(&prng, 65536);
        uint64_t before = clock.last;
        uint64_t floor = largest(before, wall_ms << SHIFT);
        if (hybrid_clock_is_near(remote, wall_ms)) {
            hybrid_clock_merge(&clock, remote);
            assert_int_equal(clock.last, largest(before, remote));
            floor = largest(floor, remote);
        }
        assert_int_equal(hybrid_clock_next(&clock, wall_ms), floor + 1);
        assert_int_equal(clock.last, floor + 1);
        /* Close to the wall: at most what the furthest wall and the offset allow, and a counter. */
        assert_true(clock.last >> SHIFT <= 1000000 + 2000 + HYBRID_CLOCK_OFFSET_MS_MAX + 4);
    }
}

static void merge_never_goes_back(void **state)
{
    (void)state;
    struct hybrid_clock clock = {100};
    for (uint64_t remote = 0; remote < 200; remote++) {
        uint64_t before = clock.last;
        hybrid_clock_merge(&clock, remote);
        assert_int_equal(clock.last, largest(before, remote));
    }
}

static void h2_limit(void **state)
{
    (void)state;
    static const uint64_t walls[] = {0, 1, 499, 500, 501, 1700000000000, (UINT64_C(1) << 48) - 1};
    for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
        uint64_t wall_ms = walls[i];
        uint64_t limit_ms = wall_ms + HYBRID_CLOCK_OFFSET_MS_MAX;
        assert_true(hybrid_clock_is_near(0, wall_ms));
        assert_true(hybrid_clock_is_near(wall_ms << SHIFT, wall_ms));
        if (limit_ms >> (64 - SHIFT) != 0) continue; /* no clock is that far */
        assert_true(hybrid_clock_is_near(limit_ms << SHIFT, wall_ms));
        assert_true(hybrid_clock_is_near(limit_ms << SHIFT | 65535, wall_ms));
        assert_false(hybrid_clock_is_near((limit_ms + 1) << SHIFT, wall_ms));
        assert_false(hybrid_clock_is_near(UINT64_MAX, wall_ms));
    }
    assert_true(hybrid_clock_is_near(UINT64_MAX, UINT64_MAX)); /* no sum wraps */
    assert_true(hybrid_clock_is_near(UINT64_MAX, (UINT64_C(1) << 48) - 1 - 500));
    assert_false(hybrid_clock_is_near(UINT64_MAX, (UINT64_C(1) << 48) - 1 - 501));
}

static void the_counter_carries_into_the_milliseconds(void **state)
{
    (void)state;
    struct hybrid_clock clock = {0};
    uint64_t before = 0;
    for (uint64_t i = 1; i <= 3 * 65536; i++) {
        uint64_t next = hybrid_clock_next(&clock, 10);
        assert_int_equal(next, (UINT64_C(10) << SHIFT) + i);
        assert_true(next > before);
        before = next;
    }
    assert_int_equal(before >> SHIFT, 13);
    assert_int_equal(hybrid_clock_next(&clock, 14), (UINT64_C(14) << SHIFT) + 1);
}

static void the_last_clock_stops_rather_than_wraps(void **state)
{
    (void)state;
    struct hybrid_clock clock = {UINT64_MAX - 1};
    assert_int_equal(hybrid_clock_next(&clock, 1), UINT64_MAX);
    expect_assert_failure((void)hybrid_clock_next(&clock, 1));
    clock.last = 5;
    uint64_t last_ms = (UINT64_C(1) << 48) - 1;
    assert_int_equal(hybrid_clock_next(&clock, last_ms), (last_ms << SHIFT) + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_is_above_all_that_was_seen),
        cmocka_unit_test(merge_never_goes_back),
        cmocka_unit_test(h2_limit),
        cmocka_unit_test(the_counter_carries_into_the_milliseconds),
        cmocka_unit_test(the_last_clock_stops_rather_than_wraps),
    };
    cairn_assert_hook = on_assert;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
