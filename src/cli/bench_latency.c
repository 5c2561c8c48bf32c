/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One fact at a time, from cairn_admit to cairn_wait's return, against a plain write of 4 KiB with
 * fdatasync: some of these, some of those, in turn, in the same minute.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/memory.h"

#define KEYS 1000u
#define OTHERS 7u
#define FACTS_PER_BUNDLE 64u
#define TIMES 2000u
#define TIMES_QUICK 100u
#define TURN 50u /* of one kind before the other's turn */
#define FILE_SIZE (UINT64_C(16) << 20)
#define SLOW_NS 2e6

struct latency {
    struct bench_stretch *stretch;
    struct bench_file file;
    double fact_times[TIMES];
    double sync_times[TIMES];
    struct bench_samples facts, syncs, slow_facts, ratios;
    unsigned slow; /* above SLOW_NS, of all */
    unsigned count;
};

static int one_fact(struct bench_stretch *stretch, double *ns)
{
    cairn_engine *engine = stretch->world->engine;
    bench_stretch_prepare(stretch, 1);
    uint64_t start = bench_ns();
    int result = cairn_admit(engine, stretch->facts, 1, stretch->tickets, NULL);
    if (result != CAIRN_OK) return bench_refused(engine, result, "cairn_admit");
    result = cairn_wait(engine, stretch->tickets[0].position, BENCH_TIMEOUT_MS);
    *ns = (double)(bench_ns() - start);
    if (result != CAIRN_OK) return bench_refused(engine, result, "cairn_wait");
    bench_stretch_count(stretch);
    return 0;
}

static int one_sync(struct bench_file *file, double *ns)
{
    uint64_t start = bench_ns();
    int code = bench_file_write(file, 4096);
    *ns = (double)(bench_ns() - start);
    return code;
}

static int measure(struct latency *self, unsigned times)
{
    for (unsigned done = 0; done < times; done += TURN) {
        int code = 0;
        for (unsigned i = 0; i < TURN && code == 0; i++)
            code = one_sync(&self->file, &self->sync_times[done + i]);
        for (unsigned i = 0; i < TURN && code == 0; i++)
            code = one_fact(self->stretch, &self->fact_times[done + i]);
        if (code != 0) return code;
    }
    for (unsigned i = 0; i < times; i++)
        self->slow += self->fact_times[i] > SLOW_NS;
    self->count += times;
    double fact = bench_quantile(self->fact_times, times, 0.5);
    double sync = bench_quantile(self->sync_times, times, 0.5);
    bench_sample(&self->facts, fact);
    bench_sample(&self->syncs, sync);
    bench_sample(&self->ratios, fact / sync);
    bench_sample(&self->slow_facts, bench_quantile(self->fact_times, times, 0.99));
    return 0;
}

static int run_all(struct bench *bench, struct latency *self, const struct bench_members *members,
                   uint32_t flags)
{
    char folder[BENCH_PATH_SIZE];
    struct bench_keys keys;
    struct bench_world world;
    struct cairn_options options;
    cairn_engine *engine = NULL;
    unsigned times = bench->quick ? TIMES_QUICK : TIMES;
    int code = bench_folder_make(bench, folder);
    if (code != 0) return code;
    bench_keys_init(&keys, KEYS, 8, 8);
    bench_options(&options, folder, 0);
    bench_options_journal(&options, bench->runs * (uint64_t)times * 3 * 4096);
    options.flags |= flags;
    code = bench_open(&options, &engine);
    if (code == 0) code = bench_world_begin(&world, engine, members, OTHERS, &keys);
    if (code == 0) bench_stretch_init(self->stretch, &world, 1, times);
    for (unsigned run = 0; run < bench->runs && code == 0; run++) {
        bench_progress(bench, "durable.latency", run);
        code = measure(self, times);
    }
    if (code == 0) code = bench_recount(engine, &keys);
    if (engine != NULL && bench_close(engine) != 0 && code == 0) code = 1;
    bench_folder_remove(folder);
    bench_keys_free(&keys);
    return code;
}

static void report(struct bench *bench, const struct latency *self, const char *name,
                   const char *how)
{
    struct bench_row row = {.name = name,
                            .unit = "ns",
                            .samples = &self->facts,
                            .yardstick = "yardstick.sync, in turn with it",
                            .yardstick_value = bench_median(&self->syncs),
                            .target_kind = BENCH_RATIO_AT_MOST,
                            .target = 1.3};
    snprintf(
        row.notes, sizeof row.notes,
        "p50 from cairn_admit to the return of cairn_wait, one fact at a time, %s; %u times a run, "
        "in turns of %u with plain 4 KiB writes and fdatasync; p99 %.0f ns; %u of %u took over 2 "
        "ms; ratios of single runs %.2f to %.2f",
        how, self->count / bench->runs, TURN, bench_median(&self->slow_facts), self->slow,
        self->count, bench_lowest(&self->ratios), bench_highest(&self->ratios));
    bench_report(bench, &row);
}

static int measure_class(struct bench *bench, const struct bench_members *members, uint32_t flags,
                         const char *name, const char *how)
{
    struct latency *self = memory_take(sizeof *self);
    self->stretch = memory_take(sizeof *self->stretch);
    int code = bench_file_open(bench, &self->file, FILE_SIZE);
    if (code == 0) code = run_all(bench, self, members, flags);
    if (code == 0) report(bench, self, name, how);
    bench_file_close(&self->file);
    free(self->stretch);
    free(self);
    return code;
}

int bench_latency(struct bench *bench)
{
    struct bench_members members;
    int code = bench_members_make_for(bench, &members, OTHERS, 1, FACTS_PER_BUNDLE, KEYS, 8);
    if (code == 0) code = measure_class(bench, &members, 0, "durable.latency", "ordinary threads");
    if (code == 0) {
        code = measure_class(bench, &members, CAIRN_OPEN_REALTIME, "durable.latency.realtime",
                             "the journal's thread in the real-time class, if that is allowed");
    }
    bench_members_free(&members);
    return code;
}
