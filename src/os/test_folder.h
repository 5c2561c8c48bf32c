/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of this room: temporary folders, and steps in a process of their own. */
#ifndef CAIRN_OS_TEST_FOLDER_H
#define CAIRN_OS_TEST_FOLDER_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/linux.h"

#define TEST_PATH_SIZE 256u

/* In a child: leaves with the line, by which test_child() fails. */
#define CHILD_CHECK(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "child: %s:%d: %s\n", __FILE__, __LINE__, #condition);           \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)
#define CHILD_LEFT_OUT 2

static inline void test_folder_make(char path[TEST_PATH_SIZE], const char *base)
{
    const char *temporary = getenv("TMPDIR");
    if (!base) base = temporary && temporary[0] == '/' ? temporary : "/tmp";
    (void)snprintf(path, TEST_PATH_SIZE, "%.200s/cairn-os-XXXXXX", base);
    assert_non_null(mkdtemp(path));
}

static inline int test_folder_visit(const char *path, const struct stat *status, int kind,
                                    struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline void test_folder_remove(const char *path)
{
    assert_int_equal(nftw(path, test_folder_visit, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT), 0);
}

static inline void test_path(char path[TEST_PATH_SIZE], const char *folder, const char *name)
{
    (void)snprintf(path, TEST_PATH_SIZE, "%.120s/%.120s", folder, name);
}

static inline bool test_file_exists(const char *folder, const char *name)
{
    char path[TEST_PATH_SIZE];
    test_path(path, folder, name);
    return access(path, F_OK) == 0;
}

static inline void test_file_write(const char *folder, const char *name, size_t size)
{
    char path[TEST_PATH_SIZE];
    test_path(path, folder, name);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    static const char text[4096] = "not of Cairn";
    for (size_t done = 0; done < size; done += sizeof text) {
        assert_int_equal(write(file, text, sizeof text), sizeof text);
    }
    close(file);
}

/* Runs `step` in a child process; false when the step had to be left out here. */
static inline bool test_child(int (*step)(const char *folder), const char *folder)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(step(folder));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_LEFT_OUT) return false;
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

/* In a child: puts a file system of that size over the folder, unseen by other processes. */
static inline bool test_small_disk(const char *folder, const char *options)
{
    int spaces = CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
    if (unshare(spaces) != 0) return false;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
    return mount("tmpfs", folder, "tmpfs", 0, options) == 0;
}

/* Sets the soft limit only, so that it can be taken back. */
static inline void test_file_limit(rlim_t size)
{
    struct rlimit limit;
    (void)getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
    (void)setrlimit(RLIMIT_FSIZE, &limit);
}

#endif
