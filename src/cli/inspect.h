/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a data folder, found by reading its files and nothing else: no lock, no engine,
 * nothing written. Everything may be missing or damaged; what can be read is read.
 */
#ifndef CAIRN_CLI_INSPECT_H
#define CAIRN_CLI_INSPECT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn.h"
#include "facts/checkpoint.h"
#include "facts/record.h"
#include "facts/space.h"
#include "journal/scan.h"
#include "node/member.h"

#define INSPECT_KINDS (RECORD_CERTIFICATE + 2u) /* one more for kinds that are not known */
#define INSPECT_ORIGINS_MAX 256u
#define INSPECT_NO_SEGMENT UINT64_MAX

enum inspect_state {
    INSPECT_MISSING,
    INSPECT_VALID,
    INSPECT_DAMAGED,
};

const char *inspect_state_name(enum inspect_state state);

struct inspect_segment {
    uint32_t file;
    uint64_t size;
    uint64_t
        number; /* counted since the journal began, or INSPECT_NO_SEGMENT: no batch was found */
    uint64_t batches;
    uint64_t records;
    uint64_t bytes;
};

struct inspect_batch {
    uint64_t position;
    uint64_t bytes;
    uint32_t epoch;
    uint32_t records;
};

struct inspect_range {
    uint64_t from;
    uint64_t to;
};

struct inspect_origin {
    uint32_t slot;
    uint32_t incarnation;
    uint64_t facts;
    uint64_t first;
    uint64_t last;
    uint64_t certificates;
    uint64_t certified; /* sequence of the last certified fact */
};

struct inspect_checkpoint {
    enum inspect_state state;
    bool is_empty; /* damaged, but only for want of a header: it was never finished */
    struct checkpoint_header header;
};

struct inspection {
    char folder[PATH_MAX];
    enum inspect_state member_state;
    struct member_file member; /* its seed is zeroed */
    /* Geometry: the member file's, or guessed from the files. */
    bool geometry_is_guessed;
    struct journal_limits limits; /* segment_bytes 0: there is no journal */
    uint8_t *buffer;              /* one segment */

    struct inspect_segment *segments; /* that are there, by file */
    size_t segment_count;
    size_t segment_capacity;
    struct inspect_batch *batches;
    size_t batch_count;
    size_t batch_capacity;
    struct inspect_range *damage;
    size_t damage_count;
    size_t damage_capacity;
    struct inspect_origin origins[INSPECT_ORIGINS_MAX];
    size_t origin_count;
    struct space *spaces;
    size_t space_count;
    size_t space_capacity;
    uint64_t kinds[INSPECT_KINDS]; /* records by kind */
    uint64_t kind_bytes[INSPECT_KINDS];
    uint64_t not_canonical; /* records whose payload cannot be decoded */
    uint64_t from;          /* where the scan began */
    uint64_t torn_bytes;
    struct journal_tail tail;
    struct inspect_checkpoint checkpoints[2];
};

/* Reads the folder. Returns an exit code, which is not about damage. */
int inspect_folder(struct inspection *self, const char *folder);
void inspect_free(struct inspection *self);
/* Was something damaged that had been acknowledged? */
bool inspect_is_damaged(const struct inspection *self);

/* Walks the journal once more, record by record. Returns an exit code. */
typedef void (*inspect_record_function)(void *argument, const struct inspection *inspection,
                                        uint64_t position, const struct journal_record *record);
int inspect_records(struct inspection *self, inspect_record_function function, void *argument);

/* The name of a record's kind. */
const char *inspect_kind_name(uint32_t kind);
/* One line about a record. */
void inspect_describe(const struct inspection *self, const struct journal_record *record,
                      char *text, size_t size);

#endif
