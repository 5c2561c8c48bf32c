/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "crypto/address.h"
#include "facts/space.h"

static int make(struct space *space, const char *name, uint32_t type)
{
    struct refusal refusal = {0};
    int result = space_make(space, 7, name, type, &refusal);
    if (result != CAIRN_OK) {
        assert_int_equal(refusal.code, result);
        assert_non_null(refusal.field);
    }
    return result;
}

static void check_canonical(const uint8_t *bytes, uint32_t size)
{
    uint8_t again[SPACE_DECLARATION_SIZE_MAX];
    struct space space;
    uint8_t *memory = malloc(size + (size == 0));
    assert_non_null(memory);
    memcpy(memory, bytes, size);
    int result = space_decode(&space, memory, size);
    free(memory);
    if (result != CAIRN_OK) {
        assert_int_equal(result, CAIRN_NOT_CANONICAL);
        return;
    }
    assert_int_equal(space_encode(&space, again), size);
    assert_memory_equal(again, bytes, size);
}

static void declarations_of_all_name_sizes_and_types(void **state)
{
    (void)state;
    for (uint32_t type = CAIRN_GCOUNTER; type <= CAIRN_PNCOUNTER; type++) {
        for (uint32_t size = 1; size <= CAIRN_SPACE_NAME_SIZE_MAX; size++) {
            char name[CAIRN_SPACE_NAME_SIZE_MAX + 1] = {0};
            uint8_t bytes[SPACE_DECLARATION_SIZE_MAX];
            uint8_t address[ADDRESS_SIZE];
            struct space space;
            struct space decoded;
            memset(name, 'x', size);
            assert_int_equal(make(&space, name, type), CAIRN_OK);
            assert_string_equal(space.name, name);
            uint32_t encoded = space_encode(&space, bytes);
            assert_int_equal(encoded, SPACE_HEADER_SIZE + size);
            /* The id is the first bytes of the declaration's address, and of nothing else. */
            address_of_record(ADDRESS_SPACE, bytes, encoded, address);
            assert_memory_equal(space.id, address, CAIRN_SPACE_ID_SIZE);
            assert_int_equal(space_decode(&decoded, bytes, encoded), CAIRN_OK);
            assert_memory_equal(&decoded, &space, sizeof space);
        }
    }
}

static void names_have_exact_limits(void **state)
{
    char name[CAIRN_SPACE_NAME_SIZE_MAX + 2] = {0};
    struct space space;
    (void)state;
    assert_int_equal(make(&space, "", CAIRN_GCOUNTER), CAIRN_INVALID_ARGUMENT);
    memset(name, 'x', CAIRN_SPACE_NAME_SIZE_MAX + 1);
    assert_int_equal(make(&space, name, CAIRN_GCOUNTER), CAIRN_TOO_LARGE);
    for (int c = 1; c < 256; c++) {
        char text[4] = {'a', (char)c, 'z', 0};
        bool lawful =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        assert_int_equal(make(&space, text, CAIRN_PNCOUNTER),
                         lawful ? CAIRN_OK : CAIRN_INVALID_ARGUMENT);
    }
    const uint32_t types[] = {0, 3, 4, 255, 256, 257, UINT32_MAX};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_int_equal(make(&space, "x", types[i]), CAIRN_INVALID_ARGUMENT);
    }
}

static void ids_differ_by_realm_name_and_type(void **state)
{
    struct space spaces[4];
    struct refusal refusal;
    (void)state;
    assert_int_equal(space_make(&spaces[0], 1, "a", CAIRN_GCOUNTER, &refusal), CAIRN_OK);
    assert_int_equal(space_make(&spaces[1], 2, "a", CAIRN_GCOUNTER, &refusal), CAIRN_OK);
    assert_int_equal(space_make(&spaces[2], 1, "b", CAIRN_GCOUNTER, &refusal), CAIRN_OK);
    assert_int_equal(space_make(&spaces[3], 1, "a", CAIRN_PNCOUNTER, &refusal), CAIRN_OK);
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t j = i + 1; j < 4; j++) {
            assert_memory_not_equal(spaces[i].id, spaces[j].id, CAIRN_SPACE_ID_SIZE);
        }
    }
}

