/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts and failing calls of the disk, at random moments of random work and at every call of a
 * small fixed one: E1 to E7 of test_world.h hold through all of it, and in the end all members
 * have the same facts.
 *
 * CAIRN_SEED=<n> runs that seed alone.
 */
#include "node/test_world.h"

#define SEEDS 1200u
#define SEEDS_SANITIZED 300u
#define STEPS 70u
#define SEGMENTS 14u

static struct world world;
static struct world_node *actor;

/* ---- Random work ----------------------------------------------------------------------------- */

static struct world_node *other_of(struct world_node *node)
{
    return &world.nodes[node == &world.nodes[0]];
}

static void step_exchange(struct world *self)
{
    uint64_t applied = 0;
    struct world_node *to = other_of(actor);
    if (!to->node.is_open) return;
    if (prng_chance(&self->prng, 1, 8)) actor->cursor[to - self->nodes] = 0;
    (void)world_exchange(self, actor, to, 1 + (uint32_t)prng_below(&self->prng, 6), &applied);
}

static void step_close(struct world *self)
{
    bool fails = actor->failed;
    int result = test_node_close(&actor->node);
    if (fails) world_check(self, result == CAIRN_STORAGE_FAILED);
    if (result == CAIRN_OK) {
        struct world_life *life = &self->lives[actor->life];
        life->durable[actor - self->nodes] = life->count;
    }
}

static void step_work(struct world *self)
{
    uint64_t sort = prng_below(&self->prng, 100);
    if (sort < 45) {
        (void)world_admit(self, actor, 1 + (uint32_t)prng_below(&self->prng, WORLD_BATCH_MAX));
    } else if (sort < 55) {
        (void)world_wait(self, actor);
    } else if (sort < 62) {
        (void)world_flush(self, actor);
    } else if (sort < 82) {
        step_exchange(self);
    } else if (sort < 87) {
        (void)world_checkpoint(self, actor);
    } else if (sort < 90) {
        (void)world_declare_extra(self, actor);
    } else if (sort < 93) {
        sim_system_advance(&actor->node.system, prng_below(&self->prng, 6000000));
        engine_pump(actor->node.engine);
    } else if (sort < 96) {
        step_close(self);
    } else {
        engine_pump(actor->node.engine);
    }
}

static void step_open(struct world *self)
{
    (void)world_try_open(self, actor);
}

static void set_faults(struct world_node *node, bool fails)
{
    struct sim_faults faults = {.delay_max = (uint32_t)prng_below(&world.prng, 5),
                                .reorders = prng_chance(&world.prng, 3, 4)};
    uint64_t sort = prng_below(&world.prng, 4);
    uint64_t call = 1 + prng_below(&world.prng, 16);
    if (fails && sort == 0) faults.write_fails = call;
    if (fails && sort == 1) faults.sync_fails = call;
    if (fails && sort == 2) faults.prepare_fails = 1 + call % 3;
    if (fails && sort == 3) faults.read_fails = call;
    sim_disk_set_faults(&node->node.disk, &faults);
}

/* Some fault for the time to come. */
static void arm(void)
{
    uint64_t sort = prng_below(&world.prng, 40);
    if (sort == 0) actor->node.cut_at = actor->node.operations + 1 + prng_below(&world.prng, 40);
    if (sort == 1) set_faults(actor, true);
    if (sort == 2 && actor->node.is_open) world_crash(&world, actor);
}

static void run_step(void)
{
    actor = &world.nodes[prng_below(&world.prng, 2)];
    arm();
    if (!actor->node.is_open) {
        set_faults(actor, prng_chance(&world.prng, 1, 16));
        if (prng_chance(&world.prng, 1, 6)) {
            actor->node.cut_at = actor->node.operations + 1 + prng_below(&world.prng, 24);
        }
        (void)world_run(&world, step_open);
        return;
    }
    if (!world_run(&world, step_work)) return;
    if (!actor->node.is_open || !actor->failed) return;
    world_check_failed(&world, actor);
    if (prng_chance(&world.prng, 1, 2)) {
        world_crash(&world, actor);
    } else {
        step_close(&world);
    }
}

static void end_well(void)
{
    for (uint32_t i = 0; i < world.node_count; i++) {
        struct world_node *node = &world.nodes[i];
        node->node.cut_at = 0;
        sim_disk_set_faults(&node->node.disk, &(struct sim_faults){0});
        if (node->node.is_open) {
            engine_pump(node->node.engine); /* what failed last is seen now */
            world_note_durable(&world, node);
        }
        if (node->node.is_open && node->failed) world_crash(&world, node);
        if (!node->node.is_open) world_open(&world, node);
    }
    world_converge(&world);
}

static void add_counts(struct world *sum, struct sim_disk_counts *disk)
{
    sum->cuts += world.cuts;
    sum->opens += world.opens;
    sum->facts += world.facts;
    sum->lost_facts += world.lost_facts;
    sum->again += world.again;
    sum->bundles += world.bundles;
    sum->failures += world.failures;
    sum->checkpoints += world.checkpoints;
    for (uint32_t i = 0; i < world.node_count; i++) {
        const struct sim_disk_counts *counts = &world.nodes[i].node.disk.counts;
        disk->torn_blocks += counts->torn_blocks;
        disk->cut_requests += counts->cut_requests;
        disk->cut_files += counts->cut_files;
        disk->failed_reads += counts->failed_reads;
        disk->failed_prepares += counts->failed_prepares;
        disk->reordered += counts->reordered;
    }
}

