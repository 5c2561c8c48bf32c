/* SPDX-License-Identifier: Apache-2.0 */
#include "node/recorder.h"

#include <string.h>

#include "base/assert.h"
#include "facts/fact.h"

/* Largest record of a fact, and of a certificate that must still fit behind it. */
#define FACT_RECORD_MAX (JOURNAL_RECORD_HEADER_SIZE + CAIRN_FACT_SIZE_MAX)
#define DRAIN_INTERVAL_NS INT64_C(100000)
#define STORAGE_RETRY_NS INT64_C(100000000)
#define CERTIFICATE_RECORD_MAX (JOURNAL_RECORD_HEADER_SIZE + CERTIFICATE_SIZE_MAX)

void recorder_init(struct recorder *self, struct host *host, const struct journal_limits *limits,
                   uint64_t staging_bytes, uint64_t certificates_max, struct arena *arena)
{
    memset(self, 0, sizeof *self);
    self->host = host;
    struct host_system *system = &host->system;
    self->owner_fences =
        system->barrier_everywhere == NULL || !system->barrier_everywhere(system->self);
    journal_init(&self->journal, limits, arena);
    certificate_index_init(&self->index, certificates_max, arena);
    void *bytes = arena_take(arena, 1, staging_bytes, JOURNAL_BLOCK_SIZE);
    if (bytes != NULL) ring_init(&self->ring, bytes, staging_bytes);
}

/* ---- Publishing ---------------------------------------------------------------------------- */

/* Writes begin and end with an odd and an even version, so that readers see all or nothing. */
static uint32_t publish_begin(struct recorder *self)
{
    uint32_t version = atomic_load_explicit(&self->version, memory_order_relaxed);
    atomic_store_explicit(&self->version, version + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return version + 2;
}

static void publish_end(struct recorder *self, uint32_t version)
{
    atomic_store_explicit(&self->version, version, memory_order_release);
}

static void publish_certified(struct recorder *self, const struct flight *flight)
{
    uint64_t words[ADDRESS_SIZE / 8];
    memcpy(words, flight->link, sizeof words);
    uint32_t version = publish_begin(self);
    atomic_store_explicit(&self->certified_incarnation, flight->incarnation, memory_order_relaxed);
    atomic_store_explicit(&self->certified_last, flight->certified, memory_order_relaxed);
    for (uint32_t i = 0; i < ADDRESS_SIZE / 8; i++) {
        atomic_store_explicit(&self->certified_link[i], words[i], memory_order_relaxed);
    }
    publish_end(self, version);
}

static void publish_tail(struct recorder *self)
{
    struct journal_tail tail = journal_durable_tail(&self->journal);
    uint32_t version = publish_begin(self);
    atomic_store_explicit(&self->tail_position, tail.position, memory_order_relaxed);
    atomic_store_explicit(&self->tail_previous, tail.previous_position, memory_order_relaxed);
    atomic_store_explicit(&self->tail_crc, tail.previous_crc, memory_order_relaxed);
    atomic_store_explicit(&self->tail_epoch, tail.epoch, memory_order_relaxed);
    publish_end(self, version);
}

static void read_durable(const struct recorder *self, struct recorder_durable *durable)
{
    uint64_t words[ADDRESS_SIZE / 8];
    durable->incarnation = atomic_load_explicit(&self->certified_incarnation, memory_order_relaxed);
    durable->certified = atomic_load_explicit(&self->certified_last, memory_order_relaxed);
    for (uint32_t i = 0; i < ADDRESS_SIZE / 8; i++) {
        words[i] = atomic_load_explicit(&self->certified_link[i], memory_order_relaxed);
    }
    memcpy(durable->link, words, sizeof words);
    struct journal_tail *tail = &durable->tail;
    tail->position = atomic_load_explicit(&self->tail_position, memory_order_relaxed);
    tail->previous_position = atomic_load_explicit(&self->tail_previous, memory_order_relaxed);
    tail->previous_crc = atomic_load_explicit(&self->tail_crc, memory_order_relaxed);
    tail->epoch = atomic_load_explicit(&self->tail_epoch, memory_order_relaxed);
}

void recorder_durable(const struct recorder *self, struct recorder_durable *durable)
{
    uint32_t version;
    do {
        version = atomic_load_explicit(&self->version, memory_order_acquire);
        read_durable(self, durable);
        atomic_thread_fence(memory_order_acquire);
    } while ((version & 1) != 0 ||
             version != atomic_load_explicit(&self->version, memory_order_relaxed));
}

static void wake_waiters(struct recorder *self)
{
    atomic_fetch_add_explicit(&self->change, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&self->waiters, memory_order_seq_cst) == 0) return;
    self->host->system.word_wake(self->host->system.self, &self->change);
}

