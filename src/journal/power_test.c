/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts and failing writes, syncs and prepares: whatever was reported durable is there
 * afterwards, and nothing that a recovery cut comes back (sim/journal_world.h, W1 and W2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/journal_world.h"

#define SEEDS 1500u
#define GENERATIONS 5u

static const struct journal_limits limits = {
    .segment_bytes = 256 * 1024,
    .segment_count = 4,
    .batch_bytes_max = 64 * 1024,
};

static struct sim_journal_world *world;
static uint8_t *memory;
static uint64_t memory_size;

static int setup(void **state)
{
    (void)state;
    world = malloc(sizeof *world);
    assert_non_null(world);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    sim_journal_world_init(world, &limits, 0, &arena);
    memory_size = (arena.used + 4095) & ~UINT64_C(4095);
    memory = aligned_alloc(4096, memory_size);
    assert_non_null(memory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(memory);
    free(world);
    return 0;
}

static void new_world(uint64_t seed)
{
    struct arena arena;
    memset(memory, 0, memory_size);
    arena_init(&arena, memory, memory_size);
    sim_journal_world_init(world, &limits, seed, &arena);
}

/* Mostly of one block, so that batches of different lives start at the same places. */
static uint32_t random_size(void)
{
    uint64_t sort = prng_below(&world->prng, 16);
    if (sort == 0) return 8 + (uint32_t)prng_below(&world->prng, 60000);
    if (sort < 3) return 8 + (uint32_t)prng_below(&world->prng, 12000);
    return 8 + (uint32_t)prng_below(&world->prng, 1500);
}

static void act(void)
{
    uint64_t sort = prng_below(&world->prng, 10);
    if (sort < 4) {
        uint32_t size = random_size();
        if (sim_journal_world_try_append(world, size)) return;
        sim_journal_world_flush(world);
        /* The ring is full, or as good as. */
        if (prng_chance(&world->prng, 1, 2)) sim_journal_world_recycle(world, world->acked);
    } else if (sort < 7) {
        sim_journal_world_flush(world);
    } else if (sort < 9 || world->acked == world->low) {
        sim_journal_world_wait(world, 0);
    } else if (prng_chance(&world->prng, 1, 8)) {
        uint32_t kept = world->acked - world->low;
        sim_journal_world_recycle(world, world->low + (uint32_t)prng_below(&world->prng, kept));
    }
}

static void recover(uint64_t seed)
{
    struct sim_world_report report;
    sim_journal_world_scan(world, &report);
    if (report.failure == NULL && report.damage_count > 0) report.failure = "damage";
    if (report.failure != NULL) fail_msg("seed %llu: %s", (unsigned long long)seed, report.failure);
    sim_journal_world_reopen(world, &report);
}

static void set_timing(void)
{
    struct sim_faults faults = {
        .delay_max = (uint32_t)prng_below(&world->prng, 5),
        .reorders = prng_chance(&world->prng, 3, 4),
    };
    sim_disk_set_faults(&world->disk, &faults);
}

static void add_counts(struct sim_disk_counts *sum)
{
    const struct sim_disk_counts *counts = &world->disk.counts;
    sum->torn_blocks += counts->torn_blocks;
    sum->kept_sectors += counts->kept_sectors;
    sum->dropped_sectors += counts->dropped_sectors;
    sum->cut_requests += counts->cut_requests;
    sum->reordered += counts->reordered;
    sum->delayed += counts->delayed;
}

/* Several lives on one disk, each ended by a power cut at any moment. */
static void test_power_cuts(void **state)
{
    (void)state;
    struct sim_disk_counts sum = {0};
    uint64_t laps = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        new_world(seed);
        for (uint32_t generation = 0; generation < GENERATIONS; generation++) {
            set_timing();
            /* Short lives cut often where the last one was cut; long ones go round the ring. */
            uint64_t length = prng_below(&world->prng, prng_chance(&world->prng, 1, 6) ? 600 : 40);
            for (uint64_t i = 0; i < length; i++)
                act();
            sim_disk_power_cut(&world->disk);
            recover(seed);
        }
        laps += world->journal.position / limits.segment_bytes / limits.segment_count;
        add_counts(&sum);
    }
    /* All of it happened, many times. */
    assert_true(sum.torn_blocks > 100 && sum.kept_sectors > 1000 && sum.dropped_sectors > 1000);
    assert_true(sum.cut_requests > 100 && sum.reordered > 100 && sum.delayed > 100);
    assert_true(laps > 100);
}

/* ---- Each k-th failure ---- */

/* A small workload with two writes in flight; false as soon as the journal has failed. */
static bool run_workload(void)
{
    for (uint32_t i = 0; i < 24; i++) {
        if (!sim_journal_world_append(world, 100 + (i % 5) * 2500)) return false;
        if (i % 2 == 1) sim_journal_world_flush(world);
        if (i % 3 == 2) sim_journal_world_wait(world, 0);
    }
    return sim_journal_world_drain(world);
}

static void finish_requests(void)
{
    while (world->driver.in_flight > 0)
        sim_journal_world_wait(world, -1);
}

/* The journal has failed: whatever comes now, it says no more and writes no more (J6). */
static void check_failed(void)
{
    assert_true(world->journal.failed);
    uint64_t durable = world->journal.durable_position;
    assert_int_equal(journal_room(&world->journal), 0);
    assert_int_equal(journal_prepared_bytes(&world->journal), 0);
    assert_false(sim_journal_world_drain(world));
    finish_requests();
    uint64_t writes = world->disk.counts.writes;
    sim_journal_world_flush(world);
    finish_requests();
    assert_int_equal(world->disk.counts.writes, writes);
    assert_int_equal(world->journal.durable_position, durable);
}

/*
 * The fault strikes, the process starts again, with or without a power cut, and works on. False: it
 * did not strike, since with other delays there are fewer and larger batches.
 */
static bool run_with_fault(const struct sim_faults *faults, uint64_t seed, bool cuts_power)
{
    new_world(seed);
    sim_disk_set_faults(&world->disk, faults);
    if (run_workload()) {
        assert_int_equal(world->acked, 24);
        return false;
    }
    if (!cuts_power)
        check_failed();
    else
        sim_disk_power_cut(&world->disk);
    sim_disk_set_faults(&world->disk, &(struct sim_faults){0});
    recover(seed);
    uint32_t recovered = world->count;
    assert_true(run_workload());
    assert_int_equal(world->acked, recovered + 24);
    recover(seed);
    assert_int_equal(world->count, recovered + 24);
    return true;
}

static uint64_t count_writes(void)
{
    new_world(7);
    uint64_t before = world->disk.counts.writes;
    assert_true(run_workload());
    assert_true(world->disk.counts.writes == world->disk.counts.syncs);
    return world->disk.counts.writes - before;
}

static void test_each_write_and_sync_fails(void **state)
{
    (void)state;
    uint64_t writes = count_writes();
    assert_true(writes >= 10);
    uint32_t struck = 0;
    for (uint64_t k = 1; k <= writes; k++) {
        for (uint64_t seed = 0; seed < 24; seed++) {
            struct sim_faults faults = {
                .write_fails = seed % 2 == 0 ? k : 0,
                .sync_fails = seed % 2 == 1 ? k : 0,
                .delay_max = (uint32_t)(seed / 4 % 3),
                .reorders = seed % 3 > 0,
            };
            bool is_struck = run_with_fault(&faults, seed * 1000 + k, seed / 2 % 2 == 0);
            uint64_t failures = world->disk.counts.failed_writes + world->disk.counts.failed_syncs;
            assert_int_equal(failures, is_struck ? 1 : 0);
            /* Without delays the workload is the one that was counted. */
            assert_true(is_struck || faults.delay_max > 0);
            struck += is_struck;
        }
    }
    assert_true(struck > 8 * writes);
}

/* A failed prepare costs nothing: the journal asks again, and loses no record. */
static void test_each_prepare_fails(void **state)
{
    (void)state;
    for (uint64_t k = 1; k <= 3; k++) {
        new_world(k);
        sim_disk_set_faults(&world->disk, &(struct sim_faults){.prepare_fails = k});
        for (uint32_t i = 0; i < 12; i++) {
            while (!sim_journal_world_append(world, 60000))
                assert_true(world->journal.storage_full && !world->journal.failed);
        }
        assert_true(sim_journal_world_drain(world));
        assert_int_equal(world->disk.counts.failed_prepares, 1);
        recover(k);
        assert_int_equal(world->count, 12);
    }
}

static void test_no_space_and_space_again(void **state)
{
    (void)state;
    new_world(1);
    sim_disk_set_space(&world->disk, 2 * limits.segment_bytes);
    while (sim_journal_world_append(world, 60000)) {
    }
    assert_true(world->journal.storage_full && !world->journal.failed);
    assert_true(sim_journal_world_drain(world));
    uint32_t count = world->count;
    assert_int_equal(world->acked, count);
    assert_int_equal(count, 8); /* four to a segment, two segments */
    assert_false(sim_journal_world_append(world, 8));
    sim_disk_set_space(&world->disk, SIM_SPACE_UNLIMITED);
    assert_true(sim_journal_world_append(world, 60000));
    assert_true(sim_journal_world_drain(world));
    assert_false(world->journal.storage_full);
    assert_true(world->disk.counts.refused_for_space > 0);
    recover(1);
    assert_int_equal(world->count, count + 1);
}

static void test_failed_read_is_told(void **state)
{
    (void)state;
    new_world(1);
    assert_true(run_workload());
    struct sim_world_report report;
    sim_disk_set_faults(&world->disk, &(struct sim_faults){.read_fails = 1});
    sim_journal_world_scan(world, &report);
    assert_string_equal(report.failure, "a read failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cuts),
        cmocka_unit_test(test_each_write_and_sync_fails),
        cmocka_unit_test(test_each_prepare_fails),
        cmocka_unit_test(test_no_space_and_space_again),
        cmocka_unit_test(test_failed_read_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
