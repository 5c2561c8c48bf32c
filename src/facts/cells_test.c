/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "facts/cells.h"

#define MODEL_MAX 4096u

/* Lets expect_assert_failure() catch a failed assertion. */
static void on_assert(const char *expression, const char *file, int line)
{
    mock_assert(0, expression, file, line);
}

static uint64_t rounds(uint64_t full)
{
    const char *sanitize = getenv("CAIRN_SANITIZE");
    return sanitize != NULL && sanitize[0] != 0 ? full / 8 + 1 : full;
}

static void *tables;

static void open_cells(struct cells *cells, uint64_t maximum, uint64_t bytes)
{
    struct arena arena;
    memset(cells, 0, sizeof *cells);
    arena_init(&arena, NULL, 0);
    cells_init(cells, maximum, bytes, 99, &arena);
    uint64_t size = (arena.used + 4095) / 4096 * 4096;
    /* The index is as large as the plan says. */
    assert_true(cells_index_bytes(maximum) <= size);
    tables = aligned_alloc(4096, size);
    assert_non_null(tables);
    memset(tables, 0, size);
    arena_init(&arena, tables, size);
    cells_init(cells, maximum, bytes, 99, &arena);
}

/* The model: a list of cells in the order of their creation. */
struct model_cell {
    uint32_t space;
    uint32_t key_size;
    i128 sum;
    uint8_t key[CAIRN_KEY_SIZE_MAX];
};

static struct model_cell *model;
static uint32_t model_count;

static struct model_cell *model_find(uint32_t space, const uint8_t *key, uint32_t key_size)
{
    for (uint32_t i = 0; i < model_count; i++) {
        struct model_cell *cell = &model[i];
        if (cell->space == space && cell->key_size == key_size &&
            memcmp(cell->key, key, key_size) == 0) {
            return cell;
        }
    }
    return NULL;
}

static void model_add(uint32_t space, const uint8_t *key, uint32_t key_size)
{
    assert_true(model_count < MODEL_MAX);
    struct model_cell *cell = &model[model_count++];
    cell->space = space;
    cell->key_size = key_size;
    cell->sum = 0;
    memcpy(cell->key, key, key_size);
}

/* The walk gives exactly the model, in the order of creation. */
static void check_walk(const struct cells *cells)
{
    uint64_t line = 0;
    uint32_t at = 0;
    for (struct cell *cell; (cell = cells_next(cells, &line)) != NULL; at++) {
        assert_true(at < model_count);
        assert_int_equal(cell->space, model[at].space);
        assert_int_equal(cell->key_size, model[at].key_size);
        assert_memory_equal((uint8_t *)cell + CELL_KEY_OFFSET, model[at].key, cell->key_size);
        assert_true(cell->sum == model[at].sum);
    }
    assert_int_equal(at, model_count);
    assert_int_equal(cells->count, model_count);
}

/* Few bytes and few letters, so that keys are often equal, or equal up to their end. */
static uint32_t random_key(struct prng *prng, uint8_t *key)
{
    uint64_t kind = prng_below(prng, 10);
    uint32_t limit = kind == 0 ? CAIRN_KEY_SIZE_MAX : kind < 4 ? 66 : 9;
    uint32_t size = 1 + (uint32_t)prng_below(prng, limit);
    memset(key, 'k', size);
    key[size - 1] = (uint8_t)prng_below(prng, 2);
    key[prng_below(prng, size)] = (uint8_t)prng_below(prng, 2);
    return size;
}

static void cells_are_as_a_simple_model_says(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct cells cells;
        struct prng prng;
        prng_init(&prng, seed);
        open_cells(&cells, seed == 1 ? 7 : 1000, seed == 2 ? 64 * 600 : 64 * 4000);
        model_count = 0;
        for (uint64_t step = 0; step < rounds(8000); step++) {
            uint8_t key[CAIRN_KEY_SIZE_MAX];
            uint32_t key_size = random_key(&prng, key);
            uint32_t space = (uint32_t)prng_below(&prng, 3);
            int64_t amount = (int64_t)prng_next(&prng);
            uint64_t hash = cells_hash(&cells, space, key, key_size);
            struct cell *cell = cells_find(&cells, hash, space, key, key_size);
            struct model_cell *expected = model_find(space, key, key_size);
            assert_int_equal(cell != NULL, expected != NULL);
            cells_prefetch_slot(&cells, hash);
            cells_prefetch_cell(&cells, hash, key_size);
            if (cell == NULL) {
                uint64_t lines = cell_lines(key_size);
                bool room =
                    cells.count < cells.maximum && cells.line_next + lines <= cells.line_count;
                assert_int_equal(cells_have_room(&cells, 1, lines), room);
                if (!room) continue;
                model_add(space, key, key_size);
                expected = model_find(space, key, key_size);
                cell = cells_add(&cells, hash, space, key, key_size);
                assert_true(cell->sum == 0);
            }
            cell->sum += amount;
            expected->sum += amount;
            if (step % 512 == 0) assert_true(cells_are_valid(&cells));
        }
        assert_true(cells_are_valid(&cells));
        check_walk(&cells);
        free(tables);
    }
}

