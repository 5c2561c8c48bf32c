/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery: the newest whole checkpoint, then the journal from its low water on. Segments are read
 * one ahead, so that reading and applying overlap.
 */
#include <string.h>

#include "base/assert.h"
#include "facts/replay.h"
#include "journal/scan.h"
#include "node/engine.h"

/* A segment is read in pieces that the disk likes. */
#define READ_PIECE_SIZE (1024u * 1024u)
#define READ_PIECES_MAX (HOST_REQUESTS_MAX / 2u)

struct segment_reader {
    struct host_disk *disk;
    struct journal_limits limits;
    uint8_t *buffers[2];
    uint64_t segment[2]; /* what each buffer holds or will hold; UINT64_MAX: nothing */
    uint32_t left[2];    /* pieces that were not read yet */
    uint64_t bytes_read;
    bool failed;
};

struct recovering {
    struct cairn_engine *engine;
    struct segment_reader reader;
    struct journal_scan scan;
    struct replay replay;
    void *memory;
    uint64_t memory_bytes;
};

/* ---- Reading segments ------------------------------------------------------------------------ */

static void reader_collect(struct segment_reader *self)
{
    struct host_completion completions[HOST_REQUESTS_MAX];
    uint32_t count = self->disk->wait(self->disk->self, completions, HOST_REQUESTS_MAX, -1);
    for (uint32_t i = 0; i < count; i++) {
        if (completions[i].result != CAIRN_OK) self->failed = true;
        self->left[completions[i].token]--;
    }
}

static void reader_begin(struct segment_reader *self, uint32_t buffer, uint64_t segment)
{
    struct host_request requests[READ_PIECES_MAX];
    uint32_t file = (uint32_t)(segment % self->limits.segment_count);
    uint64_t size = self->limits.segment_bytes;
    uint64_t piece =
        size / READ_PIECE_SIZE <= READ_PIECES_MAX ? READ_PIECE_SIZE : size / READ_PIECES_MAX;
    if (piece > size) piece = size;
    uint32_t count = (uint32_t)(size / piece);
    self->segment[buffer] = segment;
    self->left[buffer] = count;
    for (uint32_t i = 0; i < count; i++) {
        requests[i] = (struct host_request){.offset = i * piece,
                                            .bytes = self->buffers[buffer] + i * piece,
                                            .size = (uint32_t)piece,
                                            .segment = file,
                                            .kind = HOST_READ,
                                            .token = buffer};
    }
    self->bytes_read += size;
    self->disk->submit(self->disk->self, requests, count);
}

static bool reader_is_prepared(const struct segment_reader *self, uint64_t segment)
{
    uint32_t file = (uint32_t)(segment % self->limits.segment_count);
    return self->disk->is_prepared(self->disk->self, file);
}

/* The segment's bytes, NULL where it was never prepared; begins to read the one after it. */
static const uint8_t *reader_get(struct segment_reader *self, uint64_t segment)
{
    if (!reader_is_prepared(self, segment)) return NULL;
    uint32_t buffer = self->segment[1] == segment ? 1 : 0;
    uint32_t other = 1 - buffer;
    if (self->segment[buffer] != segment) {
        while (self->left[buffer] > 0)
            reader_collect(self);
        reader_begin(self, buffer, segment);
    }
    while (self->left[other] > 0)
        reader_collect(self);
    if (self->segment[other] != segment + 1 && reader_is_prepared(self, segment + 1)) {
        reader_begin(self, other, segment + 1);
    }
    while (self->left[buffer] > 0)
        reader_collect(self);
    return self->buffers[buffer];
}

static void reader_end(struct segment_reader *self)
{
    while (self->left[0] > 0 || self->left[1] > 0)
        reader_collect(self);
}

/* ---- Checkpoint ------------------------------------------------------------------------------ */

static bool read_header(struct cairn_engine *engine, enum host_file file,
                        struct checkpoint_header *header)
{
    uint8_t bytes[CHECKPOINT_HEADER_SIZE];
    struct host_store *store = &engine->host.store;
    uint64_t size = 0;
    if (store->size(store->self, file, &size) != CAIRN_OK) return false;
    if (size < CHECKPOINT_BODY_OFFSET) return false;
    if (store->read(store->self, file, 0, bytes, sizeof bytes) != CAIRN_OK) return false;
    if (!checkpoint_header_decode(header, bytes)) return false;
    return size >= CHECKPOINT_BODY_OFFSET + header->body_size;
}

