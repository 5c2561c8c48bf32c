/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/pending.h"

#include <string.h>

#include "base/assert.h"

void pending_init(struct pending *self, uint64_t bytes, uint32_t maximum, struct arena *arena)
{
    cairn_assert(maximum > 0);
    uint64_t pages = bytes / PENDING_PAGE_SIZE;
    cairn_assert(pages > 0);
    self->entries = arena_take(arena, maximum, sizeof *self->entries, 64);
    self->page_used = arena_take(arena, (pages + 63) / 64, sizeof *self->page_used, 64);
    self->pages = arena_take(arena, pages, PENDING_PAGE_SIZE, 4096);
    self->page_count = pages;
    self->bytes = 0;
    self->maximum = maximum;
    self->count = 0;
    self->used_end = 0;
    self->dropped = 0;
}

static bool page_is_used(const struct pending *self, uint64_t page)
{
    return (self->page_used[page / 64] >> (page % 64) & 1) != 0;
}

static void pages_set(struct pending *self, uint64_t first, uint64_t count, bool used)
{
    for (uint64_t page = first; page < first + count; page++) {
        uint64_t bit = UINT64_C(1) << (page % 64);
        cairn_assert(page_is_used(self, page) != used); /* P1 */
        self->page_used[page / 64] ^= bit;
    }
}

/* First run of so many free pages; page_count when there is none. */
static uint64_t find_pages(const struct pending *self, uint64_t count)
{
    uint64_t run = 0;
    for (uint64_t page = 0; page < self->page_count; page++) {
        run = page_is_used(self, page) ? 0 : run + 1;
        if (run == count) return page + 1 - count;
    }
    return self->page_count;
}

static uint64_t bytes_of_slot(const struct pending *self, uint32_t slot)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < self->used_end; i++) {
        const struct pending_entry *entry = &self->entries[i];
        if (entry->bundle != NULL && entry->slot == slot) {
            bytes += (uint64_t)entry->page_count * PENDING_PAGE_SIZE;
        }
    }
    return bytes;
}

static uint64_t pages_of_size(uint32_t size)
{
    return ((uint64_t)size + PENDING_PAGE_SIZE - 1) / PENDING_PAGE_SIZE;
}

/* A member's first bundle may take more than its share, or a small buffer would take none. */
static bool is_in_share(const struct pending *self, uint32_t slot, uint64_t count)
{
    uint64_t used = bytes_of_slot(self, slot);
    uint64_t share = self->page_count * PENDING_PAGE_SIZE / 2;
    return used == 0 || used + count * PENDING_PAGE_SIZE <= share;
}

static struct pending_entry *add_at(struct pending *self, uint32_t slot, uint32_t size,
                                    uint64_t page)
{
    uint64_t count = pages_of_size(size);
    uint32_t index = 0;
    while (self->entries[index].bundle != NULL)
        index++;
    struct pending_entry *entry = &self->entries[index];
    memset(entry, 0, sizeof *entry);
    pages_set(self, page, count, true);
    entry->bundle = self->pages + page * PENDING_PAGE_SIZE;
    entry->size = size;
    entry->page_count = (uint32_t)count;
    entry->slot = slot;
    self->bytes += count * PENDING_PAGE_SIZE;
    self->count++;
    if (index >= self->used_end) self->used_end = index + 1;
    return entry;
}

struct pending_entry *pending_add(struct pending *self, uint32_t slot, uint32_t size)
{
    uint64_t count = pages_of_size(size);
    uint64_t page = self->page_count;
    cairn_assert(size > 0);
    if (self->count < self->maximum && is_in_share(self, slot, count)) {
        page = find_pages(self, count);
    }
    return page < self->page_count ? add_at(self, slot, size, page) : NULL;
}

/* Is `a` easier to do without than `b`? What was begun goes last, later sequences go first. */
static bool goes_before(const struct pending_entry *a, const struct pending_entry *b)
{
    if (a->checked_chain != b->checked_chain) return b->checked_chain;
    return a->incarnation != b->incarnation ? a->incarnation > b->incarnation : a->first > b->first;
}

static struct pending_entry *find_victim(const struct pending *self, bool of_slot, uint32_t slot)
{
    struct pending_entry *victim = NULL;
    for (uint32_t i = 0; i < self->used_end; i++) {
        struct pending_entry *entry = &self->entries[i];
        if (entry->bundle == NULL || (of_slot && entry->slot != slot)) continue;
        if (victim == NULL || goes_before(entry, victim)) victim = entry;
    }
    return victim;
}

struct pending_entry *pending_add_first(struct pending *self, uint32_t slot, uint32_t size)
{
    uint64_t count = pages_of_size(size);
    cairn_assert(size > 0);
    if (count > self->page_count) return NULL;
    for (;;) {
        bool in_share = is_in_share(self, slot, count);
        if (in_share && self->count < self->maximum) {
            uint64_t page = find_pages(self, count);
            if (page < self->page_count) return add_at(self, slot, size, page);
        }
        struct pending_entry *victim = find_victim(self, !in_share, slot);
        cairn_assert(victim != NULL); /* an empty buffer has room */
        pending_remove(self, victim);
        self->dropped++;
    }
}

void pending_remove(struct pending *self, struct pending_entry *entry)
{
    uint64_t page = (uint64_t)(entry->bundle - self->pages) / PENDING_PAGE_SIZE;
    pages_set(self, page, entry->page_count, false);
    self->bytes -= (uint64_t)entry->page_count * PENDING_PAGE_SIZE;
    self->count--;
    entry->bundle = NULL;
    while (self->used_end > 0 && self->entries[self->used_end - 1].bundle == NULL) {
        self->used_end--;
    }
}

struct pending_entry *pending_find(struct pending *self, uint32_t slot, uint32_t incarnation,
                                   uint64_t first)
{
    for (uint32_t i = 0; i < self->used_end; i++) {
        struct pending_entry *entry = &self->entries[i];
        if (entry->bundle != NULL && entry->slot == slot && entry->incarnation == incarnation &&
            entry->first == first) {
            return entry;
        }
    }
    return NULL;
}

bool pending_is_valid(const struct pending *self)
{
    uint64_t used = 0;
    uint64_t pages = 0;
    uint32_t count = 0;
    for (uint64_t page = 0; page < self->page_count; page++)
        used += page_is_used(self, page);
    for (uint32_t i = 0; i < self->maximum; i++) {
        const struct pending_entry *entry = &self->entries[i];
        if (entry->bundle == NULL) continue;
        if (i >= self->used_end || entry->next < entry->first || entry->next > entry->last) {
            return false; /* P2 */
        }
        pages += entry->page_count;
        count++;
    }
    return used == pages && count == self->count && used * PENDING_PAGE_SIZE == self->bytes;
}
