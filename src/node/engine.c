/* SPDX-License-Identifier: Apache-2.0 */
#include "node/engine.h"

#include <string.h>

#include "base/assert.h"
#include "crypto/address.h"

#define DEFAULT_CELLS UINT64_C(1048576)
#define DEFAULT_CELL_BYTES UINT64_C(128)
#define DEFAULT_IDEMPOTENCY_KEYS UINT64_C(65536)
#define DEFAULT_STAGING_BYTES (UINT64_C(1) << 20)
#define DEFAULT_PENDING_BYTES (UINT64_C(16) << 20)
#define DEFAULT_PENDING_BUNDLES UINT64_C(4096)
#define DEFAULT_CERTIFICATES UINT64_C(262144)
#define DEFAULT_JOURNAL_BYTES (UINT64_C(1) << 30)
#define DEFAULT_SEGMENT_BYTES (UINT64_C(16) << 20)
#define DEFAULT_SPACES 256u

#define STAGING_BYTES_MIN (UINT64_C(64) << 10)
#define OPEN_TIMEOUT_MS 10000u
#define NS_PER_MS UINT64_C(1000000)
/* How long a waiter looks before it sleeps: long when the last wait paid, short when not. */
#define WAIT_SPIN_NS_MIN UINT64_C(5000)
#define WAIT_SPIN_NS_MAX UINT64_C(200000)
#define CHECKPOINT_RETRY_NS UINT64_C(100000000) /* after one that failed */
#define WAIT_LOOKS_A_READING 32u /* looks at the word between two readings of the clock */

int engine_refuse(struct cairn_engine *self, int code, const char *field, uint64_t value,
                  uint64_t limit)
{
    return refuse(&self->refusal, code, field, value, limit);
}

static uint64_t ring_bytes(const struct cairn_engine *self)
{
    return self->journal_limits.segment_bytes * self->journal_limits.segment_count;
}

/* ---- Limits -------------------------------------------------------------------------------- */

struct limit_rule {
    const char *field;
    uint64_t value;
    uint64_t minimum;
    uint64_t maximum;
};

static int check_rules(const struct limit_rule *rules, size_t count, struct refusal *refusal)
{
    for (size_t i = 0; i < count; i++) {
        const struct limit_rule *rule = &rules[i];
        if (rule->value < rule->minimum) {
            return refuse(refusal, CAIRN_INVALID_ARGUMENT, rule->field, rule->value, rule->minimum);
        }
        if (rule->value > rule->maximum) {
            return refuse(refusal, CAIRN_TOO_LARGE, rule->field, rule->value, rule->maximum);
        }
    }
    return CAIRN_OK;
}

static uint64_t or_default(uint64_t value, uint64_t default_value)
{
    return value != 0 ? value : default_value;
}

