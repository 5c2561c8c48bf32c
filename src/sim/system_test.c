/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual system: its time, entropy and memory are what a test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "sim/system.h"

#define MEMORY_BYTES (16u * 4096u)

static void test_time(void **state)
{
    (void)state;
    struct sim_system system;
    sim_system_init_memory(&system, 1, &(struct sim_memory){0});
    struct host_system face = sim_system_face(&system);
    uint64_t start = face.wall_ms(face.self);
    assert_int_equal(face.monotonic_ns(face.self), 0);
    for (uint32_t i = 0; i < 4; i++)
        sim_system_advance(&system, 600000);
    assert_int_equal(face.monotonic_ns(face.self), 2400000);
    assert_int_equal(face.wall_ms(face.self), start + 2);
    system.wall_ms = 5; /* a jump */
    assert_int_equal(face.wall_ms(face.self), 5);
    assert_null(face.thread_start);
    assert_null(face.word_wait);
}

static void test_entropy(void **state)
{
    (void)state;
    struct sim_system system;
    uint8_t first[32];
    uint8_t again[32];
    uint8_t other[32];
    sim_system_init_memory(&system, 1, &(struct sim_memory){0});
    struct host_system face = sim_system_face(&system);
    assert_int_equal(face.entropy(face.self, first, sizeof first), CAIRN_OK);
    assert_int_equal(face.entropy(face.self, other, sizeof other), CAIRN_OK);
    assert_memory_not_equal(first, other, sizeof first);
    sim_system_init_memory(&system, 1, &(struct sim_memory){0});
    assert_int_equal(face.entropy(face.self, again, sizeof again), CAIRN_OK);
    assert_memory_equal(first, again, sizeof first);
    system.entropy_fails = true;
    assert_int_equal(face.entropy(face.self, again, sizeof again), CAIRN_SYSTEM);
}

static void test_memory_from_an_arena(void **state)
{
    (void)state;
    struct sim_system system;
    struct arena arena;
    uint8_t *memory = aligned_alloc(4096, MEMORY_BYTES);
    assert_non_null(memory);
    memset(memory, 0xee, MEMORY_BYTES);
    arena_init(&arena, memory, MEMORY_BYTES);
    sim_system_init_arena(&system, 1, &arena);
    struct host_system face = sim_system_face(&system);
    uint8_t *first = face.memory_take(face.self, 100);
    uint8_t *second = face.memory_take(face.self, 8192);
    assert_true(bytes_are_zero(first, 100) && bytes_are_zero(second, 8192));
    assert_int_equal((uintptr_t)second % 4096, 0);
    assert_null(face.memory_take(face.self, MEMORY_BYTES));
    system.memory_refused = true;
    assert_null(face.memory_take(face.self, 1));
    face.memory_give(face.self, first, 100);
    free(memory);
}

static void *take(void *self, uint64_t size)
{
    ++*(int *)self;
    return calloc(1, size);
}

static void give(void *self, void *memory, uint64_t size)
{
    (void)size;
    --*(int *)self;
    free(memory);
}

static void test_memory_from_a_function(void **state)
{
    (void)state;
    struct sim_system system;
    int taken = 0;
    sim_system_init_memory(&system, 1, &(struct sim_memory){&taken, take, give});
    struct host_system face = sim_system_face(&system);
    void *memory = face.memory_take(face.self, 64);
    assert_non_null(memory);
    assert_int_equal(taken, 1);
    face.memory_give(face.self, memory, 64);
    assert_int_equal(taken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_entropy),
        cmocka_unit_test(test_memory_from_an_arena),
        cmocka_unit_test(test_memory_from_a_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
