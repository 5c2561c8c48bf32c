/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The benchmark. Each file measures one idea and writes its rows:
 *
 *   bench.c             the command: options, the folder, which group runs
 *   bench_report.c      rows as JSON lines or as a table
 *   bench_engine.c      engines of a run, refusals, folders, time
 *   bench_keys.c        keys with a model: a plain array that every cell is counted against
 *   bench_members.c     other members, and the certificates that they made
 *   bench_stretch.c     facts of the measured member, prepared and admitted in stretches
 *   bench_yardstick.c   what all is compared with: one compression, plain writes, plain syncs
 *   bench_admission.c   admission without a journal
 *   bench_calls.c       the same, each call timed
 *   bench_cells.c       a million cells: admission, memory, digest, checkpoint
 *   bench_hash.c        ids in batches, the library's size
 *   bench_journal.c     staging, durable throughput
 *   bench_latency.c     one durable fact at a time
 *   bench_recovery.c    a cold folder
 *
 * Functions return 0, or the exit code of a failure that was said already. Everything stops at the
 * first refusal; every cell is counted again behind every measurement.
 */
#ifndef CAIRN_CLI_BENCH_H
#define CAIRN_CLI_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/histogram.h"
#include "base/prng.h"
#include "cairn.h"
#include "cli/table.h"

#define BENCH_RUNS_MAX 64u
#define BENCH_PATH_SIZE 4352u
#define BENCH_NOTES_SIZE 640u
#define BENCH_STRETCH 4096u /* facts that are timed with one pair of clock readings */
#define BENCH_BATCH 64u
#define BENCH_MEMBERS 9u /* the measured one has slot 0 */
#define BENCH_KEY_SIZE_MAX 128u
#define BENCH_TIMEOUT_MS 60000u

/* ---- Figures (bench_report.c) ---------------------------------------------------------------- */

struct bench_samples {
    double values[BENCH_RUNS_MAX];
    unsigned count;
};

enum bench_target {
    BENCH_TARGET_NONE,
    BENCH_VALUE_AT_MOST,
    BENCH_VALUE_AT_LEAST,
    BENCH_RATIO_AT_MOST,
    BENCH_RATIO_AT_LEAST,
};

/* A row. Its value is the samples' median, unless `best` says which end of them is meant. */
struct bench_row {
    const char *name;
    const char *unit;
    const struct bench_samples *samples;
    enum { BENCH_MEDIAN, BENCH_LOWEST, BENCH_HIGHEST } best;
    const char *yardstick; /* NULL: none */
    double yardstick_value;
    double ns; /* what stands beside the ratio; 0: the value, if it is in ns */
    enum bench_target target_kind;
    double target;
    char notes[BENCH_NOTES_SIZE];
};

struct bench {
    unsigned runs;
    uint64_t facts;
    const char *only; /* NULL: all */
    bool quick;
    bool json;
    bool terminal; /* progress is wanted */
    char folder[BENCH_PATH_SIZE];
    unsigned folders_made;
    double compress_ns; /* the yardsticks; 0: not measured yet */
    double disk_bytes_per_s;
    double sync_ns;
    struct table table;
    unsigned rows;
    unsigned rows_met;
    unsigned rows_with_target;
};

void bench_report_begin(struct bench *self);
void bench_report(struct bench *self, const struct bench_row *row);
void bench_report_end(struct bench *self);

void bench_sample(struct bench_samples *samples, double value);
double bench_median(const struct bench_samples *samples);
double bench_lowest(const struct bench_samples *samples);
double bench_highest(const struct bench_samples *samples);
/* The quantile (0 .. 1) of values, which it sorts. */
double bench_quantile(double *values, size_t count, double quantile);

/* What is being done now, on a terminal only. */
void bench_progress(const struct bench *self, const char *name, unsigned run);

/* ---- Engines (bench_engine.c) ---------------------------------------------------------------- */

/* "cairn: bench: what: the engine's text". Returns the exit code of a failed benchmark. */
int bench_refused(cairn_engine *engine, int result, const char *what);
__attribute__((format(printf, 1, 2))) int bench_failed(const char *format, ...);

/* A new folder in the bench's folder. */
int bench_folder_make(struct bench *self, char path[BENCH_PATH_SIZE]);
void bench_folder_remove(const char *path);

/* Options of the member with this slot; a folder of NULL: durability none. */
void bench_options(struct cairn_options *options, const char *folder, uint32_t slot);
/* A journal that takes this many bytes without a checkpoint, written ahead. */
void bench_options_journal(struct cairn_options *options, uint64_t bytes);
int bench_open(const struct cairn_options *options, cairn_engine **engine);
int bench_close(cairn_engine *engine);

/* The functions of cairn.h that this process calls are those of libcairn.so: its path. */
int bench_library_path(char path[BENCH_PATH_SIZE]);

uint64_t bench_ns(void);

/* ---- Keys and the model (bench_keys.c) ------------------------------------------------------- */

struct bench_keys {
    uint32_t count;
    uint32_t stride;
    uint8_t *bytes; /* the first eight bytes of a key say which it is */
    uint8_t *sizes;
    int64_t *sums; /* the model */
    uint8_t *touched;
    uint64_t touched_count;
};

void bench_keys_init(struct bench_keys *self, uint32_t count, uint32_t size_min, uint32_t size_max);
void bench_keys_free(struct bench_keys *self);
/* Forgets all sums. */
void bench_keys_clear(struct bench_keys *self);
double bench_keys_mean_size(const struct bench_keys *self);

