/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a journal on a host's disk, for tests and simulations: submits its actions, and feeds the
 * completions back. The engine's own is in node/.
 */
#ifndef CAIRN_SIM_JOURNAL_DRIVER_H
#define CAIRN_SIM_JOURNAL_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "host/host.h"
#include "journal/journal.h"
#include "journal/scan.h"

struct sim_journal_driver {
    struct journal *journal;
    struct host_disk disk;
    uint32_t in_flight; /* requests */
};

void sim_journal_driver_init(struct sim_journal_driver *self, struct journal *journal,
                             const struct host_disk *disk);

/* journal_start(), with what the disk has prepared. */
void sim_journal_driver_start(struct sim_journal_driver *self, const struct journal_tail *tail,
                              uint64_t low_water);

/* One event, and its actions to the disk. */
void sim_journal_driver_flush(struct sim_journal_driver *self);
void sim_journal_driver_low_water(struct sim_journal_driver *self, uint64_t position);

/* Waits once, and feeds back what completed; returns how many. */
uint32_t sim_journal_driver_wait(struct sim_journal_driver *self, int64_t timeout_ns);

/*
 * Appends a record; flushes and waits when there is no room. False: nothing was appended, since the
 * journal failed, is full, or the disk is.
 */
CHECKED bool sim_journal_driver_append(struct sim_journal_driver *self, uint16_t kind,
                                       const void *bytes, uint32_t size, uint64_t *position);

/* Flushes and waits until everything that was appended is durable. False: the journal failed. */
CHECKED bool sim_journal_driver_drain(struct sim_journal_driver *self);

/*
 * The next result of a scan, with segments read through the disk into `buffer` (segment_bytes
 * bytes, block-aligned; the same at each call). *failed: a read failed, and the result means
 * nothing.
 */
enum journal_scan_result sim_journal_scan_next(struct journal_scan *scan,
                                               const struct host_disk *disk, uint8_t *buffer,
                                               bool *failed);

#endif
