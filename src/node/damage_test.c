/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rot: in every batch of a journal, in checkpoints, in the member file. It is reported with its
 * range, the node starts without it, says what is missing, and import from a peer mends it for
 * good.
 */
#include "journal/format.h"
#include "node/test_world.h"

#define SEGMENTS 14u
#define BATCHES_MAX 256u

static struct world world;

struct batch {
    uint64_t position;
    uint64_t next;
    uint32_t size;
    uint32_t facts;
};

static struct batch batches[BATCHES_MAX];
static uint32_t batch_count;

/* The batches of the journal, from the medium. */
static void list_batches(struct test_node *node)
{
    uint64_t position = 0;
    batch_count = 0;
    for (;;) {
        struct journal_header header;
        struct journal_record record;
        uint32_t crc;
        uint32_t offset = 0;
        uint32_t segment = (uint32_t)(position / TEST_SEGMENT_BYTES);
        uint64_t at = position % TEST_SEGMENT_BYTES;
        if (segment >= SEGMENTS) return;
        const uint8_t *bytes = sim_disk_segment(&node->disk, segment) + at;
        if (!journal_batch_check(bytes, TEST_SEGMENT_BYTES - at, &header, &crc)) return;
        assert_true(batch_count < BATCHES_MAX);
        struct batch *batch = &batches[batch_count++];
        *batch = (struct batch){position, header.next, journal_batch_size(header.records_size), 0};
        while (journal_record_next(bytes, &header, &offset, &record)) {
            batch->facts += record.kind == RECORD_FACT;
        }
        position = header.next;
    }
}

static void take_all(struct world_node *from, struct world_node *to)
{
    uint64_t applied = 0;
    int result;
    do {
        result = world_exchange(&world, from, to, 16, &applied);
        if (result == CAIRN_BUSY) world_flush_surely(&world, to);
    } while (result != CAIRN_END);
}

/* Two members, two lives of each; the second has everything. */
static void make_history(uint64_t seed)
{
    struct world_node *node = &world.nodes[0];
    struct world_node *peer = &world.nodes[1];
    world_init(&world, seed, 2, SEGMENTS);
    world_open(&world, node);
    world_open(&world, peer);
    for (uint32_t life = 0; life < 2; life++) {
        for (uint32_t i = 0; i < 4; i++) {
            (void)world_admit(&world, node, 12);
            (void)world_admit(&world, peer, 6);
            world_flush_surely(&world, node);
            world_flush_surely(&world, peer);
            take_all(node, peer);
            take_all(peer, node);
        }
        world_flush_surely(&world, node);
        assert_int_equal(test_node_close(&node->node), CAIRN_OK);
        if (life == 0) {
            world_open(&world, node);
            assert_int_equal(test_node_close(&peer->node), CAIRN_OK);
            world_open(&world, peer);
        }
    }
    list_batches(&node->node);
}

static void check_missing(struct world_node *node)
{
    const struct cairn_recovery *recovery = &node->node.engine->recovery;
    uint64_t missing = 0;
    for (uint32_t i = 0; i < world.life_count; i++) {
        const struct world_life *life = &world.lives[i];
        uint64_t count = world_life_count_at(&world, node, life);
        missing += life->count - count;
        if (recovery->facts_held == 0) continue;
        if (life->slot != recovery->missing.slot) continue;
        if (life->incarnation != recovery->missing.incarnation) continue;
        world_check(&world, recovery->missing.sequence == count + 1);
        world_check(&world, count < life->count);
    }
    world_check(&world, recovery->facts_held <= missing);
}

/* Facts of the damaged node's lives, as the peer has them, come back. */
static void mend(struct world_node *node, struct world_node *peer)
{
    world_check(&world, world_admit(&world, node, 6) == CAIRN_OK);
    world_flush_surely(&world, node);
    peer->cursor[0] = 0;
    take_all(peer, node);
    world_converge(&world);
}

static uint64_t held_in_all;

