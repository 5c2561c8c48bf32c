/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of include/cairn.h, over a Linux host. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/engine.h"
#include "os/linux.h"

static void write_message(const struct refusal *refusal, char *message)
{
    if (message != NULL) refusal_text(refusal, message, CAIRN_ERROR_MESSAGE_SIZE_MAX);
}

/* ---- Open and close -------------------------------------------------------------------------- */

static int check_options(const struct cairn_options *options, struct refusal *refusal)
{
    if (options == NULL || options->size != sizeof *options) {
        return refuse(refusal, CAIRN_INVALID_ARGUMENT, "size of the options",
                      options == NULL ? 0 : options->size, 0);
    }
    uint32_t known =
        CAIRN_OPEN_CREATE | CAIRN_OPEN_REALTIME | CAIRN_OPEN_NO_URING | CAIRN_OPEN_EXISTING_ID;
    if ((options->flags & ~known) != 0) {
        return refuse(refusal, CAIRN_INVALID_ARGUMENT, "flags", options->flags, 0);
    }
    if (options->durability > CAIRN_DURABILITY_NONE) {
        return refuse(refusal, CAIRN_INVALID_ARGUMENT, "durability", options->durability, 0);
    }
    bool wants_folder = options->durability == CAIRN_DURABILITY_JOURNAL;
    if (wants_folder != (options->folder != NULL)) {
        return refuse(refusal, CAIRN_INVALID_ARGUMENT,
                      "folder (needed with a journal, NULL without)", 0, 0);
    }
    return CAIRN_OK;
}

static void fill_member(struct cairn_engine *self, const struct cairn_options *options)
{
    self->member.segment_bytes = self->journal_limits.segment_bytes;
    self->member.segment_count = self->journal_limits.segment_count;
    self->member.realm = options->realm;
    self->member.slot = options->slot;
    memcpy(self->member.cluster_id, options->cluster_id, CAIRN_CLUSTER_ID_SIZE);
}

static int make_key(struct cairn_engine *self, struct refusal *refusal)
{
    struct signature_key key;
    struct host_system *system = &self->host.system;
    if (system->entropy(system->self, self->member.seed, SIGNATURE_SEED_SIZE) != CAIRN_OK) {
        return refuse(refusal, CAIRN_SYSTEM, "entropy of the system", 0, 0);
    }
    signature_key_from_seed(&key, self->member.seed);
    memcpy(self->member.public_key, key.public_key, SIGNATURE_PUBLIC_KEY_SIZE);
    return CAIRN_OK;
}

static int make_member(struct cairn_engine *self, const struct cairn_options *options,
                       struct refusal *refusal)
{
    uint8_t bytes[MEMBER_FILE_SIZE];
    struct host_store *store = &self->host.store;
    if ((options->flags & CAIRN_OPEN_EXISTING_ID) != 0) {
        return refuse(refusal, CAIRN_NOT_FOUND, "member file in the data folder", 0, 0);
    }
    fill_member(self, options);
    int result = make_key(self, refusal);
    if (result != CAIRN_OK) return result;
    member_file_encode(&self->member, bytes);
    result = store->write(store->self, HOST_FILE_MEMBER, 0, bytes, sizeof bytes);
    if (result == CAIRN_OK) result = store->sync(store->self, HOST_FILE_MEMBER);
    if (result == CAIRN_OK) return CAIRN_OK;
    /* A half-written member file would lock the folder out; nothing else is in it yet. */
    (void)store->truncate(store->self, HOST_FILE_MEMBER, 0);
    return refuse(refusal, result, "member file", 0, 0);
}

static int check_member(const struct member_file *member, const struct cairn_options *options,
                        struct refusal *refusal)
{
    if ((options->flags & CAIRN_OPEN_EXISTING_ID) != 0) return CAIRN_OK;
    if (memcmp(member->cluster_id, options->cluster_id, CAIRN_CLUSTER_ID_SIZE) != 0) {
        return refuse(refusal, CAIRN_FOREIGN, "cluster id of the folder", 0, 0);
    }
    if (member->slot != options->slot) {
        return refuse(refusal, CAIRN_FOREIGN, "member slot of the folder", member->slot, 0);
    }
    if (member->realm != options->realm) {
        return refuse(refusal, CAIRN_FOREIGN, "realm of the folder", member->realm, 0);
    }
    return CAIRN_OK;
}

