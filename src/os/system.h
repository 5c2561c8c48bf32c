/* SPDX-License-Identifier: Apache-2.0 */
/* host_system on Linux: clocks, entropy, memory, one thread, futex words. */
#ifndef CAIRN_OS_SYSTEM_H
#define CAIRN_OS_SYSTEM_H

#include "host/host.h"
#include "os/failure.h"

struct os_system {
    struct os_failure *failure;
    pthread_t thread;
    void (*run)(void *argument);
    void *argument;
    bool realtime;
    bool started;
};

void os_system_open(struct os_system *self, struct os_failure *failure);
struct host_system os_system_face(struct os_system *self);

/* Starts a thread that no signal reaches: signals belong to the program around the library. */
CHECKED int os_thread_create(pthread_t *thread, void *(*run)(void *argument), void *argument,
                             struct os_failure *failure);

#endif
