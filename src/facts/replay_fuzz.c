/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary records into the replay of a small realm: u8 kind, u16 size and bytes for each; kind
 * bit 7 ends a batch. The journal's checksum has vouched for such bytes, but a realm stays valid
 * whatever they are.
 */
#include <stdlib.h>

#include "facts/replay.h"
#include "facts/test_member.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct test_member member;
static struct realm fresh_realm;
static uint8_t *fresh_tables;
static struct replay *replay;
static struct certificate_index index_;
static void *replay_memory;
static uint64_t replay_size;

static void open_member(void)
{
    struct test_limits limits = test_limits_small();
    struct arena arena;
    limits.realm.cells_max = 20;
    limits.realm.cell_bytes_max = 20 * 96;
    limits.realm.pending_bytes_max = PENDING_PAGE_SIZE;
    limits.ring_bytes = 0;
    limits.log_bytes = 0;
    limits.run_bytes = 0;
    address_init();
    cairn_assert(signature_init());
    arena_init(&arena, NULL, 0);
    test_member_init(&member, 1, &limits, NULL, &arena);
    uint64_t memory_size = round_up(arena.used, 4096);
    uint8_t *memory = aligned_alloc(4096, memory_size);
    cairn_assert(memory != NULL);
    memset(memory, 0, memory_size);
    arena_init(&arena, memory, memory_size);
    test_member_init(&member, 1, &limits, NULL, &arena);
    fresh_realm = member.realm;
    fresh_tables = malloc(member.tables_size);
    replay = calloc(1, sizeof *replay);
    cairn_assert(fresh_tables != NULL && replay != NULL);
    memcpy(fresh_tables, member.tables, member.tables_size);
    arena_init(&arena, NULL, 0);
    certificate_index_init(&index_, 16, &arena);
    replay_init(replay, &member.realm, &index_, 1, &arena);
    replay_size = round_up(arena.used, 4096);
    replay_memory = aligned_alloc(4096, replay_size);
    cairn_assert(replay_memory != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader;
    struct arena arena;
    struct refusal refusal;
    if (fresh_tables == NULL) open_member();
    member.realm = fresh_realm;
    memcpy(member.tables, fresh_tables, member.tables_size);
    arena_init(&arena, replay_memory, replay_size);
    certificate_index_init(&index_, 16, &arena);
    replay_init(replay, &member.realm, &index_, 1, &arena);
    reader_init(&reader, data, size);
    /* One copy for all: the payloads must stay until the batch ends. */
    uint8_t kind = 0;
    for (uint64_t position = 0; reader_left(&reader) > 3; position++) {
        kind = reader_u8(&reader);
        uint32_t record_size = reader_u16(&reader);
        if (record_size > reader_left(&reader)) record_size = (uint32_t)reader_left(&reader);
        const uint8_t *bytes = reader_bytes(&reader, record_size);
        int code = replay_record(replay, kind & 0x7f, bytes, record_size, position, &refusal);
        cairn_assert(code == CAIRN_OK || refusal.code == code);
        cairn_assert(realm_is_valid(&member.realm));
        if (code != CAIRN_OK) return 0;
        if ((kind & 0x80) != 0) replay_batch_end(replay);
    }
    replay_batch_end(replay);
    const struct fact_run *run = replay_own_run(replay);
    cairn_assert(run == NULL || run->count <= CERTIFICATE_FACTS_MAX);
    cairn_assert(realm_is_valid(&member.realm));
    return 0;
}
