/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What everything is compared with. The processor: one blake3_compress_in_place, the best of
 * several processes. The disk: plain O_DIRECT writes into a file that was written before, each
 * followed by fdatasync; the best size for throughput, 4 KiB for latency.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <blake3_impl.h>

#include "cli/bench.h"

#define PROCESSES 7u
#define COMPRESSIONS 20000u
#define REPETITIONS 60u

/* ---- One compression ------------------------------------------------------------------------- */

static double compress_here(unsigned repetitions)
{
    static _Alignas(64) uint8_t block[BLAKE3_BLOCK_LEN];
    _Alignas(64) uint32_t chain[8];
    double best = 1e9;
    memcpy(chain, IV, sizeof chain);
    memset(block, 0x5a, sizeof block);
    for (unsigned repetition = 0; repetition < repetitions; repetition++) {
        uint64_t start = bench_ns();
        for (unsigned i = 0; i < COMPRESSIONS; i++)
            blake3_compress_in_place(chain, block, BLAKE3_BLOCK_LEN, i, CHUNK_START);
        double ns = (double)(bench_ns() - start) / COMPRESSIONS;
        if (ns < best) best = ns;
    }
    /* The chain is used, so that no compiler can leave it out. */
    return chain[0] == 0 && chain[1] == 0 ? best + 1e-9 : best;
}

static int compress_in_process(unsigned repetitions, double *ns)
{
    int ends[2];
    int status = 0;
    if (pipe(ends) != 0) return bench_failed("pipe: %s", strerror(errno));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        double measured = compress_here(repetitions);
        _exit(write(ends[1], &measured, sizeof measured) == (ssize_t)sizeof measured ? 0 : 1);
    }
    close(ends[1]);
    ssize_t got = child < 0 ? -1 : read(ends[0], ns, sizeof *ns);
    close(ends[0]);
    if (child > 0) waitpid(child, &status, 0);
    if (got == (ssize_t)sizeof *ns && status == 0) return 0;
    return bench_failed("a process that measures the compression failed");
}

int bench_compress(struct bench *self)
{
    struct bench_samples samples = {0};
    unsigned processes = self->quick ? 2 : PROCESSES;
    for (unsigned i = 0; i < processes; i++) {
        double ns = 0;
        int code = compress_in_process(self->quick ? 5 : REPETITIONS, &ns);
        if (code != 0) return code;
        bench_sample(&samples, ns);
    }
    self->compress_ns = bench_lowest(&samples);
    struct bench_row row = {
        .name = "yardstick.compress", .unit = "ns", .samples = &samples, .best = BENCH_LOWEST};
    snprintf(row.notes, sizeof row.notes,
             "C: one blake3_compress_in_place of the BLAKE3 sources that Cairn is built with; each "
             "run is a process of its own, of which the best of %u times %u counts",
             self->quick ? 5 : REPETITIONS, COMPRESSIONS);
    bench_report(self, &row);
    return 0;
}

/* ---- A file ---------------------------------------------------------------------------------- */

#define FILE_ALIGNMENT 4096u
#define PIECE (UINT64_C(1) << 20)

static int file_fill(struct bench_file *file)
{
    for (uint64_t at = 0; at < file->size; at += PIECE) {
        if (pwrite(file->fd, file->buffer, PIECE, (off_t)at) != (ssize_t)PIECE)
            return bench_failed("writing a file for the disk's yardstick: %s", strerror(errno));
    }
    if (fsync(file->fd) == 0) return 0;
    return bench_failed("fsync of a file for the disk's yardstick: %s", strerror(errno));
}

int bench_file_open(struct bench *self, struct bench_file *file, uint64_t size)
{
    char path[BENCH_PATH_SIZE + 16];
    memset(file, 0, sizeof *file);
    file->size = size;
    file->direct = true;
    snprintf(path, sizeof path, "%s/yardstick", self->folder);
    file->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_DIRECT, 0600);
    if (file->fd < 0 && errno == EINVAL) {
        file->direct = false;
        file->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    }
    if (file->fd < 0) return bench_failed("open %s: %s", path, strerror(errno));
    (void)unlink(path); /* the open file is enough */
    file->buffer = aligned_alloc(FILE_ALIGNMENT, PIECE);
    if (file->buffer == NULL) return bench_failed("no memory");
    memset(file->buffer, 0xa5, PIECE);
    return file_fill(file);
}

void bench_file_close(struct bench_file *file)
{
    if (file->fd >= 0) close(file->fd);
    free(file->buffer);
}

