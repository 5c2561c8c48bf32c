/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "facts/pending.h"

#define PAGES 70u
#define ENTRIES 20u

static uint64_t rounds(uint64_t full)
{
    const char *sanitize = getenv("CAIRN_SANITIZE");
    return sanitize != NULL && sanitize[0] != 0 ? full / 8 + 1 : full;
}

static void *memory;

static void open_pending(struct pending *pending, uint64_t bytes, uint32_t maximum)
{
    struct arena arena;
    memset(pending, 0, sizeof *pending);
    arena_init(&arena, NULL, 0);
    pending_init(pending, bytes, maximum, &arena);
    uint64_t size = (arena.used + 4095) / 4096 * 4096;
    memory = aligned_alloc(4096, size);
    assert_non_null(memory);
    memset(memory, 0, size);
    arena_init(&arena, memory, size);
    pending_init(pending, bytes, maximum, &arena);
}

static struct pending_entry *add(struct pending *pending, uint32_t slot, uint32_t size,
                                 uint64_t first)
{
    struct pending_entry *entry = pending_add(pending, slot, size);
    if (entry == NULL) return NULL;
    entry->incarnation = 1;
    entry->first = entry->next = first;
    entry->last = first + 3;
    memset(entry->bundle, (int)(first & 0xff), size);
    return entry;
}

static bool is_filled(const struct pending_entry *entry)
{
    for (uint32_t i = 0; i < entry->size; i++) {
        if (entry->bundle[i] != (uint8_t)entry->first) return false;
    }
    return true;
}

/* Pages that the model counts for a slot; UINT32_MAX: for all. */
static uint64_t pages_of(const struct pending *pending, uint32_t slot)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < pending->maximum; i++) {
        const struct pending_entry *entry = &pending->entries[i];
        if (entry->bundle == NULL || (slot != UINT32_MAX && entry->slot != slot)) continue;
        pages += (entry->size + PENDING_PAGE_SIZE - 1) / PENDING_PAGE_SIZE;
    }
    return pages;
}

/* The longest run of pages that no entry covers. */
static uint64_t longest_free_run(const struct pending *pending)
{
    uint64_t longest = 0;
    uint64_t run = 0;
    for (uint64_t page = 0; page < pending->page_count; page++) {
        const uint8_t *place = pending->pages + page * PENDING_PAGE_SIZE;
        bool used = false;
        for (uint32_t i = 0; i < pending->maximum; i++) {
            const struct pending_entry *entry = &pending->entries[i];
            used |= entry->bundle != NULL && place >= entry->bundle &&
                    place < entry->bundle + entry->size;
        }
        run = used ? 0 : run + 1;
        if (run > longest) longest = run;
    }
    return longest;
}

static void bundles_come_and_go_as_a_model_says(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < rounds(40); seed++) {
        struct pending pending;
        struct prng prng;
        prng_init(&prng, seed);
        open_pending(&pending, PAGES * PENDING_PAGE_SIZE + 100, ENTRIES);
        assert_int_equal(pending.page_count, PAGES);
        for (uint64_t step = 1; step < 400; step++) {
            if (prng_chance(&prng, 2, 5) && pending.count > 0) {
                uint32_t at = (uint32_t)prng_below(&prng, ENTRIES);
                struct pending_entry *entry = &pending.entries[at];
                if (entry->bundle == NULL) continue;
                assert_true(is_filled(entry));
                pending_remove(&pending, entry);
            } else {
                uint32_t slot = (uint32_t)prng_below(&prng, 4);
                uint32_t limit = prng_chance(&prng, 1, 8) ? 80 : 6;
                uint32_t size =
                    1 + (uint32_t)prng_below(&prng, (uint64_t)limit * PENDING_PAGE_SIZE);
                uint64_t pages = ((uint64_t)size + PENDING_PAGE_SIZE - 1) / PENDING_PAGE_SIZE;
                uint64_t used = pages_of(&pending, slot);
                /* Half of the bytes for each member, but a first bundle is always let in. */
                bool share = used == 0 || (used + pages) * 2 <= PAGES;
                bool room = share && pending.count < ENTRIES && pages <= longest_free_run(&pending);
                struct pending_entry *entry = add(&pending, slot, size, step);
                assert_int_equal(entry != NULL, room);
            }
            assert_int_equal(pending.bytes, pages_of(&pending, UINT32_MAX) * PENDING_PAGE_SIZE);
            assert_true(pending_is_valid(&pending));
        }
        for (uint32_t i = 0; i < ENTRIES; i++) {
            struct pending_entry *entry = &pending.entries[i];
            if (entry->bundle == NULL) continue;
            assert_true(is_filled(entry));
            assert_ptr_equal(pending_find(&pending, entry->slot, 1, entry->first), entry);
            assert_null(pending_find(&pending, entry->slot + 10, 1, entry->first));
            assert_null(pending_find(&pending, entry->slot, 2, entry->first));
            pending_remove(&pending, entry);
        }
        assert_int_equal(pending.count, 0);
        assert_int_equal(pending.bytes, 0);
        assert_int_equal(pending.used_end, 0);
        assert_true(pending_is_valid(&pending));
        free(memory);
    }
}