/* At every size of a key, the smallest change of it is another cell. */
static void keys_of_every_size_are_told_apart(void **state)
{
    struct cells cells;
    uint8_t key[CAIRN_KEY_SIZE_MAX];
    (void)state;
    open_cells(&cells, 3 * CAIRN_KEY_SIZE_MAX, UINT64_C(4) * 1024 * 1024);
    memset(key, 'k', sizeof key);
    for (uint32_t size = 1; size <= CAIRN_KEY_SIZE_MAX; size++) {
        for (uint32_t space = 0; space < 3; space++) {
            uint64_t hash = cells_hash(&cells, space, key, size);
            assert_null(cells_find(&cells, hash, space, key, size));
            struct cell *cell = cells_add(&cells, hash, space, key, size);
            cell->sum = (i128)size * 3 + space;
        }
    }
    assert_true(cells_are_valid(&cells));
    for (uint32_t size = 1; size <= CAIRN_KEY_SIZE_MAX; size++) {
        for (uint32_t space = 0; space < 3; space++) {
            uint64_t hash = cells_hash(&cells, space, key, size);
            struct cell *cell = cells_find(&cells, hash, space, key, size);
            assert_non_null(cell);
            assert_true(cell->sum == (i128)size * 3 + space);
            for (uint32_t at = 0; at < size; at += 1 + at / 16) {
                key[at] ^= 1;
                /* With the right hash and with the wrong one. */
                assert_null(cells_find(&cells, hash, space, key, size));
                assert_null(
                    cells_find(&cells, cells_hash(&cells, space, key, size), space, key, size));
                key[at] ^= 1;
            }
        }
        assert_null(cells_find(&cells, cells_hash(&cells, 3, key, size), 3, key, size));
    }
    free(tables);
}

/* Whoever could choose hashes would get long probes, and still right answers. */
static void equal_hashes_and_equal_tags_are_told_apart(void **state)
{
    const uint64_t patterns[] = {0, UINT64_MAX, UINT64_C(0x7777777700000000), 1};
    (void)state;
    for (size_t pattern = 0; pattern < 4; pattern++) {
        for (uint64_t spread = 0; spread < 3; spread++) {
            struct cells cells;
            open_cells(&cells, 200, 200 * 64);
            for (uint32_t i = 0; i < 200; i++) {
                uint8_t key[4];
                store_u32(key, i);
                uint64_t hash = patterns[pattern] + spread * (i % 5);
                assert_null(cells_find(&cells, hash, 0, key, 4));
                cells_add(&cells, hash, 0, key, 4)->sum = i;
            }
            for (uint32_t i = 0; i < 200; i++) {
                uint8_t key[4];
                store_u32(key, i);
                uint64_t hash = patterns[pattern] + spread * (i % 5);
                struct cell *cell = cells_find(&cells, hash, 0, key, 4);
                assert_non_null(cell);
                assert_true(cell->sum == i);
                assert_null(cells_find(&cells, hash, 1, key, 4));
            }
            free(tables);
        }
    }
}

/* For every small limit: exactly so many cells fit, and the index keeps its empty slots (C2). */
static void tables_fill_to_their_limit(void **state)
{
    (void)state;
    for (uint64_t maximum = 1; maximum <= 100; maximum++) {
        struct cells cells;
        open_cells(&cells, maximum, maximum * 64);
        for (uint32_t i = 0; i < maximum; i++) {
            assert_true(cells_have_room(&cells, 1, 1));
            assert_false(cells_have_room(&cells, maximum - i + 1, 1));
            assert_false(cells_have_room(&cells, 1, maximum - i + 1));
            (void)cells_add(&cells, cells_hash(&cells, 0, (uint8_t *)&i, 4), 0, (uint8_t *)&i, 4);
        }
        assert_false(cells_have_room(&cells, 1, 1));
        assert_true(cells_are_valid(&cells));
        assert_true(cells.count * 4 <= (cells.slot_mask + 1) * 3);
        assert_int_equal(cells_index_bytes(maximum),
                         (cells.slot_mask + 1) * sizeof(struct cell_slot));
        free(tables);
    }
}

static void a_full_table_takes_nothing(void **state)
{
    static struct cells cells;
    (void)state;
    open_cells(&cells, 1, 64);
    (void)cells_add(&cells, 1, 0, (const uint8_t *)"a", 1);
    expect_assert_failure((void)cells_add(&cells, 2, 0, (const uint8_t *)"b", 1));
    free(tables);
}

/* The walker sees damage: each field of a cell, its padding, and a lost slot. */
static void validity_sees_damage(void **state)
{
    struct cells cells;
    (void)state;
    open_cells(&cells, 8, 8 * 128);
    struct cell *cell = cells_add(&cells, cells_hash(&cells, 0, (const uint8_t *)"abc", 3), 0,
                                  (const uint8_t *)"abc", 3);
    assert_true(cells_are_valid(&cells));
    cell->hash ^= 1;
    assert_false(cells_are_valid(&cells));
    cell->hash ^= 1;
    cell->key[5] = 1;
    assert_false(cells_are_valid(&cells));
    cell->key[5] = 0;
    cell->key[0] ^= 1;
    assert_false(cells_are_valid(&cells));
    cell->key[0] ^= 1;
    cells.count++;
    assert_false(cells_are_valid(&cells));
    cells.count--;
    struct cell_slot *slot = &cells.slots[cell->hash & cells.slot_mask];
    slot->line = 0;
    assert_false(cells_are_valid(&cells));
    slot->line = 1;
    assert_true(cells_are_valid(&cells));
    free(tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_as_a_simple_model_says),
        cmocka_unit_test(keys_of_every_size_are_told_apart),
        cmocka_unit_test(equal_hashes_and_equal_tags_are_told_apart),
        cmocka_unit_test(tables_fill_to_their_limit),
        cmocka_unit_test(a_full_table_takes_nothing),
        cmocka_unit_test(validity_sees_damage),
    };
    cairn_assert_hook = on_assert;
    model = calloc(MODEL_MAX, sizeof *model);
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    free(model);
    return result;
}
