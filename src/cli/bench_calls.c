/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each call of cairn_admit by itself: its median and its 99.9th percentile. The clock is the
 * processor's time-stamp counter behind fences, or clock_gettime where there is none. What it costs
 * is measured in the same way, stated, and taken off both quantiles: their ratio gets larger by it.
 * The fences keep one call from overlapping the next, so a call takes longer here than in a row.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/histogram.h"
#include "cli/bench.h"
#include "cli/memory.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define KEYS 1000u
#define OTHERS 7u
#define FACTS_PER_BUNDLE 256u
#define CLOCK_READINGS 100000u

HOT_INLINE uint64_t ticks(void)
{
#if defined(__x86_64__)
    _mm_lfence(); /* what came before has ended */
    uint64_t now = __rdtsc();
    _mm_lfence(); /* what comes behind has not begun */
    return now;
#else
    return bench_ns();
#endif
}

static double ns_of_tick(void)
{
    uint64_t ns = bench_ns();
    uint64_t start = ticks();
    while (bench_ns() - ns < UINT64_C(20000000))
        continue;
    uint64_t spent = ticks() - start;
    return (double)(bench_ns() - ns) / (double)spent;
}

struct times {
    struct histogram histogram;
    double tick_ns;
    double clock_ns; /* what two readings with nothing between them show */
};

static double quantile(const struct times *times, uint32_t per_mille)
{
    return (double)histogram_quantile(&times->histogram, per_mille) * times->tick_ns;
}

static void calibrate(struct times *times)
{
    histogram_init(&times->histogram);
    times->tick_ns = ns_of_tick();
    for (unsigned i = 0; i < CLOCK_READINGS; i++) {
        uint64_t start = ticks();
        histogram_record(&times->histogram, ticks() - start);
    }
    times->clock_ns = quantile(times, 500);
    histogram_init(&times->histogram);
}

static int time_calls(struct bench_stretch *stretch, struct times *times)
{
    cairn_engine *engine = stretch->world->engine;
    for (uint32_t i = 0; i < stretch->count; i++) {
        uint64_t start = ticks();
        int result = cairn_admit(engine, &stretch->facts[i], 1, &stretch->tickets[i], NULL);
        uint64_t end = ticks();
        if (UNLIKELY(result != CAIRN_OK)) return bench_refused(engine, result, "cairn_admit");
        histogram_record(&times->histogram, end - start);
    }
    bench_stretch_count(stretch);
    return 0;
}

static int run_once(const struct bench_members *members, uint64_t facts, struct times *times)
{
    struct bench_keys keys;
    struct bench_world world;
    struct cairn_options options;
    cairn_engine *engine;
    struct bench_stretch *stretch = memory_take(sizeof *stretch);
    bench_options(&options, NULL, 0);
    bench_keys_init(&keys, KEYS, 8, 8);
    int code = bench_open(&options, &engine);
    if (code == 0) code = bench_world_begin(&world, engine, members, OTHERS, &keys);
    if (code == 0) bench_stretch_init(stretch, &world, 1, facts);
    calibrate(times);
    for (uint64_t done = 0; done < facts && code == 0; done += BENCH_STRETCH) {
        bench_stretch_prepare(stretch, BENCH_STRETCH);
        code = time_calls(stretch, times);
        if (code == 0) code = bench_world_import(&world);
    }
    if (code == 0) code = bench_recount(engine, &keys);
    if (engine != NULL && bench_close(engine) != 0 && code == 0) code = 1;
    bench_keys_free(&keys);
    free(stretch);
    return code;
}

struct quantiles {
    struct bench_samples median;
    struct bench_samples slow;
    struct bench_samples ratio;
    struct bench_samples clock;
    struct bench_samples raw_ratio;
    double longest_ns;
};

static void take(struct quantiles *self, const struct times *times)
{
    double median = quantile(times, 500);
    double slow = quantile(times, 999);
    double longest = (double)times->histogram.maximum * times->tick_ns;
    bench_sample(&self->median, median - times->clock_ns);
    bench_sample(&self->slow, slow - times->clock_ns);
    bench_sample(&self->ratio, (slow - times->clock_ns) / (median - times->clock_ns));
    bench_sample(&self->raw_ratio, slow / median);
    bench_sample(&self->clock, times->clock_ns);
    if (longest > self->longest_ns) self->longest_ns = longest;
}

static void report(struct bench *self, const struct quantiles *quantiles, uint64_t facts)
{
    struct bench_row median = {.name = "admit.single.p50",
                               .unit = "ns",
                               .samples = &quantiles->median,
                               .yardstick = "blake3_compress",
                               .yardstick_value = self->compress_ns};
    snprintf(median.notes, sizeof median.notes,
             "%llu calls a run, each timed between fences, so that no call overlaps the next; the "
             "clock's own %.1f ns are taken off",
             (unsigned long long)facts, bench_median(&quantiles->clock));
    bench_report(self, &median);
    struct bench_row slow = {.name = "admit.single.p999",
                             .unit = "ns",
                             .samples = &quantiles->slow,
                             .yardstick = "admit.single.p50",
                             .yardstick_value = bench_median(&quantiles->median),
                             .target_kind = BENCH_RATIO_AT_MOST,
                             .target = 5};
    snprintf(
        slow.notes, sizeof slow.notes,
        "the clock's own %.1f ns are taken off both; with it the ratio is %.2f; the longest call "
        "of all took %.0f ns; calls right behind an import are in it",
        bench_median(&quantiles->clock), bench_median(&quantiles->raw_ratio),
        quantiles->longest_ns);
    bench_report(self, &slow);
}

int bench_calls(struct bench *self)
{
    static struct times times;
    struct bench_members members;
    struct quantiles quantiles = {0};
    uint64_t facts = self->facts / 2 + 1;
    size_t bundles = (size_t)(facts / BENCH_STRETCH / OTHERS + 3);
    int code = bench_members_make_for(self, &members, OTHERS, bundles, FACTS_PER_BUNDLE, KEYS, 8);
    for (unsigned run = 0; run < self->runs && code == 0; run++) {
        bench_progress(self, "admit.single.p999", run);
        code = run_once(&members, facts, &times);
        if (code == 0) take(&quantiles, &times);
    }
    if (code == 0) report(self, &quantiles, facts);
    bench_members_free(&members);
    return code;
}
