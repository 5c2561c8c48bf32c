/* SPDX-License-Identifier: Apache-2.0 */
/* cairn fact add, cairn fact read. */
#include <stdio.h>
#include <string.h>

#include "cli/cell_list.h"
#include "cli/commands.h"
#include "cli/folder.h"
#include "cli/json.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/text.h"

/* ---- add ----------------------------------------------------------------------------------- */

static void print_ticket(const struct cairn_ticket *ticket, bool as_json)
{
    char dot[TEXT_DOT_SIZE];
    if (!as_json) {
        printf("%s  %llu\n", text_dot(&ticket->dot, dot), (unsigned long long)ticket->position);
        return;
    }
    struct json json;
    json_begin(&json, stdout, "cairn.ticket/1");
    json_text(&json, "dot", text_dot(&ticket->dot, dot));
    json_u64(&json, "slot", ticket->dot.slot);
    json_u64(&json, "incarnation", ticket->dot.incarnation);
    json_u64(&json, "sequence", ticket->dot.sequence);
    json_u64(&json, "position", ticket->position);
    json_bool(&json, "durable", true);
    json_end(&json);
}

static int add(cairn_engine *engine, const struct command_line *line)
{
    const char *key = option_text(line, OPTION_KEY);
    const struct option_use *idempotency_key = option_find(line, OPTION_IDEMPOTENCY_KEY);
    struct cairn_dot after[CAIRN_DEPENDENCIES_MAX];
    struct cairn_effect effect = {
        .key = key,
        .key_size = (uint32_t)strlen(key),
        .operation = CAIRN_ADD,
        .amount = (int64_t)option_number(line, OPTION_AMOUNT, 0),
    };
    struct cairn_fact fact = {
        .effects = &effect,
        .effect_count = 1,
        .dependencies = after,
        .idempotency_key = idempotency_key != NULL ? idempotency_key->bytes : NULL,
    };
    struct cairn_ticket ticket;
    int code = folder_space(engine, option_text(line, OPTION_SPACE), &effect.space);
    if (code != 0) return code;
    for (uint32_t i = 0; i < line->use_count; i++) {
        if (line->uses[i].option == OPTION_AFTER)
            after[fact.dependency_count++] = line->uses[i].dot;
    }
    int result = cairn_admit(engine, &fact, 1, &ticket, NULL);
    if (result != CAIRN_OK) return folder_refusal(engine, result, "the fact is refused");
    uint32_t timeout_ms = (uint32_t)option_number(line, OPTION_TIMEOUT, FOLDER_TIMEOUT_MS);
    result = cairn_wait(engine, ticket.position, timeout_ms);
    if (result != CAIRN_OK) return folder_refusal(engine, result, "waiting until it is durable");
    print_ticket(&ticket, option_is_given(line, OPTION_JSON));
    return 0;
}

int command_fact_add(struct command_line *line)
{
    cairn_engine *engine;
    int code = folder_open(line, &engine);
    if (code != 0) return code;
    return folder_close(engine, add(engine, line));
}

/* ---- read ---------------------------------------------------------------------------------- */

static bool is_utf8(const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t length = utf8_length(bytes, size);
        if (length == 0) return false;
        bytes += length;
        size -= length;
    }
    return true;
}

static void cell_json(struct json *json, const uint8_t *key, size_t key_size,
                      const struct cairn_value *value)
{
    char text[TEXT_VALUE_SIZE];
    json_object(json, NULL);
    json_bytes(json, "key", key, key_size);
    if (!is_utf8(key, key_size)) json_hex(json, "key_hex", key, key_size);
    json_text(json, "value", text_value(value, text));
    json_close(json);
}

static void cell_row(struct table *table, const uint8_t *key, size_t key_size,
                     const struct cairn_value *value)
{
    char text[TEXT_VALUE_SIZE];
    table_add(table, text_value(value, text));
    table_add_bytes(table, key, key_size);
}

static void print_cells(const struct cell_list *list, const char *space, bool as_json)
{
    struct json json;
    struct table table;
    if (as_json) {
        json_begin(&json, stdout, "cairn.cells/1");
        json_text(&json, "space", space);
        json_array(&json, "cells");
    } else {
        table_begin(&table, ">value key");
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct listed_cell *cell = &list->cells[i];
        const uint8_t *key = list->keys + cell->key_offset;
        if (as_json)
            cell_json(&json, key, cell->key_size, &cell->value);
        else
            cell_row(&table, key, cell->key_size, &cell->value);
    }
    if (as_json) {
        json_close(&json);
        json_end(&json);
    } else {
        table_end(&table, stdout);
    }
}

static int read_one(cairn_engine *engine, const struct command_line *line, uint32_t space,
                    const char *key)
{
    struct cairn_value value;
    char text[TEXT_VALUE_SIZE];
    int result = cairn_read(engine, space, key, strlen(key), &value);
    if (result != CAIRN_OK) return folder_refusal(engine, result, "reading the cell");
    if (!option_is_given(line, OPTION_JSON)) {
        puts(text_value(&value, text));
        return 0;
    }
    struct json json;
    json_begin(&json, stdout, "cairn.cells/1");
    json_text(&json, "space", option_text(line, OPTION_SPACE));
    json_array(&json, "cells");
    cell_json(&json, (const uint8_t *)key, strlen(key), &value);
    json_close(&json);
    json_end(&json);
    return 0;
}

static int read_cells(cairn_engine *engine, const struct command_line *line)
{
    uint32_t space;
    struct cell_list list;
    const char *name = option_text(line, OPTION_SPACE);
    int code = folder_space(engine, name, &space);
    if (code != 0) return code;
    const char *key = option_text(line, OPTION_KEY);
    if (key != NULL) return read_one(engine, line, space, key);
    code = cell_list_take(&list, engine, space);
    if (code != 0) return code;
    print_cells(&list, name, option_is_given(line, OPTION_JSON));
    cell_list_free(&list);
    return 0;
}

int command_fact_read(struct command_line *line)
{
    cairn_engine *engine;
    int code = folder_open(line, &engine);
    if (code != 0) return code;
    return folder_close(engine, read_cells(engine, line));
}
