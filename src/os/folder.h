/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data folder and its lock.
 *
 *   LOCK                          held by the process that has the folder open; its pid, for people
 *   member                        the small files of host.h
 *   checkpoint.a, checkpoint.b
 *   journal/0000, 0001, ...       one file for each prepared segment
 *   journal/0000.new              a segment whose preparation did not end; removed at open
 *
 * The lock is an flock() on LOCK, so it ends with the process, however that ends, and refuses a
 * second open inside the same process as well. A child made by fork() without exec() shares it.
 * When a process is killed, the kernel may still carry out direct writes of its ring; the ring
 * holds the lock until then, and an open waits for that (some 10 ms; at most five seconds).
 */
#ifndef CAIRN_OS_FOLDER_H
#define CAIRN_OS_FOLDER_H

#include <stdbool.h>

#include "os/failure.h"

struct os_folder {
    int fd;
    int lock;
};

/*
 * Opens and locks the folder; with `create` makes it if it is not there (its parent must be).
 * NOT_FOUND: no such folder, or nothing of Cairn in it, and not `create`. FOREIGN: other files, and
 * no member file. LOCKED. STORAGE_FULL, STORAGE_FAILED.
 */
CHECKED int os_folder_open(struct os_folder *self, const char *path, bool create,
                           struct os_failure *failure);
void os_folder_close(struct os_folder *self);

#endif
