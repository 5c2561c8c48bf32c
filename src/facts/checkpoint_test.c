/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: what is saved is loaded, whole. Defects of other kernels that must not come back: a
 * checkpoint after which old duplicates count again, one that its own loader refuses, a forged one
 * that is accepted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "facts/checkpoint.h"
#include "facts/test_world.h"

#define BODY_MAX (UINT64_C(1) << 20)

/* Saves in pieces of random sizes; returns the body's size. */
static uint64_t save(const struct realm *realm, uint8_t *body, struct checkpoint_header *header,
                     struct prng *prng)
{
    struct checkpoint_encoder encoder;
    uint64_t size = 0;
    checkpoint_encoder_init(&encoder, realm);
    for (;;) {
        uint32_t room = CHECKPOINT_ENTRY_SIZE_MAX + (uint32_t)prng_below(prng, 3000);
        assert_true(size + room <= BODY_MAX);
        uint32_t written = checkpoint_encode(&encoder, body + size, room);
        assert_true(written <= room);
        if (written == 0) break;
        size += written;
    }
    assert_int_equal(encoder.size, size);
    memset(header, 0, sizeof *header);
    header->generation = 5;
    header->position = 8192;
    header->low_water = 4096;
    header->clock = realm->clock.last;
    header->body_size = size;
    header->realm = TEST_REALM;
    header->slot = realm->slot;
    header->incarnation = realm->incarnation;
    memcpy(header->cluster_id, test_cluster_id, CAIRN_CLUSTER_ID_SIZE);
    address_stream_end(&encoder.address, header->body_address);
    return size;
}

static void fill_world(struct world *world, uint64_t seed)
{
    struct test_limits limits = test_limits_small();
    limits.log_bytes = 512 * 1024;
    world_init(world, 3, &limits, seed);
    world_run(world, 150, 3, 30);
}

/* All that a realm knows: cells, vector, requests, spaces, members. */
static void check_equal(const struct realm *a, const struct realm *b)
{
    uint8_t scratch[2 * KEYS * ADDRESS_SIZE];
    uint8_t digests[2][ADDRESS_SIZE];
    realm_cells_digest(a, scratch, digests[0]);
    realm_cells_digest(b, scratch, digests[1]);
    assert_memory_equal(digests[0], digests[1], ADDRESS_SIZE);
    origins_digest(&a->origins, digests[0]);
    origins_digest(&b->origins, digests[1]);
    assert_memory_equal(digests[0], digests[1], ADDRESS_SIZE);
    assert_int_equal(a->origins.count, b->origins.count);
    assert_memory_equal(a->origins.clocks, b->origins.clocks,
                        sizeof a->origins.clocks[0] * a->origins.count);
    for (uint32_t i = 0; i < a->origins.count; i++) {
        const struct origin *x = &a->origins.details[i];
        const struct origin *y = &b->origins.details[i];
        assert_true(x->certified == y->certified && x->seen == y->seen && x->folded == y->folded);
        assert_memory_equal(x->link, y->link, ADDRESS_SIZE);
        assert_memory_equal(x->base, y->base, ADDRESS_SIZE);
    }
    assert_int_equal(a->origins.member_count, b->origins.member_count);
    assert_memory_equal(a->origins.members, b->origins.members, sizeof a->origins.members);
    assert_int_equal(a->spaces.count, b->spaces.count);
    assert_memory_equal(a->spaces.table, b->spaces.table,
                        a->spaces.count * sizeof a->spaces.table[0]);
    assert_int_equal(idempotency_count(&a->idempotency), idempotency_count(&b->idempotency));
    assert_int_equal(a->clock.last, b->clock.last);
}

static void what_is_saved_is_loaded(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(20); seed++) {
        static struct world world;
        struct test_limits limits = test_limits_small();
        struct checkpoint_header header;
        struct checkpoint_header decoded;
        struct checkpoint_header again;
        struct refusal refusal;
        uint8_t bytes[CHECKPOINT_HEADER_SIZE];
        fill_world(&world, seed);
        uint8_t *body = allocate(BODY_MAX);
        uint8_t *other = allocate(BODY_MAX);
        const struct realm *realm = &world.members[0]->realm;
        uint64_t size = save(realm, body, &header, &world.prng);
        checkpoint_header_encode(&header, bytes);
        assert_true(checkpoint_header_decode(&decoded, bytes));
        struct test_member *member = test_member_open(allocate, 1, &limits, NULL);
        int code = checkpoint_decode(&member->realm, &decoded, body, size, &refusal);
        assert_int_equal(code, CAIRN_OK);
        assert_true(realm_is_valid(&member->realm));
        check_equal(realm, &member->realm);
        /* Saved again: the same bytes. */
        assert_int_equal(save(&member->realm, other, &again, &world.prng), size);
        assert_memory_equal(body, other, size);
        assert_memory_equal(header.body_address, again.body_address, ADDRESS_SIZE);
        /* Old duplicates do not count again. */
        uint64_t facts = origins_applied(&member->realm.origins);
        for (uint32_t i = 0; i < world.pool.count; i++) {
            const struct test_bundle *bundle = &world.pool.bundles[i];
            struct cairn_dot last = {bundle->slot, bundle->incarnation,
                                     bundle->first + bundle->count - 1};
            if (!origins_has_seen(&realm->origins, &last) || bundle->slot == 1) continue;
            uint64_t applied = 0;
            code = test_member_import(member, bundle->bytes, bundle->size, &applied);
            assert_int_equal(code, CAIRN_OK);
            assert_int_equal(applied, 0);
        }
        assert_int_equal(origins_applied(&member->realm.origins), facts);
        give_back_to(0);
    }
}

