/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/disk.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "crypto/crc32c.h"

/* What becomes of the sectors of one write that was not synced. */
enum fate {
    ALL_KEPT = 0,
    ALL_DROPPED = 1,
    PREFIX_KEPT = 2,
    SUFFIX_KEPT = 3,
    ONE_DROPPED = 4,
    ONE_KEPT = 5,
    EACH_BY_ITSELF = 6,
    FATES = 7,
};

void sim_disk_init(struct sim_disk *self, const struct sim_disk_settings *settings,
                   struct arena *arena)
{
    cairn_assert(settings->segment_bytes % HOST_BLOCK_SIZE == 0 && settings->segment_bytes > 0);
    cairn_assert(settings->file_bytes_max % SIM_SECTOR_SIZE == 0);
    memset(self, 0, sizeof *self);
    self->settings = *settings;
    self->space = SIM_SPACE_UNLIMITED;
    prng_init(&self->prng, settings->seed);
    self->segments =
        arena_take(arena, settings->segment_count, settings->segment_bytes, HOST_BLOCK_SIZE);
    self->prepared = arena_take(arena, settings->segment_count, sizeof(bool), 1);
    for (uint32_t i = 0; i < HOST_FILES; i++) {
        self->files[i].medium = arena_take(arena, 1, settings->file_bytes_max, 64);
        self->files[i].cached = arena_take(arena, 1, settings->file_bytes_max, 64);
    }
}

void sim_disk_set_faults(struct sim_disk *self, const struct sim_faults *faults)
{
    self->faults = *faults;
    self->counts_before = self->counts;
}

void sim_disk_set_space(struct sim_disk *self, uint64_t bytes)
{
    self->space = bytes;
}

uint64_t sim_disk_used_space(const struct sim_disk *self)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < self->settings.segment_count; i++)
        if (self->prepared[i]) used += self->settings.segment_bytes;
    for (uint32_t i = 0; i < HOST_FILES; i++)
        used += self->files[i].size;
    return used;
}

static bool has_space(struct sim_disk *self, uint64_t more)
{
    uint64_t used = sim_disk_used_space(self);
    if (used <= self->space && more <= self->space - used) return true;
    self->counts.refused_for_space++;
    return false;
}

uint8_t *sim_disk_segment(struct sim_disk *self, uint32_t segment)
{
    cairn_assert(segment < self->settings.segment_count);
    return self->segments + segment * self->settings.segment_bytes;
}

void sim_disk_rot(struct sim_disk *self, uint32_t segment, uint64_t offset, uint8_t flip)
{
    cairn_assert(offset < self->settings.segment_bytes && flip != 0);
    sim_disk_segment(self, segment)[offset] ^= flip;
    self->counts.rotted_bytes++;
}

/* ---- Faults ---- */

/* Counts a call, and tells whether it is the one that shall have the fault. */
static bool is_struck(uint64_t before, uint64_t now, uint64_t fault)
{
    return fault != 0 && now - before == fault;
}

static bool write_fails(const struct sim_disk *self)
{
    return is_struck(self->counts_before.writes, self->counts.writes, self->faults.write_fails);
}

static bool write_is_lost(const struct sim_disk *self)
{
    return is_struck(self->counts_before.writes, self->counts.writes, self->faults.write_lost);
}

static bool write_is_misdirected(const struct sim_disk *self)
{
    return is_struck(self->counts_before.writes, self->counts.writes,
                     self->faults.write_misdirected);
}

static bool sync_fails(struct sim_disk *self)
{
    self->counts.syncs++;
    bool fails = is_struck(self->counts_before.syncs, self->counts.syncs, self->faults.sync_fails);
    self->counts.failed_syncs += fails;
    return fails;
}

static bool read_fails(struct sim_disk *self)
{
    self->counts.reads++;
    bool fails = is_struck(self->counts_before.reads, self->counts.reads, self->faults.read_fails);
    self->counts.failed_reads += fails;
    return fails;
}

static bool prepare_fails(struct sim_disk *self)
{
    self->counts.prepares++;
    bool fails =
        is_struck(self->counts_before.prepares, self->counts.prepares, self->faults.prepare_fails);
    self->counts.failed_prepares += fails;
    return fails;
}

