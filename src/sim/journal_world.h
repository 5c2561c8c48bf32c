/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A journal on a virtual disk, with a memory of what went into it, so that a scan can be held
 * against it: what journal/ promises, in one place.
 *
 *   W1  every record that was reported durable is there, byte for byte, in order, once; or lies in
 *       a range that the scan reports as damage
 *   W2  nothing else is there but records that were appended in this life, behind the durable ones,
 *       in order, without a gap; what an earlier recovery cut never comes back, except as long as
 *       that recovery has not made its opening batch durable (J9)
 */
#ifndef CAIRN_SIM_JOURNAL_WORLD_H
#define CAIRN_SIM_JOURNAL_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attributes.h"
#include "base/prng.h"
#include "journal/journal.h"
#include "journal/scan.h"
#include "sim/disk.h"
#include "sim/journal_driver.h"

#define SIM_WORLD_RECORDS_MAX 16384u
#define SIM_WORLD_CUT_MAX 2048u
#define SIM_WORLD_DAMAGE_MAX 16u

struct sim_world_record {
    uint64_t position; /* of its batch */
    uint64_t serial;   /* its bytes are made from it; never used twice */
    uint32_t size;
};

struct sim_world_range {
    uint64_t from;
    uint64_t to;
};

/* What a scan found. */
struct sim_world_report {
    const char *failure; /* which promise was broken, or NULL */
    uint32_t delivered;  /* records */
    uint32_t reached;    /* index behind the last record that was delivered or damaged */
    uint32_t damage_count;
    struct sim_world_range damage[SIM_WORLD_DAMAGE_MAX];
    uint64_t torn_bytes;
    struct journal_tail tail;
};

struct sim_journal_world {
    struct sim_disk disk;
    struct journal journal;
    struct sim_journal_driver driver;
    struct prng prng;
    uint64_t next_serial;
    uint64_t low_water;
    bool has_low_tail; /* the chain at low water is known; else a durable batch stands there */
    struct journal_tail low_tail;
    uint32_t low;   /* index of the first record that is kept */
    uint32_t count; /* records appended */
    uint32_t acked; /* index behind the last that was reported durable */
    uint32_t cut;   /* records that the last recovery cut */
    struct sim_world_record *records;
    struct sim_world_record *cut_records;
    uint8_t *segment; /* scan buffer */
    uint8_t *payload; /* the largest record */
};

/* A fresh journal on a fresh disk; also in the arena's dry run (then nothing is started). */
void sim_journal_world_init(struct sim_journal_world *self, const struct journal_limits *limits,
                            uint64_t seed, struct arena *arena);

/* Appends one record of the size (at least 8) if there is room at once. */
CHECKED bool sim_journal_world_try_append(struct sim_journal_world *self, uint32_t size);
/* Appends one record, waiting for room. False: failed or full. */
CHECKED bool sim_journal_world_append(struct sim_journal_world *self, uint32_t size);
void sim_journal_world_flush(struct sim_journal_world *self);
/* One turn of the disk. */
void sim_journal_world_wait(struct sim_journal_world *self, int64_t timeout_ns);
CHECKED bool sim_journal_world_drain(struct sim_journal_world *self);
/* Gives up all durable records before `index`, in whole batches. */
void sim_journal_world_recycle(struct sim_journal_world *self, uint32_t index);

/* Scans from the first kept record on, and holds what is there against what went in. */
void sim_journal_world_scan(struct sim_journal_world *self, struct sim_world_report *report);
/* Opens the journal again behind the tail of a report, and forgets what was cut. */
void sim_journal_world_reopen(struct sim_journal_world *self,
                              const struct sim_world_report *report);

#endif
