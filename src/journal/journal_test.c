/* SPDX-License-Identifier: Apache-2.0 */
/* The journal as a pure step: random walks against a model that knows only J1 to J9. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "base/result.h"
#include "journal/journal.h"

#define SEGMENT_BYTES (256u * 1024u)
#define SEGMENTS_MAX 7u
#define BLOCKS (SEGMENT_BYTES / JOURNAL_BLOCK_SIZE)
#define NEVER UINT64_MAX

/* What is on its way, and what the disk holds, by the model. */
struct model {
    struct prng prng;
    struct journal journal;
    struct journal_action writes[JOURNAL_WRITES_IN_FLIGHT];
    uint64_t write_positions[JOURNAL_WRITES_IN_FLIGHT];
    uint32_t write_count;
    bool prepare_is_out;
    uint32_t prepare_segment;
    bool prepared[SEGMENTS_MAX];
    uint64_t owner[SEGMENTS_MAX][BLOCKS]; /* position of the block that was written last */
    uint64_t expected_position;           /* J8: of the next batch that is written */
    uint64_t expected_previous;
    uint32_t expected_crc;
    uint64_t start;
    uint64_t durable;       /* J5: as the model has it */
    uint64_t completed[64]; /* ends of completed batches behind it, by their start */
    uint64_t completed_start[64];
    uint32_t completed_count;
    bool failed;
};

static struct model *model;
static uint8_t *memory;
static uint64_t memory_size;

static struct journal_limits limits_of(uint32_t segment_count, uint32_t batch_bytes_max)
{
    return (struct journal_limits){
        .segment_bytes = SEGMENT_BYTES,
        .segment_count = segment_count,
        .batch_bytes_max = batch_bytes_max,
    };
}

