/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "os/test_folder.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/assert.h"
#include "base/bytes.h"

#define MILLISECOND 1000000

static struct os_host *host;
static struct host_system on;

static int setup(void **state)
{
    (void)state;
    struct os_options options = {0};
    struct host face;
    int result = os_host_open(&host, &options, &face, NULL);
    on = face.system;
    return result;
}

static int teardown(void **state)
{
    (void)state;
    os_host_close(host);
    return 0;
}

static void clocks_go_forward(void **state)
{
    (void)state;
    uint64_t last = on.monotonic_ns(on.self);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = on.monotonic_ns(on.self);
        assert_true(now >= last);
        last = now;
    }
    int64_t wall = (int64_t)on.wall_ms(on.self);
    int64_t seconds = (int64_t)time(NULL);
    assert_true(wall / 1000 >= seconds - 2 && wall / 1000 <= seconds + 2);
}

static void entropy_differs(void **state)
{
    (void)state;
    uint8_t one[600] = {0}, two[600] = {0}; /* more than one call may give at once */
    assert_int_equal(on.entropy(on.self, one, sizeof one), CAIRN_OK);
    assert_int_equal(on.entropy(on.self, two, sizeof two), CAIRN_OK);
    assert_memory_not_equal(one, two, sizeof one);
    assert_memory_not_equal(one + 568, two + 568, 32);
}

static void memory_is_zero_and_aligned(void **state)
{
    (void)state;
    const uint64_t huge = UINT64_C(2) << 20;
    const uint64_t sizes[] = {1, 4096, 4097, huge - 1, huge, huge + 1, 3 * huge + 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *memory = on.memory_take(on.self, sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % (sizes[i] >= huge ? huge : 4096), 0);
        for (uint64_t k = 0; k < sizes[i]; k += 4096)
            assert_int_equal(memory[k]++, 0);
        memory[sizes[i] - 1] = 1;
        on.memory_give(on.self, memory, sizes[i]);
    }
    on.memory_give(on.self, NULL, 1);
    assert_null(on.memory_take(on.self, UINT64_MAX));
    assert_null(on.memory_take(on.self, UINT64_C(1) << 60));
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    os_host_failure(host, message);
    assert_string_equal(message, "mmap: Cannot allocate memory");
}

struct seen {
    _Atomic uint32_t word;
    _Atomic uint32_t turns;
    char name[16];
    bool signals_blocked;
};

static void answer_words(void *argument)
{
    struct seen *seen = argument;
    sigset_t mask;
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    seen->signals_blocked = sigismember(&mask, SIGINT) && sigismember(&mask, SIGXFSZ);
    for (uint32_t turn = 0; turn < 1000; turn++) {
        while (atomic_load(&seen->word) == turn)
            on.word_wait(on.self, &seen->word, turn, -1);
        atomic_store(&seen->turns, turn + 1);
        on.word_wake(on.self, &seen->turns);
    }
}

static void a_thread_answers_words(void **state)
{
    (void)state;
    for (int realtime = 0; realtime < 2; realtime++) { /* with or without the right: it runs */
        struct seen seen = {0};
        assert_int_equal(on.thread_start(on.self, answer_words, &seen, realtime != 0), CAIRN_OK);
        for (uint32_t turn = 0; turn < 1000; turn++) {
            atomic_store(&seen.word, turn + 1);
            on.word_wake(on.self, &seen.word);
            while (atomic_load(&seen.turns) == turn) {
                on.word_wait(on.self, &seen.turns, turn, 1000 * MILLISECOND);
            }
        }
        on.thread_join(on.self);
        assert_string_equal(seen.name, "cairn-journal");
        assert_true(seen.signals_blocked);
        sigset_t mask;
        pthread_sigmask(SIG_BLOCK, NULL, &mask);
        assert_false(sigismember(&mask, SIGINT)); /* the caller's mask is as before */
    }
    on.thread_join(on.self);
}

static void a_word_wait_ends(void **state)
{
    (void)state;
    _Atomic uint32_t word = 5;
    on.word_wait(on.self, &word, 4, -1); /* it differs already */
    on.word_wait(on.self, &word, 5, 0);
    uint64_t start = on.monotonic_ns(on.self);
    on.word_wait(on.self, &word, 5, 10 * MILLISECOND);
    assert_true(on.monotonic_ns(on.self) - start >= 9 * MILLISECOND);
}

static void a_failed_assertion_writes_a_line(void **state)
{
    (void)state;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(pipes[1], STDERR_FILENO);
        struct rlimit none = {0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGILL, SIG_DFL);
        (void)signal(SIGTRAP, SIG_DFL);
        cairn_assert(pipes[0] < 0);
        _exit(0);
    }
    close(pipes[1]);
    char text[256] = "";
    ssize_t size = read(pipes[0], text, sizeof text - 1);
    close(pipes[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_true(size > 0);
    assert_ptr_equal(strstr(text, "cairn: assertion failed: pipes[0] < 0 ("), text);
    assert_int_equal(text[size - 1], '\n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_go_forward),
        cmocka_unit_test(entropy_differs),
        cmocka_unit_test(memory_is_zero_and_aligned),
        cmocka_unit_test(a_thread_answers_words),
        cmocka_unit_test(a_word_wait_ends),
        cmocka_unit_test(a_failed_assertion_writes_a_line),
    };
    return cmocka_run_group_tests_name("os/system", tests, setup, teardown);
}
