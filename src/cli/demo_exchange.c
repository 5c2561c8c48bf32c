/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange: each member takes what the two others exported, in an order that chance chose. */
#include <string.h>

#include "cli/demo_run.h"
#include "cli/folder.h"
#include "cli/say.h"

static int open_engine(struct demo *self, uint32_t slot, cairn_engine **engine)
{
    char path[PATH_MAX];
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX] = "";
    struct cairn_options options = {
        .size = sizeof options,
        .folder = path,
        .flags = CAIRN_OPEN_EXISTING_ID,
    };
    demo_path(path, sizeof path, self->folder, "member", slot);
    demo_limits(self->facts, &options.limits);
    int result = cairn_open(&options, engine, message);
    return result == CAIRN_OK ? 0 : say_refusal(result, path, message);
}

static int add_members(struct demo *self, uint32_t slot, cairn_engine *engine)
{
    for (uint32_t other = 1; other < DEMO_SLOTS; other++) {
        if (other == slot) continue;
        int result = cairn_member_add(engine, other, self->members[other].public_key);
        if (result != CAIRN_OK) return folder_refusal(engine, result, "adding a member");
    }
    return 0;
}

static int import_others(struct demo *self, uint32_t slot, cairn_engine *engine)
{
    char paths[DEMO_SLOTS][PATH_MAX];
    struct bundle_list list;
    int code = 0;
    bundle_list_init(&list);
    for (uint32_t other = 1; other < DEMO_SLOTS && code == 0; other++) {
        if (other == slot) continue;
        demo_path(paths[other], sizeof paths[other], self->folder, "bundles", other);
        code = bundle_list_add(&list, paths[other]);
    }
    bundle_list_shuffle(&list, &self->prng);
    if (code == 0) {
        struct demo_member *member = &self->members[slot];
        uint64_t started = monotonic_ns();
        code = bundle_list_import(&list, engine, &member->imported, &self->progress, &demo_signal);
        member->import_ns = monotonic_ns() - started;
    }
    size_t left = list.count;
    bundle_list_free(&list);
    if (code != 0 || left == 0) return code;
    progress_hide(&self->progress);
    return say_failure(CAIRN_UNSEEN_DEPENDENCY,
                       "member %u: %zu bundles wait for facts that nobody has", slot, left);
}

static int take_digests(struct demo_member *member, cairn_engine *engine)
{
    struct cairn_status status;
    int result = cairn_flush(engine, FOLDER_TIMEOUT_MS);
    if (result == CAIRN_OK) result = cairn_cells_digest(engine, member->cells_digest);
    if (result == CAIRN_OK) result = cairn_facts_digest(engine, member->facts_digest);
    if (result != CAIRN_OK) return folder_refusal(engine, result, "taking digests");
    cairn_status(engine, &status);
    member->cells = status.cells;
    return 0;
}

int demo_exchange(struct demo *self, uint32_t slot, cairn_engine **engine)
{
    *engine = NULL;
    int code = open_engine(self, slot, engine);
    if (code != 0) return code;
    code = add_members(self, slot, *engine);
    if (code == 0) code = import_others(self, slot, *engine);
    if (code == 0) code = take_digests(&self->members[slot], *engine);
    if (code == 0) return 0;
    cairn_close(*engine);
    *engine = NULL;
    return code;
}