static void every_damaged_header_is_refused(void **state)
{
    static struct world world;
    struct checkpoint_header header;
    struct checkpoint_header decoded;
    uint8_t bytes[CHECKPOINT_HEADER_SIZE];
    (void)state;
    fill_world(&world, 1);
    (void)save(&world.members[0]->realm, allocate(BODY_MAX), &header, &world.prng);
    checkpoint_header_encode(&header, bytes);
    for (uint32_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(checkpoint_header_decode(&decoded, bytes));
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_true(checkpoint_header_decode(&decoded, bytes));
    memset(bytes, 0, sizeof bytes);
    assert_false(checkpoint_header_decode(&decoded, bytes));
}

static void every_damaged_body_is_refused(void **state)
{
    static struct world world;
    struct test_limits limits = test_limits_small();
    struct checkpoint_header header;
    struct refusal refusal;
    (void)state;
    fill_world(&world, 2);
    uint8_t *body = allocate(BODY_MAX);
    uint64_t size = save(&world.members[0]->realm, body, &header, &world.prng);
    uint32_t mark = piece_count;
    for (uint64_t bit = 0; bit < size * 8; bit += 1 + size * 8 / rounds(1500)) {
        struct test_member *member = test_member_open(allocate, 1, &limits, NULL);
        body[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        int code = checkpoint_decode(&member->realm, &header, body, size, &refusal);
        assert_int_equal(code, CAIRN_CORRUPT);
        body[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        give_back_to(mark);
    }
    for (uint64_t left = 0; left < size; left += 1 + size / rounds(300)) {
        struct test_member *member = test_member_open(allocate, 1, &limits, NULL);
        int code = checkpoint_decode(&member->realm, &header, body, left, &refusal);
        assert_int_equal(code, CAIRN_CORRUPT);
        /* With a right address, the missing end is still seen. */
        struct checkpoint_header forged = header;
        forged.body_size = left;
        address_of_record(ADDRESS_CHECKPOINT, body, left, forged.body_address);
        code = checkpoint_decode(&member->realm, &forged, body, left, &refusal);
        assert_int_equal(code, CAIRN_CORRUPT);
        give_back_to(mark);
    }
}

/* A realm with smaller tables is told which; requests are kept as far as they fit, the newest. */
static void smaller_limits_are_told(void **state)
{
    static struct world world;
    struct checkpoint_header header;
    struct refusal refusal = {0};
    (void)state;
    fill_world(&world, 3);
    struct test_member *source = world.members[0];
    uint8_t *body = allocate(BODY_MAX);
    for (uint64_t i = 0; i < 20; i++) {
        uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE] = {0};
        struct cairn_effect effect = test_effect(handle_of(source, 1), "a", 1, 1);
        struct cairn_fact fact = {.effects = &effect, .effect_count = 1, .idempotency_key = key};
        struct cairn_ticket ticket;
        size_t admitted;
        store_u64(key, i);
        assert_int_equal(realm_admit(&source->realm, &fact, 1, &ticket, &admitted, &refusal),
                         CAIRN_OK);
    }
    uint64_t size = save(&source->realm, body, &header, &world.prng);
    struct test_limits limits = test_limits_small();
    limits.realm.spaces_max = 1;
    struct test_member *member = test_member_open(allocate, 1, &limits, NULL);
    assert_int_equal(checkpoint_decode(&member->realm, &header, body, size, &refusal), CAIRN_FULL);
    limits = test_limits_small();
    limits.realm.cells_max = source->realm.cells.count - 1;
    member = test_member_open(allocate, 1, &limits, NULL);
    assert_int_equal(checkpoint_decode(&member->realm, &header, body, size, &refusal), CAIRN_FULL);
    limits = test_limits_small();
    limits.realm.cell_bytes_max = (source->realm.cells.line_next - 2) * CELL_LINE_SIZE;
    member = test_member_open(allocate, 1, &limits, NULL);
    assert_int_equal(checkpoint_decode(&member->realm, &header, body, size, &refusal), CAIRN_FULL);
    limits = test_limits_small();
    limits.realm.idempotency_keys_max = 5;
    member = test_member_open(allocate, 1, &limits, NULL);
    assert_int_equal(checkpoint_decode(&member->realm, &header, body, size, &refusal), CAIRN_OK);
    for (uint64_t i = 0; i < 20; i++) {
        uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE] = {0};
        store_u64(key, i);
        assert_int_equal(idempotency_find(&member->realm.idempotency, key) != NULL, i >= 15);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, give_back)
        TEST(what_is_saved_is_loaded),
        TEST(every_damaged_header_is_refused),
        TEST(every_damaged_body_is_refused),
        TEST(smaller_limits_are_told),
#undef TEST
    };
    address_init();
    if (!signature_init()) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
