/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "os/test_folder.h"

#include <signal.h>

static int folder_open(const char *path, bool create, struct os_host **host, char *message)
{
    struct os_options options = {.folder = path, .create = create, .uring = true};
    struct host face;
    return os_host_open(host, &options, &face, message);
}

static void expect_refused(const char *path, bool create, int result, const char *text)
{
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX] = "";
    struct os_host *host;
    assert_int_equal(folder_open(path, create, &host, message), result);
    assert_null(host);
    if (!strstr(message, text)) fail_msg("'%s' is not in '%s'", text, message);
}

static void a_folder_is_made_for_its_owner_only(void **state)
{
    (void)state;
    char base[TEST_PATH_SIZE], path[TEST_PATH_SIZE];
    test_folder_make(base, NULL);
    test_path(path, base, "data");
    expect_refused(path, false, CAIRN_NOT_FOUND, "data");

    mode_t mask = umask(0);
    struct os_options options = {.folder = path, .create = true};
    struct os_host *host;
    struct host face;
    assert_int_equal(os_host_open(&host, &options, &face, NULL), CAIRN_OK);
    assert_int_equal(os_disk_open(host, 65536, 2, &face, NULL), CAIRN_OK);
    assert_int_equal(face.store.write(face.store.self, HOST_FILE_MEMBER, 0, "key", 3), CAIRN_OK);
    struct host_request prepare = {.kind = HOST_PREPARE};
    struct host_completion done;
    face.disk.submit(face.disk.self, &prepare, 1);
    assert_int_equal(face.disk.wait(face.disk.self, &done, 1, -1), 1);
    assert_int_equal(done.result, CAIRN_OK);
    umask(mask);

    static const char *const names[] = {".", "journal", "LOCK", "member", "journal/0000"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char file[TEST_PATH_SIZE];
        struct stat status;
        test_path(file, path, names[i]);
        assert_int_equal(stat(file, &status), 0);
        assert_int_equal(status.st_mode & 0777, S_ISDIR(status.st_mode) ? 0700 : 0600);
    }
    os_host_close(host);
    assert_int_equal(folder_open(path, false, &host, NULL), CAIRN_OK);
    os_host_close(host);
    test_folder_remove(base);
}

static void a_foreign_folder_is_left_alone(void **state)
{
    (void)state;
    char path[TEST_PATH_SIZE];
    test_folder_make(path, NULL);
    expect_refused(path, false, CAIRN_NOT_FOUND, "member");
    assert_false(test_file_exists(path, "LOCK"));
    test_file_write(path, "letters.txt", 1);
    expect_refused(path, true, CAIRN_FOREIGN, "letters.txt");
    assert_false(test_file_exists(path, "LOCK"));

    /* With a member file it is Cairn's, whatever else a person put there. */
    test_file_write(path, "member", 1);
    struct os_host *host;
    assert_int_equal(folder_open(path, false, &host, NULL), CAIRN_OK);
    os_host_close(host);
    test_folder_remove(path);
}

static void own_names_without_a_member_are_an_open_that_died(void **state)
{
    (void)state;
    char path[TEST_PATH_SIZE], inner[TEST_PATH_SIZE];
    test_folder_make(path, NULL);
    test_path(inner, path, "lost+found");
    assert_int_equal(mkdir(inner, 0700), 0);
    test_path(inner, path, "journal");
    assert_int_equal(mkdir(inner, 0700), 0);
    test_file_write(path, "LOCK", 0);
    struct os_host *host;
    assert_int_equal(folder_open(path, true, &host, NULL), CAIRN_OK);
    os_host_close(host);
    test_folder_remove(path);
}

static void what_is_no_folder_is_refused(void **state)
{
    (void)state;
    char path[TEST_PATH_SIZE], inner[TEST_PATH_SIZE];
    test_folder_make(path, NULL);
    test_file_write(path, "file", 1);
    test_path(inner, path, "file");
    expect_refused(inner, true, CAIRN_STORAGE_FAILED, "Not a directory");
    test_path(inner, path, "no/such/parent");
    expect_refused(inner, true, CAIRN_STORAGE_FAILED, "mkdir");
    test_folder_remove(path);
}