static void publish_flight(struct recorder *self)
{
    struct flight *flight = &self->flights[self->flight_first];
    cairn_assert(flight->ring_end >= atomic_load(&self->durable_ring)); /* N1 */
    if (flight->certified != 0) publish_certified(self, flight);        /* N2 */
    atomic_store_explicit(&self->durable_ring, flight->ring_end, memory_order_release);
    self->flight_first = (self->flight_first + 1) % RECORDER_FLIGHTS_MAX;
    self->flight_count--;
}

/* True: something changed for a waiter. */
static bool publish(struct recorder *self)
{
    bool changed = false;
    uint64_t durable = self->journal.durable_position;
    /* The tail first: who sees a fact durable sees the journal's end behind it. */
    if (durable != atomic_load_explicit(&self->durable_journal, memory_order_relaxed)) {
        publish_tail(self);
        atomic_store_explicit(&self->durable_journal, durable, memory_order_release);
    }
    while (self->flight_count > 0 && self->flights[self->flight_first].next <= durable) {
        publish_flight(self);
        changed = true;
    }
    uint64_t prepared = journal_prepared_bytes(&self->journal);
    if (prepared != atomic_load_explicit(&self->prepared_bytes, memory_order_relaxed)) {
        atomic_store_explicit(&self->prepared_bytes, prepared, memory_order_release);
        changed = true;
    }
    uint32_t full = self->journal.storage_full ? 1 : 0;
    changed |= full != atomic_load_explicit(&self->storage_full, memory_order_relaxed);
    atomic_store_explicit(&self->storage_full, full, memory_order_relaxed);
    if (self->journal.failed && atomic_load(&self->failed) == 0) {
        atomic_store_explicit(&self->failed, 1, memory_order_release);
        changed = true;
    }
    if (changed) wake_waiters(self);
    return changed;
}

/* ---- Journal and disk ---------------------------------------------------------------------- */

/* Tokens of requests: writes by buffer, prepares by segment behind them. */
static void submit(struct recorder *self, const struct journal_outbox *outbox)
{
    struct host_request requests[JOURNAL_OUTBOX_MAX];
    if (outbox->count == 0) return;
    for (uint32_t i = 0; i < outbox->count; i++) {
        const struct journal_action *action = &outbox->actions[i];
        bool is_write = action->kind == JOURNAL_WRITE;
        if (!is_write) self->preparing++;
        requests[i] = (struct host_request){.offset = action->offset,
                                            .bytes = is_write ? action->bytes : NULL,
                                            .size = is_write ? action->size : 0,
                                            .segment = action->segment,
                                            .kind = is_write ? HOST_WRITE : HOST_PREPARE,
                                            .token = is_write ? action->buffer
                                                              : JOURNAL_BUFFERS + action->segment};
    }
    self->host->disk.submit(self->host->disk.self, requests, outbox->count);
}

static void step(struct recorder *self, const struct journal_event *event)
{
    struct journal_outbox outbox = {0};
    journal_step(&self->journal, event, &outbox);
    submit(self, &outbox);
}

static void completed(struct recorder *self, const struct host_completion *completion)
{
    struct journal_event event = {.result = completion->result};
    if (completion->token < JOURNAL_BUFFERS) {
        event.kind = JOURNAL_WRITTEN;
        event.buffer = completion->token;
    } else {
        event.kind = JOURNAL_PREPARED;
        self->preparing--;
        event.segment = completion->token - JOURNAL_BUFFERS;
    }
    step(self, &event);
}

/* Seals the open batch, if a write may start; remembers what it will make durable. */
static void flush(struct recorder *self)
{
    uint64_t before = self->journal.position;
    struct journal_event event = {.kind = JOURNAL_FLUSH};
    /* A full disk is asked again with low water, now and then, not at every turn. */
    if (self->journal.storage_full && !self->open_has_records) return;
    step(self, &event);
    if (self->journal.position == before || !self->open_has_records) return;
    cairn_assert(self->flight_count < RECORDER_FLIGHTS_MAX);
    uint32_t at = (self->flight_first + self->flight_count) % RECORDER_FLIGHTS_MAX;
    self->flights[at] = self->open;
    self->flights[at].next = self->journal.position;
    self->flight_count++;
    self->open.certified = 0;
    self->open_has_records = false;
}

