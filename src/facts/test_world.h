/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests only: a world of several members in one process, and a sequential model of what they
 * should come to. Include it behind <cmocka.h>, <stdlib.h> and <sys/mman.h>.
 */
#ifndef CAIRN_FACTS_TEST_WORLD_H
#define CAIRN_FACTS_TEST_WORLD_H

#include "facts/test_member.h"

#define MEMBERS_MAX 5u
#define KEYS 12u
#define BUNDLES_MAX 4096u

/* Fewer rounds under a sanitizer. */
static inline uint64_t rounds(uint64_t full)
{
    const char *sanitize = getenv("CAIRN_SANITIZE");
    return sanitize != NULL && sanitize[0] != 0 ? full / 8 + 1 : full;
}

/* ---- Memory -------------------------------------------------------------------------------- */

#define PIECES_MAX 4096u

static struct {
    void *pages;
    size_t size;
} pieces[PIECES_MAX];
static uint32_t piece_count;

static inline void *allocate(uint64_t size)
{
    void *pages =
        mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED && piece_count < PIECES_MAX);
    pieces[piece_count].pages = pages;
    pieces[piece_count++].size = (size_t)size;
    return pages;
}

/* Gives back everything that was taken after the mark. */
static inline void give_back_to(uint32_t mark)
{
    while (piece_count > mark) {
        piece_count--;
        munmap(pieces[piece_count].pages, pieces[piece_count].size);
    }
}

static inline int give_back(void **state)
{
    (void)state;
    give_back_to(0);
    return 0;
}

/* ---- The model: sums by space and key ------------------------------------------------------ */

static const char *const space_names[2] = {"grow", "sum"};

struct model {
    i128 sums[2][KEYS];
    bool touched[2][KEYS];
    uint64_t facts;
};

static inline uint32_t key_of(uint32_t number, uint8_t key[64])
{
    uint32_t size = 1 + number * 5; /* one line and two */
    memset(key, (int)('a' + number), size);
    return size;
}

static inline int compare_addresses(const void *a, const void *b)
{
    return memcmp(a, b, ADDRESS_SIZE);
}

/* The digest of cells, from the model alone. */
static inline void model_digest(const struct model *model, uint8_t digest[ADDRESS_SIZE])
{
    uint8_t addresses[2 * KEYS][ADDRESS_SIZE];
    size_t count = 0;
    for (uint32_t space = 0; space < 2; space++) {
        struct refusal refusal;
        struct space declared;
        int result = space_make(&declared, TEST_REALM, space_names[space], 1 + space, &refusal);
        assert_int_equal(result, CAIRN_OK);
        for (uint32_t number = 0; number < KEYS; number++) {
            uint8_t record[36 + 64];
            if (!model->touched[space][number]) continue;
            uint32_t size = key_of(number, record + 36);
            memcpy(record, declared.id, 16);
            memcpy(record + 16, &model->sums[space][number], 16);
            store_u32(record + 32, size);
            address_of_record(ADDRESS_CELL, record, 36 + size, addresses[count++]);
        }
    }
    qsort(addresses, count, ADDRESS_SIZE, compare_addresses);
    address_of_record(ADDRESS_CELLS, addresses, count * ADDRESS_SIZE, digest);
}

/* ---- The world ----------------------------------------------------------------------------- */

struct world {
    struct model model;
    struct test_pool pool;
    struct test_member *members[MEMBERS_MAX];
    uint32_t member_count;
    uint32_t restarts;
    struct prng prng;
};

static const uint8_t no_link[ADDRESS_SIZE];

/* Members declare their spaces in different orders: handles are no part of any format. */
static inline struct test_member *open_member(const struct test_limits *limits, uint32_t slot,
                                              uint32_t member_count, struct test_pool *pool,
                                              bool swapped)
{
    struct test_member *member = test_member_open(allocate, slot, limits, pool);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t space = swapped ? 1 - i : i;
        (void)test_member_declare(member, space_names[space], 1 + space);
    }
    for (uint32_t other = 1; other <= member_count; other++)
        test_member_knows(member, other);
    return member;
}

static inline uint32_t handle_of(const struct test_member *member, uint32_t space)
{
    return spaces_find_name(&member->realm.spaces, TEST_REALM, space_names[space]);
}