static int setup(void **state)
{
    (void)state;
    const struct journal_limits limits = limits_of(4, 64 * 1024);
    struct arena arena;
    model = malloc(sizeof *model);
    assert_non_null(model);
    arena_init(&arena, NULL, 0);
    journal_init(&model->journal, &limits, &arena);
    memory_size = arena.used;
    assert_int_equal(memory_size, JOURNAL_BUFFERS * 64 * 1024);
    memory = aligned_alloc(4096, memory_size);
    assert_non_null(memory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(memory);
    free(model);
    return 0;
}

static bool model_is_prepared(void *argument, uint32_t segment)
{
    const struct model *self = argument;
    return self->prepared[segment];
}

static void start_model(uint64_t seed, uint32_t segment_count, const struct journal_tail *tail,
                        uint64_t low_water)
{
    memset(model, 0, sizeof *model);
    memset(model->owner, 0xff, sizeof model->owner);
    memset(memory, 0xee, memory_size);
    prng_init(&model->prng, seed);
    const struct journal_limits limits = limits_of(segment_count, 64 * 1024);
    struct arena arena;
    arena_init(&arena, memory, memory_size);
    journal_init(&model->journal, &limits, &arena);
    for (uint32_t i = 0; i < segment_count; i++)
        model->prepared[i] = prng_chance(&model->prng, 1, 3);
    journal_start(&model->journal, tail, low_water, model_is_prepared, model);
    assert_true(journal_is_valid(&model->journal));
    model->expected_position = model->journal.position;
    model->start = model->journal.position;
    model->durable = model->journal.position;
    model->expected_previous = tail->previous_position;
    model->expected_crc = tail->previous_crc;
}

static void take_write(const struct journal_action *action)
{
    struct journal_header header;
    uint32_t crc;
    assert_false(model->failed); /* J6 */
    assert_true(model->write_count < JOURNAL_WRITES_IN_FLIGHT);
    assert_true(journal_batch_check(action->bytes, action->size, &header, &crc));
    assert_int_equal(action->size, journal_batch_size(header.records_size)); /* padding included */
    assert_int_equal((uintptr_t)action->bytes % 4096, 0);
    assert_int_equal(header.position, model->expected_position); /* J8 */
    assert_int_equal(header.previous_position, model->expected_previous);
    assert_int_equal(header.previous_crc, model->expected_crc); /* J1 */
    assert_int_equal(header.synced, model->durable);            /* J3 */
    assert_int_equal(header.epoch, model->journal.epoch);
    bool is_first = header.position == model->start;
    assert_int_equal(header.record_count == 0, is_first);
    assert_true(is_first || model->durable > model->start); /* J9 */
    uint32_t count = model->journal.limits.segment_count;
    assert_int_equal(action->segment, header.position / SEGMENT_BYTES % count);
    assert_int_equal(action->offset, header.position % SEGMENT_BYTES);
    assert_true(action->offset + action->size <= SEGMENT_BYTES); /* J2 */
    assert_true(model->prepared[action->segment]);               /* J7 */
    for (uint32_t i = 0; i < action->size / 4096; i++) {
        uint64_t *owner = &model->owner[action->segment][action->offset / 4096 + i];
        assert_true(*owner == NEVER || *owner < model->journal.low_water); /* J4 */
        *owner = header.position + UINT64_C(4096) * i;
    }
    model->expected_position = header.next;
    model->expected_previous = header.position;
    model->expected_crc = crc;
    model->writes[model->write_count] = *action;
    model->write_positions[model->write_count++] = header.position;
    model->completed_start[model->completed_count] = header.position;
    model->completed[model->completed_count++] = NEVER;
}

static void take_prepare(const struct journal_action *action)
{
    assert_false(model->prepare_is_out);
    assert_false(model->failed);
    model->prepare_is_out = true;
    model->prepare_segment = action->segment;
    for (uint32_t i = 0; i < BLOCKS; i++) { /* J4: nothing that is kept is in there */
        uint64_t owner = model->owner[action->segment][i];
        assert_true(owner == NEVER || owner < model->journal.low_water);
    }
}

static void step(const struct journal_event *event)
{
    struct journal_outbox outbox = {.count = 0};
    journal_step(&model->journal, event, &outbox);
    assert_true(journal_is_valid(&model->journal));
    uint32_t writes = 0;
    for (uint32_t i = 0; i < outbox.count; i++) {
        if (outbox.actions[i].kind == JOURNAL_WRITE) {
            take_write(&outbox.actions[i]);
            writes++;
        } else {
            assert_int_equal(outbox.actions[i].kind, JOURNAL_PREPARE);
            take_prepare(&outbox.actions[i]);
        }
    }
    assert_true(writes <= 1 && outbox.count <= 2);
    assert_int_equal(model->journal.durable_position, model->durable); /* J5 */
    assert_int_equal(model->journal.failed, model->failed);
}

static void flush(void)
{
    step(&(struct journal_event){.kind = JOURNAL_FLUSH});
}

/* J5 in the model: the batches that completed, as far as they join. */
static void note_completed(uint64_t position, uint64_t next)
{
    for (uint32_t i = 0; i < model->completed_count; i++)
        if (model->completed_start[i] == position) model->completed[i] = next;
    while (!model->failed && model->completed_count > 0 && model->completed[0] != NEVER) {
        model->durable = model->completed[0];
        model->completed_count--;
        memmove(model->completed, model->completed + 1, sizeof model->completed - 8);
        memmove(model->completed_start, model->completed_start + 1,
                sizeof model->completed_start - 8);
    }
}

static void complete_write(uint32_t index, int32_t result)
{
    struct journal_header header;
    uint32_t buffer = model->writes[index].buffer;
    assert_true(journal_header_decode(&header, model->writes[index].bytes));
    model->write_count--;
    model->writes[index] = model->writes[model->write_count];
    model->write_positions[index] = model->write_positions[model->write_count];
    if (result != CAIRN_OK) model->failed = true;
    note_completed(header.position, header.next);
    step(&(struct journal_event){.kind = JOURNAL_WRITTEN, .buffer = buffer, .result = result});
}

static void complete_prepare(int32_t result)
{
    model->prepare_is_out = false;
    if (result == CAIRN_OK) model->prepared[model->prepare_segment] = true;
    step(&(struct journal_event){
        .kind = JOURNAL_PREPARED, .segment = model->prepare_segment, .result = result});
    assert_int_equal(model->journal.storage_full, result != CAIRN_OK);
}

static bool append(uint32_t size)
{
    uint64_t position;
    if (journal_room(&model->journal) < journal_record_size(size)) return false;
    assert_true(journal_is_valid(&model->journal));
    uint8_t *bytes = journal_append(&model->journal, (uint16_t)(size % 100), size, &position);
    assert_int_equal((uintptr_t)bytes % 8, 0);
    assert_int_equal(position, model->journal.position);
    prng_fill(&model->prng, bytes, size);
    assert_true(journal_is_valid(&model->journal));
    return true;
}

static uint32_t random_size(void)
{
    if (prng_chance(&model->prng, 1, 10)) return (uint32_t)prng_below(&model->prng, 65449);
    return (uint32_t)prng_below(&model->prng, 5000);
}

static void random_step(bool may_fail)
{
    switch (prng_below(&model->prng, 8)) {
    case 0:
    case 1:
    case 2: (void)append(random_size()); break;
    case 3: flush(); break;
    case 4:
    case 5:
        if (model->write_count == 0) break;
        complete_write((uint32_t)prng_below(&model->prng, model->write_count),
                       may_fail && prng_chance(&model->prng, 1, 200) ? CAIRN_STORAGE_FAILED
                                                                     : CAIRN_OK);
        break;
    case 6:
        if (!model->prepare_is_out) break;
        complete_prepare(prng_chance(&model->prng, 1, 5) ? CAIRN_STORAGE_FULL : CAIRN_OK);
        break;
    default: {
        uint64_t low = model->journal.low_water;
        uint64_t above = (model->durable - low) / 4096;
        if (above > 0 && prng_chance(&model->prng, 1, 2))
            low = model->durable;
        else
            low += prng_below(&model->prng, above + 1) * 4096;
        step(&(struct journal_event){.kind = JOURNAL_LOW_WATER, .position = low});
        break;
    }
    }
}

static void test_random_walks(void **state)
{
    (void)state;
    uint64_t laps = 0;
    uint32_t failures = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint32_t segments = 4 + (uint32_t)(seed % 4);
        start_model(seed, segments, &(struct journal_tail){0}, 0);
        for (uint32_t i = 0; i < 3000; i++)
            random_step(seed % 3 == 0);
        laps += model->journal.position / SEGMENT_BYTES / segments;
        failures += model->failed;
    }
    assert_true(laps > 100);
    assert_true(failures > 5);
}

