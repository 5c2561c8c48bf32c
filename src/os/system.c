/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "os/system.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"

#define PAGE_BYTES 4096u
#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)

/* ---- Time and entropy ------------------------------------------------------------------------ */

static uint64_t system_wall_ms(void *context)
{
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static uint64_t system_monotonic_ns(void *context)
{
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int system_entropy(void *context, void *bytes, size_t size)
{
    struct os_system *self = context;
    uint8_t *next = bytes;
    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return os_fail(self->failure, CAIRN_SYSTEM, "getrandom", "", errno);
        next += got;
        size -= (size_t)got;
    }
    return CAIRN_OK;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void *memory_map(uint64_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Maps more than is asked for and gives back both ends, so that huge pages fit from the start. */
static void *memory_map_huge(uint64_t size)
{
    uint8_t *start = memory_map(size + HUGE_PAGE_BYTES);
    if (!start) return NULL;
    uint64_t before = round_up((uintptr_t)start, HUGE_PAGE_BYTES) - (uintptr_t)start;
    uint64_t after = HUGE_PAGE_BYTES - before;
    if (before > 0) munmap(start, before);
    if (after > 0) munmap(start + before + size, after);
    (void)madvise(start + before, size, MADV_HUGEPAGE); /* a kernel without them is no error */
    return start + before;
}

static void *system_memory_take(void *context, uint64_t size)
{
    struct os_system *self = context;
    cairn_assert(size > 0);
    if (size > SIZE_MAX - HUGE_PAGE_BYTES - PAGE_BYTES) return NULL;
    uint64_t whole = round_up(size, PAGE_BYTES);
    void *memory = whole < HUGE_PAGE_BYTES ? memory_map(whole) : memory_map_huge(whole);
    if (!memory) (void)os_fail(self->failure, CAIRN_NO_MEMORY, "mmap", "", errno);
    return memory;
}

static void system_memory_give(void *context, void *memory, uint64_t size)
{
    (void)context;
    if (memory) munmap(memory, round_up(size, PAGE_BYTES));
}

/* ---- Threads --------------------------------------------------------------------------------- */

int os_thread_create(pthread_t *thread, void *(*run)(void *argument), void *argument,
                     struct os_failure *failure)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits the mask */
    int error = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) return os_fail(failure, CAIRN_SYSTEM, "pthread_create", "", error);
    return CAIRN_OK;
}

static void *thread_main(void *argument)
{
    struct os_system *self = argument;
    (void)pthread_setname_np(pthread_self(), "cairn-journal");
    if (self->realtime) {
        /* The lowest real-time priority is above every ordinary thread, and that is enough. Not
         * with SCHED_RESET_ON_FORK: io_uring's workers are made by this thread, and a sync that
         * they run for it must not wait for a busy core either. */
        struct sched_param parameter = {.sched_priority = sched_get_priority_min(SCHED_FIFO)};
        (void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameter);
    }
    self->run(self->argument);
    return NULL;
}

static int system_thread_start(void *context, void (*run)(void *argument), void *argument,
                               bool realtime)
{
    struct os_system *self = context;
    cairn_assert(!self->started);
    self->run = run;
    self->argument = argument;
    self->realtime = realtime;
    int result = os_thread_create(&self->thread, thread_main, self, self->failure);
    self->started = result == CAIRN_OK;
    return result;
}

static void system_thread_join(void *context)
{
    struct os_system *self = context;
    if (!self->started) return;
    pthread_join(self->thread, NULL);
    self->started = false;
}

static void system_word_wait(void *context, _Atomic uint32_t *word, uint32_t seen,
                             int64_t timeout_ns)
{
    (void)context;
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                               .tv_nsec = (long)(timeout_ns % 1000000000)};
    if (timeout_ns == 0) return;
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, timeout_ns < 0 ? NULL : &timeout, NULL,
                  0);
}

static void system_word_wake(void *context, _Atomic uint32_t *word)
{
    (void)context;
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* The registration is for the process and costs nothing when it is there already. */
static bool system_barrier_everywhere(void *context)
{
    (void)context;
    static _Atomic int registered; /* 0 not yet, 1 yes, -1 refused */
    int state = atomic_load_explicit(&registered, memory_order_relaxed);
    if (state == 0) {
        bool ok = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
        state = ok ? 1 : -1;
        atomic_store_explicit(&registered, state, memory_order_relaxed);
    }
    return state == 1 && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* ---- Assertions ------------------------------------------------------------------------------ */

static void assert_write(const char *expression, const char *file, int line)
{
    char text[512];
    int size = snprintf(text, sizeof text, "cairn: assertion failed: %s (%s:%d)\n", expression,
                        file, line);
    if (size >= (int)sizeof text) {
        size = (int)sizeof text;
        text[size - 1] = '\n';
    }
    ssize_t ignored = write(STDERR_FILENO, text, size > 0 ? (size_t)size : 0);
    (void)ignored;
}

static void assert_hook_set(void)
{
    cairn_assert_hook = assert_write;
}

/* ---- Open ------------------------------------------------------------------------------------ */

void os_system_open(struct os_system *self, struct os_failure *failure)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, assert_hook_set);
    *self = (struct os_system){.failure = failure};
}

struct host_system os_system_face(struct os_system *self)
{
    return (struct host_system){
        .self = self,
        .wall_ms = system_wall_ms,
        .monotonic_ns = system_monotonic_ns,
        .entropy = system_entropy,
        .memory_take = system_memory_take,
        .memory_give = system_memory_give,
        .thread_start = system_thread_start,
        .thread_join = system_thread_join,
        .word_wait = system_word_wait,
        .word_wake = system_word_wake,
        .barrier_everywhere = system_barrier_everywhere,
    };
}
