/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version vector of a realm: what was applied of each origin, exactly.
 *
 * A member's incarnations follow one another: the first certificate of a new one names the last
 * link of the one before as its previous link. Who has applied that predecessor to its end then
 * folds it away, so memory is O(members), not O(restarts):
 *
 *   O1  facts of an origin are applied strictly in sequence, so `applied` says all: every dot up to
 *       it was seen, none beyond it
 *   O2  dots of an incarnation below the lowest live one of its slot were all seen (folded), if
 *       that one has a base; without a base there were none
 *   O3  an incarnation is folded only when its successor's certificate names its link
 *   O4  certified <= applied; `link` is that of the certificate that ends at `certified`, or of the
 *       predecessor's last while certified is 0
 */
#ifndef CAIRN_FACTS_ORIGINS_H
#define CAIRN_FACTS_ORIGINS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "cairn.h"
#include "crypto/address.h"
#include "crypto/signature.h"

/* Live incarnations: each member's, and a second one of each while a certificate is on its way. */
#define ORIGINS_MAX (2u * CAIRN_MEMBERS_MAX)
#define ORIGIN_NONE UINT32_MAX
#define ORIGINS_MAP_SIZE 256u

struct origin_clock {
    uint32_t slot;
    uint32_t incarnation;
    uint64_t applied;
};

struct origin {
    uint64_t certified;
    uint64_t seen;   /* highest sequence met, applied or not */
    uint64_t folded; /* facts of the incarnations that were folded into this one */
    uint8_t link[ADDRESS_SIZE];
    uint8_t base[ADDRESS_SIZE];  /* the predecessor's last link; zeros for a first incarnation */
    uint8_t begun[ADDRESS_SIZE]; /* link of an imported certificate that is applied in part, or 0 */
};

struct member {
    uint32_t slot;
    uint32_t reserved;
    uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE];
};

struct origins {
    struct origin_clock clocks[ORIGINS_MAX]; /* what admission reads: 16 bytes each */
    uint8_t map[ORIGINS_MAP_SIZE];           /* slot & 255, linear probing: index + 1, 0 is empty */
    struct origin details[ORIGINS_MAX];
    uint32_t count;
    uint32_t member_count;
    struct member members[CAIRN_MEMBERS_MAX];
};

void origins_init(struct origins *self);

/* Index of the exact origin, or ORIGIN_NONE. */
HOT_INLINE uint32_t origins_find(const struct origins *self, uint32_t slot, uint32_t incarnation)
{
    for (uint32_t at = slot % ORIGINS_MAP_SIZE;; at = (at + 1) % ORIGINS_MAP_SIZE) {
        uint32_t entry = self->map[at];
        if (entry == 0) return ORIGIN_NONE;
        const struct origin_clock *clock = &self->clocks[entry - 1];
        if (clock->slot == slot && clock->incarnation == incarnation) return entry - 1;
    }
}

/* Was a dot that no live origin holds folded away (O2)? */
COLD bool origins_has_folded(const struct origins *self, const struct cairn_dot *dot);

/* Was this dot applied here? */
HOT_INLINE bool origins_has_seen(const struct origins *self, const struct cairn_dot *dot)
{
    uint32_t index = origins_find(self, dot->slot, dot->incarnation);
    if (UNLIKELY(index == ORIGIN_NONE)) return origins_has_folded(self, dot);
    return dot->sequence <= self->clocks[index].applied; /* O1 */
}

/* The slot's origin with the highest incarnation, or ORIGIN_NONE. */
uint32_t origins_newest(const struct origins *self, uint32_t slot);
/* The slot's origin with the lowest incarnation, or ORIGIN_NONE. */
uint32_t origins_oldest(const struct origins *self, uint32_t slot);
/* The slot's origin with the highest incarnation below this one, or ORIGIN_NONE. */
uint32_t origins_before(const struct origins *self, uint32_t slot, uint32_t incarnation);

/* Adds an origin that is not there. Returns its index, or ORIGIN_NONE when the table is full. */
uint32_t origins_add(struct origins *self, uint32_t slot, uint32_t incarnation,
                     const uint8_t link[ADDRESS_SIZE]);

/* Folds away every origin of the slot below the incarnation (O3 is the caller's to know). */
void origins_fold(struct origins *self, uint32_t slot, uint32_t incarnation);

/* Facts applied of all origins, folded ones included. */
uint64_t origins_applied(const struct origins *self);

/*
 * Folds what may be folded of a slot, from the oldest incarnation on: each that was applied to its
 * end, and whose last link is the next one's base (O3). A gap keeps everything behind it.
 */
void origins_fold_whole(struct origins *self, uint32_t slot);

/* The member's key, or NULL. */
const struct member *origins_member(const struct origins *self, uint32_t slot);
/* OK, FOREIGN (the slot has another key), FULL. */
CHECKED int origins_add_member(struct origins *self, uint32_t slot,
                               const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE]);

/* Indexes of all origins in the order of (slot, incarnation); returns their count. */
uint32_t origins_sorted(const struct origins *self, uint32_t order[ORIGINS_MAX]);

/* Digest of which certificates were applied: over sorted (slot, link). */
void origins_digest(const struct origins *self, uint8_t digest[ADDRESS_SIZE]);

/* Walks O1, O4 and the map; for tests. */
bool origins_are_valid(const struct origins *self);

#endif