/* J7: records that were accepted by journal_prepared_bytes() can be written, however they are
 * batched, though no segment is prepared and low water does not move any more. */
static void test_what_is_accepted_can_be_written(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        start_model(seed, 5, &(struct journal_tail){0}, 0);
        uint64_t warm_up = prng_below(&model->prng, 300);
        for (uint64_t i = 0; i < warm_up; i++)
            random_step(false);
        uint64_t left = journal_prepared_bytes(&model->journal);
        uint32_t largest = prng_chance(&model->prng, 1, 2) ? 65448 : 3000;
        for (;;) {
            uint32_t size = (uint32_t)prng_below(&model->prng, largest + 1);
            uint64_t charge = journal_batch_size(journal_record_size(size));
            if (charge > left) break;
            left -= charge;
            while (!append(size)) {
                flush();
                if (append(size)) break;
                assert_true(model->write_count > 0);
                complete_write(0, CAIRN_OK);
            }
            if (prng_chance(&model->prng, 1, 3)) flush();
        }
    }
}

/* ---- Directed ---- */

/* Prepares what is asked for, until nothing is, and makes the opening batch durable. */
static void prepare_all(void)
{
    flush();
    while (model->prepare_is_out)
        complete_prepare(CAIRN_OK);
    if (model->write_count > 0) complete_write(0, CAIRN_OK);
}

