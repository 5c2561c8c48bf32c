/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/say.h"
#include "cli/text.h"

/* Options that are listed apart, at the end: every command that opens a folder has them. */
#define LIMIT_OPTIONS                                                                              \
    (OPTION_BIT(CELLS) | OPTION_BIT(CELL_BYTES) | OPTION_BIT(IDEMPOTENCY_KEYS) |                   \
     OPTION_BIT(STAGING_BYTES) | OPTION_BIT(PENDING_BYTES) | OPTION_BIT(PENDING_BUNDLES) |         \
     OPTION_BIT(CERTIFICATES) | OPTION_BIT(JOURNAL_BYTES) | OPTION_BIT(SEGMENT_BYTES) |            \
     OPTION_BIT(SPACES) | OPTION_BIT(MEMBERS))

static void heading(FILE *out, const char *text)
{
    bool bold = say_in_colour(fileno(out));
    fprintf(out, "%s%s%s\n", bold ? "\033[1m" : "", text, bold ? "\033[0m" : "");
}

/* Lines of a text, each behind two spaces. */
static void indented(FILE *out, const char *text)
{
    while (*text != 0) {
        size_t size = strcspn(text, "\n");
        if (size != 0) fprintf(out, "  %.*s", (int)size, text);
        putc('\n', out);
        text += size;
        if (*text == '\n') text++;
    }
}

/* ---- One command --------------------------------------------------------------------------- */

static void option_left(const struct option_row *row, char *text, size_t size)
{
    char letter[8] = "    ";
    if (row->letter != 0) snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(text, size, "%s--%s%s%s", letter, row->name, *row->value != 0 ? " " : "", row->value);
}

static void options(FILE *out, const char *title, uint64_t set, uint64_t required)
{
    char left[64];
    int width = 0;
    for (unsigned id = 0; id < OPTIONS; id++) {
        if ((set >> id & 1) == 0) continue;
        option_left(&option_table[id], left, sizeof left);
        if ((int)strlen(left) > width) width = (int)strlen(left);
    }
    if (width == 0) return;
    putc('\n', out);
    heading(out, title);
    for (unsigned id = 0; id < OPTIONS; id++) {
        if ((set >> id & 1) == 0) continue;
        option_left(&option_table[id], left, sizeof left);
        fprintf(out, "  %-*s  %s%s\n", width, left, option_table[id].help,
                (required >> id & 1) != 0 ? " (required)" : "");
    }
}

static void usage(FILE *out, const struct command *command)
{
    fprintf(out, "  cairn %s", command->name);
    for (unsigned id = 0; id < OPTIONS; id++) {
        if ((command->required >> id & 1) == 0) continue;
        fprintf(out, " --%s %s", option_table[id].name, option_table[id].value);
    }
    if ((command->options & ~command->required & ~OPTION_BIT(HELP)) != 0) fputs(" [OPTIONS]", out);
    fprintf(out, "%s%s\n", *command->arguments != 0 ? " " : "", command->arguments);
}

void help_command(FILE *out, const struct command *command)
{
    fprintf(out, "cairn %s: %s\n\n", command->name, command->summary);
    heading(out, "Examples");
    indented(out, command->examples);
    putc('\n', out);
    heading(out, "Usage");
    usage(out, command);
    if (command->alias != NULL) fprintf(out, "  (also: cairn %s)\n", command->alias);
    if (*command->text != 0) {
        putc('\n', out);
        indented(out, command->text);
    }
    uint64_t limits = command->options & LIMIT_OPTIONS;
    options(out, "Options", command->options & ~limits, command->required);
    options(out, "Limits of the engine ('cairn limits' shows what they cost)", limits, 0);
}

/* ---- Lists --------------------------------------------------------------------------------- */

static void list_commands(FILE *out, const char *word)
{
    size_t size = strlen(word);
    for (const struct command *row = command_table; row->name != NULL; row++) {
        if ((row->flags & COMMAND_HIDDEN) != 0) continue;
        if (size != 0 && (strncmp(row->name, word, size) != 0 || row->name[size] != ' ')) continue;
        fprintf(out, "  %-14s %s\n", row->name, row->summary);
    }
}

