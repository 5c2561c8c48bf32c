/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles out of the journal, bundles into the realm, and checkpoints. */
#include <string.h>

#include "base/assert.h"
#include "facts/fact.h"
#include "node/engine.h"

#define TIMEOUT_MS 10000u
#define NS_PER_MS UINT64_C(1000000)

/* ---- Export ---------------------------------------------------------------------------------- */

struct bundle_writer {
    uint8_t *buffer;
    uint64_t size; /* room for facts ends here */
    uint64_t used;
    uint64_t next; /* sequence of the next fact */
    const struct certificate_place *place;
    const uint8_t *certificate; /* found in the batch at place->position */
    uint32_t certificate_size;
};

/* Reads the batch at the position into the scratch buffer and checks it. */
static int read_batch(struct cairn_engine *self, uint64_t position, struct journal_header *header)
{
    struct host_disk *disk = &self->host.disk;
    const struct journal_limits *limits = &self->journal_limits;
    uint32_t segment = (uint32_t)(position / limits->segment_bytes % limits->segment_count);
    uint64_t offset = position & (limits->segment_bytes - 1);
    uint32_t crc;
    int result = disk->read(disk->self, segment, offset, self->scratch, HOST_BLOCK_SIZE);
    if (result != CAIRN_OK) return engine_refuse(self, result, "read of the journal", position, 0);
    if (!journal_header_decode(header, self->scratch) || header->position != position ||
        journal_batch_size(header->records_size) > limits->batch_bytes_max) {
        return engine_refuse(self, CAIRN_CORRUPT, "batch at journal position", position, 0);
    }
    uint32_t size = journal_batch_size(header->records_size);
    if (size > HOST_BLOCK_SIZE) {
        result = disk->read(disk->self, segment, offset + HOST_BLOCK_SIZE,
                            self->scratch + HOST_BLOCK_SIZE, size - HOST_BLOCK_SIZE);
        if (result != CAIRN_OK) {
            return engine_refuse(self, result, "read of the journal", position, 0);
        }
    }
    if (!journal_batch_check(self->scratch, size, header, &crc)) {
        return engine_refuse(self, CAIRN_CORRUPT, "batch at journal position", position, 0);
    }
    return CAIRN_OK;
}

static bool is_of_run(const struct bundle_writer *writer, const uint8_t *fact)
{
    struct cairn_dot dot = fact_dot(fact);
    return dot.slot == writer->place->slot && dot.incarnation == writer->place->incarnation &&
           dot.sequence == writer->next &&
           writer->next < writer->place->first + writer->place->count;
}

static bool is_certificate_of(const struct certificate_place *place, const uint8_t *bytes,
                              uint32_t size)
{
    struct certificate certificate;
    if (certificate_decode(&certificate, bytes, size) != CAIRN_OK) return false;
    return certificate.slot == place->slot && certificate.incarnation == place->incarnation &&
           certificate.first == place->first;
}

/* Takes the facts of the run out of the batch in the scratch buffer. */
static int collect_batch(struct cairn_engine *self, const struct journal_header *header,
                         struct bundle_writer *writer)
{
    struct journal_record record;
    uint32_t offset = 0;
    writer->certificate = NULL;
    while (journal_record_next(self->scratch, header, &offset, &record)) {
        if (record.kind == RECORD_FACT && is_of_run(writer, record.payload)) {
            if (writer->used + record.size > writer->size) {
                return engine_refuse(self, CAIRN_TOO_LARGE, "size of the bundle",
                                     writer->used + record.size, writer->size);
            }
            memcpy(writer->buffer + writer->used, record.payload, record.size);
            writer->used += record.size;
            writer->next++;
        }
        if (record.kind == RECORD_CERTIFICATE && header->position == writer->place->position &&
            is_certificate_of(writer->place, record.payload, record.size)) {
            writer->certificate = record.payload;
            writer->certificate_size = record.size;
        }
    }
    return CAIRN_OK;
}

/* The facts come first, behind a gap for the largest certificate, then move up to the real one. */
static int read_bundle(struct cairn_engine *self, const struct certificate_place *place,
                       uint8_t *buffer, uint64_t size, size_t *written)
{
    struct journal_header header;
    struct bundle_writer writer = {.buffer = buffer,
                                   .size = size,
                                   .used = CERTIFICATE_SIZE_MAX,
                                   .next = place->first,
                                   .place = place};
    for (uint64_t position = place->facts_position;;) {
        int result = read_batch(self, position, &header);
        if (result == CAIRN_OK) result = collect_batch(self, &header, &writer);
        if (result != CAIRN_OK) return result;
        if (position >= place->position) break;
        position = header.next;
    }
    if (writer.next != place->first + place->count || writer.certificate == NULL) {
        return engine_refuse(self, CAIRN_CORRUPT, "facts of the certificate at journal position",
                             place->position, 0);
    }
    uint64_t facts = writer.used - CERTIFICATE_SIZE_MAX;
    memmove(buffer + writer.certificate_size, buffer + CERTIFICATE_SIZE_MAX, (size_t)facts);
    memcpy(buffer, writer.certificate, writer.certificate_size);
    *written = (size_t)(writer.certificate_size + facts);
    return CAIRN_OK;
}

