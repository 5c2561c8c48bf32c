/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/assert.h"
#include "base/histogram.h"
#include "base/prng.h"

/* Lets expect_assert_failure() catch a failed assertion. */
static void on_assert(const char *expression, const char *file, int line)
{
    mock_assert(0, expression, file, line);
}

/* Together: the buckets cut 0 .. UINT64_MAX into neighbouring ranges, without gap or overlap. */
static void edges_and_buckets_agree(void **state)
{
    (void)state;
    uint64_t lower = 0;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        uint64_t upper = histogram_upper_edge(bucket);
        assert_true(upper >= lower);
        assert_int_equal(histogram_bucket(lower), bucket);
        assert_int_equal(histogram_bucket(upper), bucket);
        assert_true(upper - lower <= lower / HISTOGRAM_STEPS); /* the promised error */
        lower = upper + 1;
    }
    assert_int_equal(lower, 0); /* the last edge was UINT64_MAX */
    expect_assert_failure(histogram_upper_edge(HISTOGRAM_BUCKETS));
}

static void buckets_are_monotone(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 7);
    for (int i = 0; i < 100000; i++) {
        uint64_t a = prng_next(&prng) >> prng_below(&prng, 64);
        uint64_t b = prng_next(&prng) >> prng_below(&prng, 64);
        if (a > b) assert_true(histogram_bucket(a) >= histogram_bucket(b));
        assert_true(histogram_upper_edge(histogram_bucket(a)) >= a);
    }
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void quantiles_are_those_of_the_sorted_samples(void **state)
{
    (void)state;
    static uint64_t samples[3000];
    static struct histogram histogram;
    struct prng prng;
    prng_init(&prng, 8);
    for (size_t round = 0; round < 60; round++) {
        size_t count = 1 + (size_t)prng_below(&prng, round % 2 ? 5 : 3000);
        unsigned shift = (unsigned)prng_below(&prng, 64);
        uint64_t sum = 0;
        histogram_init(&histogram);
        for (size_t i = 0; i < count; i++) {
            samples[i] = prng_next(&prng) >> prng_below(&prng, shift + 1);
            sum += samples[i];
            histogram_record(&histogram, samples[i]);
        }
        qsort(samples, count, sizeof samples[0], compare);
        assert_int_equal(histogram.count, count);
        assert_int_equal(histogram.sum, sum);
        assert_int_equal(histogram.maximum, samples[count - 1]);
        uint64_t before = 0;
        for (uint32_t per_mille = 0; per_mille <= 1000; per_mille++) {
            size_t rank = (count * per_mille + 999) / 1000;
            uint64_t exact = samples[rank == 0 ? 0 : rank - 1];
            uint64_t got = histogram_quantile(&histogram, per_mille);
            assert_true(got >= exact && got - exact <= exact / HISTOGRAM_STEPS);
            assert_true(got >= before);
            before = got;
        }
    }
}

static void edge_cases(void **state)
{
    (void)state;
    static struct histogram histogram;
    histogram_init(&histogram);
    assert_int_equal(histogram_quantile(&histogram, 0), 0);
    assert_int_equal(histogram_quantile(&histogram, 1000), 0);
    expect_assert_failure(histogram_quantile(&histogram, 1001));
    histogram_record(&histogram, UINT64_MAX);
    assert_int_equal(histogram_quantile(&histogram, 0), UINT64_MAX);
    histogram.count = UINT64_MAX; /* no product may wrap */
    histogram.buckets[HISTOGRAM_BUCKETS - 1] = UINT64_MAX - 1;
    histogram.buckets[3] = 1;
    assert_int_equal(histogram_quantile(&histogram, 0), 3);
    assert_int_equal(histogram_quantile(&histogram, 1), UINT64_MAX);
    assert_int_equal(histogram_quantile(&histogram, 1000), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_and_buckets_agree),
        cmocka_unit_test(buckets_are_monotone),
        cmocka_unit_test(quantiles_are_those_of_the_sorted_samples),
        cmocka_unit_test(edge_cases),
    };
    cairn_assert_hook = on_assert;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
