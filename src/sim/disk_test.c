/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual disk keeps what it promises, loses what it may lose, and counts it (D1 to D4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "sim/disk.h"

#define SEGMENT_BYTES 65536u
#define SEGMENTS 4u
#define FILE_BYTES 16384u
#define WRITE_BYTES 16384u

static struct sim_disk *disk;
static struct host_disk face;
static struct host_store store;
static uint8_t *memory;
static uint64_t memory_size;
static uint8_t *buffers[4]; /* of WRITE_BYTES */

static int setup(void **state)
{
    (void)state;
    disk = malloc(sizeof *disk);
    assert_non_null(disk);
    const struct sim_disk_settings settings = {SEGMENT_BYTES, SEGMENTS, FILE_BYTES, 1};
    struct arena arena;
    arena_init(&arena, NULL, 0);
    sim_disk_init(disk, &settings, &arena);
    memory_size = (arena.used + 4095) & ~UINT64_C(4095);
    memory = aligned_alloc(4096, memory_size);
    assert_non_null(memory);
    for (uint32_t i = 0; i < 4; i++) {
        buffers[i] = aligned_alloc(4096, WRITE_BYTES);
        assert_non_null(buffers[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        free(buffers[i]);
    free(memory);
    free(disk);
    return 0;
}

static void submit(uint32_t kind, uint32_t segment, uint64_t offset, uint8_t *bytes, uint32_t token)
{
    struct host_request request = {
        .kind = kind,
        .segment = segment,
        .offset = offset,
        .bytes = bytes,
        .size = kind == HOST_PREPARE ? 0 : WRITE_BYTES,
        .token = token,
    };
    face.submit(face.self, &request, 1);
}

static int32_t wait_one(uint32_t *token)
{
    struct host_completion completion = {0};
    assert_int_equal(face.wait(face.self, &completion, 1, -1), 1);
    if (token != NULL) *token = completion.token;
    return completion.result;
}

static int32_t run(uint32_t kind, uint32_t segment, uint64_t offset, uint8_t *bytes)
{
    submit(kind, segment, offset, bytes, 0);
    return wait_one(NULL);
}

static void new_disk(uint64_t seed, uint32_t prepared)
{
    const struct sim_disk_settings settings = {SEGMENT_BYTES, SEGMENTS, FILE_BYTES, seed};
    struct arena arena;
    memset(memory, 0, memory_size);
    arena_init(&arena, memory, memory_size);
    sim_disk_init(disk, &settings, &arena);
    face = sim_disk_face(disk);
    store = sim_store_face(disk);
    for (uint32_t i = 0; i < prepared; i++)
        assert_int_equal(run(HOST_PREPARE, i, 0, NULL), CAIRN_OK);
}

/* Each sector of a segment has one value, or all are of values that were allowed: gives them. */
static uint8_t sector_value(uint32_t segment, uint64_t offset, uint32_t sector)
{
    const uint8_t *bytes = sim_disk_segment(disk, segment) + offset + sector * 512;
    for (uint32_t i = 1; i < 512; i++)
        assert_int_equal(bytes[i], bytes[0]); /* D2: whole */
    return bytes[0];
}

static void set_buffer(uint32_t index, uint8_t value)
{
    memset(buffers[index], value, WRITE_BYTES);
}

/* ---- Segments ---- */

static void test_write_and_read(void **state)
{
    (void)state;
    new_disk(1, 1);
    assert_true(face.is_prepared(face.self, 0));
    assert_false(face.is_prepared(face.self, 1));
    set_buffer(0, 7);
    assert_int_equal(run(HOST_WRITE, 0, 4096, buffers[0]), CAIRN_OK);
    assert_int_equal(run(HOST_READ, 0, 4096, buffers[1]), CAIRN_OK);
    assert_memory_equal(buffers[0], buffers[1], WRITE_BYTES);
    assert_int_equal(face.read(face.self, 0, 4096, buffers[2], WRITE_BYTES), CAIRN_OK);
    assert_memory_equal(buffers[0], buffers[2], WRITE_BYTES);
    assert_int_equal(run(HOST_READ, 3, 0, buffers[1]), CAIRN_OK); /* never prepared */
    assert_true(bytes_are_zero(buffers[1], WRITE_BYTES));
    assert_int_equal(run(HOST_PREPARE, 0, 0, NULL), CAIRN_OK); /* keeps its bytes */
    assert_int_equal(sector_value(0, 4096, 0), 7);
    sim_disk_power_cut(disk); /* D1 */
    for (uint32_t i = 0; i < WRITE_BYTES / 512; i++)
        assert_int_equal(sector_value(0, 4096, i), 7);
    assert_true(face.is_prepared(face.self, 0));
}

/* Two writes beside each other in flight: everything that may be left is left, for some seed. */
static void test_power_cut_in_flight(void **state)
{
    (void)state;
    uint32_t all = 0;
    uint32_t none = 0;
    uint32_t torn = 0;
    uint32_t only_later = 0;
    const uint32_t sectors = WRITE_BYTES / 512;
    for (uint64_t seed = 0; seed < 300; seed++) {
        new_disk(seed, 1);
        set_buffer(0, 1);
        set_buffer(1, 2);
        submit(HOST_WRITE, 0, 0, buffers[0], 0);
        submit(HOST_WRITE, 0, WRITE_BYTES, buffers[1], 1);
        sim_disk_power_cut(disk);
        uint32_t kept[2] = {0, 0};
        for (uint32_t i = 0; i < 2 * sectors; i++) {
            uint8_t value = sector_value(0, 0, i);
            uint8_t written = (uint8_t)(1 + i / sectors);
            assert_true(value == 0 || value == written);
            kept[i / sectors] += value == written;
        }
        all += kept[0] == sectors && kept[1] == sectors;
        none += kept[0] == 0 && kept[1] == 0;
        torn += kept[0] > 0 && kept[0] < sectors;
        only_later += kept[0] == 0 && kept[1] == sectors;
        assert_int_equal(disk->counts.cut_requests, 2);
        assert_int_equal(face.wait(face.self, &(struct host_completion){0}, 1, 0), 0);
        assert_true(disk->counts.torn_blocks == 0 || torn > 0 || kept[1] < sectors);
    }
    assert_true(all > 0 && none > 0 && torn > 50 && only_later > 0);
}

static void test_power_cut_of_overlapping_writes(void **state)
{
    (void)state;
    uint32_t mixed = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        new_disk(seed, 1);
        bool seen[3] = {false, false, false};
        for (uint32_t i = 0; i < 2; i++) {
            set_buffer(i, (uint8_t)(1 + i));
            submit(HOST_WRITE, 0, 0, buffers[i], i);
        }
        sim_disk_power_cut(disk);
        for (uint32_t i = 0; i < WRITE_BYTES / 512; i++) {
            uint8_t value = sector_value(0, 0, i);
            assert_true(value < 3);
            seen[value] = true;
        }
        mixed += seen[0] && seen[1] && seen[2];
    }
    assert_true(mixed > 0);
}

static void test_failures(void **state)
{
    (void)state;
    uint32_t partial = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        new_disk(seed, 2);
        struct sim_faults faults = {.write_fails = 2, .sync_fails = 2, .read_fails = 2};
        sim_disk_set_faults(disk, &faults);
        set_buffer(0, 9);
        assert_int_equal(run(HOST_WRITE, 0, 0, buffers[0]), CAIRN_OK);
        assert_int_equal(run(HOST_WRITE, 0, 16384, buffers[0]), CAIRN_STORAGE_FAILED);
        assert_int_equal(run(HOST_WRITE, 0, 32768, buffers[0]), CAIRN_STORAGE_FAILED); /* sync 2 */
        assert_int_equal(run(HOST_WRITE, 0, 49152, buffers[0]), CAIRN_OK);
        assert_int_equal(run(HOST_READ, 0, 0, buffers[1]), CAIRN_OK);
        assert_int_equal(face.read(face.self, 0, 0, buffers[1], 4096), CAIRN_STORAGE_FAILED);
        assert_int_equal(run(HOST_READ, 0, 0, buffers[1]), CAIRN_OK);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < WRITE_BYTES / 512; i++)
            kept += sector_value(0, 16384, i) == 9; /* D3 */
        partial += kept > 0 && kept < WRITE_BYTES / 512;
        assert_int_equal(disk->counts.failed_writes, 1);
        assert_int_equal(disk->counts.failed_syncs, 1);
        assert_int_equal(disk->counts.failed_reads, 1);
    }
    assert_true(partial > 10);
}

static void test_prepare_and_space(void **state)
{
    (void)state;
    new_disk(1, 1);
    sim_disk_set_faults(disk, &(struct sim_faults){.prepare_fails = 1});
    assert_int_equal(run(HOST_PREPARE, 1, 0, NULL), CAIRN_STORAGE_FAILED);
    assert_false(face.is_prepared(face.self, 1));
    sim_disk_set_space(disk, 2 * SEGMENT_BYTES - 1);
    assert_int_equal(run(HOST_PREPARE, 1, 0, NULL), CAIRN_STORAGE_FULL);
    assert_false(face.is_prepared(face.self, 1));
    assert_int_equal(run(HOST_PREPARE, 0, 0, NULL), CAIRN_OK); /* needs none */
    sim_disk_set_space(disk, 2 * SEGMENT_BYTES);
    assert_int_equal(run(HOST_PREPARE, 1, 0, NULL), CAIRN_OK);
    assert_int_equal(sim_disk_used_space(disk), 2 * SEGMENT_BYTES);
    assert_int_equal(store.write(store.self, HOST_FILE_MEMBER, 0, "x", 1), CAIRN_STORAGE_FULL);
    sim_disk_set_space(disk, 2 * SEGMENT_BYTES + 1);
    assert_int_equal(store.write(store.self, HOST_FILE_MEMBER, 0, "x", 1), CAIRN_OK);
    assert_int_equal(store.truncate(store.self, HOST_FILE_MEMBER, 2), CAIRN_STORAGE_FULL);
    assert_int_equal(disk->counts.refused_for_space, 3);
    assert_int_equal(disk->counts.failed_prepares, 1);
}

static void test_delay_order_and_wake(void **state)
{
    (void)state;
    new_disk(3, 1);
    sim_disk_set_faults(disk, &(struct sim_faults){.delay_max = 5, .reorders = true});
    uint32_t out_of_order = 0;
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t first = 9;
        uint32_t second = 9;
        submit(HOST_WRITE, 0, 0, buffers[0], 0);
        submit(HOST_WRITE, 0, WRITE_BYTES, buffers[1], 1);
        wait_one(&first);
        wait_one(&second);
        assert_int_equal(first + second, 1);
        out_of_order += first == 1;
    }
    assert_true(out_of_order > 10 && disk->counts.reordered == out_of_order);
    assert_true(disk->counts.delayed > 50);
    struct host_completion completion;
    face.wake(face.self);
    assert_int_equal(face.wait(face.self, &completion, 1, -1), 0); /* woken, nothing there */
    /* Without a wait for ever, a turn may pass in vain, but not more than delay_max. */
    submit(HOST_WRITE, 0, 0, buffers[0], 0);
    uint32_t turns = 1;
    while (face.wait(face.self, &completion, 1, 0) == 0)
        turns++;
    assert_true(turns <= 6);
}