static void every_bit_and_every_truncation_is_canonical_or_refused(void **state)
{
    const char *names[] = {"a", "packages.by-section", NULL};
    char longest[CAIRN_SPACE_NAME_SIZE_MAX + 1] = {0};
    (void)state;
    memset(longest, 'q', CAIRN_SPACE_NAME_SIZE_MAX);
    names[2] = longest;
    for (size_t i = 0; i < 3; i++) {
        uint8_t bytes[SPACE_DECLARATION_SIZE_MAX + 200] = {0};
        struct space space;
        assert_int_equal(make(&space, names[i], CAIRN_PNCOUNTER), CAIRN_OK);
        uint32_t size = space_encode(&space, bytes);
        for (uint32_t left = 0; left < size; left++) {
            assert_int_equal(space_decode(&space, bytes, left), CAIRN_NOT_CANONICAL);
        }
        /* Trailing bytes are refused. */
        assert_int_equal(space_decode(&space, bytes, size + 1), CAIRN_NOT_CANONICAL);
        for (uint32_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            check_canonical(bytes, size);
            check_canonical(bytes, size + 100);
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        /* Every length byte with as many bytes as it says. */
        memset(bytes + SPACE_HEADER_SIZE, 'n', sizeof bytes - SPACE_HEADER_SIZE);
        for (uint32_t length = 0; length < 256; length++) {
            bytes[8] = (uint8_t)length;
            bool lawful = length >= 1 && length <= CAIRN_SPACE_NAME_SIZE_MAX;
            assert_int_equal(space_decode(&space, bytes, SPACE_HEADER_SIZE + length),
                             lawful ? CAIRN_OK : CAIRN_NOT_CANONICAL);
        }
    }
}

/* All ids share their first bytes, so the index is one long probe; then random ones. */
static void a_full_table_finds_everything(void **state)
{
    struct prng prng;
    (void)state;
    prng_init(&prng, 4);
    for (uint32_t maximum = 1; maximum <= 40; maximum++) {
        for (uint32_t shared = 0; shared < 2; shared++) {
            struct spaces spaces;
            struct arena arena;
            uint8_t ids[40][CAIRN_SPACE_ID_SIZE];
            arena_init(&arena, NULL, 0);
            spaces_init(&spaces, maximum, &arena);
            uint64_t size = (arena.used + 4095) / 4096 * 4096;
            void *memory = aligned_alloc(4096, size);
            assert_non_null(memory);
            memset(memory, 0, size);
            arena_init(&arena, memory, size);
            spaces_init(&spaces, maximum, &arena);
            for (uint32_t i = 0; i < maximum; i++) {
                struct space space;
                char name[24];
                assert_false(spaces_are_full(&spaces));
                snprintf(name, sizeof name, "space-%u", i);
                assert_int_equal(make(&space, name, CAIRN_GCOUNTER), CAIRN_OK);
                prng_fill(&prng, space.id, sizeof space.id);
                if (shared) memset(space.id, 0xff, 4);
                memcpy(ids[i], space.id, sizeof space.id);
                assert_int_equal(spaces_find(&spaces, space.id), SPACE_NONE);
                assert_int_equal(spaces_find_name(&spaces, 7, name), SPACE_NONE);
                assert_int_equal(spaces_add(&spaces, &space), i);
                for (uint32_t j = 0; j <= i; j++) {
                    assert_int_equal(spaces_find(&spaces, ids[j]), j);
                }
                assert_int_equal(spaces_find_name(&spaces, 7, name), i);
                assert_int_equal(spaces_find_name(&spaces, 8, name), SPACE_NONE);
            }
            assert_true(spaces_are_full(&spaces));
            free(memory);
        }
    }
}

static void types_have_names_and_take_their_effects(void **state)
{
    (void)state;
    assert_string_equal(space_type_name(CAIRN_GCOUNTER), "gcounter");
    assert_string_equal(space_type_name(CAIRN_PNCOUNTER), "pncounter");
    assert_null(space_type_name(0));
    assert_null(space_type_name(3));
    assert_int_equal(space_type_of_name("gcounter"), CAIRN_GCOUNTER);
    assert_int_equal(space_type_of_name("pncounter"), CAIRN_PNCOUNTER);
    assert_int_equal(space_type_of_name("counter"), 0);
    const int64_t amounts[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(space_check_effect(CAIRN_GCOUNTER, CAIRN_ADD, amounts[i]),
                         amounts[i] < 0 ? CAIRN_NEGATIVE : CAIRN_OK);
        assert_int_equal(space_check_effect(CAIRN_PNCOUNTER, CAIRN_ADD, amounts[i]), CAIRN_OK);
        assert_int_equal(space_check_effect(CAIRN_PNCOUNTER, 0, amounts[i]), CAIRN_WRONG_TYPE);
        assert_int_equal(space_check_effect(CAIRN_GCOUNTER, 2, amounts[i]), CAIRN_WRONG_TYPE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declarations_of_all_name_sizes_and_types),
        cmocka_unit_test(names_have_exact_limits),
        cmocka_unit_test(ids_differ_by_realm_name_and_type),
        cmocka_unit_test(every_bit_and_every_truncation_is_canonical_or_refused),
        cmocka_unit_test(a_full_table_finds_everything),
        cmocka_unit_test(types_have_names_and_take_their_effects),
    };
    address_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
