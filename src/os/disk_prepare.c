/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "os/disk_prepare.h"

#include <string.h>

#include "base/assert.h"
#include "os/system.h"

/* The oldest request; false when the thread is to end. Takes and keeps the lock. */
static bool request_take(struct disk_prepare *self, struct host_request *request)
{
    while (self->queue_count == 0 && !atomic_load(&self->stop)) {
        pthread_cond_wait(&self->wanted, &self->lock);
    }
    if (atomic_load(&self->stop)) return false;
    *request = self->queue[0];
    self->queue_count--;
    memmove(self->queue, self->queue + 1, self->queue_count * sizeof self->queue[0]);
    return true;
}

static void *prepare_main(void *argument)
{
    struct disk_prepare *self = argument;
    (void)pthread_setname_np(pthread_self(), "cairn-prepare");
    struct host_request request;
    pthread_mutex_lock(&self->lock);
    while (request_take(self, &request)) {
        pthread_mutex_unlock(&self->lock);
        int result = disk_files_prepare(self->files, request.segment, &self->stop);
        pthread_mutex_lock(&self->lock);
        uint32_t count = atomic_load(&self->done_count);
        self->done[count] = (struct host_completion){.token = request.token, .result = result};
        atomic_store(&self->done_count, count + 1);
        disk_signal_raise(self->signal);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

int disk_prepare_open(struct disk_prepare *self, struct disk_files *files,
                      struct disk_signal *signal)
{
    self->files = files;
    self->signal = signal;
    self->queue_count = 0;
    atomic_init(&self->stop, false);
    atomic_init(&self->done_count, 0);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->wanted, NULL);
    int result = os_thread_create(&self->thread, prepare_main, self, files->failure);
    if (result != CAIRN_OK) {
        pthread_cond_destroy(&self->wanted);
        pthread_mutex_destroy(&self->lock);
    }
    return result;
}

void disk_prepare_close(struct disk_prepare *self)
{
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->stop, true);
    pthread_cond_signal(&self->wanted);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    pthread_cond_destroy(&self->wanted);
    pthread_mutex_destroy(&self->lock);
}

void disk_prepare_submit(struct disk_prepare *self, const struct host_request *request)
{
    pthread_mutex_lock(&self->lock);
    cairn_assert(self->queue_count < HOST_REQUESTS_MAX);
    self->queue[self->queue_count++] = *request;
    pthread_cond_signal(&self->wanted);
    pthread_mutex_unlock(&self->lock);
}

uint32_t disk_prepare_reap(struct disk_prepare *self, struct host_completion *completions)
{
    if (LIKELY(atomic_load_explicit(&self->done_count, memory_order_acquire) == 0)) return 0;
    pthread_mutex_lock(&self->lock);
    uint32_t count = atomic_load(&self->done_count);
    memcpy(completions, self->done, count * sizeof completions[0]);
    atomic_store(&self->done_count, 0);
    pthread_mutex_unlock(&self->lock);
    return count;
}
