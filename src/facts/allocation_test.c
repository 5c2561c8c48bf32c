/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After init the core allocates nothing: here malloc and its kin are traps. (Not under sanitizers,
 * which bring their own.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "facts/checkpoint.h"
#include "facts/replay.h"
#include "facts/test_world.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TRAPS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TRAPS 0
#endif
#endif
#ifndef TRAPS
#define TRAPS 1
#endif

/* Volatile: a compiler believes that malloc() looks at no variable of the program. */
static volatile bool armed;
static volatile uint64_t trapped;

#if TRAPS
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

void *malloc(size_t size)
{
    trapped += armed;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    trapped += armed;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    trapped += armed;
    return __libc_realloc(memory, size);
}

void free(void *memory)
{
    trapped += armed && memory != NULL;
    __libc_free(memory);
}
#endif

/* The trap itself works. */
static void the_trap_sees_an_allocation(void **state)
{
    (void)state;
    armed = true;
    void *volatile memory = malloc(10);
    memory = realloc(memory, 2000);
    free(memory);
    memory = calloc(1, 10);
    free(memory);
    armed = false;
    assert_int_equal(trapped, TRAPS ? 5 : 0);
    trapped = 0;
}

/* Everything that members do between open and close; only the tests' own checks are left out. */
static void nothing_is_allocated_after_init(void **state)
{
    static struct world world;
    static uint8_t piece[8192];
    static uint8_t scratch[2 * KEYS * ADDRESS_SIZE];
    struct test_limits limits = test_limits_small();
    struct checkpoint_encoder encoder;
    struct certificate_index index;
    struct arena arena;
    struct refusal refusal;
    uint8_t digest[ADDRESS_SIZE];
    (void)state;
    limits.log_bytes = 1024 * 1024;
    world_init(&world, 3, &limits, 1);
    /* Also for recovery, whose own memory is taken before it begins. */
    struct replay *replay = allocate(sizeof *replay);
    struct test_member *member = test_member_open(allocate, 1, &limits, NULL);
    arena_init(&arena, NULL, 0);
    certificate_index_init(&index, 64, &arena);
    replay_init(replay, &member->realm, &index, 1, &arena);
    uint64_t size = round_up(arena.used, 4096);
    arena_init(&arena, allocate(size), size);
    armed = true;
    certificate_index_init(&index, 64, &arena);
    replay_init(replay, &member->realm, &index, 1, &arena);
    world_run(&world, 400, 3, 40);
    for (uint32_t i = 0; i < 3; i++)
        deliver_all(&world, world.members[i]);
    settle(&world);
    realm_cells_digest(&world.members[0]->realm, scratch, digest);
    origins_digest(&world.members[0]->realm.origins, digest);
    checkpoint_encoder_init(&encoder, &world.members[0]->realm);
    while (checkpoint_encode(&encoder, piece, sizeof piece) != 0)
        continue;
    uint64_t offset = 0;
    const uint8_t *bytes;
    uint32_t kind;
    uint32_t record_size;
    int result = CAIRN_OK;
    while (test_log_next(&world.members[0]->log, &offset, &kind, &bytes, &record_size)) {
        result |= replay_record(replay, (uint16_t)kind, bytes, record_size, offset, &refusal);
    }
    replay_batch_end(replay);
    armed = false;
    assert_int_equal(result, CAIRN_OK);
    assert_true(replay->certificates_verified > 0);
    assert_int_equal(trapped, 0);
    assert_true(world.restarts > 0 && world.pool.count > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_trap_sees_an_allocation),
        cmocka_unit_test_setup_teardown(nothing_is_allocated_after_init, NULL, give_back),
    };
    address_init();
    if (!signature_init()) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
