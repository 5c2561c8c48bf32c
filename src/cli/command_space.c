/* SPDX-License-Identifier: Apache-2.0 */
/* cairn space declare, cairn space list. */
#include <stdio.h>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/folder.h"
#include "cli/json.h"
#include "cli/say.h"
#include "cli/table.h"
#include "facts/space.h"

static int declare(cairn_engine *engine, const char *name, uint32_t type)
{
    uint32_t handle;
    uint8_t id[CAIRN_SPACE_ID_SIZE];
    char text[2 * CAIRN_SPACE_ID_SIZE + 1];
    int result = cairn_space_declare(engine, name, type, &handle);
    if (result != CAIRN_OK) return folder_refusal(engine, result, name);
    result = folder_settle(engine);
    if (result != CAIRN_OK) return folder_refusal(engine, result, "waiting for the declaration");
    result = cairn_space_get(engine, handle, &name, &type, id);
    if (result != CAIRN_OK) return folder_refusal(engine, result, name);
    bytes_to_hex(id, sizeof id, text);
    printf("%s  %s  %s\n", text, space_type_name(type), name);
    return 0;
}

int command_space_declare(struct command_line *line)
{
    cairn_engine *engine;
    int code = folder_open(line, &engine);
    if (code != 0) return code;
    uint32_t type = (uint32_t)option_number(line, OPTION_TYPE, 0);
    return folder_close(engine, declare(engine, line->arguments[0], type));
}

struct space_row {
    const char *name;
    uint32_t type;
    uint8_t id[CAIRN_SPACE_ID_SIZE];
};

static int list_json(cairn_engine *engine)
{
    struct json json;
    struct space_row row;
    json_begin(&json, stdout, "cairn.spaces/1");
    json_array(&json, "spaces");
    for (uint32_t i = 0; cairn_space_get(engine, i, &row.name, &row.type, row.id) == CAIRN_OK;
         i++) {
        json_object(&json, NULL);
        json_text(&json, "name", row.name);
        json_text(&json, "type", space_type_name(row.type));
        json_hex(&json, "id", row.id, sizeof row.id);
        json_close(&json);
    }
    json_close(&json);
    json_end(&json);
    return 0;
}

static int list_table(cairn_engine *engine)
{
    struct table table;
    struct space_row row;
    char text[2 * CAIRN_SPACE_ID_SIZE + 1];
    table_begin(&table, "name type id");
    for (uint32_t i = 0; cairn_space_get(engine, i, &row.name, &row.type, row.id) == CAIRN_OK;
         i++) {
        bytes_to_hex(row.id, sizeof row.id, text);
        table_add(&table, row.name);
        table_add(&table, space_type_name(row.type));
        table_add(&table, text);
    }
    table_end(&table, stdout);
    return 0;
}

int command_space_list(struct command_line *line)
{
    cairn_engine *engine;
    int code = folder_open(line, &engine);
    if (code != 0) return code;
    code = option_is_given(line, OPTION_JSON) ? list_json(engine) : list_table(engine);
    return folder_close(engine, code);
}
