/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery from the journal alone. The folder is filled once and opened again for each run; before
 * each, the pages of its files are dropped from the cache, and mincore() says that none is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/bench.h"
#include "cli/memory.h"

#define KEYS 1000u
#define OTHERS 7u
#define FACTS_PER_BUNDLE 64u
#define BYTES_PER_FACT 152u /* 128 and what belongs to it in the journal, more than enough */

/* ---- A cold cache ---------------------------------------------------------------------------- */

static uint64_t resident_pages; /* nftw() has no argument for its function */
static bool drop_failed;

static uint64_t count_resident(int fd, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = (size + page - 1) / page;
    uint64_t resident = 0;
    void *memory = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return pages;
    unsigned char *vector = memory_take(pages);
    if (mincore(memory, size, vector) != 0) resident = pages;
    for (size_t i = 0; i < pages; i++)
        resident += vector[i] & 1;
    free(vector);
    munmap(memory, size);
    return resident;
}

static int drop_file(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)walk;
    if (kind != FTW_F || status->st_size == 0) return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        drop_failed = true;
    if (fd >= 0) {
        resident_pages += count_resident(fd, (size_t)status->st_size);
        close(fd);
    }
    return 0;
}

static int drop_cache(const char *folder)
{
    resident_pages = 0;
    drop_failed = false;
    if (nftw(folder, drop_file, 16, FTW_PHYS) != 0 || drop_failed)
        return bench_failed("dropping a folder's pages: %s", strerror(errno));
    return 0;
}

/* ---- Filling and opening --------------------------------------------------------------------- */

struct recovery {
    char folder[BENCH_PATH_SIZE];
    struct cairn_options options;
    struct bench_keys keys;
    struct bench_world world;
    struct bench_stretch *stretch;
    struct bench_samples speed;   /* facts a second, as cairn_recovered() has it */
    struct bench_samples open_ms; /* the whole of cairn_open() */
    uint64_t facts;
    uint64_t warm_pages;
    struct cairn_recovery last;
};

static int fill(struct recovery *self, cairn_engine *engine, const struct bench_members *members)
{
    uint64_t position = 0;
    int code = bench_world_begin(&self->world, engine, members, OTHERS, &self->keys);
    if (code != 0) return code;
    bench_stretch_init(self->stretch, &self->world, 1, self->facts);
    for (uint64_t done = 0; done < self->facts && code == 0; done += BENCH_STRETCH) {
        uint64_t left = self->facts - done;
        bench_stretch_prepare(self->stretch, left < BENCH_STRETCH ? (uint32_t)left : BENCH_STRETCH);
        code = bench_stretch_patiently(self->stretch, &position);
    }
    if (code != 0) return code;
    int result = cairn_flush(engine, BENCH_TIMEOUT_MS);
    return result == CAIRN_OK ? 0 : bench_refused(engine, result, "cairn_flush");
}

static int check_recovered(const struct recovery *self)
{
    const struct cairn_recovery *last = &self->last;
    uint64_t wanted = self->facts + self->world.imported;
    if (last->facts_applied == wanted && last->facts_from_checkpoint == 0 &&
        last->facts_held == 0 && last->damaged_ranges == 0 && last->certificates_bad == 0 &&
        last->certificates_verified > 0)
        return 0;
    return bench_failed(
        "recovery: %llu of %llu facts applied, %llu of them from a checkpoint, %llu "
        "held; %llu certificates verified, %llu bad; %llu batches damaged",
        (unsigned long long)last->facts_applied, (unsigned long long)wanted,
        (unsigned long long)last->facts_from_checkpoint, (unsigned long long)last->facts_held,
        (unsigned long long)last->certificates_verified, (unsigned long long)last->certificates_bad,
        (unsigned long long)last->damaged_ranges);
}

static int open_cold(struct recovery *self)
{
    cairn_engine *engine;
    int code = drop_cache(self->folder);
    if (code != 0) return code;
    if (resident_pages > self->warm_pages) self->warm_pages = resident_pages;
    uint64_t start = bench_ns();
    code = bench_open(&self->options, &engine);
    if (code != 0) return code;
    bench_sample(&self->open_ms, (double)(bench_ns() - start) / 1e6);
    cairn_recovered(engine, &self->last);
    bench_sample(&self->speed,
                 (double)self->last.facts_applied * 1e9 / (double)self->last.nanoseconds);
    code = check_recovered(self);
    if (code == 0) code = bench_recount(engine, &self->keys);
    if (bench_close(engine) != 0 && code == 0) code = 1;
    return code;
}

static int run_all(struct bench *bench, struct recovery *self, const struct bench_members *members)
{
    cairn_engine *engine;
    bench_options(&self->options, self->folder, 0);
    bench_options_journal(&self->options, self->facts * BYTES_PER_FACT);
    bench_progress(bench, "recovery: filling the journal", 0);
    int code = bench_open(&self->options, &engine);
    if (code != 0) return code;
    code = fill(self, engine, members);
    if (code == 0) code = bench_recount(engine, &self->keys);
    if (bench_close(engine) != 0 && code == 0) code = 1;
    self->options.prepare_bytes = 0;
    for (unsigned run = 0; run < bench->runs && code == 0; run++) {
        bench_progress(bench, "recovery", run);
        code = open_cold(self);
    }
    return code;
}

static void report(struct bench *bench, const struct recovery *self)
{
    double median = bench_median(&self->speed);
    struct bench_row row = {.name = "recovery",
                            .unit = "facts/s",
                            .samples = &self->speed,
                            .ns = 1e9 / median,
                            .target_kind = BENCH_VALUE_AT_LEAST,
                            .target = 2e6};
    snprintf(
        row.notes, sizeof row.notes,
        "%llu facts of 128 bytes, no checkpoint; %llu certificates and all ids verified; %.1f MB "
        "read, %.0f MB/s; cairn_recovered()'s time, the whole cairn_open took %.0f ms; cold: pages "
        "dropped with posix_fadvise, of which at most %llu stayed in the cache",
        (unsigned long long)self->last.facts_applied,
        (unsigned long long)self->last.certificates_verified, (double)self->last.bytes_read / 1e6,
        (double)self->last.bytes_read * 1e3 / (double)self->last.nanoseconds,
        bench_median(&self->open_ms), (unsigned long long)self->warm_pages);
    bench_report(bench, &row);
}

int bench_recovery(struct bench *bench)
{
    struct bench_members members = {0};
    struct recovery *self = memory_take(sizeof *self);
    self->facts = bench->facts;
    self->stretch = memory_take(sizeof *self->stretch);
    bench_keys_init(&self->keys, KEYS, 8, 8);
    int code = bench_members_make(bench, &members, OTHERS, 1, FACTS_PER_BUNDLE, &self->keys, KEYS);
    if (code == 0) code = bench_folder_make(bench, self->folder);
    if (code == 0) {
        code = run_all(bench, self, &members);
        bench_folder_remove(self->folder);
    }
    if (code == 0) report(bench, self);
    bench_members_free(&members);
    bench_keys_free(&self->keys);
    free(self->stretch);
    free(self);
    return code;
}