int engine_limits(struct cairn_engine *self, const struct cairn_options *options,
                  struct refusal *refusal)
{
    const struct cairn_limits *given = &options->limits;
    uint64_t cells = or_default(given->cells_max, DEFAULT_CELLS);
    uint64_t cell_bytes = or_default(given->cell_bytes_max, cells * DEFAULT_CELL_BYTES);
    uint64_t keys = or_default(given->idempotency_keys_max, DEFAULT_IDEMPOTENCY_KEYS);
    uint64_t staging = or_default(given->staging_bytes, DEFAULT_STAGING_BYTES);
    uint64_t pending = or_default(given->pending_bytes_max, DEFAULT_PENDING_BYTES);
    uint64_t bundles = or_default(given->pending_bundles_max, DEFAULT_PENDING_BUNDLES);
    uint64_t certificates = or_default(given->certificates_max, DEFAULT_CERTIFICATES);
    uint64_t segment = or_default(given->segment_bytes, DEFAULT_SEGMENT_BYTES);
    uint64_t journal = or_default(given->journal_bytes_max, DEFAULT_JOURNAL_BYTES);
    uint64_t spaces = or_default(given->spaces_max, DEFAULT_SPACES);
    uint64_t members = or_default(given->members_max, CAIRN_MEMBERS_MAX);
    const struct limit_rule rules[] = {
        {"limit cells_max", cells, 1, UINT64_C(1) << 31},
        {"limit cell_bytes_max", cell_bytes, CELL_LINE_SIZE, UINT64_C(1) << 37},
        {"limit idempotency_keys_max", keys, 1, UINT64_C(1) << 30},
        {"limit staging_bytes", staging, STAGING_BYTES_MIN, UINT64_C(1) << 30},
        {"limit pending_bytes_max", pending, CAIRN_BUNDLE_SIZE_MAX, UINT64_C(1) << 36},
        {"limit pending_bundles_max", bundles, 1, UINT64_C(1) << 20},
        {"limit certificates_max", certificates, 16, UINT64_C(1) << 30},
        {"limit segment_bytes", segment, UINT64_C(4) * RECORDER_BATCH_BYTES_MAX, UINT64_C(1) << 30},
        {"limit journal_bytes_max", journal, 4 * segment, JOURNAL_SEGMENTS_MAX * segment},
        {"limit spaces_max", spaces, 1, 65536},
        {"limit members_max", members, 1, CAIRN_MEMBERS_MAX},
    };
    int result = check_rules(rules, sizeof rules / sizeof rules[0], refusal);
    if (result != CAIRN_OK) return result;
    if (!is_power_of_two(staging) || !is_power_of_two(segment)) {
        return refuse(refusal, CAIRN_INVALID_ARGUMENT,
                      "staging_bytes and segment_bytes (powers of two)", 0, 0);
    }
    self->realm_limits = (struct realm_limits){.cells_max = cells,
                                               .cell_bytes_max = cell_bytes,
                                               .idempotency_keys_max = keys,
                                               .pending_bytes_max = pending,
                                               .pending_bundles_max = (uint32_t)bundles,
                                               .spaces_max = (uint32_t)spaces,
                                               .members_max = (uint32_t)members};
    self->journal_limits = (struct journal_limits){.segment_bytes = segment,
                                                   .segment_count = (uint32_t)(journal / segment),
                                                   .batch_bytes_max = RECORDER_BATCH_BYTES_MAX};
    self->staging_bytes = staging;
    self->certificates_max = certificates;
    self->has_journal = options->durability == CAIRN_DURABILITY_JOURNAL;
    self->wait_spin_ns = WAIT_SPIN_NS_MAX;
    self->realtime = (options->flags & CAIRN_OPEN_REALTIME) != 0;
    /* What is staged can always be written: twice the ring for batches that end in padding, and the
     * batches that are open or end before a segment does. */
    self->admit_margin = 2 * staging + 3 * (uint64_t)RECORDER_BATCH_BYTES_MAX;
    return self->has_journal ? engine_check_ring(self, refusal) : CAIRN_OK;
}

int engine_check_ring(const struct cairn_engine *self, struct refusal *refusal)
{
    const struct journal_limits *limits = &self->journal_limits;
    uint64_t ring = ring_bytes(self);
    /* Checkpoints pin three quarters of the ring at most; the last one must let admission go on,
     * though only whole segments are freed. */
    uint64_t least = 4 * (self->admit_margin + 2 * limits->segment_bytes);
    /* What is kept prepared ahead must suffice for admission, or it would wait for ever. */
    uint64_t ahead = JOURNAL_SEGMENTS_AHEAD * (limits->segment_bytes - limits->batch_bytes_max);
    if (self->admit_margin > ahead) {
        return refuse(refusal, CAIRN_TOO_LARGE,
                      "bytes that admission keeps free: twice staging_bytes and 3 MiB (raise "
                      "segment_bytes or lower staging_bytes)",
                      self->admit_margin, ahead);
    }
    if (ring >= least) return CAIRN_OK;
    return refuse(refusal, CAIRN_INVALID_ARGUMENT,
                  "bytes of the journal ring (too few for its segments and staging_bytes)", ring,
                  least);
}

/* ---- Memory -------------------------------------------------------------------------------- */

/* The same calls in a dry run and on real memory. */
static void take_tables(struct cairn_engine *self, struct arena *arena, uint64_t hash_seed)
{
    realm_init(&self->realm, &self->realm_limits, hash_seed, arena);
    if (!self->has_journal) return;
    recorder_init(&self->recorder, &self->host, &self->journal_limits, self->staging_bytes,
                  self->certificates_max, arena);
    certifier_init(&self->recorder.certifier, self->member.realm, self->member.slot,
                   self->member.cluster_id, self->member.seed, arena);
    self->scratch = arena_take(arena, 1, RECORDER_BATCH_BYTES_MAX, JOURNAL_BLOCK_SIZE);
}