static int check_header(const struct cairn_engine *engine, const struct checkpoint_header *header,
                        struct refusal *refusal)
{
    const struct member_file *member = &engine->member;
    bool ours = header->slot == member->slot && header->realm == member->realm &&
                memcmp(header->cluster_id, member->cluster_id, CAIRN_CLUSTER_ID_SIZE) == 0;
    if (ours) return CAIRN_OK;
    return refuse(refusal, CAIRN_FOREIGN, "checkpoint of member slot", header->slot, 0);
}

/* Reads the body and checks its address: CORRUPT when it is not whole. Loading comes after. */
static int read_body(struct cairn_engine *engine, enum host_file file,
                     const struct checkpoint_header *header, uint8_t **bytes,
                     struct refusal *refusal)
{
    struct host_store *store = &engine->host.store;
    struct host_system *system = &engine->host.system;
    uint8_t address[ADDRESS_SIZE];
    uint8_t *body = system->memory_take(system->self, header->body_size);
    if (body == NULL) {
        return refuse(refusal, CAIRN_NO_MEMORY, "bytes of memory for a checkpoint",
                      header->body_size, 0);
    }
    int result = store->read(store->self, file, CHECKPOINT_BODY_OFFSET, body, header->body_size);
    if (result == CAIRN_OK) {
        address_of_record(ADDRESS_CHECKPOINT, body, (size_t)header->body_size, address);
        *bytes = body;
        if (memcmp(address, header->body_address, ADDRESS_SIZE) == 0) return CAIRN_OK;
    }
    system->memory_give(system->self, body, header->body_size);
    return CAIRN_CORRUPT;
}

static int load_body(struct cairn_engine *engine, const struct checkpoint_header *header,
                     uint8_t *body, struct refusal *refusal)
{
    struct host_system *system = &engine->host.system;
    int result = checkpoint_decode(&engine->realm, header, body, header->body_size, refusal);
    system->memory_give(system->self, body, header->body_size);
    if (result != CAIRN_OK) return result;
    engine->checkpoint = *header;
    engine->recovery.facts_from_checkpoint = origins_applied(&engine->realm.origins);
    return CAIRN_OK;
}

/*
 * Without a checkpoint the journal must begin at 0: the first checkpoint ever, torn or not yet
 * there, is no loss. Every lap begins a batch at the front of the first segment, so one block
 * tells.
 */
static int check_first_lap(struct cairn_engine *engine, struct refusal *refusal)
{
    struct journal_header header;
    struct host_disk *disk = &engine->host.disk;
    uint8_t *block = engine->scratch;
    for (uint32_t file = 0; file < engine->journal_limits.segment_count; file++) {
        if (!disk->is_prepared(disk->self, file)) continue;
        int result = disk->read(disk->self, file, 0, block, HOST_BLOCK_SIZE);
        if (result != CAIRN_OK) return refuse(refusal, result, "read of segment", file, 0);
        if (!journal_header_decode(&header, block)) continue;
        if (header.position == file * engine->journal_limits.segment_bytes) continue;
        return refuse(refusal, CAIRN_CORRUPT,
                      "checkpoints (missing or damaged, and the journal no longer begins at 0)",
                      header.position, 0);
    }
    return CAIRN_OK;
}

/*
 * Loads the newer of two checkpoints that is whole. The journal is kept from the older one's low
 * water, so that either will do. None is whole: CORRUPT if what they covered was recycled, else
 * nothing is loaded.
 */
static int load_checkpoint(struct cairn_engine *engine, struct refusal *refusal)
{
    struct checkpoint_header headers[2];
    bool valid[2];
    uint64_t size[2] = {0, 0};
    struct host_store *store = &engine->host.store;
    for (uint32_t i = 0; i < 2; i++) {
        enum host_file file = HOST_FILE_CHECKPOINT_A + i;
        int read = store->size(store->self, file, &size[i]);
        if (read != CAIRN_OK) return refuse(refusal, read, "checkpoint file", i, 0);
        valid[i] = read_header(engine, file, &headers[i]);
        if (!valid[i]) continue;
        int result = check_header(engine, &headers[i], refusal);
        if (result != CAIRN_OK) return result;
    }
    engine->low_water = 0;
    for (uint32_t attempt = 0; attempt < 2; attempt++) {
        uint32_t newest = valid[1] && (!valid[0] || headers[1].generation > headers[0].generation);
        if (!valid[newest]) break;
        uint8_t *body = NULL;
        int result =
            read_body(engine, HOST_FILE_CHECKPOINT_A + newest, &headers[newest], &body, refusal);
        if (result == CAIRN_NO_MEMORY) return result;
        if (result != CAIRN_OK) {
            valid[newest] = false;
            continue;
        }
        uint32_t other = 1 - newest;
        engine->low_water = valid[other] && headers[other].generation < headers[newest].generation
                                ? headers[other].low_water
                                : headers[newest].low_water;
        return load_body(engine, &headers[newest], body, refusal);
    }
    return check_first_lap(engine, refusal);
}