static void test_lost_and_misdirected(void **state)
{
    (void)state;
    new_disk(4, 2);
    sim_disk_set_faults(disk, &(struct sim_faults){.write_lost = 1, .write_misdirected = 2});
    set_buffer(0, 5);
    assert_int_equal(run(HOST_WRITE, 0, 0, buffers[0]), CAIRN_OK);
    for (uint32_t segment = 0; segment < SEGMENTS; segment++)
        assert_true(bytes_are_zero(sim_disk_segment(disk, segment), SEGMENT_BYTES));
    assert_int_equal(run(HOST_WRITE, 0, 0, buffers[0]), CAIRN_OK);
    uint32_t found = 0;
    for (uint32_t segment = 0; segment < SEGMENTS; segment++)
        for (uint32_t i = 0; i < SEGMENT_BYTES / 512; i++)
            found += sector_value(segment, 0, i) == 5;
    assert_int_equal(found, WRITE_BYTES / 512);
    assert_false(memcmp(sim_disk_segment(disk, 0), buffers[0], WRITE_BYTES) == 0);
    assert_int_equal(disk->counts.lost_writes, 1);
    assert_int_equal(disk->counts.misdirected_writes, 1);
}

static void test_rot(void **state)
{
    (void)state;
    new_disk(5, 1);
    sim_disk_rot(disk, 0, 777, 0x40);
    assert_int_equal(sim_disk_segment(disk, 0)[777], 0x40);
    assert_int_equal(store.write(store.self, HOST_FILE_MEMBER, 0, "abc", 3), CAIRN_OK);
    assert_int_equal(store.sync(store.self, HOST_FILE_MEMBER), CAIRN_OK);
    sim_disk_rot_file(disk, HOST_FILE_MEMBER, 1, 1);
    char text[3];
    assert_int_equal(store.read(store.self, HOST_FILE_MEMBER, 0, text, 3), CAIRN_OK);
    assert_memory_equal(text, "acc", 3);
    assert_int_equal(disk->counts.rotted_bytes, 2);
}

