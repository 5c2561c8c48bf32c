/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What failed last, in words: the call, the file by its name in the folder, and the system's
 * reason. The faces of host.h return codes only; the text waits here until somebody asks. Any
 * thread.
 */
#ifndef CAIRN_OS_FAILURE_H
#define CAIRN_OS_FAILURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "cairn.h"

struct os_failure {
    pthread_mutex_t lock;
    char text[CAIRN_ERROR_MESSAGE_SIZE_MAX];
};

void os_failure_init(struct os_failure *self);
void os_failure_destroy(struct os_failure *self);

/* Notes "call file: reason of `error`" and returns `result`. */
COLD int os_fail(struct os_failure *self, int result, const char *call, const char *file,
                 int error);
/* The same, with the result that the error means: STORAGE_FULL or STORAGE_FAILED. */
COLD int os_fail_storage(struct os_failure *self, const char *call, const char *file, int error);
/* Notes a text that is about no system call. */
COLD __attribute__((format(printf, 3, 4))) int os_refuse(struct os_failure *self, int result,
                                                         const char *format, ...);
/* `message` has CAIRN_ERROR_MESSAGE_SIZE_MAX bytes, or is NULL. */
void os_failure_copy(struct os_failure *self, char *message);

/*
 * False when the process may not make a file as long as `size`. Asked before every write, because
 * a write beyond RLIMIT_FSIZE raises SIGXFSZ, and a library must not let that kill its process.
 */
bool os_file_size_is_allowed(uint64_t size);

#endif