/* ---- Journal --------------------------------------------------------------------------------- */

static int replay_batch(struct recovering *self, struct refusal *refusal)
{
    struct journal_record record;
    uint32_t offset = 0;
    const struct journal_scan *scan = &self->scan;
    while (journal_record_next(scan->batch, &scan->header, &offset, &record)) {
        int result = replay_record(&self->replay, record.kind, record.payload, record.size,
                                   scan->header.position, refusal);
        if (result != CAIRN_OK) return result;
    }
    replay_batch_end(&self->replay);
    return CAIRN_OK;
}

static void note_damage(struct cairn_recovery *recovery, const struct journal_scan *scan)
{
    if (recovery->damaged_ranges++ == 0) recovery->damaged_from = scan->damage_from;
    recovery->damaged_to = scan->damage_to;
}

/*
 * Behind low water lie batches that were durable when the checkpoint was made, so the first of them
 * may start the chain. Where low water is the journal's end at that time, nothing there is known to
 * be durable: only the checkpoint's own chain tells a batch of this life from a stale one.
 */
static void begin_scan(struct recovering *self)
{
    const struct cairn_engine *engine = self->engine;
    const struct checkpoint_header *checkpoint = &engine->checkpoint;
    struct journal_tail tail = {0};
    bool at_tail = engine->low_water == 0 || engine->low_water == checkpoint->position;
    if (engine->low_water != 0 && at_tail) {
        tail = (struct journal_tail){.position = checkpoint->position,
                                     .previous_position = checkpoint->previous_position,
                                     .previous_crc = checkpoint->previous_crc,
                                     .epoch = checkpoint->epoch};
    }
    journal_scan_init(&self->scan, &engine->journal_limits, engine->low_water, at_tail, &tail);
}

