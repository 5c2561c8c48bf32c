/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission without a journal, through libcairn.so. Eight origins: certificates of seven other
 * members come in between the stretches, and each fact of the measured member depends on the newest
 * fact of one of them, in turn.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench.h"
#include "cli/memory.h"

#define KEYS 1000u
#define OTHERS 7u
#define FACTS_PER_BUNDLE 256u

enum mode { SINGLE, BATCHES };

/* What one run gave: the median stretch, and the mean of all. */
struct outcome {
    double median_ns;
    double mean_ns;
    uint64_t imported;
    double import_ns;
};

/* Admits `facts` facts in stretches, with a certificate of another member between two of them. */
static int run_stretches(struct bench_stretch *stretch, enum mode mode, uint64_t facts,
                         struct outcome *outcome)
{
    struct bench_world *world = stretch->world;
    size_t stretches = (size_t)((facts + BENCH_STRETCH - 1) / BENCH_STRETCH);
    double *times = memory_take(stretches * sizeof *times);
    uint64_t total = 0;
    int code = 0;
    for (size_t i = 0; i < stretches && code == 0; i++) {
        uint64_t left = facts - i * BENCH_STRETCH;
        uint64_t ns = 0;
        bench_stretch_prepare(stretch, left < BENCH_STRETCH ? (uint32_t)left : BENCH_STRETCH);
        code = mode == SINGLE ? bench_stretch_single(stretch, &ns)
                              : bench_stretch_batches(stretch, &ns);
        times[i] = (double)ns / stretch->count;
        total += ns;
        if (code == 0) code = bench_world_import(world);
    }
    outcome->median_ns = bench_quantile(times, stretches, 0.5);
    outcome->mean_ns = (double)total / (double)facts;
    outcome->imported = world->imported;
    outcome->import_ns = (double)histogram_quantile(&world->import_ns, 500) / FACTS_PER_BUNDLE;
    free(times);
    return code;
}

static int check_counts(cairn_engine *engine, uint64_t admitted, uint64_t imported)
{
    struct cairn_status status;
    cairn_status(engine, &status);
    if (status.facts_admitted == admitted && status.facts_imported == imported &&
        status.facts_applied == admitted + imported)
        return 0;
    return bench_failed("status: %llu facts admitted and %llu imported, but %llu and %llu were",
                        (unsigned long long)status.facts_admitted,
                        (unsigned long long)status.facts_imported, (unsigned long long)admitted,
                        (unsigned long long)imported);
}

/* One run on a new engine, and its recount. */
static int run_once(const struct bench_members *members, uint32_t others, uint32_t dependencies,
                    enum mode mode, uint64_t facts, struct outcome *outcome)
{
    struct bench_keys keys;
    struct bench_world world;
    struct cairn_options options;
    cairn_engine *engine;
    struct bench_stretch *stretch = memory_take(sizeof *stretch);
    bench_options(&options, NULL, 0);
    bench_keys_init(&keys, KEYS, 8, 8);
    int code = bench_open(&options, &engine);
    if (code == 0) code = bench_world_begin(&world, engine, members, others, &keys);
    if (code == 0) {
        bench_stretch_init(stretch, &world, dependencies, facts);
        code = run_stretches(stretch, mode, facts, outcome);
    }
    if (code == 0) code = check_counts(engine, facts, world.imported);
    if (code == 0) code = bench_recount(engine, &keys);
    if (engine != NULL && bench_close(engine) != 0 && code == 0) code = 1;
    bench_keys_free(&keys);
    free(stretch);
    return code;
}

/* ---- Single and in batches ------------------------------------------------------------------- */

struct admission {
    struct bench_samples single;
    struct bench_samples batches;
    struct bench_samples import;
    struct bench_samples single_mean;
    struct bench_samples batches_mean;
    uint64_t facts;
    uint64_t imported;
};

static int measure(struct bench *self, const struct bench_members *members,
                   struct admission *admission)
{
    for (unsigned run = 0; run < self->runs; run++) {
        struct outcome outcome = {0};
        bench_progress(self, "admit.single", run);
        int code = run_once(members, OTHERS, 1, SINGLE, admission->facts, &outcome);
        if (code != 0) return code;
        bench_sample(&admission->single, outcome.median_ns);
        bench_sample(&admission->single_mean, outcome.mean_ns);
        bench_sample(&admission->import, outcome.import_ns);
        bench_progress(self, "admit.batch64", run);
        code = run_once(members, OTHERS, 1, BATCHES, admission->facts, &outcome);
        if (code != 0) return code;
        bench_sample(&admission->batches, outcome.median_ns);
        bench_sample(&admission->batches_mean, outcome.mean_ns);
        admission->imported = outcome.imported;
    }
    return 0;
}

