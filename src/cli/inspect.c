/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "cli/memory.h"
#include "cli/say.h"
#include "crypto/address.h"
#include "crypto/signature.h"
#include "facts/certificate.h"
#include "facts/fact.h"

#define SEGMENT_BYTES_MAX (UINT64_C(1) << 30)

const char *inspect_state_name(enum inspect_state state)
{
    static const char *const names[] = {"missing", "valid", "damaged"};
    return names[state];
}

/* ---- Files --------------------------------------------------------------------------------- */

/* Opens a file of the folder to read; -1: not there, or it cannot be. */
static int open_file(const struct inspection *self, const char *name)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/%s", self->folder, name);
    if (size < 0 || (size_t)size >= sizeof path) return -1;
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

/* How many bytes were there; less at the end of the file, or where it cannot be read. */
static size_t read_at(int fd, uint64_t offset, void *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t count = pread(fd, (uint8_t *)bytes + done, size - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        done += (size_t)count;
    }
    return done;
}

static void read_member(struct inspection *self)
{
    uint8_t bytes[MEMBER_FILE_SIZE];
    int fd = open_file(self, "member");
    self->member_state = INSPECT_MISSING;
    if (fd < 0) return;
    size_t size = read_at(fd, 0, bytes, sizeof bytes);
    close(fd);
    self->member_state = INSPECT_DAMAGED;
    if (size == sizeof bytes && member_file_decode(&self->member, bytes))
        self->member_state = INSPECT_VALID;
    /* Nobody needs to see the secret, and nobody can who reads what this prints. */
    memset(self->member.seed, 0, sizeof self->member.seed);
    explicit_bzero(bytes, sizeof bytes);
}

/* The body is read in pieces, and only hashed. */
static bool body_is_right(int fd, const struct checkpoint_header *header)
{
    enum { PIECE_SIZE = 1 << 20 };
    struct address_stream stream;
    uint8_t address[ADDRESS_SIZE];
    uint8_t *piece = memory_take(PIECE_SIZE);
    uint64_t left = header->body_size;
    uint64_t offset = CHECKPOINT_BODY_OFFSET;
    address_stream_init(&stream, ADDRESS_CHECKPOINT);
    while (left > 0) {
        size_t wanted = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
        if (read_at(fd, offset, piece, wanted) != wanted) break;
        address_stream_add(&stream, piece, wanted);
        offset += wanted;
        left -= wanted;
    }
    free(piece);
    address_stream_end(&stream, address);
    return left == 0 && memcmp(address, header->body_address, ADDRESS_SIZE) == 0;
}

static void read_checkpoint(struct inspection *self, const char *name,
                            struct inspect_checkpoint *checkpoint)
{
    uint8_t bytes[CHECKPOINT_HEADER_SIZE] = {0};
    int fd = open_file(self, name);
    if (fd < 0) return;
    size_t size = read_at(fd, 0, bytes, sizeof bytes);
    checkpoint->state = INSPECT_DAMAGED;
    checkpoint->is_empty = bytes_are_zero(bytes, sizeof bytes);
    if (size == sizeof bytes && checkpoint_header_decode(&checkpoint->header, bytes) &&
        body_is_right(fd, &checkpoint->header)) {
        checkpoint->state = INSPECT_VALID;
    }
    close(fd);
}

/* ---- Segments ------------------------------------------------------------------------------ */

static void find_segments(struct inspection *self)
{
    for (uint32_t file = 0; file < JOURNAL_SEGMENTS_MAX; file++) {
        char name[32];
        struct stat status;
        snprintf(name, sizeof name, "journal/%04u", file);
        int fd = open_file(self, name);
        if (fd < 0) continue;
        if (fstat(fd, &status) == 0) {
            self->segments = memory_grow(self->segments, &self->segment_capacity,
                                         self->segment_count + 1, sizeof *self->segments);
            self->segments[self->segment_count++] = (struct inspect_segment){
                .file = file,
                .size = (uint64_t)status.st_size,
                .number = INSPECT_NO_SEGMENT,
            };
        }
        close(fd);
    }
}