static bool sector_is_kept(struct sim_disk *self, enum fate fate, uint64_t sector, uint64_t chosen)
{
    switch (fate) {
    case ALL_KEPT: return true;
    case PREFIX_KEPT: return sector < chosen;
    case SUFFIX_KEPT: return sector >= chosen;
    case ONE_DROPPED: return sector != chosen;
    case ONE_KEPT: return sector == chosen;
    case EACH_BY_ITSELF: return prng_chance(&self->prng, 1, 2);
    default: return false;
    }
}

/*
 * Copies a random part of a write to the medium, sector by sector (D2, D3). `start` is the write's
 * offset, for blocks; whole sectors are at `to` and `from`.
 */
static void apply_part(struct sim_disk *self, uint8_t *to, const uint8_t *from, uint64_t size,
                       uint64_t start)
{
    uint64_t sectors = size / SIM_SECTOR_SIZE;
    if (sectors == 0) return;
    enum fate fate = (enum fate)prng_below(&self->prng, FATES);
    uint64_t chosen = prng_below(&self->prng, sectors);
    uint32_t kept_in_block = 0;
    uint32_t seen_in_block = 0;
    for (uint64_t i = 0; i < sectors; i++) {
        uint64_t offset = i * SIM_SECTOR_SIZE;
        bool kept = sector_is_kept(self, fate, i, chosen);
        if (kept) memcpy(to + offset, from + offset, SIM_SECTOR_SIZE);
        self->counts.kept_sectors += kept;
        self->counts.dropped_sectors += !kept;
        kept_in_block += kept;
        seen_in_block++;
        bool block_ends = (start + offset + SIM_SECTOR_SIZE) % HOST_BLOCK_SIZE == 0;
        if (!block_ends && i + 1 < sectors) continue;
        self->counts.torn_blocks += kept_in_block > 0 && kept_in_block < seen_in_block;
        kept_in_block = 0;
        seen_in_block = 0;
    }
}

/* ---- Segments ---- */

static uint8_t *place_of(struct sim_disk *self, const struct host_request *request)
{
    return sim_disk_segment(self, request->segment) + request->offset;
}

static void check_place(const struct sim_disk *self, uint32_t segment, uint64_t offset,
                        const void *bytes, uint32_t size)
{
    cairn_assert(segment < self->settings.segment_count);
    cairn_assert(size > 0 && size % HOST_BLOCK_SIZE == 0 && offset % HOST_BLOCK_SIZE == 0);
    cairn_assert((uintptr_t)bytes % HOST_BLOCK_SIZE == 0);
    cairn_assert(offset <= self->settings.segment_bytes);
    cairn_assert(size <= self->settings.segment_bytes - offset);
}

static void check_request(const struct sim_disk *self, const struct host_request *request)
{
    cairn_assert(request->segment < self->settings.segment_count);
    cairn_assert(request->kind >= HOST_WRITE && request->kind <= HOST_PREPARE);
    if (request->kind == HOST_PREPARE) {
        cairn_assert(request->bytes == NULL && request->size == 0 && request->offset == 0);
        return;
    }
    check_place(self, request->segment, request->offset, request->bytes, request->size);
    cairn_assert(request->kind != HOST_WRITE || self->prepared[request->segment]);
}

static void disk_submit(void *disk, const struct host_request *requests, uint32_t count)
{
    struct sim_disk *self = disk;
    cairn_assert(count <= HOST_REQUESTS_MAX - self->in_flight);
    for (uint32_t i = 0; i < count; i++) {
        check_request(self, &requests[i]);
        struct sim_request *request = &self->requests[self->in_flight++];
        request->request = requests[i];
        request->number = self->submitted++;
        request->delay = (uint32_t)prng_below(&self->prng, UINT64_C(1) + self->faults.delay_max);
        request->checksum = 0;
        if (requests[i].kind == HOST_WRITE)
            request->checksum = crc32c(0, requests[i].bytes, requests[i].size);
        self->counts.delayed += request->delay > 0;
    }
}

