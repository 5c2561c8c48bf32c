/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing an engine from the options of a command line. */
#ifndef CAIRN_CLI_FOLDER_H
#define CAIRN_CLI_FOLDER_H

#include "cli/options.h"

#define FOLDER_TIMEOUT_MS 10000u

/* Fills the limits from the options that were given; the others stay 0, the default. */
void folder_limits(const struct command_line *line, struct cairn_limits *limits);

/*
 * Opens the folder of --data, as the member that it was made for. Says what recovery found when it
 * is not in order. Returns an exit code; *engine is NULL unless it is 0.
 */
int folder_open(const struct command_line *line, cairn_engine **engine);
/* Closes; returns `code`, or the code of a failure to close. */
int folder_close(cairn_engine *engine, int code);

/* "cairn: what: text of the engine's last refusal", and its exit code. */
int folder_refusal(cairn_engine *engine, int result, const char *what);

/* The handle of a space by name; says so when there is none. */
int folder_space(cairn_engine *engine, const char *name, uint32_t *space);
/* Waits until everything staged until now is durable. */
int folder_settle(cairn_engine *engine);

#endif