void help_group(FILE *out, const char *word)
{
    fprintf(out, "cairn %s: one of\n\n", word);
    list_commands(out, word);
    fprintf(out, "\n'cairn help %s WORD' explains one.\n", word);
}

void help_overview(FILE *out)
{
    fputs("Cairn: replicated state that pays for each write only the coordination it needs.\n\n",
          out);
    heading(out, "Examples");
    indented(out, "cairn demo\n"
                  "cairn init --data visits.data --slot 1\n"
                  "cairn space declare --data visits.data visits --type gcounter\n"
                  "cairn fact add --data visits.data --space visits --key /home --amount 1\n"
                  "cairn fact read --data visits.data --space visits\n");
    putc('\n', out);
    heading(out, "Commands");
    list_commands(out, "");
    fputs(
        "\n'cairn help COMMAND' explains one, 'cairn help exit-codes' what a script can rely on.\n"
        "Data goes to standard output, words to standard error.\n",
        out);
}

/* ---- Exit codes ---------------------------------------------------------------------------- */

struct exit_code_row {
    int code;
    const char *meaning;
};

static const struct exit_code_row exit_codes[] = {
    {0, "done"},
    {1, "failure: of the system, or of a comparison"},
    {2, "usage: the command line cannot be used as it is"},
    {4, "not found: a file, a space, a member"},
    {5, "refused: it would break a rule of the data"},
    {6, "unavailable: locked, full, or storage failed"},
    {7, "timeout: the outcome is not known; ask again with the same idempotency key"},
    {8, "verification failed: damaged or false bytes"},
    {EXIT_CODE_INTERRUPTED, "interrupted"},
};

struct result_row {
    const char *name;
    int exit_code;
    const char *meaning;
};

static const struct result_row result_rows[] = {
#define RESULT_ROW(constant, number, name, exit_code, meaning, remedy) {name, exit_code, meaning},
    CAIRN_RESULT_MAP(RESULT_ROW)
#undef RESULT_ROW
};

void help_exit_codes(FILE *out)
{
    heading(out, "Exit codes");
    for (size_t i = 0; i < sizeof exit_codes / sizeof exit_codes[0]; i++)
        fprintf(out, "  %3d  %s\n", exit_codes[i].code, exit_codes[i].meaning);
    putc('\n', out);
    heading(out, "Results of the library, and the exit code of each");
    for (size_t i = 0; i < sizeof result_rows / sizeof result_rows[0]; i++) {
        const struct result_row *row = &result_rows[i];
        fprintf(out, "  %3d  %-21s %s\n", row->exit_code, row->name, row->meaning);
    }
}

int command_help(struct command_line *line)
{
    char name[64];
    if (line->argument_count == 0) {
        help_overview(stdout);
        return 0;
    }
    int size = snprintf(name, sizeof name, "%s%s%s", line->arguments[0],
                        line->argument_count > 1 ? " " : "",
                        line->argument_count > 1 ? line->arguments[1] : "");
    const struct command *command =
        size > 0 && (size_t)size < sizeof name ? command_find(name) : NULL;
    if (command != NULL) {
        help_command(stdout, command);
        return 0;
    }
    if (strcmp(name, "exit-codes") == 0) {
        help_exit_codes(stdout);
        return 0;
    }
    if (line->argument_count == 1 && command_is_group(name)) {
        help_group(stdout, name);
        return 0;
    }
    char shown[64];
    text_printable(name, strlen(name), shown, sizeof shown);
    const char *suggestion = command_suggest(name);
    if (suggestion != NULL)
        say("there is no help on '%s'; did you mean '%s'?", shown, suggestion);
    else
        say("there is no help on '%s'; 'cairn help' lists the commands", shown);
    return EXIT_CODE_USAGE;
}