static void report_admission(struct bench *self, const char *name, const char *inside,
                             const struct bench_samples *samples, const struct bench_samples *means,
                             double target, const struct admission *admission)
{
    struct bench_row row = {.name = name,
                            .unit = "ns",
                            .samples = samples,
                            .yardstick = "blake3_compress",
                            .yardstick_value = self->compress_ns,
                            .target_kind = BENCH_RATIO_AT_MOST,
                            .target = target};
    snprintf(
        row.notes, sizeof row.notes,
        "%s; %llu facts a run, %u keys of 8 bytes, one dependency on the newest fact of one of "
        "%u other members in turn, no journal; a run is its median stretch of %u facts, mean "
        "%.2f ns; %llu facts of the others imported between stretches, all cells recounted",
        inside, (unsigned long long)admission->facts, KEYS, OTHERS, BENCH_STRETCH,
        bench_median(means), (unsigned long long)admission->imported);
    bench_report(self, &row);
}

static void report_import(struct bench *self, const struct admission *admission)
{
    struct bench_row row = {.name = "import.verify",
                            .unit = "ns",
                            .samples = &admission->import,
                            .yardstick = "blake3_compress",
                            .yardstick_value = self->compress_ns};
    snprintf(row.notes, sizeof row.notes,
             "a fact of 128 bytes in certificates of %u: decoding, ids, Merkle root, signature, "
             "application; the whole of cairn_import(), a run is its median bundle",
             FACTS_PER_BUNDLE);
    bench_report(self, &row);
}

int bench_admission(struct bench *self)
{
    struct bench_members members;
    struct admission admission = {.facts = self->facts};
    size_t bundles = (size_t)(admission.facts / BENCH_STRETCH / OTHERS + 3);
    int code = bench_members_make_for(self, &members, OTHERS, bundles, FACTS_PER_BUNDLE, KEYS, 8);
    if (code != 0) return code;
    code = measure(self, &members, &admission);
    if (code == 0) {
        report_admission(self, "admit.single",
                         "timed: filling in one fact (key, amount, dependencies), cairn_admit, the "
                         "look at its result",
                         &admission.single, &admission.single_mean, 0.5, &admission);
        report_admission(self, "admit.batch64",
                         "timed: cairn_admit with 64 facts that lie ready, the look at its result",
                         &admission.batches, &admission.batches_mean, 0.25, &admission);
        report_import(self, &admission);
    }
    bench_members_free(&members);
    return code;
}

/* ---- More dependencies ----------------------------------------------------------------------- */

#define DEPENDENCY_STEPS 4u
static const uint32_t dependency_counts[DEPENDENCY_STEPS] = {1, 2, 4, 8};

static void report_dependencies(struct bench *self, const struct bench_samples *samples,
                                const struct bench_samples *slope)
{
    static const char *const names[DEPENDENCY_STEPS] = {
        "admit.dependencies1", "admit.dependencies2", "admit.dependencies4", "admit.dependencies8"};
    for (unsigned step = 0; step < DEPENDENCY_STEPS; step++) {
        struct bench_row row = {.name = names[step],
                                .unit = "ns",
                                .samples = &samples[step],
                                .yardstick = "blake3_compress",
                                .yardstick_value = self->compress_ns};
        snprintf(row.notes, sizeof row.notes,
                 "as admit.single, with 8 other members and %u dependencies",
                 dependency_counts[step]);
        bench_report(self, &row);
    }
    struct bench_row row = {.name = "admit.dependency",
                            .unit = "ns",
                            .samples = slope,
                            .target_kind = BENCH_VALUE_AT_MOST,
                            .target = 2.5,
                            .notes = "each further one: from 1 to 8 dependencies, by 7"};
    bench_report(self, &row);
}

int bench_dependencies(struct bench *self)
{
    struct bench_members members;
    struct bench_samples samples[DEPENDENCY_STEPS] = {0};
    struct bench_samples slope = {0};
    uint32_t others = BENCH_MEMBERS - 1;
    uint64_t facts = self->facts / 5 + 1;
    size_t bundles = (size_t)(facts / BENCH_STRETCH / others + 3);
    int code = bench_members_make_for(self, &members, others, bundles, FACTS_PER_BUNDLE, KEYS, 8);
    if (code != 0) return code;
    for (unsigned run = 0; run < self->runs && code == 0; run++) {
        struct outcome outcome[DEPENDENCY_STEPS];
        bench_progress(self, "admit.dependencies", run);
        for (unsigned step = 0; step < DEPENDENCY_STEPS && code == 0; step++) {
            code =
                run_once(&members, others, dependency_counts[step], SINGLE, facts, &outcome[step]);
            if (code == 0) bench_sample(&samples[step], outcome[step].median_ns);
        }
        if (code == 0)
            bench_sample(&slope,
                         (outcome[DEPENDENCY_STEPS - 1].median_ns - outcome[0].median_ns) / 7);
    }
    if (code == 0) report_dependencies(self, samples, &slope);
    bench_members_free(&members);
    return code;
}