static bool geometry_is_usable(uint64_t segment_bytes, uint64_t segment_count)
{
    return is_power_of_two(segment_bytes) && segment_bytes >= JOURNAL_BATCH_BYTES_MIN &&
           segment_bytes <= SEGMENT_BYTES_MAX && segment_count > 0 &&
           segment_count <= JOURNAL_SEGMENTS_MAX;
}

/* All segments have one size; a ring has at least as many as there are files. */
static void choose_geometry(struct inspection *self)
{
    const struct member_file *member = &self->member;
    self->limits.batch_bytes_max = JOURNAL_BATCH_BYTES_MAX;
    if (self->member_state == INSPECT_VALID &&
        geometry_is_usable(member->segment_bytes, member->segment_count)) {
        self->limits.segment_bytes = member->segment_bytes;
        self->limits.segment_count = member->segment_count;
        return;
    }
    self->geometry_is_guessed = true;
    for (size_t i = 0; i < self->segment_count; i++) {
        const struct inspect_segment *segment = &self->segments[i];
        if (!geometry_is_usable(segment->size, 1) || segment->size < self->limits.segment_bytes)
            continue;
        self->limits.segment_bytes = segment->size;
    }
    if (self->segment_count > 0)
        self->limits.segment_count = self->segments[self->segment_count - 1].file + 1;
}

static struct inspect_segment *segment_of_file(const struct inspection *self, uint64_t file)
{
    for (size_t i = 0; i < self->segment_count; i++) {
        if (self->segments[i].file == file) return &self->segments[i];
    }
    return NULL;
}

/* Reads a segment into the buffer; what is missing of a short file is zero. False: no such file. */
static bool load_segment(struct inspection *self, uint64_t file)
{
    char name[32];
    snprintf(name, sizeof name, "journal/%04u", (unsigned)file);
    int fd = segment_of_file(self, file) != NULL ? open_file(self, name) : -1;
    if (fd < 0) return false;
    size_t size = (size_t)self->limits.segment_bytes;
    size_t count = read_at(fd, 0, self->buffer, size);
    memset(self->buffer + count, 0, size - count);
    close(fd);
    return true;
}

/* The segment number that the file's first readable header shows. */
static uint64_t number_of_file(struct inspection *self, uint32_t file)
{
    const struct journal_limits *limits = &self->limits;
    struct journal_header header;
    if (!load_segment(self, file)) return INSPECT_NO_SEGMENT;
    for (uint64_t at = 0; at < limits->segment_bytes; at += JOURNAL_BLOCK_SIZE) {
        if (!journal_header_decode(&header, self->buffer + at)) continue;
        uint64_t number = header.position / limits->segment_bytes;
        if ((header.position & (limits->segment_bytes - 1)) != at) continue;
        if (number % limits->segment_count == file) return number;
    }
    return INSPECT_NO_SEGMENT;
}

/*
 * The oldest position that is kept: a checkpoint names it; else it is one ring behind the newest
 * segment.
 */
static void find_start(struct inspection *self)
{
    const struct journal_limits *limits = &self->limits;
    uint64_t newest = 0;
    for (size_t i = 0; i < self->segment_count; i++) {
        struct inspect_segment *segment = &self->segments[i];
        segment->number = number_of_file(self, segment->file);
        if (segment->number != INSPECT_NO_SEGMENT && segment->number > newest)
            newest = segment->number;
    }
    uint64_t oldest = newest + 1 > limits->segment_count ? newest + 1 - limits->segment_count : 0;
    self->from = oldest * limits->segment_bytes;
    uint64_t low_water = UINT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        const struct inspect_checkpoint *checkpoint = &self->checkpoints[i];
        if (checkpoint->state == INSPECT_VALID && checkpoint->header.low_water < low_water)
            low_water = checkpoint->header.low_water;
    }
    bool usable = low_water != UINT64_MAX && low_water % JOURNAL_BLOCK_SIZE == 0 &&
                  low_water / limits->segment_bytes <= newest;
    if (usable && low_water > self->from) self->from = low_water;
}