uint64_t engine_memory(struct cairn_engine *self, struct cairn_plan *plan)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    take_tables(self, &arena, 0);
    if (plan != NULL) {
        const struct realm_limits *limits = &self->realm_limits;
        uint64_t index = cells_index_bytes(limits->cells_max);
        memset(plan, 0, sizeof *plan);
        plan->memory_bytes = arena.used + sizeof *self;
        plan->cells_bytes = index + limits->cell_bytes_max;
        plan->pending_bytes = limits->pending_bytes_max;
        if (self->has_journal) {
            plan->journal_bytes =
                self->journal_limits.segment_bytes * self->journal_limits.segment_count;
        }
        plan->bytes_per_cell = (double)index / (double)limits->cells_max + CELL_KEY_OFFSET;
    }
    return arena.used;
}

static int take_memory(struct cairn_engine *self, struct refusal *refusal)
{
    struct arena arena;
    uint64_t hash_seed = 0;
    struct host_system *system = &self->host.system;
    self->memory_bytes = engine_memory(self, NULL);
    self->memory = system->memory_take(system->self, self->memory_bytes);
    if (self->memory == NULL) {
        return refuse(refusal, CAIRN_NO_MEMORY, "bytes of memory", self->memory_bytes, 0);
    }
    if (system->entropy(system->self, &hash_seed, sizeof hash_seed) != CAIRN_OK) {
        return refuse(refusal, CAIRN_SYSTEM, "entropy of the system", 0, 0);
    }
    arena_init(&arena, self->memory, self->memory_bytes);
    take_tables(self, &arena, hash_seed);
    memcpy(self->realm.cluster_id, self->member.cluster_id, CAIRN_CLUSTER_ID_SIZE);
    self->realm.realm = self->member.realm;
    self->realm.slot = self->member.slot;
    return CAIRN_OK;
}

static void give_memory(struct cairn_engine *self)
{
    struct host_system *system = &self->host.system;
    if (self->memory != NULL) system->memory_give(system->self, self->memory, self->memory_bytes);
    self->memory = NULL;
}

/* ---- Open and close ------------------------------------------------------------------------ */

static uint64_t wall_ms(const struct cairn_engine *self)
{
    return self->host.system.wall_ms(self->host.system.self);
}

static uint64_t now_ns(const struct cairn_engine *self)
{
    return self->host.system.monotonic_ns(self->host.system.self);
}

static bool is_durable(const struct cairn_engine *self, uint64_t position)
{
    return atomic_load_explicit(&self->recorder.durable_ring, memory_order_acquire) >= position;
}

/* Sleeps until the recorder publishes, or the deadline. */
static void wait_change(struct cairn_engine *self, uint32_t seen, uint64_t deadline_ns)
{
    struct recorder *recorder = &self->recorder;
    struct host_system *system = &self->host.system;
    uint64_t now = now_ns(self);
    if (now >= deadline_ns) return;
    atomic_fetch_add(&recorder->waiters, 1);
    if (atomic_load(&recorder->change) == seen) {
        system->word_wait(system->self, &recorder->change, seen, (int64_t)(deadline_ns - now));
    }
    atomic_fetch_sub(&recorder->waiters, 1);
}

static int stage_record(struct cairn_engine *self, uint32_t kind, const void *bytes, uint32_t size)
{
    struct ring *ring = &self->recorder.ring;
    if (!ring_has_room(ring, ring_entry_size(size))) return CAIRN_BUSY;
    memcpy(ring_stage(ring, kind, size), bytes, size);
    ring_publish(ring);
    recorder_kick(&self->recorder);
    return CAIRN_OK;
}

/* Waits until the certificate up to `last` is durable. */
static int wait_certified(struct cairn_engine *self, uint32_t incarnation, uint64_t last,
                          uint64_t deadline_ns, struct recorder_durable *durable)
{
    struct recorder *recorder = &self->recorder;
    for (;;) {
        uint32_t seen = atomic_load(&recorder->change);
        recorder_durable(recorder, durable);
        if (durable->incarnation == incarnation && durable->certified >= last) return CAIRN_OK;
        if (atomic_load(&recorder->failed) != 0) {
            return engine_refuse(self, CAIRN_STORAGE_FAILED, "journal", 0, 0);
        }
        if (now_ns(self) >= deadline_ns) {
            return engine_refuse(self, CAIRN_TIMEOUT, "wait for a certificate", 0, 0);
        }
        atomic_store(&recorder->cut_requested, 1);
        recorder_kick(recorder);
        if (self->has_thread) {
            wait_change(self, seen, deadline_ns);
        } else {
            recorder_turn_alone(recorder);
        }
    }
}