/* ---- Files ---- */

static uint64_t file_size(enum host_file file)
{
    uint64_t size = 99;
    assert_int_equal(store.size(store.self, file, &size), CAIRN_OK);
    return size;
}

static void write_file(enum host_file file, uint8_t value, uint32_t size)
{
    memset(buffers[3], value, size);
    assert_int_equal(store.write(store.self, file, 0, buffers[3], size), CAIRN_OK);
}

static void test_files(void **state)
{
    (void)state;
    new_disk(1, 0);
    assert_int_equal(file_size(HOST_FILE_MEMBER), 0);
    char text[8];
    assert_int_equal(store.read(store.self, HOST_FILE_MEMBER, 0, text, 1), CAIRN_STORAGE_FAILED);
    assert_int_equal(store.write(store.self, HOST_FILE_MEMBER, 2, "abc", 3), CAIRN_OK);
    assert_int_equal(file_size(HOST_FILE_MEMBER), 5);
    assert_int_equal(store.read(store.self, HOST_FILE_MEMBER, 0, text, 5), CAIRN_OK);
    assert_memory_equal(text, "\0\0abc", 5);
    assert_int_equal(store.read(store.self, HOST_FILE_MEMBER, 1, text, 5), CAIRN_STORAGE_FAILED);
    assert_int_equal(store.truncate(store.self, HOST_FILE_MEMBER, 3), CAIRN_OK);
    assert_int_equal(store.truncate(store.self, HOST_FILE_MEMBER, 5), CAIRN_OK);
    assert_int_equal(store.read(store.self, HOST_FILE_MEMBER, 0, text, 5), CAIRN_OK);
    assert_memory_equal(text, "\0\0a\0\0", 5);
    assert_int_equal(store.write(store.self, HOST_FILE_MEMBER, FILE_BYTES, "x", 1),
                     CAIRN_STORAGE_FULL);
    assert_int_equal(file_size(HOST_FILE_CHECKPOINT_A), 0); /* each is its own */
}

