/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pending buffer: checked bundles that wait for facts not seen yet. Bounded in bytes, in
 * bundles, and for each member (half of the bytes), so that one member cannot fill it for all.
 *
 * Memory is one block of 4 KiB pages, given out in runs, first fit.
 *
 *   P1  every page is free or belongs to exactly one entry
 *   P2  an entry's facts before `next` were applied, the others were not
 */
#ifndef CAIRN_FACTS_PENDING_H
#define CAIRN_FACTS_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "cairn.h"

#define PENDING_PAGE_SIZE 4096u

struct pending_entry {
    uint8_t *bundle; /* certificate and facts; NULL: a free entry */
    uint32_t size;
    uint32_t page_count;
    uint32_t slot;
    uint32_t incarnation;
    uint64_t first; /* sequence of the certificate's first fact */
    uint64_t last;
    uint64_t next;            /* sequence of the next fact to apply */
    uint32_t next_offset;     /* of that fact in the bundle */
    bool checked_chain;       /* its previous link was found right */
    bool waits_for_chain;     /* for a certificate before it, not for a dependency */
    struct cairn_dot missing; /* what it waits for; sequence 0: nothing known */
};

struct pending {
    struct pending_entry *entries;
    uint8_t *pages;
    uint64_t *page_used; /* a bit for each */
    uint64_t page_count;
    uint64_t bytes; /* pages in use, in bytes */
    uint32_t maximum;
    uint32_t count;
    uint32_t used_end; /* no entry at or behind this index is in use */
    uint64_t dropped;  /* bundles refused or dropped for want of room */
};

void pending_init(struct pending *self, uint64_t bytes, uint32_t maximum, struct arena *arena);
/* Room for a bundle of this size; NULL: none, or the member's share is used. Fill the entry. */
struct pending_entry *pending_add(struct pending *self, uint32_t slot, uint32_t size);
/*
 * The same for a bundle that others wait for: those that are furthest from being applied are
 * dropped until it fits. NULL: it is larger than the whole buffer.
 */
struct pending_entry *pending_add_first(struct pending *self, uint32_t slot, uint32_t size);
void pending_remove(struct pending *self, struct pending_entry *entry);
/* The entry that begins at this dot, or NULL. */
struct pending_entry *pending_find(struct pending *self, uint32_t slot, uint32_t incarnation,
                                   uint64_t first);
bool pending_is_valid(const struct pending *self);

#endif