static bool is_kept(const struct cairn_engine *self, const struct certificate_place *place)
{
    return place->facts_position >= self->low_water &&
           place->facts_position != CERTIFICATE_FACTS_GONE;
}

/* The first certificate from the ordinal on that is still there whole. Facts of some reach further
 * back than those of others before them: what is kept may lie between what is not. */
static uint64_t first_kept(const struct cairn_engine *self, uint64_t from)
{
    const struct certificate_index *index = &self->recorder.index;
    struct certificate_place place;
    uint64_t ordinal = certificate_index_first(index);
    if (ordinal < from) ordinal = from;
    while (certificate_index_get(index, ordinal, &place) == CAIRN_OK && !is_kept(self, &place)) {
        ordinal++;
    }
    return ordinal;
}

int engine_export(struct cairn_engine *self, uint64_t *cursor, uint8_t *buffer, uint64_t size,
                  size_t *written)
{
    struct certificate_place place;
    if (!self->has_journal) return engine_refuse(self, CAIRN_UNSUPPORTED, "export", 0, 0);
    if (size < CAIRN_BUNDLE_SIZE_MAX) {
        return engine_refuse(self, CAIRN_INVALID_ARGUMENT, "size of the buffer", size,
                             CAIRN_BUNDLE_SIZE_MAX);
    }
    int result = certificate_index_get(&self->recorder.index, *cursor, &place);
    if (result == CAIRN_END) return CAIRN_END;
    if (result == CAIRN_OK && !is_kept(self, &place)) result = CAIRN_RECLAIMED;
    if (result != CAIRN_OK) {
        uint64_t asked = *cursor;
        *cursor = first_kept(self, asked);
        return engine_refuse(self, result, "certificate with ordinal", asked, *cursor);
    }
    /* Only what is synced leaves the node. */
    if (place.position >= atomic_load(&self->recorder.durable_journal)) return CAIRN_END;
    result = read_bundle(self, &place, buffer, size, written);
    /* What is damaged comes from other members; what lies behind it can still be had here. */
    if (result == CAIRN_OK || result == CAIRN_CORRUPT) (*cursor)++;
    return result;
}

/* ---- Import ---------------------------------------------------------------------------------- */

/* Applies what waits; while only the staging ring is full, waits for the recorder to empty it. */
static int release(struct cairn_engine *self, uint64_t *applied)
{
    struct recorder *recorder = &self->recorder;
    struct host_system *system = &self->host.system;
    uint64_t deadline = system->monotonic_ns(system->self) + TIMEOUT_MS * NS_PER_MS;
    for (;;) {
        int result = realm_release(&self->realm, applied, &self->refusal);
        if (!self->has_journal) return result;
        recorder_kick(recorder);
        engine_pump(self);
        if (result != CAIRN_BUSY) return result;
        if (system->monotonic_ns(system->self) >= deadline) return result;
        /* Half of the ring: so that the next attempt is worth its look through what waits. */
        uint64_t half = recorder->ring.staged - recorder->ring.size / 2;
        int waited = engine_wait(self, half, TIMEOUT_MS);
        if (waited != CAIRN_OK) return waited;
    }
}

int engine_import(struct cairn_engine *self, const uint8_t *bundle, uint64_t size,
                  struct cairn_import *result)
{
    struct host_system *system = &self->host.system;
    struct certificate certificate;
    memset(result, 0, sizeof *result);
    if (bundle == NULL || size > CAIRN_BUNDLE_SIZE_MAX) {
        return engine_refuse(self, CAIRN_TOO_LARGE, "size of the bundle", size,
                             CAIRN_BUNDLE_SIZE_MAX);
    }
    if (self->has_journal) {
        engine_take_due_checkpoint(self);
        uint64_t prepared = atomic_load(&self->recorder.prepared_bytes);
        if (prepared < self->admit_margin) {
            int refused = engine_make_room(self);
            if (refused != CAIRN_OK) return refused;
        }
    }
    realm_tick(&self->realm, system->wall_ms(system->self));
    int code = realm_import(&self->realm, bundle, size, result, &self->refusal);
    if (code != CAIRN_OK) return code;
    /* The bundle is taken. What holds it back now may be the fault of another: no refusal. */
    result->blocked = release(self, &result->applied);
    if (certificate_decode(&certificate, bundle, size) != CAIRN_OK) return CAIRN_CORRUPT;
    const struct pending_entry *entry = pending_find(&self->realm.pending, certificate.slot,
                                                     certificate.incarnation, certificate.first);
    if (entry != NULL) {
        struct cairn_dot last = {certificate.slot, certificate.incarnation, entry->last};
        result->waiting = entry->last - entry->next + 1;
        result->missing = entry->missing;
        if (origins_has_seen(&self->realm.origins, &last)) result->waiting = 0;
    }
    return CAIRN_OK;
}