/* A synced file that is written again: each sector is of one of the versions. */
static void test_power_cut_of_files(void **state)
{
    (void)state;
    uint32_t vanished = 0;
    uint32_t stayed = 0;
    uint32_t mixed = 0;
    uint32_t second_version = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        new_disk(seed, 0);
        write_file(HOST_FILE_CHECKPOINT_A, 1, 8192);
        assert_int_equal(store.sync(store.self, HOST_FILE_CHECKPOINT_A), CAIRN_OK);
        write_file(HOST_FILE_CHECKPOINT_A, 2, 8192);
        write_file(HOST_FILE_CHECKPOINT_A, 3, 8192);
        write_file(HOST_FILE_CHECKPOINT_B, 4, 8192); /* never synced */
        write_file(HOST_FILE_MEMBER, 5, 8192);
        assert_int_equal(store.sync(store.self, HOST_FILE_MEMBER), CAIRN_OK);
        sim_disk_power_cut(disk);
        assert_int_equal(disk->counts.cut_files, 2);

        assert_int_equal(file_size(HOST_FILE_MEMBER), 8192); /* D1 */
        assert_int_equal(store.read(store.self, HOST_FILE_MEMBER, 0, buffers[0], 8192), CAIRN_OK);
        memset(buffers[1], 5, 8192);
        assert_memory_equal(buffers[0], buffers[1], 8192);

        bool seen[4] = {false, false, false, false};
        assert_int_equal(file_size(HOST_FILE_CHECKPOINT_A), 8192);
        assert_int_equal(store.read(store.self, HOST_FILE_CHECKPOINT_A, 0, buffers[0], 8192),
                         CAIRN_OK);
        for (uint32_t at = 0; at < 8192; at++) {
            assert_true(buffers[0][at] >= 1 && buffers[0][at] <= 3);
            assert_int_equal(buffers[0][at], buffers[0][at / 512 * 512]);
            seen[buffers[0][at]] = true;
        }
        mixed += seen[1] && seen[3];
        second_version += seen[2];
        uint64_t size = file_size(HOST_FILE_CHECKPOINT_B);
        vanished += size == 0;
        stayed += size == 8192;
        assert_true(size == 0 || size == 8192);
        assert_int_equal(disk->counts.vanished_files, size == 0 ? 1 : 0);
    }
    assert_true(vanished > 20 && stayed > 20 && mixed > 20 && second_version > 5);
}

