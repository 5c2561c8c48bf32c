/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/journal_world.h"

#include "base/assert.h"
#include "base/bytes.h"

#define FILE_BYTES_MAX 4096u

void sim_journal_world_init(struct sim_journal_world *self, const struct journal_limits *limits,
                            uint64_t seed, struct arena *arena)
{
    memset(self, 0, sizeof *self);
    struct sim_disk_settings settings = {
        .segment_bytes = limits->segment_bytes,
        .segment_count = limits->segment_count,
        .file_bytes_max = FILE_BYTES_MAX,
        .seed = seed,
    };
    sim_disk_init(&self->disk, &settings, arena);
    journal_init(&self->journal, limits, arena);
    self->segment = arena_take(arena, 1, limits->segment_bytes, HOST_BLOCK_SIZE);
    self->payload = arena_take(arena, 1, limits->batch_bytes_max, 8);
    self->records = arena_take(arena, SIM_WORLD_RECORDS_MAX, sizeof *self->records, 8);
    self->cut_records = arena_take(arena, SIM_WORLD_CUT_MAX, sizeof *self->cut_records, 8);
    if (arena->base == NULL) return;
    self->has_low_tail = true; /* all zero */
    prng_init(&self->prng, seed ^ UINT64_C(0x9e3779b97f4a7c15));
    struct host_disk face = sim_disk_face(&self->disk);
    sim_journal_driver_init(&self->driver, &self->journal, &face);
    sim_journal_driver_start(&self->driver, &(struct journal_tail){0}, 0);
    sim_journal_driver_flush(&self->driver);
}

/* The bytes of a record, from its serial alone. */
static void make_payload(uint8_t *bytes, uint64_t serial, uint32_t size)
{
    struct prng prng;
    prng_init(&prng, serial);
    prng_fill(&prng, bytes, size);
    store_u64(bytes, serial);
}

static uint16_t kind_of(uint64_t serial)
{
    return (uint16_t)(serial % 9 + 1);
}

static void note_durable(struct sim_journal_world *self)
{
    while (self->acked < self->count &&
           self->records[self->acked].position < self->journal.durable_position)
        self->acked++;
}

static void check_journal(struct sim_journal_world *self)
{
    cairn_assert(journal_is_valid(&self->journal));
    note_durable(self);
}

/* Forgets the records that were given up, when the memory is full. */
static void make_room(struct sim_journal_world *self)
{
    if (self->count < SIM_WORLD_RECORDS_MAX) return;
    cairn_assert(self->low > 0);
    self->count -= self->low;
    self->acked -= self->low;
    memmove(self->records, self->records + self->low, self->count * sizeof *self->records);
    self->low = 0;
}

static void remember(struct sim_journal_world *self, uint32_t size, uint64_t position)
{
    make_room(self);
    self->records[self->count++] = (struct sim_world_record){
        .position = position,
        .serial = self->next_serial++,
        .size = size,
    };
}

bool sim_journal_world_append(struct sim_journal_world *self, uint32_t size)
{
    uint64_t position;
    make_payload(self->payload, self->next_serial, size);
    bool done = sim_journal_driver_append(&self->driver, kind_of(self->next_serial), self->payload,
                                          size, &position);
    if (done) remember(self, size, position);
    check_journal(self);
    return done;
}

bool sim_journal_world_try_append(struct sim_journal_world *self, uint32_t size)
{
    if (journal_room(&self->journal) < journal_record_size(size)) return false;
    return sim_journal_world_append(self, size);
}

void sim_journal_world_flush(struct sim_journal_world *self)
{
    sim_journal_driver_flush(&self->driver);
    check_journal(self);
}

void sim_journal_world_wait(struct sim_journal_world *self, int64_t timeout_ns)
{
    sim_journal_driver_wait(&self->driver, timeout_ns);
    check_journal(self);
}

bool sim_journal_world_drain(struct sim_journal_world *self)
{
    bool done = sim_journal_driver_drain(&self->driver);
    check_journal(self);
    return done;
}