/*
 * The predecessor's last facts get their certificate before the new incarnation's first fact. Where
 * damage took an earlier certificate, the realm keeps the last link that it could follow; what is
 * missing comes back by import.
 */
static int certify_tail(struct cairn_engine *self)
{
    const struct certifier *certifier = &self->recorder.certifier;
    struct recorder_durable durable;
    if (certifier_is_empty(certifier)) return CAIRN_OK;
    uint32_t incarnation = certifier->incarnation;
    uint64_t last = certifier->run.first + certifier->run.count - 1;
    const struct origin *own = &self->realm.origins.details[self->realm.own];
    bool follows = own->certified + 1 == certifier->run.first &&
                   memcmp(own->link, certifier->link, ADDRESS_SIZE) == 0;
    uint64_t deadline = now_ns(self) + OPEN_TIMEOUT_MS * NS_PER_MS;
    int result = wait_certified(self, incarnation, last, deadline, &durable);
    if (result != CAIRN_OK) return result;
    if (follows) {
        realm_note_certified(&self->realm, incarnation, durable.certified, durable.link);
    }
    return CAIRN_OK;
}

/* Begins the next incarnation; it is durable when this returns. */
static int begin_incarnation(struct cairn_engine *self, struct refusal *refusal)
{
    uint8_t bytes[RECORD_OPEN_SIZE];
    struct certifier *certifier = &self->recorder.certifier;
    uint32_t incarnation = self->realm.incarnation + 1;
    if (incarnation == 0) return refuse(refusal, CAIRN_FULL, "incarnations", UINT32_MAX, 0);
    self->realm.ring = &self->recorder.ring;
    int result = certify_tail(self);
    if (result != CAIRN_OK) return refuse(refusal, result, "first certificate", 0, 0);
    store_u32(bytes, self->member.slot);
    store_u32(bytes + 4, incarnation);
    store_u64(bytes + 8, wall_ms(self));
    memcpy(bytes + 16, self->member.cluster_id, CAIRN_CLUSTER_ID_SIZE);
    memcpy(bytes + 32, certifier->link, ADDRESS_SIZE);
    result = realm_begin(&self->realm, self->member.slot, incarnation, certifier->link);
    if (result != CAIRN_OK) return refuse(refusal, result, "live origins", ORIGINS_MAX, 0);
    certifier_begin(certifier, incarnation, certifier->link);
    result = stage_record(self, RECORD_OPEN, bytes, sizeof bytes);
    if (result == CAIRN_OK) {
        result = engine_wait(self, self->recorder.ring.staged, OPEN_TIMEOUT_MS);
    }
    self->recovery.incarnation = incarnation;
    if (result == CAIRN_OK) return CAIRN_OK;
    if (atomic_load(&self->recorder.storage_full) != 0) result = CAIRN_STORAGE_FULL;
    return refuse(refusal, result, "record that opens the incarnation", incarnation, 0);
}

/* Durability none: facts die with the process, so the incarnation is drawn, not counted. */
static int begin_in_memory(struct cairn_engine *self, struct refusal *refusal)
{
    uint8_t link[ADDRESS_SIZE] = {0};
    uint32_t incarnation = 0;
    struct host_system *system = &self->host.system;
    if (system->entropy(system->self, &incarnation, sizeof incarnation) != CAIRN_OK) {
        return refuse(refusal, CAIRN_SYSTEM, "entropy of the system", 0, 0);
    }
    self->recovery.incarnation = incarnation | 1;
    self->realm.ring = NULL;
    return realm_begin(&self->realm, self->member.slot, incarnation | 1, link);
}

/* Prepares segments from the tail on, as many as the caller wants ready at open. */
static void prepare_ahead(struct cairn_engine *self, const struct journal_tail *tail,
                          uint64_t prepare_bytes)
{
    const struct journal_limits *limits = &self->journal_limits;
    struct host_disk *disk = &self->host.disk;
    uint64_t first = tail->position / limits->segment_bytes;
    uint64_t end = first + prepare_bytes / limits->segment_bytes;
    uint64_t free_end = self->low_water / limits->segment_bytes + limits->segment_count;
    for (uint64_t segment = first; segment < end && segment < free_end; segment++) {
        uint32_t file = (uint32_t)(segment % limits->segment_count);
        struct host_request request = {.segment = file, .kind = HOST_PREPARE, .token = file};
        struct host_completion completion;
        if (disk->is_prepared(disk->self, file)) continue;
        disk->submit(disk->self, &request, 1);
        while (disk->wait(disk->self, &completion, 1, -1) == 0)
            continue;
        if (completion.result != CAIRN_OK) return; /* admission will say so */
    }
}