static inline void world_init(struct world *world, uint32_t member_count,
                              const struct test_limits *limits, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    prng_init(&world->prng, seed);
    world->pool.maximum = UINT64_C(8) * 1024 * 1024;
    world->pool.bytes = allocate(world->pool.maximum);
    world->pool.bundles_max = BUNDLES_MAX;
    world->pool.bundles = allocate(BUNDLES_MAX * sizeof *world->pool.bundles);
    world->member_count = member_count;
    for (uint32_t i = 0; i < member_count; i++) {
        struct test_limits own = *limits;
        own.hash_seed = prng_next(&world->prng);
        world->members[i] =
            open_member(&own, i + 1, member_count, &world->pool, prng_chance(&world->prng, 1, 2));
        test_member_begin(world->members[i], 1 + (uint32_t)prng_below(&world->prng, 3), no_link);
    }
}

/* The newest seen dots of other members, some of them. */
static inline uint32_t choose_dependencies(struct world *world, const struct test_member *member,
                                           struct cairn_dot dots[CAIRN_DEPENDENCIES_MAX])
{
    uint32_t count = 0;
    for (uint32_t slot = 1; slot <= world->member_count; slot++) {
        uint32_t index = origins_newest(&member->realm.origins, slot);
        if (slot == member->slot || index == ORIGIN_NONE) continue;
        const struct origin_clock *clock = &member->realm.origins.clocks[index];
        if (clock->applied == 0 || prng_chance(&world->prng, 1, 3)) continue;
        dots[count++] = (struct cairn_dot){slot, clock->incarnation, clock->applied};
    }
    return count;
}

/* Admits one random fact; false when the ring is full. */
static inline bool world_admit(struct world *world, struct test_member *member)
{
    struct cairn_effect effects[CAIRN_EFFECTS_MAX];
    struct cairn_dot dots[CAIRN_DEPENDENCIES_MAX];
    uint8_t keys[CAIRN_EFFECTS_MAX][64];
    uint32_t spaces[CAIRN_EFFECTS_MAX];
    uint32_t numbers[CAIRN_EFFECTS_MAX];
    struct cairn_ticket ticket;
    struct refusal refusal;
    size_t admitted;
    struct cairn_fact fact = {.effects = effects, .dependencies = dots};
    fact.effect_count =
        1 +
        (uint32_t)prng_below(&world->prng, prng_chance(&world->prng, 1, 4) ? CAIRN_EFFECTS_MAX : 1);
    fact.dependency_count = choose_dependencies(world, member, dots);
    for (uint32_t i = 0; i < fact.effect_count; i++) {
        spaces[i] = (uint32_t)prng_below(&world->prng, 2);
        numbers[i] = (uint32_t)prng_below(&world->prng, KEYS);
        int64_t amount = (int64_t)prng_next(&world->prng);
        if (spaces[i] == 0 && amount < 0) amount = ~amount;
        uint32_t size = key_of(numbers[i], keys[i]);
        effects[i] = test_effect(handle_of(member, spaces[i]), keys[i], size, amount);
    }
    int result = realm_admit(&member->realm, &fact, 1, &ticket, &admitted, &refusal);
    if (result == CAIRN_BUSY) return false;
    assert_int_equal(result, CAIRN_OK);
    for (uint32_t i = 0; i < fact.effect_count; i++) {
        world->model.sums[spaces[i]][numbers[i]] += effects[i].amount;
        world->model.touched[spaces[i]][numbers[i]] = true;
    }
    world->model.facts++;
    return true;
}

/* Delivers one bundle; what the ring holds back is released as it is drained. */
static inline int deliver(struct world *world, struct test_member *member,
                          const struct test_bundle *bundle)
{
    uint64_t applied = 0;
    int result = test_member_import(member, bundle->bytes, bundle->size, &applied);
    while (result == CAIRN_BUSY && !ring_is_empty(&member->ring)) {
        struct refusal refusal;
        test_member_drain(member, 1 + prng_below(&world->prng, 8), 0, &world->prng);
        result = realm_release(&member->realm, &applied, &refusal);
        /* A full pending buffer is another matter: the bundle was not kept. */
        if (result == CAIRN_OK) {
            result = test_member_import(member, bundle->bytes, bundle->size, &applied);
        }
    }
    return result;
}

static inline void settle(struct world *world)
{
    for (uint32_t i = 0; i < world->member_count; i++) {
        test_member_drain(world->members[i], UINT64_MAX, 0, &world->prng);
        test_member_cut(world->members[i]);
    }
}

