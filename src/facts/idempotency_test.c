/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "crypto/table_hash.h"
#include "facts/idempotency.h"

#define SEED 5u

static uint64_t rounds(uint64_t full)
{
    const char *sanitize = getenv("CAIRN_SANITIZE");
    return sanitize != NULL && sanitize[0] != 0 ? full / 8 + 1 : full;
}

static void *memory;

static void open_table(struct idempotency *table, uint64_t maximum)
{
    struct arena arena;
    memset(table, 0, sizeof *table);
    arena_init(&arena, NULL, 0);
    idempotency_init(table, maximum, SEED, &arena);
    uint64_t size = (arena.used + 4095) / 4096 * 4096;
    memory = aligned_alloc(4096, size);
    assert_non_null(memory);
    memset(memory, 0, size);
    arena_init(&arena, memory, size);
    idempotency_init(table, maximum, SEED, &arena);
}

static void clear_table(struct idempotency *table)
{
    memset(table->entries, 0, table->maximum * sizeof *table->entries);
    memset(table->index, 0, (table->index_mask + 1) * sizeof *table->index);
    table->added = 0;
}

static void add(struct idempotency *table, const uint8_t *key, uint64_t sequence)
{
    struct idempotency_entry entry = {.sequence = sequence, .position = sequence * 3};
    memcpy(entry.key, key, sizeof entry.key);
    idempotency_add(table, &entry);
}

/* Against a list: the last `maximum` keys are there, each with its own entry, and no other. */
static void the_last_keys_are_remembered(void **state)
{
    const uint64_t sizes[] = {1, 2, 3, 5, 64, 100};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct idempotency table;
        struct prng prng;
        uint64_t maximum = sizes[i];
        prng_init(&prng, i);
        open_table(&table, maximum);
        uint64_t total = rounds(3000);
        for (uint64_t n = 0; n < total; n++) {
            uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE] = {0};
            uint64_t from = n > maximum ? n - maximum : 0;
            assert_int_equal(idempotency_count(&table), n - from);
            for (uint64_t old = from > 2 ? from - 2 : 0; old < n; old++) {
                store_u64(key, old);
                const struct idempotency_entry *entry = idempotency_find(&table, key);
                assert_int_equal(entry != NULL, old >= from);
                if (entry == NULL) continue;
                assert_int_equal(entry->sequence, old);
                assert_int_equal(entry->position, old * 3);
                assert_ptr_equal(entry, idempotency_get(&table, old - from));
            }
            store_u64(key, n);
            assert_null(idempotency_find(&table, key));
            add(&table, key, n);
        }
        free(memory);
    }
}

/*
 * Backward-shift deletion, exhaustively: all ways in which seven keys can be at home in an index of
 * eight (up to rotation the first is at the last place, so that runs wrap), with three remembered.
 */
static void deletion_keeps_every_chain(void **state)
{
    enum { KEYS = 7, HOMES = 8, REMEMBERED = 3 };
    static uint8_t keys[KEYS][HOMES][CAIRN_IDEMPOTENCY_KEY_SIZE];
    struct idempotency table;
    (void)state;
    open_table(&table, REMEMBERED);
    assert_int_equal(table.index_mask + 1, HOMES);
    /* A key of each number for each home. */
    for (uint32_t number = 0; number < KEYS; number++) {
        uint32_t found = 0;
        for (uint64_t n = 0; found != 0xff; n++) {
            uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE] = {0};
            store_u64(key, n);
            key[15] = (uint8_t)number;
            uint64_t home = table_hash(SEED, 0, key, sizeof key) & table.index_mask;
            if ((found >> home & 1) != 0) continue;
            found |= 1u << home;
            memcpy(keys[number][home], key, sizeof key);
        }
    }
    uint64_t patterns = 1;
    for (uint32_t i = 1; i < KEYS; i++)
        patterns *= HOMES;
    for (uint64_t pattern = 0; pattern < patterns; pattern += rounds(8) == 8 ? 1 : 13) {
        const uint8_t *chosen[KEYS];
        uint64_t rest = pattern;
        chosen[0] = keys[0][HOMES - 1];
        for (uint32_t i = 1; i < KEYS; i++, rest /= HOMES)
            chosen[i] = keys[i][rest % HOMES];
        clear_table(&table);
        for (uint32_t n = 0; n < KEYS; n++) {
            add(&table, chosen[n], n);
            for (uint32_t i = 0; i < KEYS; i++) {
                const struct idempotency_entry *entry = idempotency_find(&table, chosen[i]);
                bool remembered = i <= n && i + REMEMBERED > n;
                if ((entry != NULL) != remembered || (entry != NULL && entry->sequence != i)) {
                    fail_msg("pattern %lu, after key %u, key %u", (unsigned long)pattern, n, i);
                }
            }
        }
        uint32_t taken = 0;
        for (uint32_t at = 0; at < HOMES; at++)
            taken += table.index[at] != 0;
        assert_int_equal(taken, REMEMBERED); /* D1: nothing is left behind */
    }
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_keys_are_remembered),
        cmocka_unit_test(deletion_keeps_every_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