int bench_file_write(struct bench_file *file, size_t size)
{
    if (file->at + size > file->size) file->at = 0;
    ssize_t put = pwrite(file->fd, file->buffer, size, (off_t)file->at);
    file->at += size;
    if (put == (ssize_t)size && fdatasync(file->fd) == 0) return 0;
    return bench_failed("write and fdatasync: %s", strerror(errno));
}

/* ---- The disk -------------------------------------------------------------------------------- */

#define FILE_SIZE (UINT64_C(256) << 20)
#define FILE_SIZE_QUICK (UINT64_C(16) << 20)
#define SYNCS 2000u
#define SYNCS_QUICK 50u
#define TICK_NS 2000000.0

static int measure_size(struct bench_file *file, size_t size, double *bytes_per_s)
{
    uint64_t start = bench_ns();
    file->at = 0;
    for (uint64_t done = 0; done < file->size / 2; done += size) {
        int code = bench_file_write(file, size);
        if (code != 0) return code;
    }
    *bytes_per_s = (double)(file->size / 2) * 1e9 / (double)(bench_ns() - start);
    return 0;
}

static int measure_writes(struct bench *self, struct bench_file *file,
                          struct bench_samples *samples, size_t *best_size)
{
    double best = 0;
    for (unsigned run = 0; run < self->runs; run++) {
        double best_of_run = 0;
        bench_progress(self, "yardstick.disk", run);
        for (size_t size = 64u << 10; size <= PIECE; size *= 2) {
            double speed = 0;
            int code = measure_size(file, size, &speed);
            if (code != 0) return code;
            if (speed > best_of_run) best_of_run = speed;
            if (speed > best) {
                best = speed;
                *best_size = size;
            }
        }
        bench_sample(samples, best_of_run / 1e6);
    }
    self->disk_bytes_per_s = best;
    return 0;
}

static int measure_syncs(struct bench *self, struct bench_file *file, struct bench_samples *samples,
                         unsigned *slow)
{
    static double times[SYNCS];
    unsigned count = self->quick ? SYNCS_QUICK : SYNCS;
    for (unsigned run = 0; run < self->runs; run++) {
        bench_progress(self, "yardstick.sync", run);
        for (unsigned i = 0; i < count; i++) {
            uint64_t start = bench_ns();
            int code = bench_file_write(file, FILE_ALIGNMENT);
            if (code != 0) return code;
            times[i] = (double)(bench_ns() - start);
            *slow += times[i] > TICK_NS;
        }
        bench_sample(samples, bench_quantile(times, count, 0.5));
    }
    self->sync_ns = bench_median(samples);
    return 0;
}

static void report_disk(struct bench *self, const struct bench_file *file,
                        const struct bench_samples *writes, size_t best_size,
                        const struct bench_samples *syncs, unsigned slow)
{
    const char *kind = file->direct ? "O_DIRECT" : "page cache, since O_DIRECT is refused";
    struct bench_row row = {
        .name = "yardstick.disk", .unit = "MB/s", .samples = writes, .best = BENCH_HIGHEST};
    snprintf(
        row.notes, sizeof row.notes,
        "plain writes (%s) into a file that was written before, one in flight, fdatasync behind "
        "each; best of 64 KiB to 1 MiB, which was %zu KiB",
        kind, best_size >> 10);
    bench_report(self, &row);
    struct bench_row sync = {.name = "yardstick.sync", .unit = "ns", .samples = syncs};
    snprintf(
        sync.notes, sizeof sync.notes,
        "p50 of %u times a write of 4 KiB (%s) and fdatasync; %u of all %u took over 2 ms, as a "
        "busy neighbour makes them",
        self->quick ? SYNCS_QUICK : SYNCS, kind, slow,
        self->runs * (self->quick ? SYNCS_QUICK : SYNCS));
    bench_report(self, &sync);
}

int bench_disk(struct bench *self)
{
    struct bench_samples writes = {0};
    struct bench_samples syncs = {0};
    struct bench_file file;
    size_t best_size = 0;
    unsigned slow = 0;
    int code = bench_file_open(self, &file, self->quick ? FILE_SIZE_QUICK : FILE_SIZE);
    if (code == 0) code = measure_writes(self, &file, &writes, &best_size);
    if (code == 0) code = measure_syncs(self, &file, &syncs, &slow);
    if (code == 0) report_disk(self, &file, &writes, best_size, &syncs, slow);
    bench_file_close(&file);
    return code;
}

int bench_disk_need(struct bench *self)
{
    return self->disk_bytes_per_s > 0 ? 0 : bench_disk(self);
}