int engine_release(struct cairn_engine *self)
{
    uint64_t applied = 0;
    if (self->realm.pending.count == 0) return CAIRN_OK;
    realm_tick(&self->realm, self->host.system.wall_ms(self->host.system.self));
    int result = realm_release(&self->realm, &applied, &self->refusal);
    if (self->has_journal) recorder_kick(&self->recorder);
    return result;
}

/* ---- Checkpoints ----------------------------------------------------------------------------- */

/*
 * The ring is shared out in quarters. A checkpoint comes every quarter and keeps a quarter behind
 * it, in whole runs of facts, so that members that were away can be served; and since the journal
 * stays from the low water of the checkpoint before, at most three quarters are ever pinned.
 */
static uint64_t quarter(const struct cairn_engine *self)
{
    return self->journal_limits.segment_bytes * self->journal_limits.segment_count / 4;
}

void engine_plan_checkpoint(struct cairn_engine *self)
{
    self->checkpoint_due = self->checkpoint.position + quarter(self);
}

static uint64_t choose_low_water(struct cairn_engine *self, uint64_t position)
{
    const struct certificate_index *index = &self->recorder.index;
    uint64_t keep = quarter(self);
    uint64_t target = position > keep ? position - keep : 0;
    uint64_t low_water = self->checkpoint.low_water;
    struct certificate_place place;
    if (target <= low_water) return low_water;
    low_water = certificate_index_oldest(index, target, position);
    for (uint64_t at = certificate_index_first(index);
         certificate_index_get(index, at, &place) == CAIRN_OK; at++) {
        /* Every run whose certificate is kept is kept whole. */
        if (place.position >= target && place.facts_position < low_water) {
            low_water = place.facts_position;
        }
    }
    return low_water;
}

static int write_body(struct cairn_engine *self, enum host_file file,
                      struct checkpoint_header *header)
{
    struct host_store *store = &self->host.store;
    struct checkpoint_encoder encoder;
    checkpoint_encoder_init(&encoder, &self->realm);
    /* An empty file first: what an earlier attempt left, and that its sync failed, is forgotten. */
    int result = store->truncate(store->self, file, 0);
    if (result != CAIRN_OK) return result;
    for (;;) {
        uint64_t offset = CHECKPOINT_BODY_OFFSET + encoder.size;
        uint32_t size = checkpoint_encode(&encoder, self->scratch, RECORDER_BATCH_BYTES_MAX);
        if (size == 0) break;
        result = store->write(store->self, file, offset, self->scratch, size);
        if (result != CAIRN_OK) return result;
    }
    header->body_size = encoder.size;
    address_stream_end(&encoder.address, header->body_address);
    return store->sync(store->self, file);
}

static int write_header(struct cairn_engine *self, enum host_file file,
                        const struct checkpoint_header *header)
{
    uint8_t bytes[CHECKPOINT_HEADER_SIZE];
    struct host_store *store = &self->host.store;
    checkpoint_header_encode(header, bytes);
    int result = store->write(store->self, file, 0, bytes, sizeof bytes);
    if (result != CAIRN_OK) return result;
    return store->sync(store->self, file);
}

int engine_checkpoint(struct cairn_engine *self)
{
    if (!self->has_journal) return engine_refuse(self, CAIRN_UNSUPPORTED, "checkpoint", 0, 0);
    int result = engine_flush(self, TIMEOUT_MS);
    if (result != CAIRN_OK) return result;
    struct recorder_durable durable;
    recorder_durable(&self->recorder, &durable);
    uint64_t position = durable.tail.position;
    struct checkpoint_header header = {.generation = self->checkpoint.generation + 1,
                                       .position = position,
                                       .low_water = choose_low_water(self, position),
                                       .previous_position = durable.tail.previous_position,
                                       .previous_crc = durable.tail.previous_crc,
                                       .epoch = durable.tail.epoch,
                                       .clock = self->realm.clock.last,
                                       .realm = self->member.realm,
                                       .slot = self->member.slot,
                                       .incarnation = self->realm.incarnation};
    memcpy(header.cluster_id, self->member.cluster_id, CAIRN_CLUSTER_ID_SIZE);
    memcpy(header.head, self->recorder.certifier.link, ADDRESS_SIZE);
    /* In turn: the one that is written is never the newest. */
    enum host_file file = HOST_FILE_CHECKPOINT_A + header.generation % 2;
    result = write_body(self, file, &header);
    if (result == CAIRN_OK) result = write_header(self, file, &header);
    if (result != CAIRN_OK) {
        return engine_refuse(self, result, "checkpoint with generation", header.generation, 0);
    }
    /* The journal stays from the low water of the one before, which so remains good. */
    if (self->checkpoint.generation > 0) self->low_water = self->checkpoint.low_water;
    self->checkpoint = header;
    engine_plan_checkpoint(self);
    atomic_store(&self->recorder.low_water, self->low_water);
    recorder_kick(&self->recorder);
    engine_pump(self);
    return CAIRN_OK;
}