/*
 * A bundle that others wait for gets in as long as it fits at all: what is furthest from being
 * applied goes first, what was begun last, and only its own member's where its share is used up.
 */
static void what_others_wait_for_gets_in(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < rounds(60); seed++) {
        struct pending pending;
        struct prng prng;
        prng_init(&prng, seed);
        open_pending(&pending, PAGES * PENDING_PAGE_SIZE, ENTRIES);
        for (uint64_t step = 1; step < 200; step++) {
            uint32_t slot = (uint32_t)prng_below(&prng, 3);
            uint32_t limit = prng_chance(&prng, 1, 8) ? 75 : 9;
            uint32_t size = 1 + (uint32_t)prng_below(&prng, (uint64_t)limit * PENDING_PAGE_SIZE);
            uint64_t pages = ((uint64_t)size + PENDING_PAGE_SIZE - 1) / PENDING_PAGE_SIZE;
            uint64_t dropped = pending.dropped;
            uint32_t count = pending.count;
            if (prng_chance(&prng, 1, 2)) {
                struct pending_entry *entry = add(&pending, slot, size, step);
                if (entry != NULL) entry->checked_chain = prng_chance(&prng, 1, 3);
                continue;
            }
            struct pending_entry *entry = pending_add_first(&pending, slot, size);
            assert_int_equal(entry != NULL, pages <= PAGES);
            if (entry == NULL) {
                assert_int_equal(pending.count, count);
                continue;
            }
            entry->incarnation = 1;
            entry->first = entry->next = entry->last = step;
            memset(entry->bundle, (int)(step & 0xff), size);
            assert_int_equal(pending.count, count + 1 - (pending.dropped - dropped));
            /* The member is within its share, or has nothing else. */
            uint64_t used = pages_of(&pending, slot);
            assert_true(used * 2 <= PAGES || used == pages);
            assert_true(pending_is_valid(&pending));
        }
        for (uint32_t i = 0; i < ENTRIES; i++) {
            if (pending.entries[i].bundle != NULL) assert_true(is_filled(&pending.entries[i]));
        }
        free(memory);
    }
    /* The order in which entries give way. */
    struct pending pending;
    open_pending(&pending, 8 * PENDING_PAGE_SIZE, 4);
    for (uint64_t first = 1; first <= 4; first++) {
        struct pending_entry *entry = add(&pending, (uint32_t)first, 1, first * 10);
        assert_non_null(entry);
        entry->checked_chain = first >= 3;
    }
    const uint32_t leaves[] = {2, 1, 4, 3};
    for (uint32_t i = 0; i < 4; i++) {
        struct pending_entry *entry = pending_add_first(&pending, 9, 1);
        assert_non_null(entry);
        entry->first = entry->next = entry->last = 1;
        entry->incarnation = 0; /* before all others */
        entry->checked_chain = true;
        assert_null(pending_find(&pending, leaves[i], 1, leaves[i] * 10));
        for (uint32_t j = i + 1; j < 4; j++) {
            assert_non_null(pending_find(&pending, leaves[j], 1, leaves[j] * 10));
        }
    }
    free(memory);
}

/* One member that sends without end leaves room for the others. */
static void one_member_cannot_fill_it(void **state)
{
    struct pending pending;
    (void)state;
    open_pending(&pending, PAGES * PENDING_PAGE_SIZE, 1000);
    uint64_t first = 1;
    while (add(&pending, 1, 100, first) != NULL)
        first++;
    assert_int_equal(first - 1, PAGES / 2);
    while (add(&pending, 2, PENDING_PAGE_SIZE, first) != NULL)
        first++;
    assert_int_equal(pending.bytes, PAGES * PENDING_PAGE_SIZE);
    assert_true(pending_is_valid(&pending));
    /* Full for a third one; room comes back at once. */
    assert_null(add(&pending, 3, 1, first));
    pending_remove(&pending, &pending.entries[7]);
    assert_non_null(add(&pending, 3, 1, first));
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bundles_come_and_go_as_a_model_says),
        cmocka_unit_test(what_others_wait_for_gets_in),
        cmocka_unit_test(one_member_cannot_fill_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