/* ---- Taking what was staged ---------------------------------------------------------------- */

static uint8_t *append(struct recorder *self, uint16_t kind, uint32_t size, uint64_t *position)
{
    self->open_has_records = true;
    return journal_append(&self->journal, kind, size, position);
}

/* Precondition: the open batch has room for the largest certificate. */
static void cut(struct recorder *self)
{
    struct certificate certificate;
    uint8_t bytes[CERTIFICATE_SIZE_MAX];
    uint64_t position;
    certifier_cut(&self->certifier, &certificate);
    atomic_store_explicit(&self->uncertified, 0, memory_order_relaxed);
    uint32_t size = certificate_encode(&certificate, bytes);
    memcpy(append(self, RECORD_CERTIFICATE, size, &position), bytes, size);
    certificate_index_add(&self->index, &certificate, position);
    self->open.certified = certificate_last(&certificate);
    self->open.incarnation = certificate.incarnation;
    memcpy(self->open.link, certificate.link, ADDRESS_SIZE);
}

static bool is_own(const struct recorder *self, const struct ring_entry *entry)
{
    if (entry->kind != RECORD_FACT) return false;
    struct cairn_dot dot = fact_dot(entry->body);
    return dot.slot == self->certifier.slot && dot.incarnation == self->certifier.incarnation;
}

static void index_entry(struct recorder *self, const struct ring_entry *entry, uint64_t position)
{
    struct certificate certificate;
    if (entry->kind == RECORD_FACT) {
        struct cairn_dot dot = fact_dot(entry->body);
        certificate_index_fact(&self->index, dot.slot, dot.incarnation, position);
    } else if (entry->kind == RECORD_CERTIFICATE) {
        int result = certificate_decode(&certificate, entry->body, entry->size);
        cairn_assert(result == CAIRN_OK); /* the realm checked it */
        certificate_index_add(&self->index, &certificate, position);
    }
}

static void take_entry(struct recorder *self, const struct ring_entry *entry)
{
    uint64_t position;
    bool own = is_own(self, entry);
    /* Before the fact that it does not cover: in the journal a certificate ends its run. */
    if (own && certifier_is_full(&self->certifier)) cut(self);
    uint8_t *payload = append(self, (uint16_t)entry->kind, entry->size, &position);
    memcpy(payload, entry->body, entry->size);
    if (own) {
        bool first = certifier_is_empty(&self->certifier);
        certifier_add(&self->certifier, payload, entry->size, self->turn_ns);
        if (first) atomic_store_explicit(&self->uncertified, 1, memory_order_relaxed);
    }
    index_entry(self, entry, position);
}

static bool open_has_room(struct recorder *self)
{
    return journal_room(&self->journal) >= FACT_RECORD_MAX + CERTIFICATE_RECORD_MAX;
}

/* Moves staged entries into the open batch, until the ring or the batch's room ends. */
static bool drain(struct recorder *self)
{
    struct ring_entry entry;
    bool taken = false;
    while (open_has_room(self) && ring_take(&self->ring, &entry)) {
        take_entry(self, &entry);
        self->open.ring_end = entry.end;
        taken = true;
    }
    /* The hashes read the batch's bytes, so they come before it is sealed. */
    certifier_hash(&self->certifier);
    if (taken) {
        ring_release(&self->ring, self->open.ring_end);
        wake_waiters(self); /* who waits for room */
    }
    return taken;
}

static bool cut_if_due(struct recorder *self)
{
    bool requested = atomic_load_explicit(&self->cut_requested, memory_order_acquire) != 0;
    if (requested && certifier_is_empty(&self->certifier) && ring_is_empty(&self->ring)) {
        atomic_store_explicit(&self->cut_requested, 0, memory_order_relaxed);
        return false;
    }
    bool due = certifier_is_due(&self->certifier, self->turn_ns);
    if (!due && !(requested && !certifier_is_empty(&self->certifier))) return false;
    if (journal_room(&self->journal) < CERTIFICATE_RECORD_MAX) return false;
    cut(self);
    return true;
}

