/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/origins.h"

#include <assert.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

static_assert(sizeof(struct origin_clock) == 16, "four clocks in a cache line");
static_assert(ORIGINS_MAX < ORIGINS_MAP_SIZE, "the map always has an empty entry");
static_assert(ORIGINS_MAX <= UINT8_MAX, "an index fits in a byte of the map");

void origins_init(struct origins *self)
{
    memset(self, 0, sizeof *self);
}

static void map_add(struct origins *self, uint32_t index)
{
    uint32_t at = self->clocks[index].slot % ORIGINS_MAP_SIZE;
    while (self->map[at] != 0)
        at = (at + 1) % ORIGINS_MAP_SIZE;
    self->map[at] = (uint8_t)(index + 1);
}

static void map_rebuild(struct origins *self)
{
    memset(self->map, 0, sizeof self->map);
    for (uint32_t i = 0; i < self->count; i++)
        map_add(self, i);
}

bool origins_has_folded(const struct origins *self, const struct cairn_dot *dot)
{
    uint32_t lowest = ORIGIN_NONE;
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->clocks[i].slot != dot->slot) continue;
        if (self->clocks[i].incarnation <= dot->incarnation) return false;
        bool lower =
            lowest == ORIGIN_NONE || self->clocks[i].incarnation < self->clocks[lowest].incarnation;
        if (lower) lowest = i;
    }
    if (lowest == ORIGIN_NONE) return false;
    return !bytes_are_zero(self->details[lowest].base, ADDRESS_SIZE); /* O2 */
}

/* The highest incarnation of the slot that is below the limit. */
static uint32_t find_highest(const struct origins *self, uint32_t slot, uint64_t limit)
{
    uint32_t highest = ORIGIN_NONE;
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->clocks[i].slot != slot || self->clocks[i].incarnation >= limit) continue;
        bool higher = highest == ORIGIN_NONE ||
                      self->clocks[i].incarnation > self->clocks[highest].incarnation;
        if (higher) highest = i;
    }
    return highest;
}

uint32_t origins_newest(const struct origins *self, uint32_t slot)
{
    return find_highest(self, slot, UINT64_MAX);
}

uint32_t origins_before(const struct origins *self, uint32_t slot, uint32_t incarnation)
{
    return find_highest(self, slot, incarnation);
}

uint32_t origins_add(struct origins *self, uint32_t slot, uint32_t incarnation,
                     const uint8_t link[ADDRESS_SIZE])
{
    cairn_assert(origins_find(self, slot, incarnation) == ORIGIN_NONE);
    if (self->count == ORIGINS_MAX) return ORIGIN_NONE;
    uint32_t index = self->count++;
    self->clocks[index] = (struct origin_clock){slot, incarnation, 0};
    memset(&self->details[index], 0, sizeof self->details[index]);
    memcpy(self->details[index].link, link, ADDRESS_SIZE);
    memcpy(self->details[index].base, link, ADDRESS_SIZE);
    map_add(self, index);
    return index;
}

void origins_fold(struct origins *self, uint32_t slot, uint32_t incarnation)
{
    bool folded = false;
    uint64_t facts = 0;
    for (uint32_t i = 0; i < self->count;) {
        if (self->clocks[i].slot != slot || self->clocks[i].incarnation >= incarnation) {
            i++;
            continue;
        }
        facts += self->clocks[i].applied + self->details[i].folded;
        uint32_t last = --self->count;
        self->clocks[i] = self->clocks[last];
        self->details[i] = self->details[last];
        folded = true;
    }
    if (!folded) return;
    map_rebuild(self);
    uint32_t heir = origins_find(self, slot, incarnation);
    if (heir != ORIGIN_NONE) self->details[heir].folded += facts;
}

static uint32_t find_lowest(const struct origins *self, uint32_t slot, uint64_t above)
{
    uint32_t lowest = ORIGIN_NONE;
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->clocks[i].slot != slot || self->clocks[i].incarnation < above) continue;
        bool lower =
            lowest == ORIGIN_NONE || self->clocks[i].incarnation < self->clocks[lowest].incarnation;
        if (lower) lowest = i;
    }
    return lowest;
}

uint32_t origins_oldest(const struct origins *self, uint32_t slot)
{
    return find_lowest(self, slot, 0);
}

