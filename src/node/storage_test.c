/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No room: on the disk, in the journal's ring. Refused before anything changes, and it goes on by
 * itself, or after a checkpoint; many laps of the ring; what was recycled is said to be; requests
 * that come again, over restarts and checkpoints.
 */
#include "node/test_world.h"

#define SEGMENTS 14u
#define LAPS 4u
#define MS UINT64_C(1000000)

static struct world world;

/* ---- What a refusal leaves alone ---- */

struct snapshot {
    uint8_t cells[ADDRESS_SIZE];
    uint8_t facts[ADDRESS_SIZE];
    struct origins origins;
    uint64_t staged;
    uint64_t clock;
};

static void take_snapshot(struct world_node *at, struct snapshot *snapshot)
{
    struct cairn_engine *engine = at->node.engine;
    memset(snapshot, 0, sizeof *snapshot);
    assert_int_equal(cairn_cells_digest(engine, snapshot->cells), CAIRN_OK);
    assert_int_equal(cairn_facts_digest(engine, snapshot->facts), CAIRN_OK);
    memcpy(&snapshot->origins, &engine->realm.origins, sizeof snapshot->origins);
    snapshot->staged = engine->recorder.ring.staged;
    snapshot->clock = engine->realm.clock.last;
}

/* Every door says STORAGE_FULL, and nothing moves. */
static void check_refused(struct world_node *at)
{
    static struct snapshot before;
    static struct snapshot after;
    struct cairn_engine *engine = at->node.engine;
    struct cairn_effect effect = {"x", 1, at->spaces[0], CAIRN_ADD, 0, 1};
    struct cairn_fact fact = {.effects = &effect, .effect_count = 1};
    struct cairn_ticket ticket;
    struct cairn_import import;
    size_t admitted;
    take_snapshot(at, &before);
    for (uint32_t i = 0; i < 10; i++) {
        admitted = 9;
        assert_int_equal(cairn_admit(engine, &fact, 1, &ticket, &admitted), CAIRN_STORAGE_FULL);
        assert_int_equal(admitted, 0);
        assert_non_null(strstr(cairn_error_message(engine), "journal"));
        assert_int_equal(cairn_import(engine, world.bundle, 300, &import), CAIRN_STORAGE_FULL);
    }
    take_snapshot(at, &after);
    assert_memory_equal(&before, &after, sizeof before);
}

static void no_checkpoints(struct world_node *at)
{
    at->node.engine->checkpoint_due = UINT64_MAX;
}

/* Admits until it is refused for want of room. */
static void fill(struct world_node *at)
{
    for (uint32_t i = 0; i < 100000; i++) {
        int result = world_admit(&world, at, WORLD_BATCH_MAX);
        if (result == CAIRN_STORAGE_FULL) return;
        if (result == CAIRN_BUSY) world_flush_surely(&world, at);
        if (i % 8 == 0) world_flush_surely(&world, at);
    }
    fail_msg("the journal never fills");
}

static bool goes_on(struct world_node *at, uint64_t nanoseconds)
{
    uint64_t until = at->node.system.monotonic_ns + nanoseconds;
    do {
        int result = world_admit(&world, at, 4);
        if (result == CAIRN_OK) return true;
        sim_system_advance(&at->node.system, 5 * MS);
        engine_pump(at->node.engine);
    } while (at->node.system.monotonic_ns < until);
    return false;
}

/* ---- The disk is full ---- */

static void test_full_disk(void **state)
{
    (void)state;
    for (uint32_t prepared = 3; prepared < 6; prepared++) {
        world_init(&world, prepared, 1, SEGMENTS);
        struct world_node *at = &world.nodes[0];
        struct sim_disk *disk = &at->node.disk;
        world_open(&world, at);
        no_checkpoints(at);
        sim_disk_set_space(disk, prepared * TEST_SEGMENT_BYTES + 60000);
        fill(at);
        assert_true(disk->counts.refused_for_space > 0);
        world_flush_surely(&world, at); /* what was admitted has its place */
        check_refused(at);
        world_check_state(&world, at);
        assert_false(goes_on(at, 300 * MS));

        /* It asks again by itself. */
        sim_disk_set_space(disk, SIM_SPACE_UNLIMITED);
        assert_true(goes_on(at, 300 * MS));
        world_flush_surely(&world, at);

        /* Nor is anything lost when the power goes while the disk is full. */
        sim_disk_set_space(disk, sim_disk_used_space(disk) + 60000);
        fill(at);
        world_crash(&world, at);
        world_open(&world, at);
        sim_disk_set_space(disk, SIM_SPACE_UNLIMITED);
        assert_true(goes_on(at, 300 * MS));
        assert_int_equal(test_node_close(&at->node), CAIRN_OK);
        world_open(&world, at);
        world_free(&world);
    }
}