static int open_is_refused_with_parent_pid(const char *path)
{
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX] = "", pid[32];
    struct os_host *host;
    CHILD_CHECK(folder_open(path, true, &host, message) == CAIRN_LOCKED);
    (void)snprintf(pid, sizeof pid, "process %ld", (long)getppid());
    CHILD_CHECK(strstr(message, pid));
    return 0;
}

static void a_second_open_is_refused(void **state)
{
    (void)state;
    char path[TEST_PATH_SIZE], pid[32];
    test_folder_make(path, NULL);
    struct os_host *host;
    assert_int_equal(folder_open(path, true, &host, NULL), CAIRN_OK);
    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    expect_refused(path, true, CAIRN_LOCKED, pid);
    expect_refused(path, true, CAIRN_LOCKED, "this process"); /* the first refusal kept the lock */
    assert_true(test_child(open_is_refused_with_parent_pid, path));
    os_host_close(host);
    assert_int_equal(folder_open(path, true, &host, NULL), CAIRN_OK);
    os_host_close(host);
    test_folder_remove(path);
}

/* Opens everything, says so, and writes until it is killed. */
static int write_for_ever(const char *path, int tell)
{
    struct os_options options = {.folder = path, .create = true, .uring = true};
    struct os_host *host;
    struct host face;
    CHILD_CHECK(os_host_open(&host, &options, &face, NULL) == CAIRN_OK);
    CHILD_CHECK(os_disk_open(host, 1 << 20, 2, &face, NULL) == CAIRN_OK);
    uint8_t *bytes = face.system.memory_take(face.system.self, 1 << 20);
    struct host_request requests[2] = {{.kind = HOST_PREPARE}};
    struct host_completion done[2];
    face.disk.submit(face.disk.self, requests, 1);
    CHILD_CHECK(face.disk.wait(face.disk.self, done, 1, -1) == 1);
    for (uint32_t i = 0; i < 2; i++) {
        requests[i] = (struct host_request){
            .kind = HOST_WRITE, .bytes = bytes, .size = 512 << 10, .offset = i * (512 << 10)};
    }
    CHILD_CHECK(write(tell, "x", 1) == 1);
    for (;;) {
        face.disk.submit(face.disk.self, requests, 2);
        for (uint32_t count = 0; count < 2;) {
            count += face.disk.wait(face.disk.self, done, 2, -1);
        }
    }
}

static void a_killed_process_gives_the_lock_back(void **state)
{
    (void)state;
    char path[TEST_PATH_SIZE], pid[32];
    test_folder_make(path, NULL);
    for (int round = 0; round < 5; round++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(pipes[0]);
            _exit(write_for_ever(path, pipes[1]));
        }
        close(pipes[1]);
        char byte;
        assert_int_equal(read(pipes[0], &byte, 1), 1);
        close(pipes[0]);
        (void)snprintf(pid, sizeof pid, "process %ld", (long)child);
        expect_refused(path, true, CAIRN_LOCKED, pid);
        assert_int_equal(kill(child, SIGKILL), 0);
        siginfo_t ended; /* in every other round, it is not reaped yet */
        int keep = round % 2 == 0 ? WNOWAIT : 0;
        assert_int_equal(waitid(P_PID, (id_t)child, &ended, WEXITED | keep), 0);
        struct os_host *host;
        assert_int_equal(folder_open(path, true, &host, NULL), CAIRN_OK);
        if (keep) assert_int_equal(waitpid(child, NULL, 0), child);
        os_host_close(host);
    }
    test_folder_remove(path);
}

static void without_a_folder_there_is_only_the_system(void **state)
{
    (void)state;
    struct os_options options = {0};
    struct os_host *host;
    struct host face;
    assert_int_equal(os_host_open(&host, &options, &face, NULL), CAIRN_OK);
    assert_null(face.store.self);
    assert_null(face.disk.self);
    assert_non_null(face.system.self);
    os_host_close(host);
    os_host_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_is_made_for_its_owner_only),
        cmocka_unit_test(a_foreign_folder_is_left_alone),
        cmocka_unit_test(own_names_without_a_member_are_an_open_that_died),
        cmocka_unit_test(what_is_no_folder_is_refused),
        cmocka_unit_test(a_second_open_is_refused),
        cmocka_unit_test(a_killed_process_gives_the_lock_back),
        cmocka_unit_test(without_a_folder_there_is_only_the_system),
    };
    return cmocka_run_group_tests_name("os/folder", tests, NULL, NULL);
}
