/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "os/test_folder.h"

#include "os/store.h"

struct opened {
    char path[TEST_PATH_SIZE];
    struct os_host *host;
    struct host_store store;
};

static void store_open(struct opened *self)
{
    struct os_options options = {.folder = self->path, .create = true};
    struct host face;
    assert_int_equal(os_host_open(&self->host, &options, &face, NULL), CAIRN_OK);
    self->store = face.store;
}

static int setup(void **state)
{
    struct opened *self = calloc(1, sizeof *self);
    test_folder_make(self->path, NULL);
    store_open(self);
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    struct opened *self = *state;
    os_host_close(self->host);
    test_folder_remove(self->path);
    free(self);
    return 0;
}

static uint64_t size_of(const struct host_store *store, enum host_file file)
{
    uint64_t size = UINT64_MAX;
    assert_int_equal(store->size(store->self, file, &size), CAIRN_OK);
    return size;
}

static void bytes_come_back(void **state)
{
    struct opened *self = *state;
    static const char *const names[HOST_FILES] = {"member", "checkpoint.a", "checkpoint.b"};
    for (enum host_file file = 0; file < HOST_FILES; file++) {
        struct host_store *store = &self->store;
        char text[16] = "";
        assert_int_equal(size_of(store, file), 0);
        assert_false(test_file_exists(self->path, names[file]));
        assert_int_equal(store->read(store->self, file, 0, text, 1), CAIRN_STORAGE_FAILED);
        assert_int_equal(store->truncate(store->self, file, 0), CAIRN_OK);
        assert_int_equal(store->sync(store->self, file), CAIRN_OK);
        assert_false(test_file_exists(self->path, names[file]));

        assert_int_equal(store->write(store->self, file, 3, "defg", 4), CAIRN_OK);
        assert_int_equal(store->write(store->self, file, 0, "abc", 3), CAIRN_OK);
        assert_int_equal(store->sync(store->self, file), CAIRN_OK);
        assert_true(test_file_exists(self->path, names[file]));

        os_host_close(self->host);
        store_open(self);
        assert_int_equal(size_of(store, file), 7);
        assert_int_equal(store->read(store->self, file, 1, text, 6), CAIRN_OK);
        assert_string_equal(text, "bcdefg");
        assert_int_equal(store->truncate(store->self, file, 2), CAIRN_OK);
        assert_int_equal(store->sync(store->self, file), CAIRN_OK);
        assert_int_equal(size_of(store, file), 2);
    }
}

static void a_short_file_is_a_failure(void **state)
{
    struct opened *self = *state;
    struct host_store *store = &self->store;
    char bytes[8], message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    assert_int_equal(store->write(store->self, HOST_FILE_MEMBER, 0, "12345", 5), CAIRN_OK);
    assert_int_equal(store->read(store->self, HOST_FILE_MEMBER, 0, bytes, 8), CAIRN_STORAGE_FAILED);
    os_host_failure(self->host, message);
    assert_string_equal(message, "pread member: the file ends 3 bytes early");
    assert_int_equal(store->read(store->self, HOST_FILE_MEMBER, 5, bytes, 0), CAIRN_OK);
}

static void the_file_limit_counts_as_full(void **state)
{
    struct opened *self = *state;
    struct host_store *store = &self->store;
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    test_file_limit(4096); /* beyond it, SIGXFSZ would end this process */
    int inside = store->write(store->self, HOST_FILE_CHECKPOINT_A, 4090, "123456", 6);
    int beyond = store->write(store->self, HOST_FILE_CHECKPOINT_A, 4090, "1234567", 7);
    os_host_failure(self->host, message);
    int longer = store->truncate(store->self, HOST_FILE_CHECKPOINT_A, 4097);
    test_file_limit(RLIM_INFINITY);
    assert_int_equal(inside, CAIRN_OK);
    assert_int_equal(beyond, CAIRN_STORAGE_FULL);
    assert_string_equal(message, "pwrite checkpoint.a: File too large");
    assert_int_equal(longer, CAIRN_STORAGE_FULL);
    assert_int_equal(size_of(store, HOST_FILE_CHECKPOINT_A), 4096);
}

static int fill_the_disk(const char *path)
{
    if (!test_small_disk(path, "size=64k")) return CHILD_LEFT_OUT;
    struct os_options options = {.folder = path, .create = true};
    struct os_host *host;
    struct host face;
    CHILD_CHECK(os_host_open(&host, &options, &face, NULL) == CAIRN_OK);
    static const uint8_t bytes[128 << 10] = {1};
    void *self = face.store.self;
    CHILD_CHECK(face.store.write(self, HOST_FILE_CHECKPOINT_A, 0, bytes, sizeof bytes) ==
                CAIRN_STORAGE_FULL);
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    os_host_failure(host, message);
    CHILD_CHECK(strcmp(message, "pwrite checkpoint.a: No space left on device") == 0);
    CHILD_CHECK(face.store.truncate(self, HOST_FILE_CHECKPOINT_A, 0) == CAIRN_OK);
    CHILD_CHECK(face.store.write(self, HOST_FILE_CHECKPOINT_A, 0, bytes, 4096) == CAIRN_OK);
    CHILD_CHECK(face.store.sync(self, HOST_FILE_CHECKPOINT_A) == CAIRN_OK);
    os_host_close(host);
    return 0;
}

static void a_full_disk_is_storage_full(void **state)
{
    (void)state;
    char path[TEST_PATH_SIZE];
    test_folder_make(path, NULL);
    bool mounted = test_child(fill_the_disk, path);
    test_folder_remove(path);
    if (!mounted) print_message("left out: no right to mount a tmpfs\n");
    if (!mounted) skip();
}

static void a_failed_sync_is_not_forgotten(void **state)
{
    struct opened *self = *state;
    struct host_store *store = &self->store;
    struct os_store *inside = store->self;
    assert_int_equal(store->write(store->self, HOST_FILE_CHECKPOINT_B, 0, "x", 1), CAIRN_OK);
    inside->files[HOST_FILE_CHECKPOINT_B].sync_failed = true;
    assert_int_equal(store->sync(store->self, HOST_FILE_CHECKPOINT_B), CAIRN_STORAGE_FAILED);
    assert_int_equal(store->truncate(store->self, HOST_FILE_CHECKPOINT_B, 0), CAIRN_OK);
    assert_int_equal(store->write(store->self, HOST_FILE_CHECKPOINT_B, 0, "x", 1), CAIRN_OK);
    assert_int_equal(store->sync(store->self, HOST_FILE_CHECKPOINT_B), CAIRN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_short_file_is_a_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_limit_counts_as_full, setup, teardown),
        cmocka_unit_test(a_full_disk_is_storage_full),
        cmocka_unit_test_setup_teardown(a_failed_sync_is_not_forgotten, setup, teardown),
    };
    return cmocka_run_group_tests_name("os/store", tests, NULL, NULL);
}