void origins_fold_whole(struct origins *self, uint32_t slot)
{
    for (;;) {
        uint32_t lowest = find_lowest(self, slot, 0);
        if (lowest == ORIGIN_NONE) return;
        uint64_t above = (uint64_t)self->clocks[lowest].incarnation + 1;
        uint32_t next = find_lowest(self, slot, above);
        if (next == ORIGIN_NONE) return;
        const struct origin *origin = &self->details[lowest];
        bool whole = origin->certified == self->clocks[lowest].applied &&
                     origin->seen <= origin->certified &&
                     bytes_are_zero(origin->begun, ADDRESS_SIZE) &&
                     memcmp(origin->link, self->details[next].base, ADDRESS_SIZE) == 0;
        if (!whole) return;
        /* One that replay began behind damage has nothing folded into it, and hands that on. */
        bool rootless = origin->certified == 0 && bytes_are_zero(origin->base, ADDRESS_SIZE);
        memcpy(self->details[next].base, rootless ? origin->base : origin->link, ADDRESS_SIZE);
        origins_fold(self, slot, self->clocks[next].incarnation);
    }
}

uint64_t origins_applied(const struct origins *self)
{
    uint64_t applied = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        applied += self->clocks[i].applied + self->details[i].folded;
    }
    return applied;
}

const struct member *origins_member(const struct origins *self, uint32_t slot)
{
    for (uint32_t i = 0; i < self->member_count; i++) {
        if (self->members[i].slot == slot) return &self->members[i];
    }
    return NULL;
}

int origins_add_member(struct origins *self, uint32_t slot,
                       const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE])
{
    const struct member *known = origins_member(self, slot);
    if (known != NULL) {
        bool same = memcmp(known->public_key, public_key, SIGNATURE_PUBLIC_KEY_SIZE) == 0;
        return same ? CAIRN_OK : CAIRN_FOREIGN;
    }
    if (self->member_count == CAIRN_MEMBERS_MAX) return CAIRN_FULL;
    struct member *member = &self->members[self->member_count++];
    member->slot = slot;
    member->reserved = 0;
    memcpy(member->public_key, public_key, SIGNATURE_PUBLIC_KEY_SIZE);
    return CAIRN_OK;
}

static bool comes_before(const struct origin_clock *a, const struct origin_clock *b)
{
    return a->slot != b->slot ? a->slot < b->slot : a->incarnation < b->incarnation;
}

uint32_t origins_sorted(const struct origins *self, uint32_t order[ORIGINS_MAX])
{
    for (uint32_t i = 0; i < self->count; i++) {
        uint32_t at = i;
        while (at > 0 && comes_before(&self->clocks[i], &self->clocks[order[at - 1]])) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    return self->count;
}

void origins_digest(const struct origins *self, uint8_t digest[ADDRESS_SIZE])
{
    uint32_t order[ORIGINS_MAX];
    uint8_t record[4 + ADDRESS_SIZE];
    struct address_stream stream;
    uint32_t count = origins_sorted(self, order);
    address_stream_init(&stream, ADDRESS_FACTS);
    for (uint32_t i = 0; i < count; i++) {
        const struct origin *origin = &self->details[order[i]];
        /* Nothing certified of this slot yet, or nothing beyond the predecessor listed before. */
        if (bytes_are_zero(origin->link, ADDRESS_SIZE)) continue;
        bool follows = i > 0 && self->clocks[order[i - 1]].slot == self->clocks[order[i]].slot;
        if (follows && memcmp(self->details[order[i - 1]].link, origin->link, ADDRESS_SIZE) == 0) {
            continue;
        }
        store_u32(record, self->clocks[order[i]].slot);
        memcpy(record + 4, origin->link, ADDRESS_SIZE);
        address_stream_add(&stream, record, sizeof record);
    }
    address_stream_end(&stream, digest);
}

bool origins_are_valid(const struct origins *self)
{
    for (uint32_t i = 0; i < self->count; i++) {
        const struct origin_clock *clock = &self->clocks[i];
        const struct origin *origin = &self->details[i];
        if (origins_find(self, clock->slot, clock->incarnation) != i) return false;
        if (origin->certified > clock->applied) return false;                 /* O4 */
        if (origin->seen < clock->applied && origin->seen != 0) return false; /* O1 */
    }
    return true;
}