/* Damages all batches from the first to the last. */
static void damage_batches(uint32_t first, uint32_t last)
{
    struct world_node *node = &world.nodes[0];
    struct world_node *peer = &world.nodes[1];
    world.has_damage = true;
    world.allows_reclaimed = true; /* what is damaged cannot be exported from here */
    world.seed = world.seed * 10000 + first * 100 + last;
    for (uint32_t at = first; at <= last; at++) {
        uint64_t position = batches[at].position + prng_below(&world.prng, batches[at].size);
        sim_disk_rot(&node->node.disk, (uint32_t)(position / TEST_SEGMENT_BYTES),
                     position % TEST_SEGMENT_BYTES, 0x10);
    }
    world_open(&world, node);
    const struct cairn_recovery *recovery = &node->node.engine->recovery;
    world_check(&world, recovery->damaged_ranges == 1);
    world_check(&world, recovery->damaged_from == batches[first].position);
    world_check(&world, recovery->damaged_to == batches[last].next);
    held_in_all += recovery->facts_held;
    check_missing(node);
    mend(node, peer);

    /* It stays mended: what came by import is in the journal, behind the damage. */
    for (uint32_t i = 0; i < 2; i++) {
        if (i == 0) {
            assert_int_equal(test_node_close(&node->node), CAIRN_OK);
        } else {
            world_crash(&world, node);
        }
        world_open(&world, node);
        world_check(&world, node->node.engine->recovery.damaged_ranges == 1);
        world_check(&world, node->node.engine->recovery.facts_held == 0);
        for (uint32_t j = 0; j < world.life_count; j++) {
            const struct world_life *life = &world.lives[j];
            world_check(&world, world_life_count_at(&world, node, life) == life->count);
        }
        world_check(&world, world_admit(&world, node, 3) == CAIRN_OK);
        world_converge(&world);
    }
    /* And a checkpoint leaves the damage behind. */
    world_check(&world, world_checkpoint(&world, node) == CAIRN_OK);
    world_check(&world, world_checkpoint(&world, node) == CAIRN_OK);
    world_crash(&world, node);
    world_open(&world, node);
    world_check(&world, node->node.engine->recovery.facts_held == 0);
    world_converge(&world);
}

static void test_each_batch(void **state)
{
    (void)state;
    uint32_t with_facts = 0;
    uint32_t rounds = test_is_sanitized() ? 1 : 3;
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t at = 0;; at++) {
            make_history(5 + round);
            /* The last ones are not claimed by any header (scan.h). */
            bool ends = at + 2 >= batch_count;
            if (!ends) {
                with_facts += batches[at].facts > 0;
                damage_batches(at, at);
            }
            world_free(&world);
            if (ends) break;
        }
    }
    print_message("%u batches with facts damaged, %llu facts held\n", with_facts,
                  (unsigned long long)held_in_all);
    assert_true(with_facts > 8 * rounds && held_in_all > 0);
}

/*
 * Several batches in a row. Not a whole life, and not the last certificate of the last one: what
 * follows such a loss would not continue the chain that other members have.
 */
static void test_ranges(void **state)
{
    (void)state;
    struct prng prng;
    uint32_t count = test_is_sanitized() ? 12 : 80;
    prng_init(&prng, 8);
    for (uint32_t i = 0; i < count; i++) {
        make_history(100 + i);
        uint32_t first = (uint32_t)prng_below(&prng, batch_count - 14);
        uint32_t last = first + 1 + (uint32_t)prng_below(&prng, 5);
        damage_batches(first, last);
        world_free(&world);
    }
}

/* ---- Checkpoints ----------------------------------------------------------------------------- */

static void make_checkpoints(void)
{
    struct world_node *node = &world.nodes[0];
    world_init(&world, 31, 1, SEGMENTS);
    world_open(&world, node);
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t j = 0; j < 4; j++)
            (void)world_admit(&world, node, 12);
        assert_int_equal(world_checkpoint(&world, node), CAIRN_OK);
    }
    (void)world_admit(&world, node, 12);
    world_flush_surely(&world, node);
    assert_int_equal(test_node_close(&node->node), CAIRN_OK);
}