static void test_open_on_a_full_disk(void **state)
{
    (void)state;
    world_init(&world, 4, 1, SEGMENTS);
    struct world_node *at = &world.nodes[0];
    sim_disk_set_space(&at->node.disk, TEST_SEGMENT_BYTES - 1);
    assert_int_equal(test_node_open(&at->node), CAIRN_STORAGE_FULL);
    assert_int_equal(at->node.refusal.code, CAIRN_STORAGE_FULL);
    sim_disk_set_space(&at->node.disk, SIM_SPACE_UNLIMITED);
    world_open(&world, at);
    assert_int_equal(world_admit(&world, at, 3), CAIRN_OK);
    world_flush_surely(&world, at);
    world_free(&world);
}

/* A checkpoint that finds no room is refused, and the one before stays good. */
static void test_checkpoint_on_a_full_disk(void **state)
{
    (void)state;
    world_init(&world, 6, 1, SEGMENTS);
    struct world_node *at = &world.nodes[0];
    struct sim_disk *disk = &at->node.disk;
    world_open(&world, at);
    (void)world_admit(&world, at, 12);
    assert_int_equal(world_checkpoint(&world, at), CAIRN_OK);
    (void)world_admit(&world, at, 12);
    world_flush_surely(&world, at);
    sim_disk_set_space(disk, sim_disk_used_space(disk) + 1000);
    assert_int_equal(world_checkpoint(&world, at), CAIRN_STORAGE_FULL);
    (void)world_admit(&world, at, 12);
    world_flush_surely(&world, at);
    world_crash(&world, at);
    world_open(&world, at);
    assert_int_equal(at->node.engine->checkpoint.generation, 1);
    sim_disk_set_space(disk, SIM_SPACE_UNLIMITED);
    assert_int_equal(world_checkpoint(&world, at), CAIRN_OK);
    world_crash(&world, at);
    world_open(&world, at);
    assert_int_equal(at->node.engine->checkpoint.generation, 2);
    world_free(&world);
}

/* ---- The ring is full ---- */

static void test_full_ring(void **state)
{
    (void)state;
    world_init(&world, 8, 1, SEGMENTS);
    struct world_node *at = &world.nodes[0];
    world_open(&world, at);
    no_checkpoints(at);
    fill(at);
    world_flush_surely(&world, at);
    check_refused(at);
    assert_false(goes_on(at, 300 * MS));
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(world_checkpoint(&world, at), CAIRN_OK);
    }
    assert_true(goes_on(at, 300 * MS));
    world_flush_surely(&world, at);
    assert_true(at->node.engine->low_water > 0);
    world_crash(&world, at);
    world_open(&world, at);
    world_free(&world);
}

/* Declarations and members take room too: at a full ring they must leave what is left alone. */
static void test_declarations_in_a_full_ring(void **state)
{
    (void)state;
    char name[32];
    uint32_t space;
    world_init(&world, 9, 1, SEGMENTS);
    struct world_node *at = &world.nodes[0];
    world_open(&world, at);
    no_checkpoints(at);
    fill(at);
    world_flush_surely(&world, at);
    uint64_t staged = at->node.engine->recorder.ring.staged;
    struct member_file other = at->node.member;
    for (uint32_t i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof name, "further-%u", i);
        int result = cairn_space_declare(at->node.engine, name, CAIRN_PNCOUNTER, &space);
        assert_int_equal(result, CAIRN_STORAGE_FULL);
        assert_int_equal(cairn_member_add(at->node.engine, 20 + i, other.public_key),
                         CAIRN_STORAGE_FULL);
    }
    /* What is known needs no room. */
    assert_int_equal(cairn_space_declare(at->node.engine, "sum", CAIRN_PNCOUNTER, &space),
                     CAIRN_OK);
    assert_int_equal(cairn_member_add(at->node.engine, 1, other.public_key), CAIRN_OK);
    assert_int_equal(at->node.engine->recorder.ring.staged, staged);
    world_free(&world);
}

/* ---- Laps ---- */

static void take_all(struct world_node *from, struct world_node *to)
{
    uint64_t applied = 0;
    int result;
    do {
        result = world_exchange(&world, from, to, 16, &applied);
        world_check(&world, result == CAIRN_OK || result == CAIRN_END || result == CAIRN_BUSY ||
                                result == CAIRN_RECLAIMED);
        if (result == CAIRN_BUSY) world_flush_surely(&world, to);
    } while (result != CAIRN_END);
}

