/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A million cells with random keys of 8 to 40 bytes, touched at random: admission, memory, digest,
 * and a checkpoint of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/bench.h"
#include "cli/memory.h"

#define CELLS 1000000u
#define CELLS_QUICK 20000u
#define KEY_SIZE_MIN 8u
#define KEY_SIZE_MAX 40u
#define OTHERS 7u
#define FACTS_PER_BUNDLE 64u
#define MEMBER_KEYS 1000u /* what the others' facts touch: one cell in a thousand */

struct million {
    struct bench *bench;
    struct bench_members members;
    struct bench_keys keys;
    struct bench_world world;
    struct bench_stretch *stretch;
    cairn_engine *engine;
    struct cairn_plan plan;
    struct bench_samples create, single, batches, memory, digest;
    uint64_t facts; /* of a run, for each way */
};

static uint64_t resident_bytes(void)
{
    unsigned long long all = 0;
    unsigned long long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%llu %llu", &all, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void set_limits(struct cairn_options *options, const struct bench_keys *keys)
{
    options->limits.cells_max = keys->count;
    options->limits.cell_bytes_max = (uint64_t)keys->count * 128u;
}

/* ---- Filling --------------------------------------------------------------------------------- */

/* One fact for each key, in batches; *ns is for each. */
static int fill(struct million *self, double *ns)
{
    uint64_t total = 0;
    for (uint32_t at = 0; at < self->keys.count; at += BENCH_STRETCH) {
        uint32_t left = self->keys.count - at;
        uint64_t spent = 0;
        bench_stretch_prepare_all(self->stretch, left < BENCH_STRETCH ? left : BENCH_STRETCH, at);
        int code = bench_stretch_batches(self->stretch, &spent);
        if (code != 0) return code;
        total += spent;
    }
    *ns = (double)total / self->keys.count;
    return 0;
}

static int begin(struct million *self)
{
    struct cairn_options options;
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    bench_options(&options, NULL, 0);
    set_limits(&options, &self->keys);
    int result = cairn_plan(&options, &self->plan, message);
    if (result != CAIRN_OK) return bench_failed("cairn_plan: %s", message);
    int code = bench_open(&options, &self->engine);
    if (code != 0) return code;
    code = bench_world_begin(&self->world, self->engine, &self->members, OTHERS, &self->keys);
    if (code == 0) bench_stretch_init(self->stretch, &self->world, 1, CELLS);
    return code;
}

static int fill_and_weigh(struct million *self)
{
    double ns = 0;
    uint64_t before = resident_bytes();
    uint64_t cells_before = self->keys.touched_count;
    int code = fill(self, &ns);
    if (code != 0) return code;
    double grown = (double)(resident_bytes() - before);
    bench_sample(&self->create, ns);
    bench_sample(&self->memory, grown / (double)(self->keys.count - cells_before) -
                                    bench_keys_mean_size(&self->keys));
    return 0;
}

/* ---- Random access --------------------------------------------------------------------------- */

static int touch(struct million *self, bool single, struct bench_samples *samples)
{
    size_t stretches = (size_t)((self->facts + BENCH_STRETCH - 1) / BENCH_STRETCH);
    double *times = memory_take(stretches * sizeof *times);
    int code = 0;
    for (size_t i = 0; i < stretches && code == 0; i++) {
        uint64_t ns = 0;
        bench_stretch_prepare(self->stretch, BENCH_STRETCH);
        code = single ? bench_stretch_single(self->stretch, &ns)
                      : bench_stretch_batches(self->stretch, &ns);
        times[i] = (double)ns / BENCH_STRETCH;
    }
    bench_sample(samples, bench_quantile(times, stretches, 0.5));
    free(times);
    return code;
}

static int time_digest(struct million *self)
{
    uint8_t digest[CAIRN_ADDRESS_SIZE];
    uint64_t start = bench_ns();
    int result = cairn_cells_digest(self->engine, digest);
    bench_sample(&self->digest, (double)(bench_ns() - start) / 1e6);
    if (result == CAIRN_OK) return 0;
    return bench_refused(self->engine, result, "cairn_cells_digest");
}

static int run_all(struct million *self)
{
    for (unsigned run = 0; run < self->bench->runs; run++) {
        bench_progress(self->bench, "cells.million", run);
        bench_keys_clear(&self->keys);
        int code = begin(self);
        if (code == 0) code = fill_and_weigh(self);
        if (code == 0) code = touch(self, true, &self->single);
        if (code == 0) code = touch(self, false, &self->batches);
        if (code == 0) code = time_digest(self);
        if (code == 0) code = bench_recount(self->engine, &self->keys);
        if (self->engine != NULL && bench_close(self->engine) != 0 && code == 0) code = 1;
        self->engine = NULL;
        if (code != 0) return code;
    }
    return 0;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void report_access(const struct million *self, const char *name, const char *how,
                          const struct bench_samples *samples, double target)
{
    struct bench_row row = {.name = name,
                            .unit = "ns",
                            .samples = samples,
                            .yardstick = "blake3_compress",
                            .yardstick_value = self->bench->compress_ns,
                            .target_kind = target > 0 ? BENCH_VALUE_AT_MOST : BENCH_TARGET_NONE,
                            .target = target};
    snprintf(
        row.notes, sizeof row.notes,
        "%s; %u cells, random keys of %u to %u bytes, one dependency, no journal; keys are copied "
        "in the order of use before the clock runs; a run is its %s",
        how, self->keys.count, KEY_SIZE_MIN, KEY_SIZE_MAX,
        target > 0 ? "median stretch of 4096" : "mean");
    bench_report(self->bench, &row);
}

static void report(const struct million *self)
{
    double mean_key = bench_keys_mean_size(&self->keys);
    report_access(self, "cells.million.single", "one call for each fact, random cells",
                  &self->single, 300);
    report_access(self, "cells.million.batch", "64 facts a call, random cells", &self->batches,
                  100);
    report_access(self, "cells.million.create", "64 facts a call, each makes its cell",
                  &self->create, 0);
    struct bench_row memory = {.name = "memory.cell",
                               .unit = "bytes",
                               .samples = &self->memory,
                               .target_kind = BENCH_VALUE_AT_MOST,
                               .target = 160};
    snprintf(memory.notes, sizeof memory.notes,
             "growth of the resident set by the cells, less the keys (%.1f bytes in the mean); "
             "cairn_plan says %.1f bytes for index and head, and reserved %.1f beside the key",
             mean_key, self->plan.bytes_per_cell,
             (double)self->plan.cells_bytes / self->keys.count - mean_key);
    bench_report(self->bench, &memory);
    struct bench_row digest = {.name = "digest.million", .unit = "ms", .samples = &self->digest};
    snprintf(digest.notes, sizeof digest.notes, "cairn_cells_digest of %u cells", self->keys.count);
    bench_report(self->bench, &digest);
}

int bench_cells(struct bench *bench)
{
    struct million *self = memory_take(sizeof *self);
    self->bench = bench;
    self->facts = bench->facts / 5 + 1;
    self->stretch = memory_take(sizeof *self->stretch);
    bench_keys_init(&self->keys, bench->quick ? CELLS_QUICK : CELLS, KEY_SIZE_MIN, KEY_SIZE_MAX);
    int code = bench_members_make(bench, &self->members, OTHERS, 1, FACTS_PER_BUNDLE, &self->keys,
                                  MEMBER_KEYS);
    if (code == 0) code = run_all(self);
    if (code == 0) report(self);
    bench_members_free(&self->members);
    bench_keys_free(&self->keys);
    free(self->stretch);
    free(self);
    return code;
}

/* ---- A checkpoint ---------------------------------------------------------------------------- */

/* One fact for each key, durable. */
static int fill_durably(struct bench_stretch *stretch, const struct bench_keys *keys)
{
    uint64_t position = 0;
    int code = 0;
    for (uint32_t at = 0; at < keys->count && code == 0; at += BENCH_STRETCH) {
        uint32_t left = keys->count - at;
        bench_stretch_prepare_all(stretch, left < BENCH_STRETCH ? left : BENCH_STRETCH, at);
        code = bench_stretch_patiently(stretch, &position);
    }
    if (code != 0) return code;
    int result = cairn_wait(stretch->world->engine, position, BENCH_TIMEOUT_MS);
    return result == CAIRN_OK ? 0 : bench_refused(stretch->world->engine, result, "cairn_wait");
}

static int time_checkpoint(cairn_engine *engine, struct bench_samples *samples)
{
    uint64_t start = bench_ns();
    int result = cairn_checkpoint(engine);
    bench_sample(samples, (double)(bench_ns() - start) / 1e6);
    return result == CAIRN_OK ? 0 : bench_refused(engine, result, "cairn_checkpoint");
}

static int run_checkpoints(struct million *self, const char *folder, struct bench_samples *samples)
{
    struct cairn_options options;
    bench_options(&options, folder, 0);
    bench_options_journal(&options, self->keys.count * UINT64_C(200));
    set_limits(&options, &self->keys);
    int code = bench_open(&options, &self->engine);
    if (code != 0) return code;
    code = bench_world_begin(&self->world, self->engine, &self->members, OTHERS, &self->keys);
    if (code == 0) {
        bench_stretch_init(self->stretch, &self->world, 1, CELLS);
        code = fill_durably(self->stretch, &self->keys);
    }
    for (unsigned run = 0; run < self->bench->runs && code == 0; run++)
        code = time_checkpoint(self->engine, samples);
    if (code == 0) code = bench_recount(self->engine, &self->keys);
    if (bench_close(self->engine) != 0 && code == 0) code = 1;
    if (code != 0) return code;
    /* It must be worth something: the folder is opened from it, and counted. */
    options.prepare_bytes = 0;
    code = bench_open(&options, &self->engine);
    if (code == 0) code = bench_recount(self->engine, &self->keys);
    if (self->engine != NULL && bench_close(self->engine) != 0 && code == 0) code = 1;
    return code;
}

int bench_checkpoint(struct bench *bench)
{
    char folder[BENCH_PATH_SIZE];
    struct bench_samples samples = {0};
    struct million *self = memory_take(sizeof *self);
    self->bench = bench;
    self->stretch = memory_take(sizeof *self->stretch);
    bench_keys_init(&self->keys, bench->quick ? CELLS_QUICK : CELLS, KEY_SIZE_MIN, KEY_SIZE_MAX);
    bench_progress(bench, "checkpoint.million", 0);
    int code = bench_members_make(bench, &self->members, OTHERS, 1, FACTS_PER_BUNDLE, &self->keys,
                                  MEMBER_KEYS);
    if (code == 0) code = bench_folder_make(bench, folder);
    if (code == 0) {
        code = run_checkpoints(self, folder, &samples);
        bench_folder_remove(folder);
    }
    if (code == 0) {
        struct bench_row row = {.name = "checkpoint.million", .unit = "ms", .samples = &samples};
        snprintf(
            row.notes, sizeof row.notes,
            "cairn_checkpoint of %u cells with nothing new to write before it; then opened from "
            "it, all cells recounted",
            self->keys.count);
        bench_report(bench, &row);
    }
    bench_members_free(&self->members);
    bench_keys_free(&self->keys);
    free(self->stretch);
    free(self);
    return code;
}
