/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel seldom does: short writes, cut links, passing errors. The engine's own file is
 * part of this program, so that completions can be made up, each with its slot.
 */
#define _GNU_SOURCE
#include "os/test_folder.h"

#include "os/disk_uring.c" /* NOLINT: see above */

#define BLOCK HOST_BLOCK_SIZE

static char path[TEST_PATH_SIZE];
static int folder, lock;
static struct os_failure failure;
static struct os_disk *disk;
static _Alignas(BLOCK) uint8_t bytes[4 * BLOCK];
static _Alignas(BLOCK) uint8_t stored[4 * BLOCK];

static struct host_completion wait_one(void)
{
    struct host_disk face = disk_face(disk);
    struct host_completion done = {0};
    assert_int_equal(face.wait(face.self, &done, 1, -1), 1);
    return done;
}

static struct host_completion run_one(uint32_t kind, uint8_t *memory)
{
    struct host_request request = {.kind = kind};
    if (memory) request.bytes = memory;
    if (memory) request.size = 4 * BLOCK;
    struct host_disk face = disk_face(disk);
    face.submit(face.self, &request, 1);
    return wait_one();
}

static int setup(void **state)
{
    (void)state;
    test_folder_make(path, NULL);
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[TEST_PATH_SIZE];
    test_path(name, path, "LOCK");
    lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    os_failure_init(&failure);
    struct disk_options options = {.folder = folder,
                                   .lock = lock,
                                   .uring = true,
                                   .segment_bytes = 4 * BLOCK,
                                   .segment_count = 1};
    assert_int_equal(disk_open(&disk, &options, &failure), CAIRN_OK);
    assert_int_equal(run_one(HOST_PREPARE, NULL).result, CAIRN_OK);
    memset(bytes, 7, sizeof bytes);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    disk_close(disk);
    os_failure_destroy(&failure);
    close(folder);
    close(lock);
    test_folder_remove(path);
    return 0;
}

/* A write that the kernel has taken, as far as the engine knows. */
static struct slot *made_up_write(void)
{
    struct slot *slot = ((struct uring *)disk->engine_self)->slots;
    *slot = (struct slot){.request = {.kind = HOST_WRITE, .bytes = bytes, .size = 4 * BLOCK},
                          .file = disk_files_take(&disk->files, 0),
                          .used = true,
                          .move_pending = true,
                          .sync_pending = true};
    disk->accepted++;
    disk->moving++;
    return slot;
}

static bool ring_is_there(void)
{
    if (disk->engine == &disk_uring) return true;
    print_message("left out: io_uring or O_DIRECT is refused here\n");
    return false;
}

static void the_rest_of_a_short_write_is_written(void **state)
{
    (void)state;
    if (!ring_is_there()) skip();
    struct slot *slot = made_up_write();
    move_ended(slot, 2 * BLOCK + 100); /* goes on at the last whole block */
    sync_ended(slot, -ECANCELED);
    slot_judge(disk, slot);
    assert_true(slot->used && slot->move_pending && slot->sync_pending);
    uring_flush(disk);
    assert_int_equal(wait_one().result, CAIRN_OK);
    assert_int_equal(run_one(HOST_READ, stored).result, CAIRN_OK);
    for (size_t i = 0; i < sizeof stored; i++) {
        assert_int_equal(stored[i], i < 2 * BLOCK ? 0 : 7); /* the first part was made up */
    }
}

static void a_sync_before_the_write_is_done_again(void **state)
{
    (void)state;
    if (!ring_is_there()) skip();
    struct slot *slot = made_up_write();
    sync_ended(slot, 0);
    move_ended(slot, 4 * BLOCK);
    slot_judge(disk, slot);
    assert_true(slot->used && !slot->move_pending && slot->sync_pending);
    uring_flush(disk);
    assert_int_equal(wait_one().result, CAIRN_OK);
}

static void a_passing_error_is_tried_again(void **state)
{
    (void)state;
    if (!ring_is_there()) skip();
    struct slot *slot = made_up_write();
    move_ended(slot, -EAGAIN);
    sync_ended(slot, -ECANCELED);
    slot_judge(disk, slot);
    uring_flush(disk);
    assert_int_equal(wait_one().result, CAIRN_OK);
    assert_int_equal(run_one(HOST_READ, stored).result, CAIRN_OK);
    assert_memory_equal(stored, bytes, sizeof stored);
}

static void expect_end(struct slot *slot, int move, int sync, int result, const char *text)
{
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    move_ended(slot, move);
    sync_ended(slot, sync);
    slot_judge(disk, slot);
    assert_false(slot->used);
    assert_int_equal(wait_one().result, result);
    os_failure_copy(&failure, message);
    assert_string_equal(message, text);
}

static void failures_end_the_request(void **state)
{
    (void)state;
    if (!ring_is_there()) skip();
    expect_end(made_up_write(), -EIO, -ECANCELED, CAIRN_STORAGE_FAILED,
               "write journal/0000: Input/output error");
    expect_end(made_up_write(), 4 * BLOCK, -EIO, CAIRN_STORAGE_FAILED,
               "fdatasync journal/0000: Input/output error");
    expect_end(made_up_write(), -ENOSPC, -ECANCELED, CAIRN_STORAGE_FULL,
               "write journal/0000: No space left on device");
    expect_end(made_up_write(), 0, -ECANCELED, CAIRN_STORAGE_FAILED,
               "write journal/0000: Input/output error");
    struct slot *slot = made_up_write();
    slot->attempts = ATTEMPTS_MAX;
    expect_end(slot, -EAGAIN, -ECANCELED, CAIRN_STORAGE_FAILED,
               "write journal/0000: Resource temporarily unavailable");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_rest_of_a_short_write_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sync_before_the_write_is_done_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_passing_error_is_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_end_the_request, setup, teardown),
    };
    return cmocka_run_group_tests_name("os/disk_uring", tests, NULL, NULL);
}