static void test_segments_ahead(void **state)
{
    (void)state;
    start_model(1, 7, &(struct journal_tail){0}, 0);
    memset(model->prepared, 0, sizeof model->prepared);
    journal_start(&model->journal, &(struct journal_tail){0}, 0, model_is_prepared, model);
    assert_int_equal(journal_room(&model->journal), 0);
    assert_int_equal(journal_prepared_bytes(&model->journal), 0);
    flush();
    assert_true(model->prepare_is_out);
    assert_int_equal(model->prepare_segment, 0);
    flush(); /* one at a time */
    complete_prepare(CAIRN_OK);
    assert_int_equal(model->prepare_segment, 1);
    complete_prepare(CAIRN_OK);
    assert_int_equal(model->prepare_segment, 2);
    complete_prepare(CAIRN_OK);
    assert_false(model->prepare_is_out);
    assert_int_equal(journal_prepared_bytes(&model->journal),
                     UINT64_C(3) * (SEGMENT_BYTES - 64 * 1024 + 4096) - 4096);
}

static void test_refused_prepare_is_asked_for_again(void **state)
{
    (void)state;
    start_model(1, 4, &(struct journal_tail){0}, 0);
    memset(model->prepared, 0, sizeof model->prepared);
    journal_start(&model->journal, &(struct journal_tail){0}, 0, model_is_prepared, model);
    flush();
    complete_prepare(CAIRN_STORAGE_FULL);
    assert_false(model->prepare_is_out); /* not at once, or it would spin */
    assert_true(model->journal.storage_full);
    flush();
    assert_true(model->prepare_is_out);
    complete_prepare(CAIRN_STORAGE_FULL);
    step(&(struct journal_event){.kind = JOURNAL_LOW_WATER, .position = 0});
    assert_true(model->prepare_is_out);
    complete_prepare(CAIRN_OK);
    assert_true(append(100));
}

static void test_group_commit_and_order(void **state)
{
    (void)state;
    start_model(1, 4, &(struct journal_tail){0}, 0);
    prepare_all();
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(append(10));
        flush();
    }
    assert_int_equal(model->write_count, 2);
    assert_true(append(10));
    flush(); /* waits: two are in flight */
    assert_int_equal(model->write_count, 2);
    assert_false(journal_is_idle(&model->journal));
    complete_write(1, CAIRN_OK); /* the later one first */
    assert_int_equal(model->journal.durable_position, 4096);
    assert_true(append(10)); /* joins the batch that waits */
    flush();
    assert_int_equal(model->write_count, 2);
    complete_write(0, CAIRN_OK);
    assert_int_equal(model->journal.durable_position, 12288);
    complete_write(0, CAIRN_OK);
    assert_int_equal(model->journal.durable_position, 16384);
    assert_true(journal_is_idle(&model->journal));
}

static void test_nothing_after_a_failure(void **state)
{
    (void)state;
    start_model(1, 4, &(struct journal_tail){0}, 0);
    prepare_all();
    assert_true(append(10));
    flush();
    assert_true(append(10));
    flush();
    complete_write(1, CAIRN_STORAGE_FAILED);
    complete_write(0, CAIRN_OK); /* J6: not acknowledged either, though it is there */
    assert_int_equal(model->journal.durable_position, 4096);
    assert_int_equal(journal_room(&model->journal), 0);
    flush();
    assert_int_equal(model->write_count, 0);
}