/* The export from the beginning: what is recycled is said to be, and the rest comes. */
static void check_reclaimed(struct world_node *at)
{
    uint64_t cursor = 0;
    size_t size = 0;
    uint32_t bundles = 0;
    uint32_t refusals = 0;
    for (;;) {
        uint64_t before = cursor;
        int result = world_export(&world, at, &cursor, &size);
        if (result == CAIRN_END) break;
        world_check(&world, cursor > before);
        refusals += result == CAIRN_RECLAIMED;
        bundles += result == CAIRN_OK;
        world_check(&world, result == CAIRN_OK || result == CAIRN_RECLAIMED);
        world_check(&world, refusals <= 8);
    }
    world_check(&world, bundles > 0);
}

static struct world_node *actor;

static void checkpoint_step(struct world *self)
{
    world_check(self, world_checkpoint(self, actor) == CAIRN_OK);
}

/* With the power cut at any of its calls, when it may be. */
static void take_checkpoint(struct world_node *at, bool with_cuts)
{
    actor = at;
    if (with_cuts) at->node.cut_at = at->node.operations + 1 + prng_below(&world.prng, 24);
    bool done = world_run(&world, checkpoint_step);
    at->node.cut_at = 0;
    if (done) return;
    world_open(&world, at);
    no_checkpoints(at);
    checkpoint_step(&world);
}

/* Both checkpoints of a journal that came round: refused, whether they are rotten or gone. */
static void check_lost_checkpoints(struct world_node *at, bool gone)
{
    struct test_node *node = &at->node;
    world_crash(&world, at);
    for (uint32_t i = 0; i < 2; i++) {
        enum host_file file = HOST_FILE_CHECKPOINT_A + i;
        if (gone) {
            struct host_store *store = &node->store_face;
            assert_int_equal(store->truncate(store->self, file, 0), CAIRN_OK);
            assert_int_equal(store->sync(store->self, file), CAIRN_OK);
        } else {
            sim_disk_rot_file(&node->disk, file, 20, 0x40);
        }
    }
    assert_int_equal(test_node_open(node), CAIRN_CORRUPT);
    /* Not even with the front of the ring rotten as well. */
    sim_disk_rot(&node->disk, 0, 1, 0x40);
    assert_int_equal(test_node_open(node), CAIRN_CORRUPT);
}

static void run_laps(uint64_t seed, bool with_cuts, bool by_itself)
{
    world_init(&world, seed, 2, SEGMENTS);
    world.allows_reclaimed = true;
    world_open(&world, &world.nodes[0]);
    world_open(&world, &world.nodes[1]);
    uint64_t end = LAPS * SEGMENTS * TEST_SEGMENT_BYTES;
    uint32_t rounds = 0;
    while (atomic_load(&world.nodes[0].node.engine->recorder.durable_journal) < end) {
        for (uint32_t i = 0; i < 2; i++) {
            struct world_node *at = &world.nodes[i];
            if (!by_itself) no_checkpoints(at);
            for (uint32_t j = 0; j < 8; j++) {
                int result = world_admit(&world, at, WORLD_BATCH_MAX);
                if (result == CAIRN_BUSY) world_flush_surely(&world, at);
                if (result == CAIRN_STORAGE_FULL) {
                    fail_msg("seed %llu: %s", (unsigned long long)seed,
                             cairn_error_message(at->node.engine));
                }
            }
            take_all(at, &world.nodes[1 - i]);
            if (!by_itself && rounds % 4 == i) take_checkpoint(at, with_cuts);
            /* Only the one that has nothing that the other lacks loses its last facts. */
            if (with_cuts && prng_chance(&world.prng, 1, 20)) {
                world_crash(&world, at);
                world_open(&world, at);
                world_flush_surely(&world, at);
            }
        }
        world_check(&world, ++rounds < 3000);
    }
    world_flush_surely(&world, &world.nodes[0]);
    check_reclaimed(&world.nodes[0]);
    take_all(&world.nodes[0], &world.nodes[1]);
    world_flush_surely(&world, &world.nodes[1]);
    take_all(&world.nodes[1], &world.nodes[0]);
    world_converge(&world);
    world_check(&world, world.reclaimed > 0);
    check_lost_checkpoints(&world.nodes[0], seed % 2 == 0);
    world_free(&world);
}

static void test_laps(void **state)
{
    (void)state;
    run_laps(1, false, false);
    run_laps(2, true, false);
    run_laps(3, false, true);
    run_laps(4, true, true);
}

/* ---- Requests that come again ---- */

