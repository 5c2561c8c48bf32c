/* SPDX-License-Identifier: Apache-2.0 */
/* Ids in batches, as the journal's thread makes them; and how large the library is. */
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/bench.h"
#include "cli/memory.h"
#include "crypto/address.h"

#define BYTES (1u << 20) /* of facts: what a batch of the journal holds */

/* Nanoseconds a fact: all groups of 64 in a row, again and again. */
static double hash_all(const uint8_t *const *facts, size_t count, size_t size, uint8_t *addresses,
                       unsigned repetitions)
{
    uint64_t start = bench_ns();
    for (unsigned i = 0; i < repetitions; i++) {
        for (size_t at = 0; at < count; at += BENCH_BATCH)
            address_of_many(ADDRESS_FACT, facts + at, BENCH_BATCH, size, addresses);
    }
    return (double)(bench_ns() - start) / ((double)count * repetitions);
}

static int measure(struct bench *self, const char *name, size_t size, double target)
{
    struct bench_samples samples = {0};
    uint8_t addresses[BENCH_BATCH * ADDRESS_SIZE];
    uint8_t address[ADDRESS_SIZE];
    struct prng random;
    size_t count = BYTES / size;
    uint8_t *bytes = memory_take(BYTES);
    const uint8_t **facts = memory_take(count * sizeof *facts);
    prng_init(&random, size);
    prng_fill(&random, bytes, BYTES);
    for (size_t i = 0; i < count; i++)
        facts[i] = bytes + i * size;
    (void)hash_all(facts, count, size, addresses, 1);
    for (unsigned run = 0; run < self->runs; run++)
        bench_sample(&samples, hash_all(facts, count, size, addresses, self->quick ? 1 : 100));
    address_of_record(ADDRESS_FACT, facts[count - 1], size, address);
    bool same = memcmp(address, addresses + (BENCH_BATCH - 1) * ADDRESS_SIZE, ADDRESS_SIZE) == 0;
    free(facts);
    free(bytes);
    if (!same) return bench_failed("ids in batches differ from ids one by one");
    struct bench_row row = {.name = name,
                            .unit = "ns",
                            .samples = &samples,
                            .yardstick = "blake3_compress",
                            .yardstick_value = self->compress_ns,
                            .target_kind = target > 0 ? BENCH_RATIO_AT_MOST : BENCH_TARGET_NONE,
                            .target = target};
    snprintf(
        row.notes, sizeof row.notes,
        "a fact of %zu bytes, in groups of %u over 1 MiB of facts; the function is internal, so "
        "this row alone uses the command's own copy of the crypto room",
        size, BENCH_BATCH);
    bench_report(self, &row);
    return 0;
}

int bench_ids(struct bench *self)
{
    address_init();
    int code = measure(self, "ids.batch", 128, 0.6);
    if (code == 0) code = measure(self, "ids.batch256", 256, 0);
    return code;
}

/* ---- The library's size ---------------------------------------------------------------------- */

/* Adds up what is mapped of libcairn.so. */
static int add_loaded(struct dl_phdr_info *object, size_t size, void *argument)
{
    uint64_t *loaded = argument;
    (void)size;
    if (strstr(object->dlpi_name, "libcairn.so") == NULL) return 0;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        if (object->dlpi_phdr[i].p_type == PT_LOAD) *loaded += object->dlpi_phdr[i].p_filesz;
    }
    return 1;
}

int bench_library(struct bench *self)
{
    char path[BENCH_PATH_SIZE];
    struct stat status;
    struct bench_samples samples = {0};
    uint64_t loaded = 0;
    int code = bench_library_path(path);
    if (code != 0) return code;
    if (stat(path, &status) != 0) return bench_failed("libcairn.so cannot be looked at");
    (void)dl_iterate_phdr(add_loaded, &loaded);
    bench_sample(&samples, (double)loaded);
    struct bench_row row = {.name = "library.size", .unit = "bytes", .samples = &samples};
    snprintf(row.notes, sizeof row.notes,
             "what the loader maps of libcairn.so; the file has %lld bytes with its symbols for "
             "debuggers",
             (long long)status.st_size);
    bench_report(self, &row);
    return 0;
}