static void test_start_in_a_wrapped_ring(void **state)
{
    (void)state;
    const uint64_t ring = UINT64_C(4) * SEGMENT_BYTES;
    struct journal_tail tail = {
        .position = 3 * ring + 8192,
        .previous_position = 3 * ring,
        .previous_crc = 77,
        .epoch = 9,
    };
    start_model(1, 4, &tail, 2 * ring + 2 * SEGMENT_BYTES + 4096);
    assert_int_equal(model->journal.epoch, 10);
    prepare_all();
    /* Segment 2 holds low water, so only 0 and 1 are free. */
    assert_true(append(10));
    flush();
    complete_write(0, CAIRN_OK);
    assert_int_equal(journal_prepared_bytes(&model->journal),
                     SEGMENT_BYTES - 16384 - 65536 + 4096 + SEGMENT_BYTES - 65536 + 4096);
}

static void test_start_at_the_end_of_a_segment(void **state)
{
    (void)state;
    struct journal_tail tail = {
        .position = 2 * SEGMENT_BYTES,
        .previous_position = 2 * SEGMENT_BYTES - 65536,
        .previous_crc = 77,
        .epoch = UINT32_MAX, /* and there is no next epoch */
    };
    start_model(1, 4, &tail, 0);
    assert_int_equal(model->journal.epoch, UINT32_MAX);
    flush();
    if (model->prepare_is_out) complete_prepare(CAIRN_OK);
    assert_int_equal(model->writes[0].segment, 2);
    assert_int_equal(model->writes[0].offset, 0);
}

static void test_start_in_a_full_ring(void **state)
{
    (void)state;
    const uint64_t ring = UINT64_C(4) * SEGMENT_BYTES;
    struct journal_tail tail = {.position = ring + SEGMENT_BYTES, .previous_position = ring};
    start_model(1, 4, &tail, SEGMENT_BYTES + 4096);
    prepare_all();
    assert_int_equal(journal_room(&model->journal), 0);
    assert_int_equal(journal_prepared_bytes(&model->journal), 0);
    step(&(struct journal_event){.kind = JOURNAL_LOW_WATER, .position = 2 * SEGMENT_BYTES});
    assert_true(model->prepare_is_out);
    assert_int_equal(model->prepare_segment, 1);
    complete_prepare(CAIRN_OK);
    assert_true(append(10));
}

/* J2: with a larger largest batch than before, what is left of the segment may be too small for
 * one; the opening batch is not. */
static void test_start_with_too_little_left(void **state)
{
    (void)state;
    struct journal_tail tail = {.position = SEGMENT_BYTES - 8192, .previous_position = 4096};
    start_model(1, 4, &tail, 0);
    prepare_all();
    assert_int_equal(model->durable, SEGMENT_BYTES);
    assert_true(append(60000));
    flush();
    assert_int_equal(model->writes[0].segment, 1);
}

/* J9 */
static void test_opening_batch_comes_first(void **state)
{
    (void)state;
    start_model(1, 4, &(struct journal_tail){0}, 0);
    assert_int_equal(journal_room(&model->journal), 0); /* nobody has asked for a segment yet */
    flush();
    while (model->prepare_is_out)
        complete_prepare(CAIRN_OK);
    assert_int_equal(model->write_count, 1);
    assert_false(journal_is_open(&model->journal));
    assert_true(append(10)); /* gathers meanwhile */
    flush();
    assert_int_equal(model->write_count, 1);
    complete_write(0, CAIRN_OK);
    assert_true(journal_is_open(&model->journal));
    flush();
    assert_int_equal(model->write_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_walks),
        cmocka_unit_test(test_what_is_accepted_can_be_written),
        cmocka_unit_test(test_segments_ahead),
        cmocka_unit_test(test_refused_prepare_is_asked_for_again),
        cmocka_unit_test(test_group_commit_and_order),
        cmocka_unit_test(test_nothing_after_a_failure),
        cmocka_unit_test(test_start_in_a_wrapped_ring),
        cmocka_unit_test(test_start_at_the_end_of_a_segment),
        cmocka_unit_test(test_start_in_a_full_ring),
        cmocka_unit_test(test_start_with_too_little_left),
        cmocka_unit_test(test_opening_batch_comes_first),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
