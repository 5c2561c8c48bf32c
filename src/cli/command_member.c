/* SPDX-License-Identifier: Apache-2.0 */
/* cairn init, cairn member add, cairn digest: a folder, its members, its state in two lines. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/folder.h"
#include "cli/json.h"
#include "cli/say.h"

/* ---- init ---------------------------------------------------------------------------------- */

/* An engine would open a folder that is there; init must not. */
static bool is_data_folder(const char *folder)
{
    char path[4200];
    struct stat status;
    int size = snprintf(path, sizeof path, "%s/member", folder);
    return size > 0 && (size_t)size < sizeof path && stat(path, &status) == 0;
}

static int choose_cluster(const struct command_line *line, uint8_t id[CAIRN_CLUSTER_ID_SIZE])
{
    const struct option_use *given = option_find(line, OPTION_CLUSTER);
    if (given != NULL) {
        memcpy(id, given->bytes, CAIRN_CLUSTER_ID_SIZE);
        return 0;
    }
    if (getrandom(id, CAIRN_CLUSTER_ID_SIZE, 0) != CAIRN_CLUSTER_ID_SIZE)
        return say_errno("drawing", "a cluster id");
    return 0;
}

static void print_member(const struct cairn_options *options, const uint8_t *public_key,
                         bool as_json)
{
    char cluster[2 * CAIRN_CLUSTER_ID_SIZE + 1];
    char key[2 * CAIRN_PUBLIC_KEY_SIZE + 1];
    struct json json;
    if (as_json) {
        json_begin(&json, stdout, "cairn.member/1");
        json_hex(&json, "cluster", options->cluster_id, CAIRN_CLUSTER_ID_SIZE);
        json_u64(&json, "realm", options->realm);
        json_u64(&json, "slot", options->slot);
        json_hex(&json, "key", public_key, CAIRN_PUBLIC_KEY_SIZE);
        json_end(&json);
        return;
    }
    bytes_to_hex(options->cluster_id, CAIRN_CLUSTER_ID_SIZE, cluster);
    bytes_to_hex(public_key, CAIRN_PUBLIC_KEY_SIZE, key);
    printf("cluster  %s\nrealm    %u\nslot     %u\nkey      %s\n", cluster, options->realm,
           options->slot, key);
}

int command_init(struct command_line *line)
{
    cairn_engine *engine;
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX] = "";
    uint8_t public_key[CAIRN_PUBLIC_KEY_SIZE];
    struct cairn_options options = {
        .size = sizeof options,
        .folder = option_text(line, OPTION_DATA),
        .flags = CAIRN_OPEN_CREATE,
        .slot = (uint32_t)option_number(line, OPTION_SLOT, 0),
        .realm = (uint32_t)option_number(line, OPTION_REALM, 0),
    };
    folder_limits(line, &options.limits);
    if (is_data_folder(options.folder)) {
        return say_failure(CAIRN_FOREIGN,
                           "%s: there is a data folder already; use another --data, or "
                           "'cairn inspect' to see whose it is",
                           options.folder);
    }
    int code = choose_cluster(line, options.cluster_id);
    if (code != 0) return code;
    int result = cairn_open(&options, &engine, message);
    if (result != CAIRN_OK) return say_refusal(result, options.folder, message);
    cairn_public_key(engine, public_key);
    print_member(&options, public_key, option_is_given(line, OPTION_JSON));
    return folder_close(engine, 0);
}

/* ---- member add ---------------------------------------------------------------------------- */

static int add_member(cairn_engine *engine, uint32_t slot, const uint8_t *public_key)
{
    int result = cairn_member_add(engine, slot, public_key);
    if (result != CAIRN_OK) return folder_refusal(engine, result, "--slot");
    result = folder_settle(engine);
    if (result != CAIRN_OK) return folder_refusal(engine, result, "waiting for the member");
    return 0;
}

int command_member_add(struct command_line *line)
{
    cairn_engine *engine;
    int code = folder_open(line, &engine);
    if (code != 0) return code;
    uint32_t slot = (uint32_t)option_number(line, OPTION_SLOT, 0);
    code = add_member(engine, slot, option_find(line, OPTION_PUBLIC_KEY)->bytes);
    return folder_close(engine, code);
}

/* ---- digest -------------------------------------------------------------------------------- */

static int print_digests(cairn_engine *engine, bool as_json)
{
    uint8_t cells[CAIRN_ADDRESS_SIZE];
    uint8_t facts[CAIRN_ADDRESS_SIZE];
    char text[2 * CAIRN_ADDRESS_SIZE + 1];
    struct cairn_status status;
    /* The facts digest is about certified facts: without this it would lag behind the cells. */
    int result = cairn_flush(engine, FOLDER_TIMEOUT_MS);
    if (result == CAIRN_OK) result = cairn_cells_digest(engine, cells);
    if (result == CAIRN_OK) result = cairn_facts_digest(engine, facts);
    if (result != CAIRN_OK) return folder_refusal(engine, result, "taking digests");
    cairn_status(engine, &status);
    if (as_json) {
        struct json json;
        json_begin(&json, stdout, "cairn.digest/1");
        json_hex(&json, "cells_digest", cells, sizeof cells);
        json_hex(&json, "facts_digest", facts, sizeof facts);
        json_u64(&json, "cells", status.cells);
        json_u64(&json, "facts", status.facts_applied);
        json_end(&json);
        return 0;
    }
    bytes_to_hex(cells, sizeof cells, text);
    printf("cells  %s\n", text);
    bytes_to_hex(facts, sizeof facts, text);
    printf("facts  %s\n", text);
    return 0;
}

int command_digest(struct command_line *line)
{
    cairn_engine *engine;
    int code = folder_open(line, &engine);
    if (code != 0) return code;
    return folder_close(engine, print_digests(engine, option_is_given(line, OPTION_JSON)));
}