HOT_INLINE const uint8_t *bench_key(const struct bench_keys *self, uint32_t index)
{
    return self->bytes + (size_t)index * self->stride;
}

HOT_INLINE void bench_keys_add(struct bench_keys *self, uint32_t index, int64_t amount)
{
    self->sums[index] += amount;
    self->touched_count += self->touched[index] == 0;
    self->touched[index] = 1;
}

/* Walks all cells of the engine: each must be the model's, and none may be missing. */
int bench_recount(cairn_engine *engine, const struct bench_keys *keys);

/* ---- Other members (bench_members.c) --------------------------------------------------------- */

struct bench_member {
    uint32_t slot;
    uint32_t incarnation;
    uint8_t public_key[CAIRN_PUBLIC_KEY_SIZE];
    uint8_t *bytes; /* bundles, one behind the other */
    size_t capacity;
    size_t size;
    size_t *ends;
    size_t ends_capacity;
    size_t bundles;
};

/* Made once; engines of many runs import the same certificates. */
struct bench_members {
    struct bench_member members[BENCH_MEMBERS]; /* [0] is not used */
    uint32_t count;                             /* of the others */
    const struct bench_keys *keys;              /* while they are made */
    uint32_t key_count; /* their facts touch the first so many keys of the model */
    uint32_t facts_per_bundle;
};

/* What a measured engine has taken of the others so far. */
struct bench_world {
    cairn_engine *engine;
    const struct bench_members *members;
    struct bench_keys *keys;
    uint32_t others; /* how many of them; slots 1 .. others */
    uint32_t space;
    uint32_t next; /* whose bundle comes next */
    size_t taken[BENCH_MEMBERS];
    struct cairn_dot newest[BENCH_MEMBERS];
    uint64_t imported;
    struct histogram import_ns; /* of whole bundles */
};

/* At least `bundles` certificates of each of `count` members. */
int bench_members_make(struct bench *bench, struct bench_members *self, uint32_t count,
                       size_t bundles, uint32_t facts_per_bundle, const struct bench_keys *keys,
                       uint32_t key_count);
/* The same for a model of so many keys of one size. */
int bench_members_make_for(struct bench *bench, struct bench_members *self, uint32_t count,
                           size_t bundles, uint32_t facts_per_bundle, uint32_t key_count,
                           uint32_t key_size);
void bench_members_free(struct bench_members *self);

/* Declares the space, adds the members, takes one bundle of each. */
int bench_world_begin(struct bench_world *self, cairn_engine *engine,
                      const struct bench_members *members, uint32_t others,
                      struct bench_keys *keys);
/* Imports the next bundle of the next member, if there is one. */
int bench_world_import(struct bench_world *self);

/* ---- Stretches (bench_stretch.c) ------------------------------------------------------------- */

struct bench_stretch {
    struct bench_world *world;
    struct prng random;
    uint32_t dependencies;
    uint32_t count; /* facts of the stretch that was prepared */
    uint32_t rotations;
    struct cairn_dot rotated[BENCH_MEMBERS][CAIRN_DEPENDENCIES_MAX];
    uint32_t indexes[BENCH_STRETCH];
    struct cairn_effect effects[BENCH_STRETCH];
    struct cairn_fact facts[BENCH_STRETCH];
    struct cairn_ticket tickets[BENCH_STRETCH];
    size_t keys_used;
    uint8_t keys[BENCH_STRETCH * BENCH_KEY_SIZE_MAX]; /* one behind the other */
};

void bench_stretch_init(struct bench_stretch *self, struct bench_world *world,
                        uint32_t dependencies, uint64_t seed);
/* Random keys, or all keys from `from` on in order. Not timed. */
void bench_stretch_prepare(struct bench_stretch *self, uint32_t count);
void bench_stretch_prepare_all(struct bench_stretch *self, uint32_t count, uint32_t from);
/* Admit what was prepared; *ns is what it took. The model is brought up to date behind it. */
int bench_stretch_single(struct bench_stretch *self, uint64_t *ns);
int bench_stretch_batches(struct bench_stretch *self, uint64_t *ns);
/* In batches, waiting for half a ring whenever the engine is busy; *position: of the last fact. */
int bench_stretch_patiently(struct bench_stretch *self, uint64_t *position);
/* Adds the facts to the model. The functions above did. */
void bench_stretch_count(struct bench_stretch *self);

/* ---- Groups of rows -------------------------------------------------------------------------- */

int bench_compress(struct bench *self);
int bench_disk(struct bench *self);
/* The same, if it was not measured yet. */
int bench_disk_need(struct bench *self);
int bench_admission(struct bench *self);
int bench_dependencies(struct bench *self);
int bench_calls(struct bench *self);
int bench_cells(struct bench *self);
int bench_checkpoint(struct bench *self);
int bench_ids(struct bench *self);
int bench_library(struct bench *self);
int bench_staging(struct bench *self);
int bench_throughput(struct bench *self);
int bench_latency(struct bench *self);
int bench_recovery(struct bench *self);

/* An aligned buffer and a prewritten file for O_DIRECT (bench_yardstick.c). */
struct bench_file {
    int fd;
    bool direct;
    uint64_t size;
    uint64_t at;
    uint8_t *buffer; /* 1 MiB */
};
int bench_file_open(struct bench *self, struct bench_file *file, uint64_t size);
void bench_file_close(struct bench_file *file);
/* One write and one fdatasync; wraps to the start of the file. */
int bench_file_write(struct bench_file *file, size_t size);

#endif