/* Low water frees segments; the same low water again makes the journal ask a full disk again. */
static void take_low_water(struct recorder *self)
{
    uint64_t low_water = atomic_load_explicit(&self->low_water, memory_order_acquire);
    bool retry = self->journal.storage_full && self->turn_ns >= self->retry_ns;
    if (low_water <= atomic_load_explicit(&self->low_water_done, memory_order_relaxed) && !retry) {
        return;
    }
    self->retry_ns = self->turn_ns + (uint64_t)STORAGE_RETRY_NS;
    atomic_store_explicit(&self->low_water_done, low_water, memory_order_relaxed);
    struct journal_event event = {.kind = JOURNAL_LOW_WATER, .position = low_water};
    step(self, &event);
}

/* ---- Resting ------------------------------------------------------------------------------- */

static bool has_request(struct recorder *self)
{
    if (!ring_is_empty(&self->ring)) return true;
    if (atomic_load_explicit(&self->stop_requested, memory_order_relaxed) != 0) return true;
    uint64_t done = atomic_load_explicit(&self->low_water_done, memory_order_relaxed);
    if (atomic_load_explicit(&self->low_water, memory_order_relaxed) > done) return true;
    return atomic_load_explicit(&self->cut_requested, memory_order_relaxed) != 0;
}

/* How long a sleep may last: until the next certificate is due. */
static int64_t sleep_ns(const struct recorder *self)
{
    int64_t idle = self->journal.storage_full ? STORAGE_RETRY_NS : -1;
    if (certifier_is_empty(&self->certifier)) return idle;
    uint64_t due = self->certifier.oldest_ns + (uint64_t)CERTIFIER_INTERVAL_NS;
    return due > self->turn_ns ? (int64_t)(due - self->turn_ns) : 1;
}

static uint64_t now(const struct recorder *self)
{
    return self->host->system.monotonic_ns(self->host->system.self);
}

static uint32_t collect(struct recorder *self, int64_t timeout_ns)
{
    struct host_completion completions[HOST_REQUESTS_MAX];
    struct host_disk *disk = &self->host->disk;
    uint32_t count = disk->wait(disk->self, completions, HOST_REQUESTS_MAX, timeout_ns);
    for (uint32_t i = 0; i < count; i++)
        completed(self, &completions[i]);
    return count;
}

/* Is anything on its way to the disk? Then only the disk's wait hears of it. */
static bool is_out(const struct recorder *self)
{
    return self->journal.in_flight > 0 || self->preparing > 0;
}

/* Can a new request be acted on now? Not while all writes are out, or the batch is full. */
static bool can_act(struct recorder *self)
{
    return self->journal.in_flight < JOURNAL_WRITES_IN_FLIGHT && open_has_room(self);
}

