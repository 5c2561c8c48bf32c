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
#include "facts/certificate_index.h"

static uint64_t rounds(uint64_t full)
{
    const char *sanitize = getenv("CAIRN_SANITIZE");
    return sanitize != NULL && sanitize[0] != 0 ? full / 8 + 1 : full;
}

static void *open_index(struct certificate_index *index, uint64_t maximum)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    memset(index, 0, sizeof *index);
    certificate_index_init(index, maximum, &arena);
    uint64_t size = round_up(arena.used, 4096);
    void *memory = aligned_alloc(4096, size);
    assert_non_null(memory);
    memset(memory, 0, size);
    arena_init(&arena, memory, size);
    certificate_index_init(index, maximum, &arena);
    return memory;
}

/* Runs of several origins in turns: each place names the batch with its run's first fact. */
static void the_index_knows_where_runs_begin(void **state)
{
    enum { ORIGINS = 5 };
    (void)state;
    for (uint64_t seed = 0; seed < rounds(100); seed++) {
        struct certificate_index index;
        struct prng prng;
        struct certificate_place expected[300];
        uint64_t begun[ORIGINS] = {0};
        uint64_t next[ORIGINS] = {1, 1, 1, 1, 1};
        uint32_t counts[ORIGINS] = {0};
        uint64_t added = 0;
        uint64_t maximum = 1 + seed % 40;
        prng_init(&prng, seed);
        void *memory = open_index(&index, maximum);
        assert_int_equal(certificate_index_get(&index, 0, &expected[0]), CAIRN_END);
        for (uint64_t position = 1; added < 300; position += 1 + prng_below(&prng, 2)) {
            uint32_t origin = (uint32_t)prng_below(&prng, ORIGINS);
            if (counts[origin] == 0 || prng_chance(&prng, 2, 3)) {
                if (counts[origin]++ == 0) begun[origin] = position;
                certificate_index_fact(&index, origin, 2, position);
            } else {
                struct certificate certificate = {.slot = origin,
                                                  .incarnation = 2,
                                                  .first = next[origin],
                                                  .count = counts[origin]};
                certificate_index_add(&index, &certificate, position);
                expected[added++] = (struct certificate_place){.first = next[origin],
                                                               .facts_position = begun[origin],
                                                               .position = position,
                                                               .slot = origin,
                                                               .incarnation = 2,
                                                               .count = counts[origin]};
                next[origin] += counts[origin];
                counts[origin] = 0;
            }
            uint64_t oldest = position;
            for (uint32_t i = 0; i < ORIGINS; i++) {
                if (counts[i] > 0 && begun[i] < oldest) oldest = begun[i];
            }
            assert_int_equal(certificate_index_oldest(&index, 0, position), oldest);
            uint64_t first = certificate_index_first(&index);
            assert_true(first + maximum >= added && first <= added);
            for (uint64_t i = 0; i < added; i++) {
                struct certificate_place place;
                int result = certificate_index_get(&index, i, &place);
                assert_int_equal(result, i < first ? CAIRN_RECLAIMED : CAIRN_OK);
                if (result == CAIRN_OK) {
                    assert_memory_equal(&place, &expected[i], sizeof place);
                }
            }
            struct certificate_place place;
            assert_int_equal(certificate_index_get(&index, added, &place), CAIRN_END);
        }
        free(memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_knows_where_runs_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