static void misdirect(struct sim_disk *self, const struct host_request *request)
{
    uint64_t blocks = (self->settings.segment_bytes - request->size) / HOST_BLOCK_SIZE + 1;
    uint32_t segment = request->segment;
    uint64_t offset = prng_below(&self->prng, blocks) * HOST_BLOCK_SIZE;
    for (uint32_t tries = 0; tries < 64; tries++) {
        uint32_t other = (uint32_t)prng_below(&self->prng, self->settings.segment_count);
        if (!self->prepared[other] || (other == request->segment && offset == request->offset))
            continue;
        segment = other;
        break;
    }
    memcpy(sim_disk_segment(self, segment) + offset, request->bytes, request->size);
    self->counts.misdirected_writes++;
}

static int complete_write(struct sim_disk *self, const struct sim_request *waiting)
{
    const struct host_request *request = &waiting->request;
    uint8_t *place = place_of(self, request);
    /* Nobody changed what the disk owns. */
    cairn_assert(crc32c(0, request->bytes, request->size) == waiting->checksum);
    self->counts.writes++;
    if (write_fails(self)) {
        self->counts.failed_writes++;
        apply_part(self, place, request->bytes, request->size, request->offset);
        return CAIRN_STORAGE_FAILED;
    }
    if (sync_fails(self)) {
        apply_part(self, place, request->bytes, request->size, request->offset);
        return CAIRN_STORAGE_FAILED;
    }
    if (write_is_lost(self)) {
        self->counts.lost_writes++;
        return CAIRN_OK;
    }
    if (write_is_misdirected(self)) {
        misdirect(self, request);
        return CAIRN_OK;
    }
    memcpy(place, request->bytes, request->size);
    return CAIRN_OK;
}

static int complete_read(struct sim_disk *self, const struct host_request *request)
{
    if (read_fails(self)) return CAIRN_STORAGE_FAILED;
    memcpy(request->bytes, place_of(self, request), request->size);
    return CAIRN_OK;
}

static int complete_prepare(struct sim_disk *self, const struct host_request *request)
{
    if (prepare_fails(self)) return CAIRN_STORAGE_FAILED;
    if (self->prepared[request->segment]) return CAIRN_OK;
    if (!has_space(self, self->settings.segment_bytes)) return CAIRN_STORAGE_FULL;
    self->prepared[request->segment] = true;
    return CAIRN_OK;
}

static int complete(struct sim_disk *self, const struct sim_request *request)
{
    if (request->request.kind == HOST_WRITE) return complete_write(self, request);
    if (request->request.kind == HOST_READ) return complete_read(self, &request->request);
    return complete_prepare(self, &request->request);
}

/* The request that completes next, or HOST_REQUESTS_MAX: none is ready. */
static uint32_t choose_ready(struct sim_disk *self)
{
    uint32_t ready[HOST_REQUESTS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->in_flight; i++)
        if (self->requests[i].delay == 0) ready[count++] = i;
    if (count == 0) return HOST_REQUESTS_MAX;
    return self->faults.reorders ? ready[prng_below(&self->prng, count)] : ready[0];
}

static void remove_request(struct sim_disk *self, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (self->requests[i].number > self->requests[index].number) continue;
        self->counts.reordered++;
        break;
    }
    self->in_flight--;
    for (uint32_t i = index; i < self->in_flight; i++)
        self->requests[i] = self->requests[i + 1];
}

static void pass_turn(struct sim_disk *self)
{
    for (uint32_t i = 0; i < self->in_flight; i++)
        if (self->requests[i].delay > 0) self->requests[i].delay--;
}

static uint32_t disk_wait(void *disk, struct host_completion *completions, uint32_t maximum,
                          int64_t timeout_ns)
{
    struct sim_disk *self = disk;
    bool waits_for_ever = timeout_ns < 0 && !self->woken && maximum > 0;
    /* Nothing would ever end this wait. */
    cairn_assert(!waits_for_ever || self->in_flight > 0);
    self->woken = false;
    uint32_t count = 0;
    while (count < maximum) {
        uint32_t index = choose_ready(self);
        if (index == HOST_REQUESTS_MAX) {
            if (count > 0 || !waits_for_ever) break;
            pass_turn(self);
            continue;
        }
        completions[count].token = self->requests[index].request.token;
        completions[count].result = complete(self, &self->requests[index]);
        count++;
        remove_request(self, index);
    }
    pass_turn(self);
    return count;
}

