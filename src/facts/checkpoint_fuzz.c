/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary bytes as a checkpoint: the header, then the body. The header's checksum and the
 * body's address are put right when bit 0 of the header's last byte says so, or nothing would get
 * past them. What is loaded is a valid realm, and saves to the same bytes again.
 */
#include <stdlib.h>

#include "crypto/crc32c.h"
#include "facts/checkpoint.h"
#include "facts/test_member.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct test_member member;
static struct realm fresh_realm;
static uint8_t *fresh_tables;

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
    cairn_assert(fresh_tables != NULL);
    memcpy(fresh_tables, member.tables, member.tables_size);
}

static void check_saved_again(const uint8_t *body, uint64_t size)
{
    static uint8_t piece[8192];
    struct checkpoint_encoder encoder;
    uint64_t at = 0;
    checkpoint_encoder_init(&encoder, &member.realm);
    for (uint32_t written; (written = checkpoint_encode(&encoder, piece, sizeof piece)) != 0;) {
        cairn_assert(at + written <= size && memcmp(piece, body + at, written) == 0);
        at += written;
    }
    cairn_assert(at == size && encoder.size == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct checkpoint_header header;
    struct refusal refusal;
    uint8_t head[CHECKPOINT_HEADER_SIZE];
    uint8_t again[CHECKPOINT_HEADER_SIZE];
    if (fresh_tables == NULL) open_member();
    if (size < CHECKPOINT_HEADER_SIZE) return 0;
    memcpy(head, data, sizeof head);
    const uint8_t *body = data + CHECKPOINT_HEADER_SIZE;
    uint64_t body_size = size - CHECKPOINT_HEADER_SIZE;
    if ((head[CHECKPOINT_HEADER_SIZE - 1] & 1) != 0) {
        store_u64(head + 72, body_size);
        address_of_record(ADDRESS_CHECKPOINT, body, (size_t)body_size, head + 112);
        store_u32(head + sizeof head - 4, crc32c(0, head, sizeof head - 4));
    }
    if (!checkpoint_header_decode(&header, head)) return 0;
    checkpoint_header_encode(&header, again);
    cairn_assert(memcmp(again, head, sizeof head) == 0);
    member.realm = fresh_realm;
    memcpy(member.tables, fresh_tables, member.tables_size);
    int code = checkpoint_decode(&member.realm, &header, body, body_size, &refusal);
    if (code != CAIRN_OK) {
        cairn_assert(refusal.code == code && (code == CAIRN_CORRUPT || code == CAIRN_FULL));
        return 0;
    }
    cairn_assert(realm_is_valid(&member.realm));
    uint8_t scratch[20 * ADDRESS_SIZE];
    uint8_t digest[ADDRESS_SIZE];
    uint64_t line = 0;
    for (struct cell *cell; (cell = cells_next(&member.realm.cells, &line)) != NULL;) {
        cairn_assert(cell->space < member.realm.spaces.count);
    }
    realm_cells_digest(&member.realm, scratch, digest);
    /* A table of requests that is smaller than the saved one keeps the newest only. */
    if (member.realm.idempotency.added <= member.realm.idempotency.maximum) {
        check_saved_again(body, body_size);
    }
    return 0;
}