static uint64_t body_end(struct world_node *node, enum host_file file)
{
    uint64_t size = 0;
    (void)node->node.store_face.size(node->node.store_face.self, file, &size);
    return size;
}

/* The newest is of generation 3, in file B. */
static void test_one_checkpoint(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    for (uint32_t i = 0; i < 60; i++) {
        make_checkpoints();
        struct world_node *node = &world.nodes[0];
        bool newest = i % 3 != 0;
        enum host_file file = newest ? HOST_FILE_CHECKPOINT_B : HOST_FILE_CHECKPOINT_A;
        uint64_t body = body_end(node, file) - CHECKPOINT_BODY_OFFSET;
        uint64_t at = i % 2 == 0 ? prng_below(&prng, CHECKPOINT_HEADER_SIZE)
                                 : CHECKPOINT_BODY_OFFSET + prng_below(&prng, body);
        sim_disk_rot_file(&node->node.disk, file, at, (uint8_t)(1 + prng_below(&prng, 255)));
        world.seed = at;
        world_open(&world, node);
        world_check(&world, node->node.engine->checkpoint.generation == (newest ? 2 : 3));
        world_check(&world,
                    world_life_count_at(&world, node, &world.lives[0]) == world.lives[0].count);
        /* The next ones take the damaged one's place. */
        world_check(&world, world_checkpoint(&world, node) == CAIRN_OK);
        world_check(&world, world_checkpoint(&world, node) == CAIRN_OK);
        world_crash(&world, node);
        world_open(&world, node);
        world_free(&world);
    }
}

static void test_both_checkpoints(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 4);
    for (uint32_t i = 0; i < 30; i++) {
        make_checkpoints();
        struct world_node *node = &world.nodes[0];
        for (uint32_t j = 0; j < 2; j++) {
            enum host_file file = HOST_FILE_CHECKPOINT_A + j;
            uint64_t body = body_end(node, file) - CHECKPOINT_BODY_OFFSET;
            uint64_t at = (i >> j) % 2 == 0 ? prng_below(&prng, CHECKPOINT_HEADER_SIZE)
                                            : CHECKPOINT_BODY_OFFSET + prng_below(&prng, body);
            sim_disk_rot_file(&node->node.disk, file, at, 0x40);
        }
        /* The journal still begins at 0, so it holds all that they held. */
        world_open(&world, node);
        world_check(&world, node->node.engine->checkpoint.generation == 0);
        world_check(&world,
                    world_life_count_at(&world, node, &world.lives[0]) == world.lives[0].count);
        world_free(&world);
    }
}

/* All of the journal is gone: the checkpoint holds what it held, and the loss is said. */
static void test_lost_journal(void **state)
{
    (void)state;
    make_checkpoints();
    struct world_node *node = &world.nodes[0];
    list_batches(&node->node);
    for (uint32_t i = 0; i < batch_count; i++) {
        sim_disk_rot(&node->node.disk, (uint32_t)(batches[i].position / TEST_SEGMENT_BYTES),
                     batches[i].position % TEST_SEGMENT_BYTES, 0x40);
    }
    world.allows_reclaimed = true;
    world.has_damage = true;
    world_open(&world, node);
    const struct cairn_engine *engine = node->node.engine;
    uint64_t position = engine->checkpoint.position;
    world_check(&world, engine->recovery.damaged_ranges > 0);
    world_check(&world, engine->recovery.damaged_to >= position);
    world_check(&world, world_life_count_at(&world, node, &world.lives[0]) == world.lives[0].count);
    world_check(&world, world_admit(&world, node, 3) == CAIRN_OK);
    world_flush_surely(&world, node);
    world_check(&world, atomic_load(&engine->recorder.durable_journal) > position);
    world_crash(&world, node);
    world_open(&world, node);
    world_check(&world, world_life_count_at(&world, node, &world.lives[1]) == 3);
    world_free(&world);
}

