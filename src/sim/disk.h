/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual disk: journal segments and small files in memory, with the faults of real ones. The
 * same settings, calls and faults give the same bytes and results.
 *
 *   D1  a completed write, and a file's bytes behind a sync, are on the medium: a power cut keeps
 *       them. Only rot, a lost write and a misdirected write break this, each only when asked for
 *   D2  at a power cut, each sector (512 bytes) of what is in flight or not synced is kept or
 *       dropped by itself, and where writes overlap in any order; so blocks tear, and later writes
 *       may be there without earlier ones. A sector is whole, old or new
 *   D3  a failed request leaves a random part of its bytes on the medium, and says so
 *   D4  every fault that happened is counted, so a test can assert that it did
 *
 * The bytes of a write belong to the disk until its completion: it looks at them when it completes
 * or when the power is cut, and asserts that nobody changed them in between.
 */
#ifndef CAIRN_SIM_DISK_H
#define CAIRN_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/prng.h"
#include "host/host.h"

#define SIM_SECTOR_SIZE 512u
#define SIM_SPACE_UNLIMITED UINT64_MAX

struct sim_disk_settings {
    uint64_t segment_bytes; /* whole blocks */
    uint32_t segment_count;
    uint64_t file_bytes_max; /* of each small file: whole sectors */
    uint64_t seed;
};

/*
 * Faults to come, counted from sim_disk_set_faults() on: 1 is the next call of that kind, 0 none.
 * Segments and small files share the counts. A HOST_WRITE is one write and then one sync; a
 * truncation is a write.
 */
struct sim_faults {
    uint64_t write_fails;
    uint64_t sync_fails; /* the bytes were written, perhaps in part, but nobody knows */
    uint64_t read_fails;
    uint64_t prepare_fails;     /* STORAGE_FAILED; for STORAGE_FULL, see sim_disk_set_space() */
    uint64_t write_lost;        /* acknowledged, synced, absent */
    uint64_t write_misdirected; /* acknowledged, but at another place; only of segments */
    uint32_t delay_max;         /* turns of wait() that a request takes, at most: 0 the next one */
    bool reorders;              /* completions come in random order */
};

/* What happened since init. */
struct sim_disk_counts {
    uint64_t writes;
    uint64_t syncs;
    uint64_t reads;
    uint64_t prepares;
    uint64_t failed_writes;
    uint64_t failed_syncs;
    uint64_t failed_reads;
    uint64_t failed_prepares;
    uint64_t lost_writes;
    uint64_t misdirected_writes;
    uint64_t refused_for_space;
    uint64_t rotted_bytes;
    uint64_t delayed;   /* completions that took more than one turn */
    uint64_t reordered; /* completions that overtook an earlier request */
    uint64_t power_cuts;
    uint64_t cut_requests; /* in flight at a power cut */
    uint64_t cut_files;    /* with bytes, size or name not synced at a power cut */
    uint64_t kept_sectors; /* of what was not durable at a power cut or failure */
    uint64_t dropped_sectors;
    uint64_t torn_blocks; /* some sectors kept, some dropped */
    uint64_t vanished_files;
};

struct sim_request {
    struct host_request request;
    uint64_t number; /* in order of submission */
    uint32_t delay;
    uint32_t checksum; /* of the bytes of a write, when it was submitted */
};

struct sim_file {
    uint8_t *medium; /* what a power cut leaves */
    uint8_t *cached; /* what reads see */
    uint64_t medium_size;
    uint64_t size;
    bool medium_exists;
    bool exists;
};

struct sim_disk {
    struct sim_disk_settings settings;
    struct sim_faults faults;
    struct sim_disk_counts counts;
    struct sim_disk_counts counts_before; /* when the faults were set */
    struct prng prng;
    uint64_t space;
    uint64_t submitted;
    uint8_t *segments;
    bool *prepared;
    struct sim_file files[HOST_FILES];
    uint32_t in_flight;
    bool woken;
    struct sim_request requests[HOST_REQUESTS_MAX];
};

/* An empty disk without faults and with unlimited space. Takes its memory (zeroed) from the arena;
 * also in the arena's dry run. */
void sim_disk_init(struct sim_disk *self, const struct sim_disk_settings *settings,
                   struct arena *arena);

/* The faces. They live as long as the disk. */
struct host_disk sim_disk_face(struct sim_disk *self);
struct host_store sim_store_face(struct sim_disk *self);

void sim_disk_set_faults(struct sim_disk *self, const struct sim_faults *faults);

/* Bytes that prepared segments and files may take together. */
void sim_disk_set_space(struct sim_disk *self, uint64_t bytes);
uint64_t sim_disk_used_space(const struct sim_disk *self);

/*
 * Turns the present state into what a reopened disk sees (D2). Nothing is in flight afterwards, and
 * the buffers of what was are free again. Pending faults are dropped.
 */
void sim_disk_power_cut(struct sim_disk *self);

/* Rot: changes one byte on the medium, behind everyone's back. `flip` is not 0. */
void sim_disk_rot(struct sim_disk *self, uint32_t segment, uint64_t offset, uint8_t flip);
void sim_disk_rot_file(struct sim_disk *self, enum host_file file, uint64_t offset, uint8_t flip);

/* The medium of a segment, for tests: segment_bytes bytes. */
uint8_t *sim_disk_segment(struct sim_disk *self, uint32_t segment);

#endif