static void test_idempotency(void **state)
{
    (void)state;
    world_init(&world, 12, 1, SEGMENTS);
    struct world_node *at = &world.nodes[0];
    uint8_t key[CAIRN_IDEMPOTENCY_KEY_SIZE] = "the same request";
    struct cairn_ticket first = {0};
    struct cairn_value value;
    for (uint32_t life = 0; life < 5; life++) {
        assert_int_equal(test_node_open(&at->node), CAIRN_OK);
        struct cairn_engine *engine = at->node.engine;
        uint32_t space;
        assert_int_equal(cairn_space_declare(engine, "once", CAIRN_GCOUNTER, &space), CAIRN_OK);
        struct cairn_effect effect = {"key", 3, space, CAIRN_ADD, 0, 7};
        struct cairn_fact fact = {.effects = &effect, .idempotency_key = key, .effect_count = 1};
        for (uint32_t i = 0; i < 1000; i++) {
            struct cairn_ticket ticket;
            size_t admitted;
            assert_int_equal(cairn_admit(engine, &fact, 1, &ticket, &admitted), CAIRN_OK);
            assert_int_equal(admitted, 1);
            if (life == 0 && i == 0) first = ticket;
            assert_memory_equal(&ticket.dot, &first.dot, sizeof first.dot);
            assert_int_equal(ticket.position, life == 0 ? first.position : 0);
            assert_int_equal(cairn_wait(engine, ticket.position, 1000), CAIRN_OK);
        }
        effect.amount = 8;
        size_t admitted;
        struct cairn_ticket ticket;
        assert_int_equal(cairn_admit(engine, &fact, 1, &ticket, &admitted),
                         CAIRN_IDEMPOTENCY_MISMATCH);
        assert_int_equal(cairn_read(engine, space, "key", 3, &value), CAIRN_OK);
        assert_int_equal(value.low, 7);
        struct cairn_status status;
        cairn_status(engine, &status);
        assert_int_equal(status.facts_applied, 1);
        if (life == 1 || life == 3) assert_int_equal(cairn_checkpoint(engine), CAIRN_OK);
        if (life % 2 == 0) {
            assert_int_equal(cairn_flush(engine, 1000), CAIRN_OK);
            test_node_crash(&at->node);
        } else {
            assert_int_equal(test_node_close(&at->node), CAIRN_OK);
        }
    }
    world_free(&world);
}

/* ---- Memory ---- */

/* The k-th memory of an open is refused: NO_MEMORY, and nothing is held; then it opens. */
static void test_each_allocation(void **state)
{
    (void)state;
    uint64_t take = 1;
    for (;; take++) {
        world_init(&world, 14, 1, SEGMENTS);
        struct world_node *at = &world.nodes[0];
        world_open(&world, at);
        (void)world_admit(&world, at, 12);
        assert_int_equal(world_checkpoint(&world, at), CAIRN_OK);
        (void)world_admit(&world, at, 12);
        assert_int_equal(test_node_close(&at->node), CAIRN_OK);
        at->node.takes = 0;
        at->node.refused_take = take;
        int result = test_node_open(&at->node);
        bool ends = result == CAIRN_OK;
        if (!ends) {
            assert_int_equal(result, CAIRN_NO_MEMORY);
            assert_int_equal(at->node.refusal.code, CAIRN_NO_MEMORY);
            assert_int_equal(test_blocks_held(&at->node), 0);
            at->node.refused_take = 0;
            world_open(&world, at);
            world_check(&world, world_admit(&world, at, 3) == CAIRN_OK);
        }
        world_free(&world);
        if (ends) break;
    }
    assert_int_equal(take, 4); /* tables, recovery, body of the checkpoint */
}

/* Opens write too: each takes the checkpoint that is due, so none of them fills the ring. */
static void test_opens_alone(void **state)
{
    (void)state;
    struct test_node *node = &world.nodes[0].node;
    uint64_t end = 2 * SEGMENTS * TEST_SEGMENT_BYTES;
    uint64_t position = 0;
    test_node_init(node, 1, SEGMENTS, 9);
    while (position < end) {
        assert_int_equal(test_node_open(node), CAIRN_OK);
        position = atomic_load(&node->engine->recorder.durable_journal);
        test_node_crash(node);
    }
    test_node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_open_on_a_full_disk),
        cmocka_unit_test(test_checkpoint_on_a_full_disk),
        cmocka_unit_test(test_full_ring),
        cmocka_unit_test(test_opens_alone),
        cmocka_unit_test(test_declarations_in_a_full_ring),
        cmocka_unit_test(test_laps),
        cmocka_unit_test(test_idempotency),
        cmocka_unit_test(test_each_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
