/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal adds to admission, and how much becomes durable in a second. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/memory.h"

#define KEYS 1000u
#define OTHERS 7u
#define FACTS_PER_BUNDLE 64u
/* 32 of header, 16 of the dependency, 24 of the effect's head, the key, 8 of the amount. */
#define FACT_REST 80u
#define RECORD_ROOM 24u /* of a fact's record and what belongs to it, more than enough */

/* ---- An engine with its world ---------------------------------------------------------------- */

struct side {
    cairn_engine *engine;
    struct bench_keys keys;
    struct bench_world world;
    struct bench_stretch *stretch;
    char folder[BENCH_PATH_SIZE];
};

static int side_open(struct bench *bench, struct side *self, const struct bench_members *members,
                     bool with_journal, uint32_t flags, uint32_t key_size, uint64_t journal_bytes)
{
    struct cairn_options options;
    memset(self, 0, sizeof *self);
    int code = with_journal ? bench_folder_make(bench, self->folder) : 0;
    if (code != 0) return code;
    bench_options(&options, with_journal ? self->folder : NULL, 0);
    if (with_journal) bench_options_journal(&options, journal_bytes);
    options.flags |= flags;
    bench_keys_init(&self->keys, KEYS, key_size, key_size);
    self->stretch = memory_take(sizeof *self->stretch);
    code = bench_open(&options, &self->engine);
    if (code == 0)
        code = bench_world_begin(&self->world, self->engine, members, OTHERS, &self->keys);
    if (code == 0) bench_stretch_init(self->stretch, &self->world, 1, key_size);
    return code;
}

/* Recounts, if all went well, and takes everything away. */
static int side_close(struct side *self, int code)
{
    if (code == 0) code = bench_recount(self->engine, &self->keys);
    if (self->engine != NULL && bench_close(self->engine) != 0 && code == 0) code = 1;
    if (self->folder[0] != 0) bench_folder_remove(self->folder);
    bench_keys_free(&self->keys);
    free(self->stretch);
    return code;
}

/* ---- Staging --------------------------------------------------------------------------------- */

#define BURSTS 100u
#define BURSTS_QUICK 4u
#define BURSTS_FIRST 3u /* not counted: they touch the ring's memory for the first time */

struct staging {
    struct bench_samples single, batches; /* with a journal minus without */
    struct bench_samples single_with, batches_with;
};

static int burst(struct side *side, bool single, double *ns)
{
    uint64_t spent = 0;
    bench_stretch_prepare(side->stretch, BENCH_STRETCH);
    int code = single ? bench_stretch_single(side->stretch, &spent)
                      : bench_stretch_batches(side->stretch, &spent);
    if (code != 0) return code;
    *ns = (double)spent / BENCH_STRETCH;
    if (side->folder[0] == 0) return 0;
    int result = cairn_wait(side->engine, side->stretch->tickets[BENCH_STRETCH - 1].position,
                            BENCH_TIMEOUT_MS);
    return result == CAIRN_OK ? 0 : bench_refused(side->engine, result, "cairn_wait");
}

/* Bursts with and without a journal in turn; the medians' difference is a run. */
static int compare_sides(struct side *with, struct side *without, bool single, unsigned bursts,
                         double *difference, double *with_ns)
{
    double times[2][BURSTS];
    for (unsigned i = 0; i < bursts + BURSTS_FIRST; i++) {
        unsigned at = i < BURSTS_FIRST ? 0 : i - BURSTS_FIRST;
        int code = burst(with, single, &times[0][at]);
        if (code == 0) code = burst(without, single, &times[1][at]);
        if (code != 0) return code;
    }
    *with_ns = bench_quantile(times[0], bursts, 0.5);
    *difference = *with_ns - bench_quantile(times[1], bursts, 0.5);
    return 0;
}

static int run_staging(struct bench *bench, const struct bench_members *members,
                       struct staging *staging)
{
    struct side with;
    struct side without;
    unsigned bursts = bench->quick ? BURSTS_QUICK : BURSTS;
    uint64_t facts = 2 * (bursts + BURSTS_FIRST) * (uint64_t)BENCH_STRETCH;
    double difference = 0;
    double with_ns = 0;
    /* A burst ends in a batch of its own, and each batch in padding. */
    int code = side_open(bench, &with, members, true, 0, 8, facts * (128 + RECORD_ROOM));
    if (code != 0) return side_close(&with, code);
    code = side_open(bench, &without, members, false, 0, 8, 0);
    if (code == 0) code = compare_sides(&with, &without, true, bursts, &difference, &with_ns);
    if (code == 0) {
        bench_sample(&staging->single, difference);
        bench_sample(&staging->single_with, with_ns);
        code = compare_sides(&with, &without, false, bursts, &difference, &with_ns);
    }
    if (code == 0) {
        bench_sample(&staging->batches, difference);
        bench_sample(&staging->batches_with, with_ns);
    }
    code = side_close(&without, code);
    return side_close(&with, code);
}

static void report_staging(struct bench *bench, const char *name,
                           const struct bench_samples *difference, const struct bench_samples *with)
{
    struct bench_row row = {.name = name,
                            .unit = "ns",
                            .samples = difference,
                            .yardstick = "blake3_compress",
                            .yardstick_value = bench->compress_ns,
                            .target_kind = BENCH_VALUE_AT_MOST,
                            .target = 25};
    snprintf(
        row.notes, sizeof row.notes,
        "what a journal adds to a call: facts of 128 bytes in bursts of %u, which fit the ring, "
        "durable before the next; with and without in turn, medians of %u bursts; with it a call "
        "takes %.1f ns",
        BENCH_STRETCH, bench->quick ? BURSTS_QUICK : BURSTS, bench_median(with));
    bench_report(bench, &row);
}