static void disk_wake(void *disk)
{
    struct sim_disk *self = disk;
    self->woken = true;
}

static int disk_read(void *disk, uint32_t segment, uint64_t offset, void *bytes, uint32_t size)
{
    struct sim_disk *self = disk;
    check_place(self, segment, offset, bytes, size);
    if (read_fails(self)) return CAIRN_STORAGE_FAILED;
    memcpy(bytes, sim_disk_segment(self, segment) + offset, size);
    return CAIRN_OK;
}

static bool disk_is_prepared(void *disk, uint32_t segment)
{
    struct sim_disk *self = disk;
    cairn_assert(segment < self->settings.segment_count);
    return self->prepared[segment];
}

struct host_disk sim_disk_face(struct sim_disk *self)
{
    return (struct host_disk){
        .self = self,
        .segment_bytes = self->settings.segment_bytes,
        .segment_count = self->settings.segment_count,
        .submit = disk_submit,
        .wait = disk_wait,
        .wake = disk_wake,
        .read = disk_read,
        .is_prepared = disk_is_prepared,
    };
}

/* ---- Small files ---- */

static struct sim_file *file_of(struct sim_disk *self, enum host_file file)
{
    cairn_assert((uint32_t)file < HOST_FILES);
    return &self->files[file];
}

void sim_disk_rot_file(struct sim_disk *self, enum host_file file, uint64_t offset, uint8_t flip)
{
    struct sim_file *bytes = file_of(self, file);
    cairn_assert(offset < bytes->size && flip != 0);
    bytes->medium[offset] ^= flip;
    bytes->cached[offset] ^= flip;
    self->counts.rotted_bytes++;
}

static int store_size(void *disk, enum host_file file, uint64_t *size)
{
    *size = file_of(disk, file)->size;
    return CAIRN_OK;
}

static int store_read(void *disk, enum host_file file, uint64_t offset, void *bytes, size_t size)
{
    struct sim_disk *self = disk;
    const struct sim_file *from = file_of(self, file);
    if (read_fails(self)) return CAIRN_STORAGE_FAILED;
    if (offset > from->size || size > from->size - offset) return CAIRN_STORAGE_FAILED;
    memcpy(bytes, from->cached + offset, size);
    return CAIRN_OK;
}

/*
 * A system may write back what is not synced whenever it likes. Done before some changes, so that
 * a power cut can find any of the versions that a sector or a size had since the last sync.
 */
static void write_back_part(struct sim_disk *self, struct sim_file *file)
{
    if (!prng_chance(&self->prng, 1, 4)) return;
    uint64_t sectors = round_up(file->size, SIM_SECTOR_SIZE) / SIM_SECTOR_SIZE;
    for (uint64_t i = 0; i < sectors; i++) {
        if (!prng_chance(&self->prng, 1, 2)) continue;
        uint64_t offset = i * SIM_SECTOR_SIZE;
        memcpy(file->medium + offset, file->cached + offset, SIM_SECTOR_SIZE);
    }
    if (!prng_chance(&self->prng, 1, 2)) return;
    file->medium_exists = file->exists;
    file->medium_size = file->size;
}

static int store_write(void *disk, enum host_file file, uint64_t offset, const void *bytes,
                       size_t size)
{
    struct sim_disk *self = disk;
    struct sim_file *to = file_of(self, file);
    uint64_t maximum = self->settings.file_bytes_max;
    self->counts.writes++;
    if (offset > maximum || size > maximum - offset) return CAIRN_STORAGE_FULL;
    uint64_t end = offset + size;
    if (end > to->size && !has_space(self, end - to->size)) return CAIRN_STORAGE_FULL;
    write_back_part(self, to);
    bool fails = write_fails(self);
    if (fails) {
        self->counts.failed_writes++;
        size = (size_t)prng_below(&self->prng, size + 1);
        end = offset + size;
    }
    to->exists = true;
    bool is_lost = write_is_lost(self);
    if (is_lost)
        self->counts.lost_writes++;
    else
        memcpy(to->cached + offset, bytes, size);
    if (size > 0 && end > to->size) to->size = end;
    return fails ? CAIRN_STORAGE_FAILED : CAIRN_OK;
}