static bool segment_is_prepared(void *argument, uint32_t segment)
{
    struct host_disk *disk = argument;
    return disk->is_prepared(disk->self, segment);
}

static int open_journal(struct cairn_engine *self, uint64_t prepare_bytes, struct refusal *refusal)
{
    struct journal_tail tail;
    struct recorder *recorder = &self->recorder;
    int result = engine_recover(self, &tail, refusal);
    if (result != CAIRN_OK) return result;
    /* Damage may hide a whole life, but not its epoch: each open has one, so none has fewer. */
    if (self->realm.incarnation < tail.epoch) self->realm.incarnation = tail.epoch;
    prepare_ahead(self, &tail, prepare_bytes);
    journal_start(&recorder->journal, &tail, self->low_water, segment_is_prepared,
                  &self->host.disk);
    engine_plan_checkpoint(self);
    atomic_store(&recorder->low_water_done, self->low_water);
    atomic_store(&recorder->low_water, self->low_water);
    atomic_store(&recorder->durable_journal, recorder->journal.durable_position);
    /* Until the incarnation is durable, the recorder's turns run here. */
    result = begin_incarnation(self, refusal);
    if (result != CAIRN_OK) return result;
    /* Opens write too: without this, a folder that is only read from would fill its ring. */
    engine_take_due_checkpoint(self);
    struct host_system *system = &self->host.system;
    if (system->thread_start == NULL) return CAIRN_OK;
    result = system->thread_start(system->self, recorder_run, recorder, self->realtime);
    if (result != CAIRN_OK) return refuse(refusal, result, "journal thread", 0, 0);
    self->has_thread = true;
    return CAIRN_OK;
}

int engine_open(struct cairn_engine *self, uint64_t prepare_bytes, struct refusal *refusal)
{
    address_init();
    if (!signature_init()) return refuse(refusal, CAIRN_SYSTEM, "libsodium", 0, 0);
    int result = take_memory(self, refusal);
    if (result != CAIRN_OK) goto failed;
    realm_tick(&self->realm, wall_ms(self));
    result = self->has_journal ? open_journal(self, prepare_bytes, refusal)
                               : begin_in_memory(self, refusal);
    if (result != CAIRN_OK) goto failed;
    return CAIRN_OK;
failed:
    engine_abandon(self);
    return result;
}

static void stop_thread(struct cairn_engine *self)
{
    struct host_system *system = &self->host.system;
    if (!self->has_thread) return;
    atomic_store(&self->recorder.stop_requested, 1);
    recorder_kick(&self->recorder);
    system->thread_join(system->self);
    self->has_thread = false;
}

void engine_abandon(struct cairn_engine *self)
{
    stop_thread(self);
    if (self->has_journal && self->memory != NULL) recorder_settle(&self->recorder);
    give_memory(self);
}

int engine_close(struct cairn_engine *self)
{
    int result = CAIRN_OK;
    if (self->has_journal) {
        result = engine_flush(self, OPEN_TIMEOUT_MS);
        if (result == CAIRN_OK) {
            uint64_t facts = self->realm.origins.clocks[self->realm.own].applied;
            result = stage_record(self, RECORD_CLOSE, &facts, sizeof facts);
        }
        if (result == CAIRN_OK) {
            result = engine_wait(self, self->recorder.ring.staged, OPEN_TIMEOUT_MS);
        }
    }
    engine_abandon(self);
    return result;
}

/* ---- Admission and waiting ----------------------------------------------------------------- */

void engine_pump(struct cairn_engine *self)
{
    if (self->has_journal && !self->has_thread) (void)recorder_turn(&self->recorder);
}

static uint64_t kept_bytes(const struct cairn_engine *self)
{
    return atomic_load(&self->recorder.durable_journal) - self->low_water;
}

static bool ring_is_full(const struct cairn_engine *self)
{
    return kept_bytes(self) + 2 * self->admit_margin + self->journal_limits.segment_bytes >
           ring_bytes(self);
}

