/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other members: real engines with journals, whose certificates the measured one imports. What they
 * say is a function of slot and sequence, so the model needs no list of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cli/bench.h"
#include "cli/memory.h"

#define SPACE_NAME "bench"
#define FACTS_PER_BUNDLE_MAX 1024u
#define MIX UINT64_C(0xd6e8feb86659fd93)

/* ---- What a member's fact says --------------------------------------------------------------- */

struct saying {
    uint32_t index;
    int64_t amount;
};

static struct saying saying_of(uint32_t slot, uint64_t sequence, uint32_t key_count)
{
    uint64_t mixed = (sequence * BENCH_MEMBERS + slot) * MIX;
    mixed = (mixed ^ (mixed >> 32)) * MIX;
    mixed ^= mixed >> 32;
    return (struct saying){(uint32_t)(mixed % key_count), (int64_t)(mixed >> 54) - 500};
}

/* ---- Making certificates --------------------------------------------------------------------- */

static int admit_some(cairn_engine *engine, struct bench_member *member, uint32_t space,
                      const struct bench_members *members, uint64_t from, uint32_t count)
{
    const struct bench_keys *keys = members->keys;
    static struct cairn_effect effects[FACTS_PER_BUNDLE_MAX];
    static struct cairn_fact facts[FACTS_PER_BUNDLE_MAX];
    static struct cairn_ticket tickets[FACTS_PER_BUNDLE_MAX];
    cairn_assert(count <= FACTS_PER_BUNDLE_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct saying saying = saying_of(member->slot, from + i, members->key_count);
        effects[i] = (struct cairn_effect){.key = bench_key(keys, saying.index),
                                           .key_size = keys->sizes[saying.index],
                                           .space = space,
                                           .operation = CAIRN_ADD,
                                           .amount = saying.amount};
        facts[i] = (struct cairn_fact){.effects = &effects[i], .effect_count = 1};
    }
    int result = cairn_admit(engine, facts, count, tickets, NULL);
    if (result != CAIRN_OK) return bench_refused(engine, result, "another member's cairn_admit");
    member->incarnation = tickets[0].dot.incarnation;
    return 0;
}

static int export_all(cairn_engine *engine, struct bench_member *member)
{
    uint64_t cursor = 0;
    for (;;) {
        size_t written = 0;
        member->bytes =
            memory_grow(member->bytes, &member->capacity, member->size + CAIRN_BUNDLE_SIZE_MAX, 1);
        int result = cairn_export(engine, &cursor, member->bytes + member->size,
                                  CAIRN_BUNDLE_SIZE_MAX, &written);
        if (result == CAIRN_END) return 0;
        if (result != CAIRN_OK) return bench_refused(engine, result, "cairn_export");
        member->size += written;
        member->ends = memory_grow(member->ends, &member->ends_capacity, member->bundles + 1,
                                   sizeof *member->ends);
        member->ends[member->bundles++] = member->size;
    }
}

static int fill_member(cairn_engine *engine, struct bench_member *member,
                       const struct bench_members *members, size_t bundles)
{
    uint32_t space;
    uint64_t next = 1;
    cairn_public_key(engine, member->public_key);
    int result = cairn_space_declare(engine, SPACE_NAME, CAIRN_PNCOUNTER, &space);
    if (result != CAIRN_OK) return bench_refused(engine, result, "cairn_space_declare");
    for (size_t i = 0; i < bundles; i++) {
        int code = admit_some(engine, member, space, members, next, members->facts_per_bundle);
        if (code != 0) return code;
        next += members->facts_per_bundle;
        result = cairn_flush(engine, BENCH_TIMEOUT_MS);
        if (result != CAIRN_OK) return bench_refused(engine, result, "cairn_flush");
    }
    return export_all(engine, member);
}

static int make_member(struct bench *bench, struct bench_member *member,
                       const struct bench_members *members, size_t bundles)
{
    char folder[BENCH_PATH_SIZE];
    cairn_engine *engine;
    struct cairn_options options;
    int code = bench_folder_make(bench, folder);
    if (code != 0) return code;
    bench_options(&options, folder, member->slot);
    options.limits.cells_max = members->key_count;
    options.limits.cell_bytes_max = members->key_count * UINT64_C(256);
    bench_options_journal(&options, bundles * (members->facts_per_bundle * UINT64_C(300) + 8192));
    code = bench_open(&options, &engine);
    if (code != 0) return code;
    code = fill_member(engine, member, members, bundles);
    int closed = bench_close(engine);
    bench_folder_remove(folder);
    return code != 0 ? code : closed;
}

