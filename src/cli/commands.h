/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each row of the table of commands runs: takes a parsed line, returns the exit code. To add a
 * command: its function here, its row in commands.c, its options in options.h.
 */
#ifndef CAIRN_CLI_COMMANDS_H
#define CAIRN_CLI_COMMANDS_H

#include "cli/options.h"

int command_address(struct command_line *line);
int command_init(struct command_line *line);
int command_member_add(struct command_line *line);
int command_space_declare(struct command_line *line);
int command_space_list(struct command_line *line);
int command_fact_add(struct command_line *line);
int command_fact_read(struct command_line *line);
int command_fact_load(struct command_line *line);
int command_fact_export(struct command_line *line);
int command_fact_import(struct command_line *line);
int command_digest(struct command_line *line);
int command_inspect(struct command_line *line);
int command_limits(struct command_line *line);
int command_bench(struct command_line *line);
int command_demo(struct command_line *line);
int command_demo_member(struct command_line *line);
int command_help(struct command_line *line);

/* The whole command: parses, runs, flushes what was printed. Returns the exit code. */
int command_run(int argc, char **argv);

#endif