static int store_truncate(void *disk, enum host_file file, uint64_t size)
{
    struct sim_disk *self = disk;
    struct sim_file *to = file_of(self, file);
    self->counts.writes++;
    if (write_fails(self)) {
        self->counts.failed_writes++;
        return CAIRN_STORAGE_FAILED;
    }
    if (size > self->settings.file_bytes_max) return CAIRN_STORAGE_FULL;
    if (size > to->size && !has_space(self, size - to->size)) return CAIRN_STORAGE_FULL;
    write_back_part(self, to);
    /* What lies behind a file's size is always zero, so growing it needs no care. */
    if (size < to->size) memset(to->cached + size, 0, to->size - size);
    to->exists = true;
    to->size = size;
    return CAIRN_OK;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static int store_sync(void *disk, enum host_file file)
{
    struct sim_disk *self = disk;
    struct sim_file *synced = file_of(self, file);
    if (sync_fails(self)) {
        write_back_part(self, synced);
        return CAIRN_STORAGE_FAILED;
    }
    memcpy(synced->medium, synced->cached, larger(synced->size, synced->medium_size));
    synced->medium_size = synced->size;
    synced->medium_exists = synced->exists;
    return CAIRN_OK;
}

struct host_store sim_store_face(struct sim_disk *self)
{
    return (struct host_store){
        .self = self,
        .size = store_size,
        .read = store_read,
        .write = store_write,
        .truncate = store_truncate,
        .sync = store_sync,
    };
}

/* ---- Power cut ---- */

/* Each request once, in random order. */
static void cut_requests(struct sim_disk *self)
{
    uint32_t order[HOST_REQUESTS_MAX];
    for (uint32_t i = 0; i < self->in_flight; i++)
        order[i] = i;
    prng_shuffle(&self->prng, order, self->in_flight);
    for (uint32_t i = 0; i < self->in_flight; i++) {
        const struct host_request *request = &self->requests[order[i]].request;
        if (request->kind == HOST_WRITE)
            apply_part(self, place_of(self, request), request->bytes, request->size,
                       request->offset);
        if (request->kind == HOST_PREPARE && prng_chance(&self->prng, 1, 2))
            (void)complete_prepare(self, request);
    }
}

static bool file_is_synced(const struct sim_file *file)
{
    return file->size == file->medium_size && file->exists == file->medium_exists &&
           memcmp(file->medium, file->cached, file->size) == 0;
}

static void cut_file(struct sim_disk *self, struct sim_file *file)
{
    if (!file_is_synced(file)) self->counts.cut_files++;
    uint64_t extent = round_up(larger(file->size, file->medium_size), SIM_SECTOR_SIZE);
    /* Only what differs was not durable. */
    for (uint64_t at = 0; at < extent; at += SIM_SECTOR_SIZE) {
        if (memcmp(file->medium + at, file->cached + at, SIM_SECTOR_SIZE) == 0) continue;
        bool kept = prng_chance(&self->prng, 1, 2);
        if (kept) memcpy(file->medium + at, file->cached + at, SIM_SECTOR_SIZE);
        self->counts.kept_sectors += kept;
        self->counts.dropped_sectors += !kept;
    }
    if (prng_chance(&self->prng, 1, 2)) {
        file->medium_size = file->size;
        file->medium_exists = file->exists;
    }
    if (file->exists && !file->medium_exists) {
        self->counts.vanished_files++;
        file->medium_size = 0;
    }
    memset(file->medium + file->medium_size, 0, self->settings.file_bytes_max - file->medium_size);
    file->size = file->medium_size;
    file->exists = file->medium_exists;
    memcpy(file->cached, file->medium, self->settings.file_bytes_max);
}

void sim_disk_power_cut(struct sim_disk *self)
{
    sim_disk_set_faults(self, &(struct sim_faults){0});
    self->counts.power_cuts++;
    self->counts.cut_requests += self->in_flight;
    /* Twice, in two orders: then, where writes overlap, any sector may be of any of them. */
    cut_requests(self);
    if (self->in_flight > 1 && prng_chance(&self->prng, 1, 2)) cut_requests(self);
    self->in_flight = 0;
    self->woken = false;
    for (uint32_t i = 0; i < HOST_FILES; i++)
        cut_file(self, &self->files[i]);
}
