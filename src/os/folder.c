/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "os/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LAST_WRITES_MS_MAX 5000

/* lost+found: a file system of its own, just made, may be the data folder. */
static const char *const own_names[] = {".",       "..",           "LOCK",         "member",
                                        "journal", "checkpoint.a", "checkpoint.b", "lost+found"};

static bool name_is_own(const char *name)
{
    for (size_t i = 0; i < sizeof own_names / sizeof own_names[0]; i++) {
        if (strcmp(name, own_names[i]) == 0) return true;
    }
    return false;
}

/* Makes the folder's own name durable. */
static int parent_sync(int folder, const char *path, struct os_failure *failure)
{
    int parent = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (parent < 0) return os_fail_storage(failure, "open parent of", path, errno);
    int error = fsync(parent) == 0 ? 0 : errno;
    close(parent);
    return error == 0 ? CAIRN_OK : os_fail_storage(failure, "fsync parent of", path, error);
}

/* Opens the folder into self->fd, or makes it. */
static int folder_find(struct os_folder *self, const char *path, bool create,
                       struct os_failure *failure)
{
    bool made = create && mkdir(path, 0700) == 0;
    if (create && !made && errno != EEXIST) return os_fail_storage(failure, "mkdir", path, errno);

    self->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->fd < 0 && errno == ENOENT) {
        return os_fail(failure, CAIRN_NOT_FOUND, "open", path, errno);
    }
    if (self->fd < 0) return os_fail_storage(failure, "open", path, errno);
    return made ? parent_sync(self->fd, path, failure) : CAIRN_OK;
}

/* Refuses a folder that holds the files of something else. */
static int names_check(int folder, const char *path, struct os_failure *failure)
{
    /* A descriptor of its own: a DIR owns what it reads, and its position. */
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (copy < 0) return os_fail_storage(failure, "open", path, errno);
    DIR *directory = fdopendir(copy);
    if (!directory) {
        int error = errno;
        close(copy);
        return os_fail_storage(failure, "fdopendir", path, error);
    }
    int result = CAIRN_OK;
    const struct dirent *entry;
    while (result == CAIRN_OK && (errno = 0, entry = readdir(directory)) != NULL) {
        if (name_is_own(entry->d_name)) continue;
        result = os_refuse(failure, CAIRN_FOREIGN, "folder %s: holds %s, and no member file", path,
                           entry->d_name);
    }
    if (result == CAIRN_OK && errno != 0) result = os_fail_storage(failure, "readdir", path, errno);
    closedir(directory);
    return result;
}

static int contents_check(int folder, const char *path, bool create, struct os_failure *failure)
{
    if (faccessat(folder, "member", F_OK, 0) == 0) return CAIRN_OK;
    if (errno != ENOENT) return os_fail_storage(failure, "access", "member", errno);
    if (!create) return os_refuse(failure, CAIRN_NOT_FOUND, "folder %s: no member file", path);
    return names_check(folder, path, failure);
}

/* What the holder wrote just after it had the lock; 0: not yet, or not readable. */
static pid_t holder_pid(int lock)
{
    char text[32] = {0};
    ssize_t size = pread(lock, text, sizeof text - 1, 0);
    long pid = size > 0 ? strtol(text, NULL, 10) : 0;
    return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* True for a process that is gone, or that only waits for its parent to take note. */
static bool process_has_ended(pid_t pid)
{
    if (pid == 0) return false;
    if (kill(pid, 0) != 0) return errno == ESRCH;
    char path[64], text[512];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return errno == ENOENT && access("/proc/self/stat", F_OK) == 0;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    text[size > 0 ? size : 0] = 0;
    const char *name_end = strrchr(text, ')'); /* the name may hold anything, also spaces */
    return name_end && (strncmp(name_end, ") Z", 3) == 0 || strncmp(name_end, ") X", 3) == 0);
}

static int lock_refuse(int lock, const char *path, struct os_failure *failure)
{
    pid_t pid = holder_pid(lock);
    if (pid == 0) {
        return os_refuse(failure, CAIRN_LOCKED, "flock LOCK: folder %s is open in another process",
                         path);
    }
    return os_refuse(failure, CAIRN_LOCKED, "flock LOCK: folder %s is open in %sprocess %ld", path,
                     pid == getpid() ? "this " : "", (long)pid);
}

/* Waits for a holder that has ended, because its last writes may still be on their way. */
static bool lock_try(int lock)
{
    for (int waited_ms = 0;; waited_ms++) {
        if (flock(lock, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK || waited_ms == LAST_WRITES_MS_MAX) return false;
        if (!process_has_ended(holder_pid(lock))) {
            errno = EWOULDBLOCK;
            return false;
        }
        struct timespec pause = {.tv_nsec = 1000000};
        nanosleep(&pause, NULL);
    }
}

static int lock_take(struct os_folder *self, const char *path, struct os_failure *failure)
{
    self->lock = openat(self->fd, "LOCK", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (self->lock < 0) return os_fail_storage(failure, "open", "LOCK", errno);
    if (!lock_try(self->lock)) {
        int result = errno == EWOULDBLOCK ? lock_refuse(self->lock, path, failure)
                                          : os_fail_storage(failure, "flock", "LOCK", errno);
        close(self->lock);
        return result;
    }
    /* A lock without a pid is still a lock: a full disk must not keep the engine from opening. */
    char text[32];
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (!os_file_size_is_allowed(sizeof text) || ftruncate(self->lock, 0) != 0) return CAIRN_OK;
    ssize_t ignored = pwrite(self->lock, text, (size_t)size, 0);
    (void)ignored;
    return CAIRN_OK;
}

int os_folder_open(struct os_folder *self, const char *path, bool create,
                   struct os_failure *failure)
{
    self->fd = self->lock = -1;
    int result = folder_find(self, path, create, failure);
    if (result != CAIRN_OK) goto folder_failed;
    result = contents_check(self->fd, path, create, failure);
    if (result != CAIRN_OK) goto folder_failed;
    result = lock_take(self, path, failure);
    if (result != CAIRN_OK) goto folder_failed;
    return CAIRN_OK;

folder_failed:
    if (self->fd >= 0) close(self->fd);
    self->fd = self->lock = -1;
    return result;
}

void os_folder_close(struct os_folder *self)
{
    if (self->fd < 0) return;
    close(self->fd);
    (void)flock(self->lock, LOCK_UN); /* at once: a ring that is going may hold it open still */
    close(self->lock);
}
