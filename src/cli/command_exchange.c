/* SPDX-License-Identifier: Apache-2.0 */
/* cairn fact export, cairn fact import. */
#include <string.h>
#include <unistd.h>

#include "cli/bundles.h"
#include "cli/commands.h"
#include "cli/folder.h"
#include "cli/say.h"
#include "cli/text.h"

int command_fact_export(struct command_line *line)
{
    cairn_engine *engine;
    uint64_t count = 0;
    char text[TEXT_NUMBER_SIZE];
    const char *name = line->arguments[0];
    int code = folder_open(line, &engine);
    if (code != 0) return code;
    if (strcmp(name, "-") == 0)
        code = bundles_export(engine, STDOUT_FILENO, "standard output", &count);
    else
        code = bundles_export_file(engine, name, &count);
    if (code == 0 && !option_is_given(line, OPTION_QUIET))
        say("%s bundles exported", text_number(count, text));
    return folder_close(engine, code);
}

static void say_totals(const struct bundle_totals *totals)
{
    char bundles[TEXT_NUMBER_SIZE];
    char applied[TEXT_NUMBER_SIZE];
    char duplicate[TEXT_NUMBER_SIZE];
    say("%s bundles: %s facts applied, %s were here already", text_number(totals->bundles, bundles),
        text_number(totals->applied, applied), text_number(totals->duplicate, duplicate));
}

static int import(cairn_engine *engine, const struct command_line *line)
{
    struct bundle_list list;
    struct bundle_totals totals;
    int code = 0;
    bundle_list_init(&list);
    for (uint32_t i = 0; i < line->argument_count && code == 0; i++)
        code = bundle_list_add(&list, line->arguments[i]);
    if (code == 0) code = bundle_list_import(&list, engine, &totals, NULL, NULL);
    size_t left = list.count;
    bundle_list_free(&list);
    if (code != 0) return code;
    if (!option_is_given(line, OPTION_QUIET)) say_totals(&totals);
    if (left == 0) return 0;
    char count[TEXT_NUMBER_SIZE];
    char dot[TEXT_DOT_SIZE];
    return say_failure(
        CAIRN_UNSEEN_DEPENDENCY,
        "%s bundles wait for facts such as %s and are not kept; import them together "
        "with the files that hold what they wait for",
        text_number(left, count), text_dot(&totals.missing, dot));
}

int command_fact_import(struct command_line *line)
{
    cairn_engine *engine;
    int code = folder_open(line, &engine);
    if (code != 0) return code;
    return folder_close(engine, import(engine, line));
}
