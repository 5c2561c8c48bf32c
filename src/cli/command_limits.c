/* SPDX-License-Identifier: Apache-2.0 */
/* cairn limits: what an engine with these limits will take, before it is opened. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/folder.h"
#include "cli/json.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/text.h"

static void print_json(const struct cairn_plan *plan)
{
    struct json json;
    json_begin(&json, stdout, "cairn.limits/1");
    json_u64(&json, "memory_bytes", plan->memory_bytes);
    json_u64(&json, "cells_bytes", plan->cells_bytes);
    json_u64(&json, "pending_bytes", plan->pending_bytes);
    json_u64(&json, "journal_bytes", plan->journal_bytes);
    json_double(&json, "bytes_per_cell", plan->bytes_per_cell);
    json_end(&json);
}

static void add_size(struct table *table, const char *name, uint64_t bytes, const char *what)
{
    char text[TEXT_NUMBER_SIZE];
    table_add(table, name);
    table_add(table, text_bytes(bytes, text));
    table_add(table, what);
}

static void print_table(const struct cairn_plan *plan)
{
    struct table table;
    char text[TEXT_NUMBER_SIZE];
    uint64_t parts = plan->cells_bytes + plan->pending_bytes;
    table_begin(&table, "what >size -");
    add_size(&table, "memory", plan->memory_bytes, "all that the engine takes when it opens");
    add_size(&table, "  cells", plan->cells_bytes, "cells, keys and their index");
    add_size(&table, "  pending", plan->pending_bytes, "bundles that wait for others");
    if (plan->memory_bytes >= parts)
        add_size(&table, "  rest", plan->memory_bytes - parts, "journal, requests, certificates");
    add_size(&table, "journal", plan->journal_bytes, "on disk, written ahead segment by segment");
    snprintf(text, sizeof text, "%.1f B", plan->bytes_per_cell);
    table_add(&table, "a cell");
    table_add(&table, text);
    table_add(&table, "beside its key, at full load");
    table_end(&table, stdout);
}

int command_limits(struct command_line *line)
{
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX] = "";
    struct cairn_plan plan;
    struct cairn_options options = {.size = sizeof options};
    folder_limits(line, &options.limits);
    int result = cairn_plan(&options, &plan, message);
    if (result != CAIRN_OK) return say_refusal(result, "these limits cannot be used", message);
    if (option_is_given(line, OPTION_JSON))
        print_json(&plan);
    else
        print_table(&plan);
    return 0;
}
