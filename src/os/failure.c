/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "os/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

void os_failure_init(struct os_failure *self)
{
    pthread_mutex_init(&self->lock, NULL);
    self->text[0] = 0;
}

void os_failure_destroy(struct os_failure *self)
{
    pthread_mutex_destroy(&self->lock);
}

int os_refuse(struct os_failure *self, int result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&self->lock);
    (void)vsnprintf(self->text, sizeof self->text, format, arguments);
    pthread_mutex_unlock(&self->lock);
    va_end(arguments);
    return result;
}

int os_fail(struct os_failure *self, int result, const char *call, const char *file, int error)
{
    errno = error; /* %m is the one form of strerror() that is safe among threads everywhere */
    return os_refuse(self, result, "%s%s%s: %m", call, file[0] ? " " : "", file);
}

int os_fail_storage(struct os_failure *self, const char *call, const char *file, int error)
{
    bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    return os_fail(self, full ? CAIRN_STORAGE_FULL : CAIRN_STORAGE_FAILED, call, file, error);
}

void os_failure_copy(struct os_failure *self, char *message)
{
    if (!message) return;
    pthread_mutex_lock(&self->lock);
    memcpy(message, self->text, sizeof self->text);
    pthread_mutex_unlock(&self->lock);
}

bool os_file_size_is_allowed(uint64_t size)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || size <= limit.rlim_cur;
}