static int replay_journal(struct recovering *self, struct refusal *refusal)
{
    struct cairn_engine *engine = self->engine;
    begin_scan(self);
    for (;;) {
        int result = CAIRN_OK;
        switch (journal_scan_next(&self->scan)) {
        case JOURNAL_SCAN_WANTS:
            journal_scan_give(&self->scan, reader_get(&self->reader, self->scan.wants));
            break;
        case JOURNAL_SCAN_BATCH: result = replay_batch(self, refusal); break;
        case JOURNAL_SCAN_DAMAGE:
            note_damage(&engine->recovery, &self->scan);
            replay_damage(&self->replay);
            break;
        case JOURNAL_SCAN_END: return CAIRN_OK;
        }
        if (self->reader.failed) {
            return refuse(refusal, CAIRN_STORAGE_FAILED, "read of journal segment",
                          self->scan.wants, 0);
        }
        if (result != CAIRN_OK) return result;
    }
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int take_memory(struct recovering *self, struct refusal *refusal)
{
    struct cairn_engine *engine = self->engine;
    struct host_system *system = &engine->host.system;
    for (uint32_t pass = 0; pass < 2; pass++) {
        struct arena arena;
        arena_init(&arena, self->memory, self->memory_bytes);
        replay_init(&self->replay, &engine->realm, &engine->recorder.index, engine->member.slot,
                    &arena);
        for (uint32_t i = 0; i < 2; i++) {
            self->reader.buffers[i] =
                arena_take(&arena, 1, engine->journal_limits.segment_bytes, HOST_BLOCK_SIZE);
            self->reader.segment[i] = UINT64_MAX;
        }
        if (pass == 1) break;
        self->memory_bytes = arena.used;
        self->memory = system->memory_take(system->self, arena.used);
        if (self->memory == NULL) {
            return refuse(refusal, CAIRN_NO_MEMORY, "bytes of memory for recovery", arena.used, 0);
        }
    }
    self->reader.disk = &engine->host.disk;
    self->reader.limits = engine->journal_limits;
    return CAIRN_OK;
}

/* What the certifier goes on with: the last own link, and the facts that nothing covers yet. */
static void resume_certifier(struct recovering *self)
{
    struct cairn_engine *engine = self->engine;
    struct certifier *certifier = &engine->recorder.certifier;
    const struct fact_run *run = replay_own_run(&self->replay);
    certifier_begin(certifier, self->replay.incarnation, self->replay.head);
    if (run == NULL || run->count == 0 || engine->realm.own == ORIGIN_NONE) return;
    uint64_t applied = engine->realm.origins.clocks[engine->realm.own].applied;
    /* Behind a gap nothing can be certified: the facts before it were lost before they left. */
    if (run->first + run->count - 1 > applied) return;
    uint8_t *ids = certifier->run.ids;
    memcpy(ids, run->ids, (size_t)run->count * ADDRESS_SIZE);
    certifier->run = *run;
    certifier->run.ids = ids;
}

static void fill_recovery(struct recovering *self, uint64_t started_ns)
{
    struct cairn_engine *engine = self->engine;
    struct cairn_recovery *recovery = &engine->recovery;
    const struct replay *replay = &self->replay;
    recovery->facts_applied = replay->applied;
    recovery->certificates_verified = replay->certificates_verified;
    recovery->certificates_bad = replay->certificates_bad;
    recovery->torn_bytes = self->scan.torn_bytes;
    recovery->bytes_read = self->reader.bytes_read;
    uint32_t order[ORIGINS_MAX];
    uint32_t count = origins_sorted(&engine->realm.origins, order);
    for (uint32_t i = 0; i < count; i++) {
        const struct origin_clock *clock = &engine->realm.origins.clocks[order[i]];
        const struct origin *origin = &engine->realm.origins.details[order[i]];
        if (origin->seen <= clock->applied) continue;
        if (recovery->facts_held == 0) {
            recovery->missing =
                (struct cairn_dot){clock->slot, clock->incarnation, clock->applied + 1};
        }
        recovery->facts_held += origin->seen - clock->applied;
    }
    recovery->nanoseconds = engine->host.system.monotonic_ns(engine->host.system.self) - started_ns;
}

/* The realm as it is before any record: this member is known, and its last checkpoint's life. */
static int prepare_realm(struct recovering *self, struct refusal *refusal)
{
    struct cairn_engine *engine = self->engine;
    int result = load_checkpoint(engine, refusal);
    if (result != CAIRN_OK) return result;
    result =
        origins_add_member(&engine->realm.origins, engine->member.slot, engine->member.public_key);
    if (result != CAIRN_OK) return refuse(refusal, result, "own public key", 0, 0);
    if (engine->checkpoint.generation == 0) return CAIRN_OK;
    self->replay.opened = true;
    self->replay.incarnation = engine->checkpoint.incarnation;
    memcpy(self->replay.head, engine->checkpoint.head, ADDRESS_SIZE);
    self->replay.head_incarnation = engine->checkpoint.incarnation;
    engine->realm.incarnation = engine->checkpoint.incarnation;
    engine->realm.own =
        origins_find(&engine->realm.origins, engine->member.slot, engine->checkpoint.incarnation);
    return CAIRN_OK;
}

/*
 * Everything before the checkpoint's position was durable: a journal that ends before it lost files
 * or blocks. The checkpoint holds what they held; writing goes on behind it.
 */
static void check_tail(struct recovering *self, struct journal_tail *tail)
{
    struct cairn_engine *engine = self->engine;
    const struct checkpoint_header *checkpoint = &engine->checkpoint;
    struct cairn_recovery *recovery = &engine->recovery;
    if (checkpoint->generation == 0 || tail->position >= checkpoint->position) return;
    if (recovery->damaged_ranges++ == 0) recovery->damaged_from = tail->position;
    recovery->damaged_to = checkpoint->position;
    tail->position = checkpoint->position;
    tail->previous_position = checkpoint->previous_position;
    tail->previous_crc = checkpoint->previous_crc;
    if (tail->epoch < checkpoint->epoch) tail->epoch = checkpoint->epoch;
}

int engine_recover(struct cairn_engine *engine, struct journal_tail *tail, struct refusal *refusal)
{
    struct recovering self = {.engine = engine};
    struct host_system *system = &engine->host.system;
    uint64_t started_ns = system->monotonic_ns(system->self);
    int result = take_memory(&self, refusal);
    if (result != CAIRN_OK) return result;
    result = prepare_realm(&self, refusal);
    if (result == CAIRN_OK) result = replay_journal(&self, refusal);
    reader_end(&self.reader);
    if (result == CAIRN_OK) {
        resume_certifier(&self);
        engine->realm.incarnation = self.replay.incarnation;
        fill_recovery(&self, started_ns);
        *tail = self.scan.tail;
        check_tail(&self, tail);
    }
    system->memory_give(system->self, self.memory, self.memory_bytes);
    return result;
}
