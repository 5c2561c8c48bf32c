/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/prng.h"
#include "base/ring.h"

#define ENTRIES_MAX 4096u

/* Lets expect_assert_failure() catch a failed assertion. */
static void on_assert(const char *expression, const char *file, int line)
{
    mock_assert(0, expression, file, line);
}

/* What the ring should hold: entries by number, in four stages. */
struct model {
    struct ring ring;
    uint64_t staged; /* entries, not bytes, from here on */
    uint64_t published;
    uint64_t taken;
    uint64_t released;
    uint64_t position;                      /* bytes that were staged, skips included */
    struct ring_entry entries[ENTRIES_MAX]; /* as taken; sizes and kinds as staged */
    uint64_t ends[ENTRIES_MAX];
};

static void model_init(struct model *self, void *bytes, uint64_t size)
{
    ring_init(&self->ring, bytes, size);
    self->staged = self->published = self->taken = self->released = self->position = 0;
}

static uint8_t body_byte(uint64_t number, uint32_t at)
{
    return (uint8_t)(number * 131 + at * 7 + 1);
}

/* The least end that a next entry can have: R2 computed the slow way. */
static uint64_t end_of_next(const struct model *self, uint32_t body_size)
{
    uint64_t start = self->position;
    uint64_t entry_size = 8 + (body_size + 7u) / 8 * 8;
    uint64_t size = self->ring.size;
    if (start / size != (start + entry_size - 1) / size) start = (start / size + 1) * size;
    return start + entry_size;
}

static bool model_stage(struct model *self, uint32_t body_size)
{
    uint64_t released = self->released ? self->ends[(self->released - 1) % ENTRIES_MAX] : 0;
    uint64_t end = end_of_next(self, body_size);
    bool fits = end - released <= self->ring.size; /* R1 */
    assert_int_equal(ring_has_room(&self->ring, ring_entry_size(body_size)), fits);
    if (!fits) return false;
    uint32_t kind = 1 + (uint32_t)(self->staged % 7);
    uint8_t *body = ring_stage(&self->ring, kind, body_size);
    assert_int_equal((uintptr_t)body & 7, 0);
    assert_true(body >= self->ring.bytes + 8);
    assert_true(body + body_size <= self->ring.bytes + self->ring.size);
    for (uint32_t i = 0; i < body_size; i++)
        body[i] = body_byte(self->staged, i);
    self->entries[self->staged % ENTRIES_MAX] = (struct ring_entry){body, body_size, kind, end};
    self->ends[self->staged % ENTRIES_MAX] = end;
    self->staged++;
    self->position = end;
    return true;
}

static void model_publish(struct model *self)
{
    ring_publish(&self->ring);
    self->published = self->staged;
}

static void check_body(const struct model *self, uint64_t number)
{
    const struct ring_entry *entry = &self->entries[number % ENTRIES_MAX];
    for (uint32_t i = 0; i < entry->size; i++) {
        assert_int_equal(entry->body[i], body_byte(number, i));
    }
}

static void model_take(struct model *self)
{
    struct ring_entry entry;
    bool expected = self->taken < self->published;
    assert_int_equal(ring_is_empty(&self->ring), !expected);
    assert_int_equal(ring_take(&self->ring, &entry), expected);
    if (!expected) return;
    const struct ring_entry *staged = &self->entries[self->taken % ENTRIES_MAX];
    assert_ptr_equal(entry.body, staged->body);
    assert_int_equal(entry.size, staged->size);
    assert_int_equal(entry.kind, staged->kind);
    assert_int_equal(entry.end, staged->end);
    check_body(self, self->taken);
    self->taken++;
}

/* Gives back entries below `number`; their bytes must have been untouched until now. */
static void model_release(struct model *self, uint64_t number)
{
    if (number == self->released) return;
    for (uint64_t i = self->released; i < number; i++)
        check_body(self, i);
    ring_release(&self->ring, self->ends[(number - 1) % ENTRIES_MAX]);
    self->released = number;
}

static void random_sequences_agree_with_the_model(void **state)
{
    (void)state;
    struct model *model = aligned_alloc(64, sizeof *model);
    uint64_t *bytes = malloc(4096);
    struct prng prng;
    prng_init(&prng, 11);
    for (int round = 0; round < 300; round++) {
        uint64_t size = UINT64_C(64) << prng_below(&prng, 7);
        /* Up to half the ring, and in some rounds entries that may never fit. */
        uint64_t body_max = round % 4 == 0 ? size : 1 + prng_below(&prng, size / 2 - 7);
        model_init(model, bytes, size);
        for (int step = 0; step < 1500; step++) {
            uint64_t choice = prng_below(&prng, 10);
            if (choice < 4)
                (void)model_stage(model, (uint32_t)prng_below(&prng, body_max));
            else if (choice < 6)
                model_publish(model);
            else if (choice < 9)
                model_take(model);
            else
                model_release(model, model->released +
                                         prng_below(&prng, model->taken - model->released + 1));
        }
    }
    free(bytes);
    free(model);
}

/* In an empty ring, at every offset: whatever takes at most half of it fits. */
static void half_a_ring_always_fits_an_empty_one(void **state)
{
    (void)state;
    struct model *model = aligned_alloc(64, sizeof *model);
    _Alignas(8) uint8_t bytes[256];
    for (uint64_t size = 64; size <= 256; size *= 2) {
        for (uint64_t offset = 0; offset < size; offset += 8) {
            for (uint32_t body_size = 0; body_size <= size / 2 - 8; body_size++) {
                model_init(model, bytes, size);
                for (uint64_t at = 0; at < offset; at += 8) {
                    assert_true(model_stage(model, 0));
                    model_publish(model);
                    model_take(model);
                    model_release(model, model->taken);
                }
                assert_true(model_stage(model, body_size));
                model_publish(model);
                model_take(model);
                model_take(model); /* and nothing after it */
            }
        }
    }
    free(model);
}