int engine_refuse_storage(struct cairn_engine *self, uint64_t prepared)
{
    struct recorder *recorder = &self->recorder;
    if (atomic_load(&recorder->failed) != 0) {
        return engine_refuse(self, CAIRN_STORAGE_FAILED, "journal", 0, 0);
    }
    if (atomic_load(&recorder->storage_full) != 0) {
        return engine_refuse(self, CAIRN_STORAGE_FULL, "prepared bytes of the journal", prepared,
                             self->admit_margin);
    }
    if (ring_is_full(self)) {
        return engine_refuse(self, CAIRN_STORAGE_FULL, "bytes kept in the journal ring",
                             kept_bytes(self), ring_bytes(self));
    }
    recorder_kick(recorder);
    return engine_refuse(self, CAIRN_BUSY, "prepared bytes of the journal (more is on its way)",
                         prepared, self->admit_margin);
}

/* Admission goes on after a checkpoint that failed; the next attempt is some batches away. */
static void try_checkpoint(struct cairn_engine *self)
{
    if (engine_checkpoint(self) == CAIRN_OK) return;
    self->checkpoint_due =
        atomic_load(&self->recorder.durable_journal) + 16 * RECORDER_BATCH_BYTES_MAX;
    self->checkpoint_retry_ns = now_ns(self) + CHECKPOINT_RETRY_NS;
}

void engine_take_due_checkpoint(struct cairn_engine *self)
{
    if (atomic_load(&self->recorder.durable_journal) >= self->checkpoint_due) try_checkpoint(self);
}

/*
 * In a small ring whole segments, and what must stay free, leave less than a quarter: then it is
 * full before a checkpoint is due. Nothing is gained by another one when nothing was written since.
 */
static bool checkpoint_helps(const struct cairn_engine *self)
{
    const struct recorder *recorder = &self->recorder;
    if (self->checkpoint_due == UINT64_MAX || !ring_is_full(self)) return false;
    if (now_ns(self) < self->checkpoint_retry_ns) return false;
    return atomic_load(&recorder->failed) == 0 && atomic_load(&recorder->storage_full) == 0 &&
           (atomic_load(&recorder->durable_journal) > self->checkpoint.position ||
            self->low_water < self->checkpoint.low_water);
}

int engine_make_room(struct cairn_engine *self)
{
    struct recorder *recorder = &self->recorder;
    engine_pump(self);
    uint64_t prepared = atomic_load(&recorder->prepared_bytes);
    if (prepared < self->admit_margin && checkpoint_helps(self)) try_checkpoint(self);
    prepared = atomic_load(&recorder->prepared_bytes);
    bool ready = prepared >= self->admit_margin && atomic_load(&recorder->failed) == 0;
    return ready ? CAIRN_OK : engine_refuse_storage(self, prepared);
}

int engine_check_room(struct cairn_engine *self)
{
    struct recorder *recorder = &self->recorder;
    if (!self->has_journal) return CAIRN_OK;
    bool ready = atomic_load(&recorder->prepared_bytes) >= self->admit_margin &&
                 atomic_load(&recorder->failed) == 0;
    int result = ready ? CAIRN_OK : engine_make_room(self);
    return result == CAIRN_BUSY ? CAIRN_OK : result;
}

static int admit_journaled(struct cairn_engine *self, const struct cairn_fact *facts, size_t count,
                           struct cairn_ticket *tickets, size_t *admitted)
{
    struct recorder *recorder = &self->recorder;
    uint64_t position = atomic_load_explicit(&recorder->durable_journal, memory_order_relaxed);
    if (UNLIKELY(position >= self->checkpoint_due)) engine_take_due_checkpoint(self);
    uint64_t prepared = atomic_load_explicit(&recorder->prepared_bytes, memory_order_relaxed);
    uint32_t failed = atomic_load_explicit(&recorder->failed, memory_order_relaxed);
    if (UNLIKELY(prepared < self->admit_margin || failed != 0)) {
        int refused = engine_make_room(self);
        if (refused != CAIRN_OK) {
            if (admitted != NULL) *admitted = 0;
            return refused;
        }
    }
    realm_tick(&self->realm, wall_ms(self));
    int result = realm_admit(&self->realm, facts, count, tickets, admitted, &self->refusal);
    recorder_kick(recorder);
    if (UNLIKELY(!self->has_thread)) engine_pump(self);
    return result;
}