/* ---- The walk ------------------------------------------------------------------------------ */

struct walk {
    void (*batch)(void *argument, struct inspection *self, const struct journal_scan *scan);
    void (*damage)(void *argument, struct inspection *self, const struct journal_scan *scan);
    void *argument;
};

static void walk_journal(struct inspection *self, const struct walk *walk)
{
    struct journal_scan scan;
    journal_scan_init(&scan, &self->limits, self->from, false, NULL);
    for (;;) {
        switch (journal_scan_next(&scan)) {
        case JOURNAL_SCAN_WANTS: {
            bool there = load_segment(self, scan.wants % self->limits.segment_count);
            journal_scan_give(&scan, there ? self->buffer : NULL);
            break;
        }
        case JOURNAL_SCAN_BATCH: walk->batch(walk->argument, self, &scan); break;
        case JOURNAL_SCAN_DAMAGE: walk->damage(walk->argument, self, &scan); break;
        case JOURNAL_SCAN_END:
            self->torn_bytes = scan.torn_bytes;
            self->tail = scan.tail;
            return;
        }
    }
}

static struct inspect_origin *origin_of(struct inspection *self, uint32_t slot,
                                        uint32_t incarnation)
{
    for (size_t i = 0; i < self->origin_count; i++) {
        struct inspect_origin *origin = &self->origins[i];
        if (origin->slot == slot && origin->incarnation == incarnation) return origin;
    }
    if (self->origin_count == INSPECT_ORIGINS_MAX) return NULL;
    struct inspect_origin *origin = &self->origins[self->origin_count++];
    *origin = (struct inspect_origin){.slot = slot, .incarnation = incarnation};
    return origin;
}

static bool note_fact(struct inspection *self, const struct journal_record *record)
{
    struct fact fact;
    if (fact_decode(&fact, record->payload, record->size) != CAIRN_OK) return false;
    struct inspect_origin *origin = origin_of(self, fact.dot.slot, fact.dot.incarnation);
    if (origin == NULL) return true;
    if (origin->facts == 0) origin->first = fact.dot.sequence;
    origin->last = fact.dot.sequence;
    origin->facts++;
    return true;
}

static bool note_certificate(struct inspection *self, const struct journal_record *record)
{
    struct certificate certificate;
    if (certificate_decode(&certificate, record->payload, record->size) != CAIRN_OK) return false;
    struct inspect_origin *origin = origin_of(self, certificate.slot, certificate.incarnation);
    if (origin == NULL) return true;
    origin->certificates++;
    origin->certified = certificate_last(&certificate);
    return true;
}

static bool note_space(struct inspection *self, const struct journal_record *record)
{
    struct space space;
    if (space_decode(&space, record->payload, record->size) != CAIRN_OK) return false;
    self->spaces = memory_grow(self->spaces, &self->space_capacity, self->space_count + 1,
                               sizeof *self->spaces);
    self->spaces[self->space_count++] = space;
    return true;
}

static void note_record(struct inspection *self, const struct journal_record *record)
{
    uint32_t kind = record->kind <= RECORD_CERTIFICATE ? record->kind : INSPECT_KINDS - 1;
    bool canonical = true;
    switch (kind) {
    case RECORD_FACT: canonical = note_fact(self, record); break;
    case RECORD_CERTIFICATE: canonical = note_certificate(self, record); break;
    case RECORD_SPACE: canonical = note_space(self, record); break;
    case RECORD_OPEN: canonical = record->size == RECORD_OPEN_SIZE; break;
    case RECORD_MEMBER: canonical = record->size == RECORD_MEMBER_SIZE; break;
    case RECORD_CLOSE: break;
    default: kind = INSPECT_KINDS - 1; break;
    }
    self->kinds[kind]++;
    self->kind_bytes[kind] += record->size;
    self->not_canonical += !canonical;
}