/* A new incarnation in the same process: what is certified is folded away. */
static inline void restart(struct world *world, struct test_member *member)
{
    test_member_drain(member, UINT64_MAX, 0, &world->prng);
    test_member_cut(member);
    uint8_t link[ADDRESS_SIZE];
    memcpy(link, member->certifier.link, ADDRESS_SIZE);
    test_member_begin(member, member->incarnation + 1 + (uint32_t)prng_below(&world->prng, 2),
                      link);
    world->restarts++;
}

/* Members admit, certify, restart and hear of each other at random. */
static inline void world_run(struct world *world, uint64_t steps, uint64_t cut_one_in,
                             uint64_t restart_one_in)
{
    for (uint64_t step = 0; step < steps; step++) {
        struct test_member *member = world->members[prng_below(&world->prng, world->member_count)];
        uint64_t action = prng_below(&world->prng, 8);
        if (action < 4) {
            if (!world_admit(world, member)) {
                test_member_drain(member, 4, cut_one_in, &world->prng);
            }
        } else if (action < 5) {
            test_member_drain(member, 1 + prng_below(&world->prng, 20), cut_one_in, &world->prng);
        } else if (world->pool.count > 0) {
            uint64_t any = prng_below(&world->prng, world->pool.count);
            int result = deliver(world, member, &world->pool.bundles[any]);
            assert_true(result == CAIRN_OK || result == CAIRN_BUSY);
        }
        if (restart_one_in != 0 && prng_chance(&world->prng, 1, restart_one_in)) {
            restart(world, member);
        }
    }
    settle(world);
}

/*
 * Everything in random order, some of it twice, until nothing is missing. What the pending buffer
 * has no room for comes again, as from a peer that is asked again.
 */
static inline void deliver_all(struct world *world, struct test_member *member)
{
    static uint32_t order[BUNDLES_MAX];
    uint32_t count = world->pool.count;
    for (uint32_t pass = 0;; pass++) {
        uint64_t dropped = member->realm.pending.dropped;
        for (uint32_t i = 0; i < count; i++)
            order[i] = i;
        prng_shuffle(&world->prng, order, count);
        for (uint32_t i = 0; i < count; i++) {
            const struct test_bundle *bundle = &world->pool.bundles[order[i]];
            int result = deliver(world, member, bundle);
            assert_true(result == CAIRN_OK || result == CAIRN_BUSY);
            if (prng_chance(&world->prng, 1, 4)) (void)deliver(world, member, bundle);
        }
        if (member->realm.pending.dropped == dropped) break;
        assert_true(pass < 200);
    }
}

/* The member stands where the model stands; its digests are those of the first member. */
static inline void check_member(struct world *world, struct test_member *member,
                                const uint8_t facts_digest[ADDRESS_SIZE])
{
    uint8_t scratch[2 * KEYS * ADDRESS_SIZE];
    uint8_t expected[ADDRESS_SIZE];
    uint8_t digest[ADDRESS_SIZE];
    assert_int_equal(member->realm.pending.count, 0);
    assert_int_equal(member->realm.pending.bytes, 0);
    assert_true(realm_is_valid(&member->realm));
    for (uint32_t space = 0; space < 2; space++) {
        for (uint32_t number = 0; number < KEYS; number++) {
            uint8_t key[64];
            uint32_t size = key_of(number, key);
            struct cell *cell = realm_cell(&member->realm, handle_of(member, space), key, size);
            assert_int_equal(cell != NULL, world->model.touched[space][number]);
            if (cell != NULL) assert_true(cell->sum == world->model.sums[space][number]);
        }
    }
    model_digest(&world->model, expected);
    realm_cells_digest(&member->realm, scratch, digest);
    assert_memory_equal(digest, expected, ADDRESS_SIZE);
    origins_digest(&member->realm.origins, digest);
    assert_memory_equal(digest, facts_digest, ADDRESS_SIZE);
    /* Each fact of the world once, folded incarnations counted in. */
    uint64_t facts = 0;
    for (uint32_t i = 0; i < member->realm.origins.count; i++) {
        facts += member->realm.origins.clocks[i].applied + member->realm.origins.details[i].folded;
    }
    assert_int_equal(facts, world->model.facts);
}

#endif