int bench_members_make(struct bench *bench, struct bench_members *self, uint32_t count,
                       size_t bundles, uint32_t facts_per_bundle, const struct bench_keys *keys,
                       uint32_t key_count)
{
    int code = 0;
    cairn_assert(count < BENCH_MEMBERS && key_count <= keys->count);
    memset(self, 0, sizeof *self);
    self->keys = keys;
    self->count = count;
    self->key_count = key_count;
    self->facts_per_bundle = facts_per_bundle;
    for (uint32_t slot = 1; slot <= count && code == 0; slot++) {
        self->members[slot].slot = slot;
        bench_progress(bench, "other members", 0);
        code = make_member(bench, &self->members[slot], self, bundles);
    }
    self->keys = NULL;
    if (code != 0) bench_members_free(self);
    return code;
}

int bench_members_make_for(struct bench *bench, struct bench_members *self, uint32_t count,
                           size_t bundles, uint32_t facts_per_bundle, uint32_t key_count,
                           uint32_t key_size)
{
    struct bench_keys keys;
    bench_keys_init(&keys, key_count, key_size, key_size);
    int code = bench_members_make(bench, self, count, bundles, facts_per_bundle, &keys, key_count);
    bench_keys_free(&keys);
    return code;
}

void bench_members_free(struct bench_members *self)
{
    for (uint32_t slot = 1; slot < BENCH_MEMBERS; slot++) {
        free(self->members[slot].bytes);
        free(self->members[slot].ends);
    }
    memset(self, 0, sizeof *self);
}

/* ---- Taking them ----------------------------------------------------------------------------- */

static int import_next(struct bench_world *self, uint32_t slot)
{
    const struct bench_member *member = &self->members->members[slot];
    size_t at = self->taken[slot];
    if (at == member->bundles) return 0;
    size_t begin = at == 0 ? 0 : member->ends[at - 1];
    struct cairn_import import;
    uint64_t start = bench_ns();
    int result =
        cairn_import(self->engine, member->bytes + begin, member->ends[at] - begin, &import);
    histogram_record(&self->import_ns, bench_ns() - start);
    if (result != CAIRN_OK) return bench_refused(self->engine, result, "cairn_import");
    if (import.waiting != 0 || import.duplicate != 0)
        return bench_failed("cairn_import: a bundle whose facts wait, or were there");
    struct cairn_dot *newest = &self->newest[slot];
    for (uint64_t i = 0; i < import.applied; i++) {
        struct saying saying = saying_of(slot, ++newest->sequence, self->members->key_count);
        bench_keys_add(self->keys, saying.index, saying.amount);
    }
    self->taken[slot]++;
    self->imported += import.applied;
    return 0;
}

int bench_world_begin(struct bench_world *self, cairn_engine *engine,
                      const struct bench_members *members, uint32_t others, struct bench_keys *keys)
{
    int code = 0;
    cairn_assert(others >= 1 && others <= members->count && keys->count >= members->key_count);
    memset(self, 0, sizeof *self);
    self->engine = engine;
    self->members = members;
    self->keys = keys;
    self->others = others;
    self->next = 1;
    int result = cairn_space_declare(engine, SPACE_NAME, CAIRN_PNCOUNTER, &self->space);
    if (result != CAIRN_OK) return bench_refused(engine, result, "cairn_space_declare");
    for (uint32_t slot = 1; slot <= others && code == 0; slot++) {
        const struct bench_member *member = &members->members[slot];
        result = cairn_member_add(engine, slot, member->public_key);
        if (result != CAIRN_OK) return bench_refused(engine, result, "cairn_member_add");
        self->newest[slot] = (struct cairn_dot){slot, member->incarnation, 0};
        code = import_next(self, slot);
    }
    return code;
}

int bench_world_import(struct bench_world *self)
{
    uint32_t slot = self->next;
    self->next = slot == self->others ? 1 : slot + 1;
    return import_next(self, slot);
}