/* Reads the member file, or makes it in a new folder; the journal's geometry is the file's. */
static int load_member(struct cairn_engine *self, const struct cairn_options *options,
                       struct refusal *refusal)
{
    uint8_t bytes[MEMBER_FILE_SIZE];
    uint64_t size = 0;
    struct host_store *store = &self->host.store;
    int result = store->size(store->self, HOST_FILE_MEMBER, &size);
    if (result != CAIRN_OK) return refuse(refusal, result, "member file", 0, 0);
    if (size == 0) return make_member(self, options, refusal);
    if (size != MEMBER_FILE_SIZE) {
        return refuse(refusal, CAIRN_CORRUPT, "size of the member file", size, MEMBER_FILE_SIZE);
    }
    result = store->read(store->self, HOST_FILE_MEMBER, 0, bytes, sizeof bytes);
    if (result != CAIRN_OK) return refuse(refusal, result, "member file", 0, 0);
    if (!member_file_decode(&self->member, bytes)) {
        return refuse(refusal, CAIRN_CORRUPT, "member file", 0, 0);
    }
    if (self->member.segment_bytes < UINT64_C(4) * RECORDER_BATCH_BYTES_MAX) {
        return refuse(refusal, CAIRN_FOREIGN, "segment bytes of the folder",
                      self->member.segment_bytes, UINT64_C(4) * RECORDER_BATCH_BYTES_MAX);
    }
    self->journal_limits.segment_bytes = self->member.segment_bytes;
    self->journal_limits.segment_count = self->member.segment_count;
    result = engine_check_ring(self, refusal);
    if (result != CAIRN_OK) return result;
    return check_member(&self->member, options, refusal);
}

/* Opens the host; its own text, which names call and file, is the better one. */
static int open_host(struct cairn_engine *self, const struct cairn_options *options,
                     struct refusal *refusal, char *message, bool *told)
{
    struct os_host *host = NULL;
    struct os_options os = {.folder = options->folder,
                            .create = (options->flags & CAIRN_OPEN_CREATE) != 0,
                            .uring = (options->flags & CAIRN_OPEN_NO_URING) == 0};
    int result = os_host_open(&host, &os, &self->host, message);
    self->os_host = host;
    *told = true;
    if (result != CAIRN_OK) return result;
    *told = false;
    if (!self->has_journal) {
        fill_member(self, options);
        return make_key(self, refusal);
    }
    result = load_member(self, options, refusal);
    if (result != CAIRN_OK) return result;
    *told = true;
    result = os_disk_open(host, self->journal_limits.segment_bytes,
                          self->journal_limits.segment_count, &self->host, message);
    if (result == CAIRN_OK) *told = false;
    return result;
}

int cairn_open(const struct cairn_options *options, cairn_engine **engine, char *message)
{
    struct refusal refusal = {0};
    bool told = false;
    *engine = NULL;
    if (message != NULL) message[0] = 0;
    int result = check_options(options, &refusal);
    if (result != CAIRN_OK) goto failed_options;
    if (!signature_init()) {
        result = refuse(&refusal, CAIRN_SYSTEM, "libsodium", 0, 0);
        goto failed_options;
    }
    address_init();
    struct cairn_engine *self =
        aligned_alloc(CACHE_LINE_SIZE, round_up(sizeof *self, CACHE_LINE_SIZE));
    if (self == NULL) {
        result = refuse(&refusal, CAIRN_NO_MEMORY, "bytes of memory", sizeof *self, 0);
        goto failed_options;
    }
    memset(self, 0, sizeof *self);
    result = engine_limits(self, options, &refusal);
    if (result != CAIRN_OK) goto failed_engine;
    result = open_host(self, options, &refusal, message, &told);
    if (result != CAIRN_OK) goto failed_engine;
    result = engine_open(self, options->prepare_bytes, &refusal);
    if (result != CAIRN_OK) goto failed_engine;
    *engine = self;
    return CAIRN_OK;

failed_engine:
    os_host_close(self->os_host);
    free(self);
failed_options:
    if (!told) write_message(&refusal, message);
    return result;
}

int cairn_close(cairn_engine *engine)
{
    if (engine == NULL) return CAIRN_OK;
    int result = engine_close(engine);
    os_host_close(engine->os_host);
    free(engine);
    return result;
}

int cairn_plan(const struct cairn_options *options, struct cairn_plan *plan, char *message)
{
    struct refusal refusal = {0};
    struct cairn_engine *self = NULL;
    if (message != NULL) message[0] = 0;
    int result = CAIRN_OK;
    if (options == NULL || options->size != sizeof *options) {
        result = refuse(&refusal, CAIRN_INVALID_ARGUMENT, "size of the options", 0, 0);
    }
    if (result == CAIRN_OK) {
        self = calloc(1, sizeof *self);
        if (self == NULL) result = refuse(&refusal, CAIRN_NO_MEMORY, "memory", sizeof *self, 0);
    }
    if (result == CAIRN_OK) result = engine_limits(self, options, &refusal);
    if (result == CAIRN_OK) (void)engine_memory(self, plan);
    if (result != CAIRN_OK) write_message(&refusal, message);
    free(self);
    return result;
}

void cairn_recovered(const cairn_engine *engine, struct cairn_recovery *recovery)
{
    *recovery = engine->recovery;
}

