/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for people, on standard error: data goes to standard output, words never do. Each function
 * that says a failure returns the exit code that goes with it, so a command reads
 * `return say_failure(...)`.
 */
#ifndef CAIRN_CLI_SAY_H
#define CAIRN_CLI_SAY_H

#include <stdbool.h>

#include "cairn.h"

#define EXIT_CODE_FAILURE 1
#define EXIT_CODE_USAGE 2
#define EXIT_CODE_INTERRUPTED 130

/* "cairn: text" */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
/* "cairn: text", and the exit code of the result. */
__attribute__((format(printf, 2, 3))) int say_failure(int result, const char *format, ...);
/* "cairn: what: the engine's own text"; `message` empty: the result's meaning and remedy. */
int say_refusal(int result, const char *what, const char *message);
/* "cairn: call NAME: reason of errno"; the exit code follows from the reason. */
int say_errno(const char *what, const char *name);

/* May this stream be coloured? A terminal, no NO_COLOR, not TERM=dumb. */
bool say_in_colour(int fd);

#endif