int engine_admit(struct cairn_engine *self, const struct cairn_fact *facts, size_t count,
                 struct cairn_ticket *tickets, size_t *admitted)
{
    if (self->has_journal) return admit_journaled(self, facts, count, tickets, admitted);
    realm_tick(&self->realm, wall_ms(self));
    return realm_admit(&self->realm, facts, count, tickets, admitted, &self->refusal);
}

/*
 * One look of a waiter: takes a turn where there is no thread, spins a little, then sleeps.
 * Spinning saves a wake-up when the answer comes soon, and keeps the journal's thread from a
 * processor when it does not; so the next wait spins only if this one was short.
 */
static void wait_step(struct cairn_engine *self, uint32_t seen, uint64_t start_ns,
                      uint64_t deadline_ns)
{
    if (!self->has_thread) {
        recorder_turn_alone(&self->recorder);
        return;
    }
    if (recorder_help(&self->recorder)) return;
    for (uint32_t i = 0; i < WAIT_LOOKS_A_READING; i++) {
        if (atomic_load_explicit(&self->recorder.change, memory_order_relaxed) != seen) return;
        processor_relax();
    }
    if (now_ns(self) - start_ns < self->wait_spin_ns) return;
    wait_change(self, seen, deadline_ns);
}

static void wait_ended(struct cairn_engine *self, uint64_t start_ns)
{
    bool pays = now_ns(self) - start_ns < WAIT_SPIN_NS_MAX;
    self->wait_spin_ns = pays ? WAIT_SPIN_NS_MAX : WAIT_SPIN_NS_MIN;
}

int engine_wait(struct cairn_engine *self, uint64_t position, uint32_t timeout_ms)
{
    struct recorder *recorder = &self->recorder;
    if (is_durable(self, position)) return CAIRN_OK;
    uint64_t start = now_ns(self);
    uint64_t deadline = start + timeout_ms * NS_PER_MS;
    for (;;) {
        uint32_t seen = atomic_load(&recorder->change);
        if (is_durable(self, position)) break;
        if (atomic_load(&recorder->failed) != 0) {
            return engine_refuse(self, CAIRN_STORAGE_FAILED, "journal", 0, 0);
        }
        if (now_ns(self) >= deadline) {
            return engine_refuse(self, CAIRN_TIMEOUT, "milliseconds", timeout_ms, 0);
        }
        wait_step(self, seen, start, deadline);
    }
    wait_ended(self, start);
    return CAIRN_OK;
}

static bool has_room(struct cairn_engine *self)
{
    struct ring *ring = &self->recorder.ring;
    uint64_t consumed = atomic_load_explicit(&ring->consumed, memory_order_acquire);
    uint64_t prepared = atomic_load_explicit(&self->recorder.prepared_bytes, memory_order_acquire);
    return ring->staged - consumed <= ring->size / 2 && prepared >= self->admit_margin;
}

int engine_wait_room(struct cairn_engine *self, uint32_t timeout_ms)
{
    struct recorder *recorder = &self->recorder;
    uint64_t start = now_ns(self);
    uint64_t deadline = start + timeout_ms * NS_PER_MS;
    for (;;) {
        uint32_t seen = atomic_load(&recorder->change);
        if (atomic_load(&recorder->failed) == 0 && has_room(self)) break;
        int result = engine_check_room(self);
        if (result != CAIRN_OK) return result;
        if (now_ns(self) >= deadline) {
            return engine_refuse(self, CAIRN_TIMEOUT, "milliseconds", timeout_ms, 0);
        }
        wait_step(self, seen, start, deadline);
    }
    wait_ended(self, start);
    return CAIRN_OK;
}

void engine_note_certified(struct cairn_engine *self)
{
    struct recorder_durable durable;
    recorder_durable(&self->recorder, &durable);
    if (durable.certified == 0 || durable.incarnation != self->realm.incarnation) return;
    realm_note_certified(&self->realm, durable.incarnation, durable.certified, durable.link);
}

int engine_flush(struct cairn_engine *self, uint32_t timeout_ms)
{
    struct recorder_durable durable;
    uint64_t deadline = now_ns(self) + timeout_ms * NS_PER_MS;
    const struct origin_clock *own = &self->realm.origins.clocks[self->realm.own];
    if (own->applied > 0) {
        int result =
            wait_certified(self, self->realm.incarnation, own->applied, deadline, &durable);
        if (result != CAIRN_OK) return result;
    }
    engine_note_certified(self);
    return engine_wait(self, self->recorder.ring.staged, timeout_ms);
}