/* Before the last look for requests (N3): whoever stages from here on sees that it sleeps. */
static void say_sleeping(struct recorder *self, uint32_t where)
{
    struct host_system *system = &self->host->system;
    atomic_store_explicit(&self->sleeping, where, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (self->owner_fences) return;
    bool done = system->barrier_everywhere(system->self);
    cairn_assert(done); /* it was to be had at init */
}

/* Waits for a completion, a request, or the next certificate's time (N3). */
static void rest_on_disk(struct recorder *self)
{
    if (!can_act(self)) {
        /* Only a completion helps, but what is staged meanwhile can go into the open batch. */
        (void)collect(self, open_has_room(self) ? DRAIN_INTERVAL_NS : STORAGE_RETRY_NS);
        return;
    }
    say_sleeping(self, RECORDER_ON_DISK);
    if (!has_request(self)) (void)collect(self, sleep_ns(self));
    atomic_store_explicit(&self->sleeping, RECORDER_AWAKE, memory_order_relaxed);
}

/*
 * Nothing is out: sleeps without holding the turn, so that the owner may take it (N4). What the
 * owner may have taken in since the timeout was chosen wants its certificate in time, so then the
 * sleep is short.
 */
static void rest_on_bell(struct recorder *self, int64_t timeout_ns, bool stuck)
{
    struct host_system *system = &self->host->system;
    uint32_t seen = atomic_load_explicit(&self->bell, memory_order_relaxed);
    say_sleeping(self, RECORDER_ON_BELL);
    bool request = has_request(self);
    bool taken = atomic_load_explicit(&self->turn_taken, memory_order_acquire) != 0;
    bool uncertified = atomic_load_explicit(&self->uncertified, memory_order_relaxed) != 0;
    if ((taken || (uncertified && !stuck)) &&
        (timeout_ns < 0 || timeout_ns > CERTIFIER_INTERVAL_NS)) {
        timeout_ns = CERTIFIER_INTERVAL_NS;
    }
    /* A request while the owner has the turn is the owner's to see to; one that cannot be acted on,
     * with a failed journal or a full disk, is looked at again now and then. */
    bool stop = atomic_load_explicit(&self->stop_requested, memory_order_relaxed) != 0;
    if (!request || taken || (stuck && !stop))
        system->word_wait(system->self, &self->bell, seen, timeout_ns);
    atomic_store_explicit(&self->sleeping, RECORDER_AWAKE, memory_order_relaxed);
}

void recorder_wake(struct recorder *self)
{
    struct host_system *system = &self->host->system;
    if (atomic_load_explicit(&self->sleeping, memory_order_relaxed) == RECORDER_ON_DISK) {
        self->host->disk.wake(self->host->disk.self);
        return;
    }
    atomic_fetch_add_explicit(&self->bell, 1, memory_order_relaxed);
    system->word_wake(system->self, &self->bell);
}

/* ---- Turns ----------------------------------------------------------------------------------- */

bool recorder_turn(struct recorder *self)
{
    (void)collect(self, 0);
    self->turn_ns = now(self);
    take_low_water(self);
    /* First, so that every flight that is left holds a buffer: no more than the journal has. */
    bool worked = publish(self);
    /* Fill and send batches while there is something to send and a place for it. */
    uint32_t in_flight;
    do {
        bool taken = drain(self);
        bool cut_now = cut_if_due(self);
        worked |= taken || cut_now;
        in_flight = self->journal.in_flight;
        flush(self);
    } while (self->journal.in_flight != in_flight);
    worked |= publish(self);
    return worked;
}

void recorder_turn_alone(struct recorder *self)
{
    if (!recorder_turn(self)) (void)collect(self, DRAIN_INTERVAL_NS);
}

void recorder_settle(struct recorder *self)
{
    /* The buffers are the host's until their writes complete. */
    while (self->journal.in_flight > 0)
        (void)collect(self, -1);
    (void)publish(self);
}

static bool take_turn(struct recorder *self)
{
    uint32_t expected = 0;
    return atomic_compare_exchange_strong_explicit(&self->turn_taken, &expected, 1,
                                                   memory_order_acquire, memory_order_relaxed);
}

static void leave_turn(struct recorder *self)
{
    atomic_store_explicit(&self->turn_taken, 0, memory_order_release);
}

bool recorder_help(struct recorder *self)
{
    if (!take_turn(self)) return false;
    uint64_t consumed = atomic_load_explicit(&self->ring.consumed, memory_order_relaxed);
    bool small = self->ring.staged - consumed <= RECORDER_HELP_BYTES_MAX;
    bool helps = small && !is_out(self) && !ring_is_empty(&self->ring);
    if (helps) {
        (void)recorder_turn(self);
        recorder_settle(self);
    }
    bool out = is_out(self);
    leave_turn(self);
    if (out) recorder_wake(self); /* the thread waits for what is out: a segment */
    return helps;
}

void recorder_run(void *argument)
{
    struct recorder *self = argument;
    bool at_end = false;
    while (!at_end) {
        if (!take_turn(self)) {
            rest_on_bell(self, CERTIFIER_INTERVAL_NS, false);
            continue;
        }
        bool worked = recorder_turn(self);
        at_end = atomic_load_explicit(&self->stop_requested, memory_order_acquire) != 0;
        bool done = !worked && !at_end;
        bool idle = done && !is_out(self);
        /* What came while it rested is seen to by the next turn, before it is idle. */
        if (done && !idle) rest_on_disk(self);
        int64_t timeout_ns = idle ? sleep_ns(self) : 0;
        bool stuck = idle && !can_act(self);
        if (stuck) timeout_ns = STORAGE_RETRY_NS;
        if (at_end) recorder_settle(self);
        leave_turn(self);
        if (idle) rest_on_bell(self, timeout_ns, stuck);
    }
}
