/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

#define DUMMY 1

static int hook_pipe;

static void write_line(const char *expression, const char *file, int line)
{
    (void)file;
    if (line > 0) (void)!write(hook_pipe, expression, strlen(expression));
}

/* Fails an assertion in a child; returns how it ended and what its hook wrote. */
static int status_of_failure(void (*hook)(const char *, const char *, int), char text[64])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int stops[] = {SIGILL, SIGTRAP, SIGABRT}; /* cmocka catches them otherwise */
        for (int i = 0; i < 3; i++)
            (void)signal(stops[i], SIG_DFL);
        hook_pipe = ends[1];
        cairn_assert_hook = hook;
        cairn_assert(DUMMY > 1);
        _exit(0);
    }
    close(ends[1]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    ssize_t size = read(ends[0], text, 63);
    assert_true(size >= 0);
    text[size] = 0;
    close(ends[0]);
    return status;
}

static void a_failure_tells_the_hook_and_stops(void **state)
{
    (void)state;
    char text[64];
    int status = status_of_failure(write_line, text);
    assert_true(WIFSIGNALED(status));
    assert_string_equal(text, "DUMMY > 1");
}

static void a_failure_stops_without_a_hook(void **state)
{
    (void)state;
    char text[64];
    int status = status_of_failure(NULL, text);
    assert_true(WIFSIGNALED(status));
    assert_string_equal(text, "");
}

static void the_expression_is_evaluated_once(void **state)
{
    (void)state;
    int count = 0;
    cairn_assert(++count == 1);
    /* One statement: the else belongs to the if outside. */
    if (count == 0)
        cairn_assert(count == 0);
    else
        count++;
    assert_int_equal(count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_tells_the_hook_and_stops),
        cmocka_unit_test(a_failure_stops_without_a_hook),
        cmocka_unit_test(the_expression_is_evaluated_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