static void test_random_work(void **state)
{
    (void)state;
    static struct world sum;
    struct sim_disk_counts disk = {0};
    const char *alone = getenv("CAIRN_SEED");
    uint64_t first = alone != NULL ? strtoull(alone, NULL, 10) : 0;
    uint64_t count = test_is_sanitized() ? SEEDS_SANITIZED : SEEDS;
    if (alone != NULL) count = 1;
    for (uint64_t seed = first; seed < first + count; seed++) {
        world_init(&world, seed, 2, SEGMENTS);
        for (uint32_t i = 0; i < 2; i++) {
            actor = &world.nodes[i];
            set_faults(actor, prng_chance(&world.prng, 1, 4));
            world_open(&world, actor);
        }
        for (uint32_t i = 0; i < STEPS; i++)
            run_step();
        end_well();
        add_counts(&sum, &disk);
        world_free(&world);
    }
    print_message("%llu seeds: %llu opens, %llu cuts, %llu failures, %llu facts, %llu lost before "
                  "they were durable, %llu tried again, %llu bundles, %llu checkpoints\n",
                  (unsigned long long)count, (unsigned long long)sum.opens,
                  (unsigned long long)sum.cuts, (unsigned long long)sum.failures,
                  (unsigned long long)sum.facts, (unsigned long long)sum.lost_facts,
                  (unsigned long long)sum.again, (unsigned long long)sum.bundles,
                  (unsigned long long)sum.checkpoints);
    if (alone != NULL) return;
    /* The faults happened. */
    assert_true(sum.cuts > count && sum.failures > count / 8 && sum.lost_facts > count);
    assert_true(sum.again > count && sum.checkpoints > count);
    assert_true(disk.torn_blocks > 0 && disk.cut_requests > 0 && disk.cut_files > 0);
    assert_true(disk.failed_reads > 0 && disk.failed_prepares > 0 && disk.reordered > 0);
}

/* ---- Every call of a fixed work -------------------------------------------------------------- */

static void work_step(struct world *self)
{
    uint64_t applied = 0;
    struct world_node *peer = other_of(actor);
    (void)world_admit(self, actor, 8);
    (void)world_flush(self, actor);
    (void)world_exchange(self, peer, actor, 2, &applied);
    (void)world_admit(self, actor, 5);
    (void)world_declare_extra(self, actor);
    (void)world_checkpoint(self, actor);
    (void)world_admit(self, actor, 8);
    (void)world_wait(self, actor);
    (void)world_exchange(self, actor, peer, 1, &applied);
    (void)world_exchange(self, peer, actor, 2, &applied);
    (void)world_checkpoint(self, actor);
    (void)world_admit(self, actor, 6);
    step_close(self);
    if (!world_try_open(self, actor)) return;
    (void)world_exchange(self, actor, peer, 8, &applied);
    (void)world_admit(self, actor, 4);
    (void)world_checkpoint(self, actor);
    (void)world_admit(self, actor, 4);
    (void)world_flush(self, actor);
    (void)world_admit(self, actor, 4);
}

enum fault { CUT, WRITE_FAILS, SYNC_FAILS, READ_FAILS, PREPARE_FAILS, FAULTS };

/* True: the fault happened; false: the work has fewer such calls. */
static bool run_with_fault(enum fault fault, uint64_t call)
{
    world_init(&world, 77, 2, SEGMENTS);
    actor = &world.nodes[1];
    world_open(&world, actor);
    for (uint32_t i = 0; i < 3; i++) {
        (void)world_admit(&world, actor, 6);
        (void)world_flush(&world, actor);
    }
    actor = &world.nodes[0];
    struct sim_disk *disk = &actor->node.disk;
    struct sim_faults faults = {.delay_max = 1, .reorders = true};
    if (fault == CUT) actor->node.cut_at = call;
    if (fault == WRITE_FAILS) faults.write_fails = call;
    if (fault == SYNC_FAILS) faults.sync_fails = call;
    if (fault == READ_FAILS) faults.read_fails = call;
    if (fault == PREPARE_FAILS) faults.prepare_fails = call;
    sim_disk_set_faults(disk, &faults);
    bool goes_on = world_run(&world, step_open);
    if (goes_on && actor->node.is_open) (void)world_run(&world, work_step);
    struct sim_disk_counts *counts = &disk->counts;
    bool struck = world.cuts + counts->failed_writes + counts->failed_syncs + counts->failed_reads +
                      counts->failed_prepares >
                  0;
    if (actor->node.is_open && actor->failed) world_check_failed(&world, actor);
    end_well();
    world_free(&world);
    return struck;
}

static void test_each_call(void **state)
{
    (void)state;
    static const char *const names[FAULTS] = {"cut", "write", "sync", "read", "prepare"};
    uint64_t step = test_is_sanitized() ? 7 : 1;
    for (uint32_t fault = 0; fault < FAULTS; fault++) {
        uint64_t call = 1;
        while (run_with_fault((enum fault)fault, call))
            call += step;
        print_message("%s: each of %llu calls\n", names[fault], (unsigned long long)call - 1);
        assert_true(call > 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_work),
        cmocka_unit_test(test_each_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
