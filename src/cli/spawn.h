/* SPDX-License-Identifier: Apache-2.0 */
/* Helper programs whose output is read. */
#ifndef CAIRN_CLI_SPAWN_H
#define CAIRN_CLI_SPAWN_H

#include <sys/types.h>

/*
 * Starts a program, found by PATH when its name has no '/', with its standard output in a pipe. It
 * is in a process group of its own: an interrupt from the terminal is for the command, which knows
 * what to end. Returns 0, or an errno; *fd is the end of the pipe to read from.
 */
int spawn_reader(const char *const *arguments, pid_t *pid, int *fd);

/* Waits for the program's end, and returns its wait status. */
int spawn_wait(pid_t pid);

#endif
