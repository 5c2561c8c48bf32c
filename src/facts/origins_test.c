/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "facts/origins.h"

#define SLOTS 6u
#define INCARNATIONS 12u

/* Slots that meet in one entry of the map, and neighbours of it. */
static const uint32_t slots[SLOTS] = {3, 3 + 256, 3 + 512, 4, 255, UINT32_MAX};

/* The model remembers every origin that was ever there. */
struct model {
    bool live[SLOTS][INCARNATIONS];
    bool folded[SLOTS][INCARNATIONS]; /* every dot of it counts as seen */
    uint64_t applied[SLOTS][INCARNATIONS];
};

static bool model_seen(const struct model *model, uint32_t slot, uint32_t incarnation,
                       uint64_t sequence)
{
    if (model->live[slot][incarnation]) return sequence <= model->applied[slot][incarnation];
    return model->folded[slot][incarnation];
}

static void check(const struct origins *origins, const struct model *model)
{
    uint32_t order[ORIGINS_MAX];
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        uint32_t newest = ORIGIN_NONE;
        for (uint32_t incarnation = 0; incarnation < INCARNATIONS; incarnation++) {
            uint32_t index = origins_find(origins, slots[slot], incarnation);
            assert_int_equal(index != ORIGIN_NONE, model->live[slot][incarnation]);
            count += index != ORIGIN_NONE;
            if (index != ORIGIN_NONE) newest = index;
            for (uint64_t sequence = 1; sequence < 6; sequence++) {
                struct cairn_dot dot = {slots[slot], incarnation, sequence};
                assert_int_equal(origins_has_seen(origins, &dot),
                                 model_seen(model, slot, incarnation, sequence));
            }
        }
        assert_int_equal(origins_newest(origins, slots[slot]), newest);
    }
    assert_int_equal(origins->count, count);
    assert_int_equal(origins_sorted(origins, order), count);
    for (uint32_t i = 1; i < count; i++) {
        const struct origin_clock *a = &origins->clocks[order[i - 1]];
        const struct origin_clock *b = &origins->clocks[order[i]];
        assert_true(a->slot < b->slot || (a->slot == b->slot && a->incarnation < b->incarnation));
    }
    assert_true(origins_are_valid(origins));
}

/* Adds, advances and folds at random; incarnations of a slot come in ascending order. */
static void the_vector_is_exact(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        static struct origins origins;
        struct model model = {0};
        struct prng prng;
        uint32_t next[SLOTS] = {0};
        const uint8_t link[ADDRESS_SIZE] = {1};
        prng_init(&prng, seed);
        origins_init(&origins);
        for (uint32_t step = 0; step < 60; step++) {
            uint32_t slot = (uint32_t)prng_below(&prng, SLOTS);
            uint64_t action = prng_below(&prng, 10);
            if (action < 3 && next[slot] < INCARNATIONS) {
                uint32_t incarnation = next[slot] + (uint32_t)prng_below(&prng, 2);
                if (incarnation >= INCARNATIONS) continue;
                next[slot] = incarnation + 1;
                assert_int_not_equal(origins_add(&origins, slots[slot], incarnation, link),
                                     ORIGIN_NONE);
                model.live[slot][incarnation] = true;
                /* Older than every live one of the slot means folded (O2). */
                bool first = true;
                for (uint32_t i = 0; i < incarnation; i++)
                    first &= !model.live[slot][i];
                for (uint32_t i = 0; first && i < incarnation; i++)
                    model.folded[slot][i] = true;
            } else if (action < 4 && next[slot] > 0) {
                uint32_t incarnation = next[slot] - 1;
                origins_fold(&origins, slots[slot], incarnation);
                for (uint32_t i = 0; i < incarnation; i++) {
                    model.live[slot][i] = false;
                    model.folded[slot][i] = true;
                }
            } else if (origins.count > 0) {
                uint32_t index = (uint32_t)prng_below(&prng, origins.count);
                uint32_t at = 0;
                while (slots[at] != origins.clocks[index].slot)
                    at++;
                origins.clocks[index].applied++;
                model.applied[at][origins.clocks[index].incarnation]++;
            }
            check(&origins, &model);
        }
    }
}

static void the_table_holds_exactly_its_limit(void **state)
{
    static struct origins origins;
    const uint8_t link[ADDRESS_SIZE] = {0};
    (void)state;
    /* Every distance between slots, so that the map is one run and many. */
    for (uint32_t stride = 1; stride <= 256; stride *= 4) {
        origins_init(&origins);
        for (uint32_t i = 0; i < ORIGINS_MAX; i++) {
            assert_int_equal(origins_add(&origins, i * stride, 1, link), i);
        }
        assert_int_equal(origins_add(&origins, ORIGINS_MAX * stride, 1, link), ORIGIN_NONE);
        assert_int_equal(origins.count, ORIGINS_MAX);
        for (uint32_t i = 0; i < ORIGINS_MAX; i++) {
            assert_int_equal(origins_find(&origins, i * stride, 1), i);
            assert_int_equal(origins_find(&origins, i * stride, 2), ORIGIN_NONE);
        }
        assert_true(origins_are_valid(&origins));
    }
}

static void members_keep_their_keys(void **state)
{
    static struct origins origins;
    uint8_t key[SIGNATURE_PUBLIC_KEY_SIZE] = {0};
    (void)state;
    origins_init(&origins);
    for (uint32_t i = 0; i < CAIRN_MEMBERS_MAX; i++) {
        store_u32(key, i);
        assert_null(origins_member(&origins, i * 7));
        assert_int_equal(origins_add_member(&origins, i * 7, key), CAIRN_OK);
        assert_int_equal(origins_add_member(&origins, i * 7, key), CAIRN_OK);
        key[31] ^= 1;
        assert_int_equal(origins_add_member(&origins, i * 7, key), CAIRN_FOREIGN);
        key[31] ^= 1;
        assert_int_equal(origins.member_count, i + 1);
        assert_memory_equal(origins_member(&origins, i * 7)->public_key, key, sizeof key);
    }
    assert_int_equal(origins_add_member(&origins, 1, key), CAIRN_FULL);
    assert_int_equal(origins.member_count, CAIRN_MEMBERS_MAX);
}

/* The digest is of what was applied, not of the order in which it came, nor of empty origins. */
static void the_digest_does_not_depend_on_order(void **state)
{
    static struct origins origins;
    uint8_t digest[ADDRESS_SIZE];
    uint8_t other[ADDRESS_SIZE];
    uint32_t order[16];
    struct prng prng;
    (void)state;
    prng_init(&prng, 5);
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < 16; i++)
            order[i] = i;
        prng_shuffle(&prng, order, 16);
        origins_init(&origins);
        for (uint32_t i = 0; i < 16; i++) {
            uint8_t link[ADDRESS_SIZE] = {0};
            store_u32(link, order[i]); /* the first stays zero: nothing certified */
            assert_int_not_equal(origins_add(&origins, order[i] * 64, 1, link), ORIGIN_NONE);
        }
        origins_digest(&origins, round == 0 ? digest : other);
        if (round > 0) assert_memory_equal(digest, other, ADDRESS_SIZE);
    }
    for (uint32_t i = 0; i < 16; i++) {
        uint8_t *link = origins.details[i].link;
        link[31] ^= 1;
        origins_digest(&origins, other);
        assert_memory_not_equal(digest, other, ADDRESS_SIZE);
        link[31] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_is_exact),
        cmocka_unit_test(the_table_holds_exactly_its_limit),
        cmocka_unit_test(members_keep_their_keys),
        cmocka_unit_test(the_digest_does_not_depend_on_order),
    };
    address_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
