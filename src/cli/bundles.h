/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of bundles: each bundle is a certificate with its facts, behind its size as a little-endian
 * 32-bit number. A list of bundles remembers where each one lies, and reads it when it is its turn;
 * so any number of files can be imported in any order.
 */
#ifndef CAIRN_CLI_BUNDLES_H
#define CAIRN_CLI_BUNDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "cairn.h"
#include "cli/progress.h"

#define BUNDLE_FILES_MAX 64u

struct bundle_place {
    uint64_t offset; /* of the bundle, behind its size */
    uint32_t size;
    uint16_t file;
    bool was_tried;
};

struct bundle_file {
    const char *name;
    int fd;
};

struct bundle_list {
    struct bundle_place *places; /* those that are left to import */
    size_t count;
    size_t capacity;
    uint32_t file_count;
    struct bundle_file files[BUNDLE_FILES_MAX];
};

/* What an import did. */
struct bundle_totals {
    uint64_t bundles;
    uint64_t applied;   /* facts */
    uint64_t duplicate; /* facts that were here before */
    uint64_t rounds;
    uint64_t waited;          /* bundles that could not be applied when they came first */
    struct cairn_dot missing; /* what the last of them waited for */
};

/* Writes all bundles of the engine to the descriptor; counts them. Returns an exit code. */
int bundles_export(cairn_engine *engine, int fd, const char *name, uint64_t *count);
/* The same to a file, which is replaced whole: a reader sees the old one or the new one. */
int bundles_export_file(cairn_engine *engine, const char *name, uint64_t *count);

void bundle_list_init(struct bundle_list *self);
/* Adds the bundles of a file; `name` is kept. "-" is standard input. Returns an exit code. */
int bundle_list_add(struct bundle_list *self, const char *name);
void bundle_list_free(struct bundle_list *self);
void bundle_list_shuffle(struct bundle_list *self, struct prng *prng);
/* Reads bundle `index` into a buffer of CAIRN_BUNDLE_SIZE_MAX bytes. Returns an exit code. */
int bundle_list_read(const struct bundle_list *self, size_t index, uint8_t *buffer);

/*
 * Imports all, in their order, in rounds: the engine keeps only so much of what waits, and may drop
 * it again, so a bundle leaves the list when all its facts are applied, and comes again until then.
 * What is left in the list waits for something that is not in it. `progress` counts applied facts,
 * and may be NULL; `stop`, if set, ends the import early. Returns an exit code.
 */
int bundle_list_import(struct bundle_list *self, cairn_engine *engine, struct bundle_totals *totals,
                       struct progress *progress, const volatile int *stop);

#endif