/* A checkpoint of another member or cluster is refused, not loaded. */
static void test_foreign_checkpoint(void **state)
{
    (void)state;
    make_checkpoints();
    struct test_node *node = &world.nodes[0].node;
    node->member.realm++;
    assert_int_equal(test_node_open(node), CAIRN_FOREIGN);
    node->member.realm--;
    node->member.cluster_id[3] ^= 1;
    assert_int_equal(test_node_open(node), CAIRN_FOREIGN);
    node->member.cluster_id[3] ^= 1;
    assert_int_equal(test_node_open(node), CAIRN_OK);
    node->is_open = true;
    world_free(&world);
}

/* ---- The member file ------------------------------------------------------------------------- */

static void test_member_file(void **state)
{
    (void)state;
    struct test_node *node = &world.nodes[0].node;
    uint8_t bytes[MEMBER_FILE_SIZE];
    uint8_t again[MEMBER_FILE_SIZE];
    struct member_file member;
    test_node_init(node, 1, SEGMENTS, 1);
    member_file_encode(&node->member, bytes);
    assert_true(member_file_decode(&member, bytes));
    member_file_encode(&member, again);
    assert_memory_equal(bytes, again, sizeof bytes);
    for (uint32_t bit = 0; bit < 8 * MEMBER_FILE_SIZE; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(member_file_decode(&member, bytes));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    /* With a right checksum, but a key that is not the seed's, or a journal that cannot be. */
    struct member_file bad = node->member;
    bad.public_key[5] ^= 1;
    member_file_encode(&bad, bytes);
    assert_false(member_file_decode(&member, bytes));
    for (uint32_t i = 0; i < 5; i++) {
        bad = node->member;
        if (i == 0) bad.segment_bytes = 0;
        if (i == 1) bad.segment_bytes = 3 * TEST_SEGMENT_BYTES;
        if (i == 2) bad.segment_bytes = UINT64_C(1) << 63;
        if (i == 3) bad.segment_count = 3;
        if (i == 4) bad.segment_count = UINT32_MAX;
        member_file_encode(&bad, bytes);
        assert_false(member_file_decode(&member, bytes));
    }
    test_node_free(node);
}

/* Waits until every fact of the current life is durable, but not for its certificate. */
static void wait_for_facts(struct world_node *node)
{
    const struct world_life *life = &world.lives[node->life];
    uint64_t position = life->facts[life->count - 1].position;
    assert_int_equal(cairn_wait(node->node.engine, position, 10000), CAIRN_OK);
}

/*
 * A certificate rots that lies alone in its batch, and facts behind it have none yet: the peer has
 * the certificate, so it must be cut again to the same bytes (the world compares), and the facts
 * behind it get one of their own.
 */
static void test_lost_certificate(void **state)
{
    (void)state;
    struct world_node *node = &world.nodes[0];
    struct world_node *peer = &world.nodes[1];
    world_init(&world, 51, 2, SEGMENTS);
    world_open(&world, node);
    world_open(&world, peer);
    assert_int_equal(world_admit(&world, node, 10), CAIRN_OK);
    wait_for_facts(node);
    world_flush_surely(&world, node);
    take_all(node, peer);
    assert_int_equal(world_admit(&world, node, 5), CAIRN_OK);
    wait_for_facts(node);
    list_batches(&node->node);
    uint32_t last = batch_count - 1;
    assert_true(batches[last].facts == 5 && batches[last - 1].facts == 0);
    world_crash(&world, node);
    world.has_damage = true;
    world.allows_reclaimed = true; /* a bundle whose way leads through damage comes from a peer */
    sim_disk_rot(&node->node.disk, 0, batches[last - 1].position + JOURNAL_HEADER_SIZE, 0x10);
    world_open(&world, node);
    assert_int_equal(node->node.engine->recovery.damaged_ranges, 1);
    assert_int_equal(node->node.engine->recovery.facts_held, 0);
    world_converge(&world);
    world_crash(&world, node);
    world_open(&world, node);
    world_converge(&world);
    world_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_batch),         cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_one_checkpoint),     cmocka_unit_test(test_both_checkpoints),
        cmocka_unit_test(test_foreign_checkpoint), cmocka_unit_test(test_member_file),
        cmocka_unit_test(test_lost_certificate),   cmocka_unit_test(test_lost_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
