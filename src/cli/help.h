/* SPDX-License-Identifier: Apache-2.0 */
/* Help, generated from the tables of commands, options and results. */
#ifndef CAIRN_CLI_HELP_H
#define CAIRN_CLI_HELP_H

#include <stdio.h>

#include "cli/options.h"

void help_overview(FILE *out);
/* The commands that begin with the word. */
void help_group(FILE *out, const char *word);
void help_command(FILE *out, const struct command *command);
void help_exit_codes(FILE *out);

#endif