static void note_batch(void *argument, struct inspection *self, const struct journal_scan *scan)
{
    (void)argument;
    const struct journal_header *header = &scan->header;
    uint64_t bytes = journal_batch_size(header->records_size);
    self->batches = memory_grow(self->batches, &self->batch_capacity, self->batch_count + 1,
                                sizeof *self->batches);
    self->batches[self->batch_count++] = (struct inspect_batch){
        .position = header->position,
        .bytes = bytes,
        .epoch = header->epoch,
        .records = header->record_count,
    };
    uint64_t number = header->position / self->limits.segment_bytes;
    struct inspect_segment *segment = segment_of_file(self, number % self->limits.segment_count);
    if (segment != NULL) {
        segment->batches++;
        segment->records += header->record_count;
        segment->bytes += bytes;
    }
    struct journal_record record;
    uint32_t offset = 0;
    while (journal_record_next(scan->batch, header, &offset, &record))
        note_record(self, &record);
}

static void note_damage(void *argument, struct inspection *self, const struct journal_scan *scan)
{
    (void)argument;
    self->damage = memory_grow(self->damage, &self->damage_capacity, self->damage_count + 1,
                               sizeof *self->damage);
    self->damage[self->damage_count++] = (struct inspect_range){scan->damage_from, scan->damage_to};
}

int inspect_folder(struct inspection *self, const char *folder)
{
    struct stat status;
    memset(self, 0, sizeof *self);
    if (strlen(folder) >= sizeof self->folder - 64)
        return say_failure(CAIRN_TOO_LARGE, "the folder's path is too long; give a shorter one");
    snprintf(self->folder, sizeof self->folder, "%s", folder);
    if (stat(folder, &status) != 0) return say_errno("reading", folder);
    if (!signature_init()) return say_failure(CAIRN_SYSTEM, "libsodium does not start");
    read_member(self);
    find_segments(self);
    if (self->member_state == INSPECT_MISSING && self->segment_count == 0) {
        return say_failure(CAIRN_NOT_FOUND,
                           "%s: neither a member file nor a journal is in it; give the folder that "
                           "cairn init made",
                           folder);
    }
    read_checkpoint(self, "checkpoint.a", &self->checkpoints[0]);
    read_checkpoint(self, "checkpoint.b", &self->checkpoints[1]);
    choose_geometry(self);
    if (self->limits.segment_bytes == 0 || self->segment_count == 0) return 0;
    self->buffer = memory_take((size_t)self->limits.segment_bytes);
    find_start(self);
    walk_journal(self, &(struct walk){note_batch, note_damage, NULL});
    return 0;
}

void inspect_free(struct inspection *self)
{
    free(self->buffer);
    free(self->segments);
    free(self->batches);
    free(self->damage);
    free(self->spaces);
    memset(self, 0, sizeof *self);
}

bool inspect_is_damaged(const struct inspection *self)
{
    bool damaged =
        self->member_state != INSPECT_VALID || self->damage_count > 0 || self->not_canonical > 0;
    for (size_t i = 0; i < 2; i++) {
        const struct inspect_checkpoint *checkpoint = &self->checkpoints[i];
        damaged = damaged || (checkpoint->state == INSPECT_DAMAGED && !checkpoint->is_empty);
    }
    return damaged;
}

/* ---- Records ------------------------------------------------------------------------------- */

struct record_walk {
    inspect_record_function function;
    void *argument;
};

static void hand_out_records(void *argument, struct inspection *self,
                             const struct journal_scan *scan)
{
    const struct record_walk *walk = argument;
    struct journal_record record;
    uint32_t offset = 0;
    while (journal_record_next(scan->batch, &scan->header, &offset, &record))
        walk->function(walk->argument, self, scan->header.position, &record);
}

static void skip_damage(void *argument, struct inspection *self, const struct journal_scan *scan)
{
    (void)argument;
    (void)self;
    (void)scan;
}

int inspect_records(struct inspection *self, inspect_record_function function, void *argument)
{
    struct record_walk walk = {function, argument};
    if (self->buffer == NULL) return 0;
    walk_journal(self, &(struct walk){hand_out_records, skip_damage, &walk});
    return 0;
}