/* All sequences of four sizes out of eight, each published at once or at the end. */
static void all_short_sequences(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 8, 9, 16, 24, 40, 56};
    struct model *model = aligned_alloc(64, sizeof *model);
    _Alignas(8) uint8_t bytes[64];
    for (unsigned sequence = 0; sequence < 8 * 8 * 8 * 8 * 2; sequence++) {
        bool at_once = sequence & 1;
        model_init(model, bytes, sizeof bytes);
        for (unsigned i = 0; i < 4; i++) {
            while (!model_stage(model, sizes[sequence >> (1 + i * 3) & 7])) {
                model_publish(model);
                if (model->released == model->staged) break; /* empty, and yet no room */
                model_take(model);
                model_release(model, model->taken);
            }
            if (at_once) model_publish(model);
        }
        model_publish(model);
        while (model->taken < model->staged)
            model_take(model);
        model_release(model, model->taken);
    }
    free(model);
}

static void nonsense_is_a_defect(void **state)
{
    (void)state;
    struct ring ring;
    struct ring_entry entry;
    _Alignas(8) uint8_t bytes[128];
    expect_assert_failure(ring_init(&ring, bytes, 32));
    expect_assert_failure(ring_init(&ring, bytes, 96));
    expect_assert_failure(ring_init(&ring, bytes + 4, 64));
    ring_init(&ring, bytes, 128);
    expect_assert_failure(ring_release(&ring, 8)); /* not taken yet */
    (void)ring_stage(&ring, 1, 0);
    ring_publish(&ring);
    assert_true(ring_take(&ring, &entry));
    ring_release(&ring, entry.end);
    expect_assert_failure(ring_release(&ring, 0)); /* back */
    store_u32(ring_stage(&ring, 1, 8) - 8, 4096);
    ring_publish(&ring);
    expect_assert_failure(assert_false(ring_take(&ring, &entry))); /* R2 */
}

/* ---- Two threads ----------------------------------------------------------------------------- */

#define SHARED_ENTRIES 100000u
#define SHARED_BODY_MAX 120u

struct shared {
    struct ring ring;
    uint64_t sum_sent;
    uint64_t sum_received;
    uint64_t count_received;
};

static uint64_t checksum(uint64_t sum, uint32_t kind, const uint8_t *body, uint32_t size)
{
    sum = (sum ^ kind) * UINT64_C(0x9e3779b97f4a7c15) + size;
    for (uint32_t i = 0; i < size; i++)
        sum = sum * 31 + body[i];
    return sum;
}

static void *produce(void *argument)
{
    struct shared *shared = argument;
    struct prng prng;
    prng_init(&prng, 12);
    for (uint32_t i = 0; i < SHARED_ENTRIES; i++) {
        uint32_t size = (uint32_t)prng_below(&prng, SHARED_BODY_MAX + 1);
        if (!ring_has_room(&shared->ring, ring_entry_size(size))) {
            ring_publish(&shared->ring); /* else the consumer could wait for ever */
            while (!ring_has_room(&shared->ring, ring_entry_size(size)))
                sched_yield();
        }
        uint8_t *body = ring_stage(&shared->ring, i + 1, size);
        prng_fill(&prng, body, size);
        shared->sum_sent = checksum(shared->sum_sent, i + 1, body, size);
        if (prng_chance(&prng, 1, 3)) ring_publish(&shared->ring);
    }
    ring_publish(&shared->ring);
    return NULL;
}

static void *consume(void *argument)
{
    struct shared *shared = argument;
    struct prng prng;
    prng_init(&prng, 13);
    while (shared->count_received < SHARED_ENTRIES) {
        struct ring_entry entry;
        if (!ring_take(&shared->ring, &entry)) {
            sched_yield();
            continue;
        }
        uint64_t sum = shared->sum_received;
        shared->sum_received = checksum(sum, entry.kind, entry.body, entry.size);
        shared->count_received++;
        /* Late releases too, but always before sleeping on an empty ring. */
        if (prng_chance(&prng, 1, 4) || ring_is_empty(&shared->ring)) {
            ring_release(&shared->ring, entry.end);
        }
    }
    return NULL;
}

static void two_threads_see_the_same_bytes(void **state)
{
    (void)state;
    _Alignas(8) static uint8_t bytes[256];
    static struct shared shared;
    ring_init(&shared.ring, bytes, sizeof bytes);
    pthread_t producer;
    pthread_t consumer;
    assert_int_equal(pthread_create(&producer, NULL, produce, &shared), 0);
    assert_int_equal(pthread_create(&consumer, NULL, consume, &shared), 0);
    for (int i = 0; i < 1000; i++) { /* a third party may look at any time */
        (void)ring_is_empty(&shared.ring);
        sched_yield();
    }
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    assert_int_equal(shared.count_received, SHARED_ENTRIES);
    assert_int_equal(shared.sum_received, shared.sum_sent);
    assert_true(ring_is_empty(&shared.ring));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sequences_agree_with_the_model),
        cmocka_unit_test(half_a_ring_always_fits_an_empty_one),
        cmocka_unit_test(all_short_sequences),
        cmocka_unit_test(nonsense_is_a_defect),
        cmocka_unit_test(two_threads_see_the_same_bytes),
    };
    cairn_assert_hook = on_assert;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