int bench_staging(struct bench *bench)
{
    struct bench_members members;
    struct staging staging = {0};
    int code = bench_members_make_for(bench, &members, OTHERS, 1, FACTS_PER_BUNDLE, KEYS, 8);
    for (unsigned run = 0; run < bench->runs && code == 0; run++) {
        bench_progress(bench, "staging", run);
        code = run_staging(bench, &members, &staging);
    }
    if (code == 0) {
        report_staging(bench, "staging.single", &staging.single, &staging.single_with);
        report_staging(bench, "staging.batch64", &staging.batches, &staging.batches_with);
    }
    bench_members_free(&members);
    return code;
}

/* ---- Throughput ------------------------------------------------------------------------------ */

#define THROUGHPUT_KEY (200u - FACT_REST)
#define FACTS_PER_SECOND 3e6

struct throughput {
    struct bench_samples facts; /* a second */
    struct bench_samples megabytes;
    double bytes_per_fact; /* in the journal, all included */
};

static int admit_durably(struct side *side, uint64_t facts, uint64_t *ns)
{
    /* One stretch again and again: to draw new facts would take the journal's thread's time. */
    uint64_t position = 0;
    bench_stretch_prepare(side->stretch, BENCH_STRETCH);
    uint64_t start = bench_ns();
    for (uint64_t done = 0; done < facts; done += BENCH_STRETCH) {
        int code = bench_stretch_patiently(side->stretch, &position);
        if (code != 0) return code;
    }
    int result = cairn_wait(side->engine, position, BENCH_TIMEOUT_MS);
    *ns = bench_ns() - start;
    return result == CAIRN_OK ? 0 : bench_refused(side->engine, result, "cairn_wait");
}

static int run_throughput(struct bench *bench, const struct bench_members *members, uint32_t flags,
                          uint64_t facts, struct throughput *throughput)
{
    struct side side;
    struct cairn_status before;
    struct cairn_status after;
    uint64_t ns = 0;
    int code =
        side_open(bench, &side, members, true, flags, THROUGHPUT_KEY, facts * (256 + RECORD_ROOM));
    if (code != 0) return side_close(&side, code);
    cairn_status(side.engine, &before);
    code = admit_durably(&side, facts, &ns);
    cairn_status(side.engine, &after);
    if (code == 0) {
        double bytes = (double)(after.journal_position - before.journal_position);
        double admitted = (double)(after.facts_admitted - before.facts_admitted);
        bench_sample(&throughput->facts, admitted * 1e9 / (double)ns);
        bench_sample(&throughput->megabytes, bytes * 1e3 / (double)ns);
        throughput->bytes_per_fact = bytes / admitted;
    }
    return side_close(&side, code);
}

static void report_throughput(struct bench *bench, const char *name, const char *how,
                              const struct throughput *throughput, uint64_t facts)
{
    double disk_facts = bench->disk_bytes_per_s * 0.6 / throughput->bytes_per_fact;
    double target = disk_facts < FACTS_PER_SECOND ? disk_facts : FACTS_PER_SECOND;
    double median = bench_median(&throughput->facts);
    struct bench_row row = {.name = name,
                            .unit = "facts/s",
                            .samples = &throughput->facts,
                            .yardstick = "yardstick.disk in facts/s",
                            .yardstick_value = bench->disk_bytes_per_s / throughput->bytes_per_fact,
                            .ns = 1e9 / median,
                            .target_kind = BENCH_VALUE_AT_LEAST,
                            .target = target};
    snprintf(
        row.notes, sizeof row.notes,
        "%s; %llu facts a run of 200 bytes (256 with padding, %.1f in the journal), keys of %u "
        "bytes, in batches of 64, ids and certificates included, until the last is durable: %.0f "
        "MB/s; the target is the slower of 60 percent of the disk and 3 million",
        how, (unsigned long long)facts, throughput->bytes_per_fact, THROUGHPUT_KEY,
        bench_median(&throughput->megabytes));
    bench_report(bench, &row);
}

int bench_throughput(struct bench *bench)
{
    struct bench_members members;
    struct throughput plain = {0};
    struct throughput realtime = {0};
    uint64_t facts = bench->facts / 4 + 1;
    int code = bench_disk_need(bench);
    if (code != 0) return code;
    facts = (facts + BENCH_STRETCH - 1) / BENCH_STRETCH * BENCH_STRETCH;
    code =
        bench_members_make_for(bench, &members, OTHERS, 1, FACTS_PER_BUNDLE, KEYS, THROUGHPUT_KEY);
    for (unsigned run = 0; run < bench->runs && code == 0; run++) {
        bench_progress(bench, "durable.throughput", run);
        code = run_throughput(bench, &members, 0, facts, &plain);
        if (code == 0)
            code = run_throughput(bench, &members, CAIRN_OPEN_REALTIME, facts, &realtime);
    }
    if (code == 0) {
        report_throughput(bench, "durable.throughput", "ordinary threads", &plain, facts);
        report_throughput(bench, "durable.throughput.realtime",
                          "the journal's thread in the real-time class, if that is allowed",
                          &realtime, facts);
    }
    bench_members_free(&members);
    return code;
}