void sim_journal_world_recycle(struct sim_journal_world *self, uint32_t index)
{
    cairn_assert(index >= self->low && index <= self->acked);
    /* To the start of a batch: that of the record, or where the durable ones end. */
    if (index < self->acked) {
        uint64_t position = self->records[index].position;
        while (index > self->low && self->records[index - 1].position == position)
            index--;
        self->low_water = position;
        self->has_low_tail = false;
    } else {
        self->low_tail = journal_durable_tail(&self->journal);
        self->low_water = self->low_tail.position;
        self->has_low_tail = true;
    }
    self->low = index;
    sim_journal_driver_low_water(&self->driver, self->low_water);
    check_journal(self);
}

/* ---- The check ---- */

static bool record_is_expected(struct sim_journal_world *self,
                               const struct sim_world_record *expected,
                               const struct journal_record *found)
{
    if (found->size != expected->size || found->kind != kind_of(expected->serial)) return false;
    make_payload(self->payload, expected->serial, expected->size);
    return memcmp(found->payload, self->payload, expected->size) == 0;
}

static const char *check_batch(struct sim_journal_world *self, const struct journal_scan *scan,
                               struct sim_world_report *report)
{
    uint32_t offset = 0;
    struct journal_record found;
    while (journal_record_next(scan->batch, &scan->header, &offset, &found)) {
        if (report->reached == self->count) return "W2: a record that was never appended, or cut";
        const struct sim_world_record *expected = &self->records[report->reached];
        if (expected->position != scan->header.position) return "W1: a record is not where it was";
        if (!record_is_expected(self, expected, &found)) return "W1: a record has other bytes";
        report->reached++;
        report->delivered++;
    }
    return NULL;
}

static const char *check_damage(struct sim_journal_world *self, const struct journal_scan *scan,
                                struct sim_world_report *report)
{
    if (scan->damage_from >= scan->damage_to) return "an empty range of damage";
    if (report->damage_count == SIM_WORLD_DAMAGE_MAX) return "too many ranges of damage";
    report->damage[report->damage_count++] =
        (struct sim_world_range){.from = scan->damage_from, .to = scan->damage_to};
    while (report->reached < self->count &&
           self->records[report->reached].position < scan->damage_to) {
        if (self->records[report->reached].position < scan->damage_from)
            return "W1: a record is missing in front of the damage";
        report->reached++;
    }
    return NULL;
}

/* As long as the journal is not open, nothing that was appended since the last recovery was
 * written, and what that one cut may still come back (W2). */
static void take_cut_back(struct sim_journal_world *self)
{
    if (journal_is_open(&self->journal)) return;
    for (uint32_t i = 0; i < self->cut; i++)
        self->records[self->acked + i] = self->cut_records[i];
    self->count = self->acked + self->cut;
    self->cut = 0;
}

void sim_journal_world_scan(struct sim_journal_world *self, struct sim_world_report *report)
{
    take_cut_back(self);
    struct host_disk face = sim_disk_face(&self->disk);
    struct journal_scan scan;
    memset(report, 0, sizeof *report);
    report->reached = self->low;
    journal_scan_init(&scan, &self->journal.limits, self->low_water, self->has_low_tail,
                      self->has_low_tail ? &self->low_tail : NULL);
    while (report->failure == NULL) {
        bool failed;
        enum journal_scan_result result =
            sim_journal_scan_next(&scan, &face, self->segment, &failed);
        if (failed)
            report->failure = "a read failed";
        else if (result == JOURNAL_SCAN_BATCH)
            report->failure = check_batch(self, &scan, report);
        else if (result == JOURNAL_SCAN_DAMAGE)
            report->failure = check_damage(self, &scan, report);
        else
            break;
    }
    report->tail = scan.tail;
    report->torn_bytes = scan.torn_bytes;
    if (report->failure == NULL && report->reached < self->acked)
        report->failure = "W1: a durable record is missing";
}

void sim_journal_world_reopen(struct sim_journal_world *self, const struct sim_world_report *report)
{
    self->cut = self->count - report->reached;
    cairn_assert(self->cut <= SIM_WORLD_CUT_MAX);
    for (uint32_t i = 0; i < self->cut; i++)
        self->cut_records[i] = self->records[report->reached + i];
    self->count = report->reached; /* W2 */
    self->acked = report->reached;
    sim_journal_driver_start(&self->driver, &report->tail, self->low_water);
    sim_journal_driver_flush(&self->driver);
    check_journal(self);
}