void cairn_status(cairn_engine *engine, struct cairn_status *status)
{
    const struct realm *realm = &engine->realm;
    const struct recorder *recorder = &engine->recorder;
    memset(status, 0, sizeof *status);
    (void)engine_release(engine);
    if (engine->has_journal) {
        engine_pump(engine);
        engine_note_certified(engine);
        status->staged_position = recorder->ring.staged;
        status->durable_position = atomic_load(&recorder->durable_ring);
        status->journal_position = atomic_load(&recorder->durable_journal);
        status->journal_low_water = engine->low_water;
        status->checkpoint_generation = engine->checkpoint.generation;
    }
    status->facts_applied = origins_applied(&realm->origins);
    /* An open begins an incarnation, and that begins at 1. */
    status->facts_admitted = realm->origins.clocks[realm->own].applied;
    status->facts_imported = realm->counters.facts_imported;
    status->cells = realm->cells.count;
    status->spaces = realm->spaces.count;
    status->members = realm->origins.member_count;
    status->certified_sequence = realm->origins.details[realm->own].certified;
    status->last_sequence = realm->origins.clocks[realm->own].applied;
    status->pending_bundles = realm->pending.count;
    status->pending_bytes = realm->pending.bytes;
    status->pending_dropped = realm->pending.dropped;
    status->slot = realm->slot;
    status->incarnation = realm->incarnation;
}

/* ---- Members and spaces ---------------------------------------------------------------------- */

void cairn_public_key(const cairn_engine *engine, uint8_t public_key[CAIRN_PUBLIC_KEY_SIZE])
{
    memcpy(public_key, engine->member.public_key, CAIRN_PUBLIC_KEY_SIZE);
}

int cairn_member_add(cairn_engine *engine, uint32_t slot,
                     const uint8_t public_key[CAIRN_PUBLIC_KEY_SIZE])
{
    bool known = origins_member(&engine->realm.origins, slot) != NULL;
    int result = known ? CAIRN_OK : engine_check_room(engine);
    if (result != CAIRN_OK) return result;
    result = realm_add_member(&engine->realm, slot, public_key, &engine->refusal);
    if (engine->has_journal) recorder_kick(&engine->recorder);
    engine_pump(engine);
    return result;
}

int cairn_space_declare(cairn_engine *engine, const char *name, uint32_t type, uint32_t *space)
{
    struct space declared;
    if (name == NULL) return engine_refuse(engine, CAIRN_INVALID_ARGUMENT, "space name", 0, 0);
    int result = space_make(&declared, engine->realm.realm, name, type, &engine->refusal);
    if (result == CAIRN_OK && spaces_find(&engine->realm.spaces, declared.id) == SPACE_NONE) {
        result = engine_check_room(engine);
    }
    if (result == CAIRN_OK) {
        result = realm_declare(&engine->realm, &declared, space, &engine->refusal);
    }
    if (engine->has_journal) recorder_kick(&engine->recorder);
    engine_pump(engine);
    return result;
}

int cairn_space_find(cairn_engine *engine, const char *name, uint32_t *space)
{
    if (name == NULL) return engine_refuse(engine, CAIRN_INVALID_ARGUMENT, "space name", 0, 0);
    *space = spaces_find_name(&engine->realm.spaces, engine->realm.realm, name);
    if (*space != SPACE_NONE) return CAIRN_OK;
    return engine_refuse(engine, CAIRN_NOT_FOUND, "space of this name", 0, 0);
}

int cairn_space_get(const cairn_engine *engine, uint32_t space, const char **name, uint32_t *type,
                    uint8_t id[CAIRN_SPACE_ID_SIZE])
{
    const struct spaces *spaces = &engine->realm.spaces;
    if (space >= spaces->count) return CAIRN_NOT_FOUND;
    *name = spaces->table[space].name;
    *type = spaces->table[space].type;
    memcpy(id, spaces->table[space].id, CAIRN_SPACE_ID_SIZE);
    return CAIRN_OK;
}

/* ---- Facts ----------------------------------------------------------------------------------- */

int cairn_admit(cairn_engine *engine, const struct cairn_fact *facts, size_t count,
                struct cairn_ticket *tickets, size_t *admitted)
{
    return engine_admit(engine, facts, count, tickets, admitted);
}

uint64_t cairn_durable(const cairn_engine *engine)
{
    return atomic_load_explicit(&engine->recorder.durable_ring, memory_order_acquire);
}

int cairn_wait(cairn_engine *engine, uint64_t position, uint32_t timeout_ms)
{
    if (!engine->has_journal) return engine_refuse(engine, CAIRN_UNSUPPORTED, "wait", 0, 0);
    return engine_wait(engine, position, timeout_ms);
}

