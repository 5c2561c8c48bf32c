/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/folder.h"

#include <string.h>

#include "cli/say.h"
#include "cli/text.h"

void folder_limits(const struct command_line *line, struct cairn_limits *limits)
{
    memset(limits, 0, sizeof *limits);
    limits->cells_max = option_number(line, OPTION_CELLS, 0);
    limits->cell_bytes_max = option_number(line, OPTION_CELL_BYTES, 0);
    limits->idempotency_keys_max = option_number(line, OPTION_IDEMPOTENCY_KEYS, 0);
    limits->staging_bytes = option_number(line, OPTION_STAGING_BYTES, 0);
    limits->pending_bytes_max = option_number(line, OPTION_PENDING_BYTES, 0);
    limits->pending_bundles_max = option_number(line, OPTION_PENDING_BUNDLES, 0);
    limits->certificates_max = option_number(line, OPTION_CERTIFICATES, 0);
    limits->journal_bytes_max = option_number(line, OPTION_JOURNAL_BYTES, 0);
    limits->segment_bytes = option_number(line, OPTION_SEGMENT_BYTES, 0);
    limits->spaces_max = (uint32_t)option_number(line, OPTION_SPACES, 0);
    limits->members_max = (uint32_t)option_number(line, OPTION_MEMBERS, 0);
}

static void say_damage(const cairn_engine *engine)
{
    struct cairn_recovery recovery;
    char from[TEXT_NUMBER_SIZE];
    char to[TEXT_NUMBER_SIZE];
    char held[TEXT_NUMBER_SIZE];
    cairn_recovered(engine, &recovery);
    if (recovery.damaged_ranges != 0) {
        say("warning: damage in the journal between positions %s and %s; what was lost must be "
            "imported from another member ('cairn inspect' shows the ranges)",
            text_number(recovery.damaged_from, from), text_number(recovery.damaged_to, to));
    }
    if (recovery.facts_held != 0) {
        say("warning: %s facts behind the damage wait until what is missing was imported",
            text_number(recovery.facts_held, held));
    }
}

int folder_open(const struct command_line *line, cairn_engine **engine)
{
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX] = "";
    struct cairn_options options = {
        .size = sizeof options,
        .folder = option_text(line, OPTION_DATA),
        .flags = CAIRN_OPEN_EXISTING_ID,
    };
    folder_limits(line, &options.limits);
    int result = cairn_open(&options, engine, message);
    if (result != CAIRN_OK) {
        *engine = NULL;
        return say_refusal(result, options.folder, message);
    }
    say_damage(*engine);
    return 0;
}

int folder_close(cairn_engine *engine, int code)
{
    int result = cairn_close(engine);
    if (result == CAIRN_OK) return code;
    int close_code = say_refusal(result, "closing the data folder", NULL);
    return code != 0 ? code : close_code;
}

int folder_refusal(cairn_engine *engine, int result, const char *what)
{
    return say_refusal(result, what, cairn_error_message(engine));
}

int folder_space(cairn_engine *engine, const char *name, uint32_t *space)
{
    int result = cairn_space_find(engine, name, space);
    if (result == CAIRN_OK) return 0;
    char shown[128];
    return say_failure(result,
                       "--space: no space '%s' is declared here; declare it with 'cairn "
                       "space declare', or see 'cairn space list'",
                       text_printable(name, strlen(name), shown, sizeof shown));
}

int folder_settle(cairn_engine *engine)
{
    struct cairn_status status;
    cairn_status(engine, &status);
    return cairn_wait(engine, status.staged_position, FOLDER_TIMEOUT_MS);
}