static void test_failures_of_files(void **state)
{
    (void)state;
    new_disk(1, 0);
    write_file(HOST_FILE_MEMBER, 1, 4096);
    sim_disk_set_faults(disk, &(struct sim_faults){.write_fails = 1, .sync_fails = 1});
    memset(buffers[3], 2, 4096);
    assert_int_equal(store.write(store.self, HOST_FILE_MEMBER, 0, buffers[3], 4096),
                     CAIRN_STORAGE_FAILED);
    assert_int_equal(store.sync(store.self, HOST_FILE_MEMBER), CAIRN_STORAGE_FAILED);
    assert_int_equal(store.sync(store.self, HOST_FILE_MEMBER), CAIRN_OK);
    sim_disk_set_faults(disk, &(struct sim_faults){.read_fails = 1, .write_lost = 1});
    char byte;
    assert_int_equal(store.read(store.self, HOST_FILE_MEMBER, 0, &byte, 1), CAIRN_STORAGE_FAILED);
    write_file(HOST_FILE_MEMBER, 7, 4096);
    assert_int_equal(store.read(store.self, HOST_FILE_MEMBER, 0, &byte, 1), CAIRN_OK);
    assert_int_not_equal(byte, 7);
    assert_int_equal(disk->counts.lost_writes, 1);
}

/* The same seed and the same calls: the same bytes. */
static void test_same_seed_same_bytes(void **state)
{
    (void)state;
    uint8_t *copy = malloc(memory_size);
    assert_non_null(copy);
    for (uint64_t round = 0; round < 2; round++) {
        new_disk(42, 3);
        sim_disk_set_faults(disk, &(struct sim_faults){.delay_max = 3, .reorders = true});
        for (uint32_t i = 0; i < 20; i++) {
            for (uint32_t j = 0; j < 3; j++) {
                memset(buffers[j], (int)(i * 3 + j), WRITE_BYTES);
                submit(HOST_WRITE, j, j * 4096, buffers[j], j);
            }
            wait_one(NULL);
            write_file(HOST_FILE_MEMBER, (uint8_t)i, 3000 + i);
            sim_disk_power_cut(disk);
        }
        if (round == 0) memcpy(copy, memory, memory_size);
    }
    assert_memory_equal(copy, memory, memory_size);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_power_cut_in_flight),
        cmocka_unit_test(test_power_cut_of_overlapping_writes),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_prepare_and_space),
        cmocka_unit_test(test_delay_order_and_wake),
        cmocka_unit_test(test_lost_and_misdirected),
        cmocka_unit_test(test_rot),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_power_cut_of_files),
        cmocka_unit_test(test_failures_of_files),
        cmocka_unit_test(test_same_seed_same_bytes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
