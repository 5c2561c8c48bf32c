/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last N requests that carried an idempotency key, and the dot that each got. A table for
 * look-up and a ring for age: the oldest is forgotten when a new one needs its place.
 *
 *   D1  every key in the ring's live part is in the table, and no other
 */
#ifndef CAIRN_FACTS_IDEMPOTENCY_H
#define CAIRN_FACTS_IDEMPOTENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "cairn.h"

struct idempotency_entry {
    uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE];
    uint64_t sequence;
    uint64_t position;    /* of the ticket; 0 after a restart */
    uint64_t fingerprint; /* of the request's effects */
    uint32_t incarnation;
    uint32_t reserved;
};

struct idempotency {
    struct idempotency_entry *entries; /* the ring */
    uint32_t *index;                   /* open addressing: entry + 1, 0 is empty */
    uint64_t maximum;
    uint64_t added; /* entries ever added; the ring's next place is added mod maximum */
    uint64_t index_mask;
    uint64_t seed;
};

void idempotency_init(struct idempotency *self, uint64_t maximum, uint64_t seed,
                      struct arena *arena);
const struct idempotency_entry *idempotency_find(const struct idempotency *self,
                                                 const uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE]);
/* Precondition: the key is not there. */
void idempotency_add(struct idempotency *self, const struct idempotency_entry *entry);
/* Entries in use, oldest first: index 0 .. count - 1. */
uint64_t idempotency_count(const struct idempotency *self);
const struct idempotency_entry *idempotency_get(const struct idempotency *self, uint64_t index);

#endif