int cairn_wait_room(cairn_engine *engine, uint32_t timeout_ms)
{
    if (!engine->has_journal) return engine_refuse(engine, CAIRN_UNSUPPORTED, "wait", 0, 0);
    return engine_wait_room(engine, timeout_ms);
}

int cairn_flush(cairn_engine *engine, uint32_t timeout_ms)
{
    if (!engine->has_journal) return engine_refuse(engine, CAIRN_UNSUPPORTED, "flush", 0, 0);
    return engine_flush(engine, timeout_ms);
}

static void fill_value(i128 sum, struct cairn_value *value)
{
    value->high = (int64_t)(sum >> 64);
    value->low_bits = (uint64_t)sum;
    value->low = sum > INT64_MAX ? INT64_MAX : sum < INT64_MIN ? INT64_MIN : (int64_t)sum;
}

int cairn_read(cairn_engine *engine, uint32_t space, const void *key, size_t key_size,
               struct cairn_value *value)
{
    if (space >= engine->realm.spaces.count) {
        return engine_refuse(engine, CAIRN_UNKNOWN_SPACE, "space handle", space, 0);
    }
    if (key == NULL || key_size == 0 || key_size > CAIRN_KEY_SIZE_MAX) {
        return engine_refuse(engine, CAIRN_TOO_LARGE, "key size", key_size, CAIRN_KEY_SIZE_MAX);
    }
    const struct cell *cell = realm_cell(&engine->realm, space, key, (uint32_t)key_size);
    fill_value(cell == NULL ? 0 : cell->sum, value);
    return CAIRN_OK;
}

int cairn_cell_next(cairn_engine *engine, uint64_t *cursor, struct cairn_cell *cell)
{
    const struct cell *next = cells_next(&engine->realm.cells, cursor);
    if (next == NULL) return CAIRN_END;
    cell->key = (const uint8_t *)next + CELL_KEY_OFFSET;
    cell->key_size = next->key_size;
    cell->space = next->space;
    fill_value(next->sum, &cell->value);
    return CAIRN_OK;
}

int cairn_cells_digest(cairn_engine *engine, uint8_t digest[CAIRN_ADDRESS_SIZE])
{
    struct host_system *system = &engine->host.system;
    uint64_t size = (engine->realm.cells.count + 1) * ADDRESS_SIZE;
    uint8_t *scratch = system->memory_take(system->self, size);
    if (scratch == NULL) {
        return engine_refuse(engine, CAIRN_NO_MEMORY, "bytes of memory", size, 0);
    }
    realm_cells_digest(&engine->realm, scratch, digest);
    system->memory_give(system->self, scratch, size);
    return CAIRN_OK;
}

int cairn_facts_digest(cairn_engine *engine, uint8_t digest[CAIRN_ADDRESS_SIZE])
{
    if (engine->has_journal) engine_note_certified(engine);
    origins_digest(&engine->realm.origins, digest);
    return CAIRN_OK;
}

/* ---- Exchange -------------------------------------------------------------------------------- */

int cairn_export(cairn_engine *engine, uint64_t *cursor, void *buffer, size_t size, size_t *written)
{
    engine_pump(engine);
    return engine_export(engine, cursor, buffer, size, written);
}

int cairn_import(cairn_engine *engine, const void *bundle, size_t size, struct cairn_import *result)
{
    return engine_import(engine, bundle, size, result);
}

int cairn_checkpoint(cairn_engine *engine)
{
    return engine_checkpoint(engine);
}

/* ---- Words ----------------------------------------------------------------------------------- */

void cairn_address(const void *bytes, size_t size, uint8_t address[CAIRN_ADDRESS_SIZE])
{
    address_of_bytes(bytes, size, address);
}

const char *cairn_version(void)
{
    return CAIRN_VERSION;
}

const char *cairn_result_name(int result)
{
    return result_name(result);
}

const char *cairn_result_text(int result)
{
    return result_text(result);
}

int cairn_result_exit_code(int result)
{
    return result_exit_code(result);
}

const char *cairn_error_message(cairn_engine *engine)
{
    /* The text is made when it is asked for: a refusal on the hot path costs no formatting. */
    char *message = engine->message;
    refusal_text(&engine->refusal, message, CAIRN_ERROR_MESSAGE_SIZE_MAX);
    int code = engine->refusal.code;
    bool of_system =
        code == CAIRN_STORAGE_FAILED || code == CAIRN_STORAGE_FULL || code == CAIRN_SYSTEM;
    if (of_system && engine->os_host != NULL) {
        char failure[CAIRN_ERROR_MESSAGE_SIZE_MAX] = "";
        os_host_failure(engine->os_host, failure);
        size_t size = strlen(message);
        if (failure[0] != 0) {
            (void)snprintf(message + size, CAIRN_ERROR_MESSAGE_SIZE_MAX - size, " [%s]", failure);
        }
    }
    return message;
}
