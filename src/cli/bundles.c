/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bundles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "cli/folder.h"
#include "cli/memory.h"
#include "cli/say.h"
#include "cli/text.h"
#include "facts/certificate.h"

#define PREFIX_SIZE 4u
#define BUNDLE_OFFSET                                                                              \
    64u /* in a buffer, so that the bundle is aligned and the size fits before it */

/* ---- Export -------------------------------------------------------------------------------- */

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, bytes, size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        bytes += count;
        size -= (size_t)count;
    }
    return true;
}

/* Every applied fact is in some certificate; what is not written is in a checkpoint only. */
static void say_left_out(cairn_engine *engine, uint64_t facts)
{
    struct cairn_status status;
    char left_out[TEXT_NUMBER_SIZE];
    cairn_status(engine, &status);
    if (facts >= status.facts_applied) return;
    say("warning: %s facts are in the checkpoint only, and are not exported; a member that never "
        "had them needs them from another one",
        text_number(status.facts_applied - facts, left_out));
}

/* Writes bundles behind *cursor until the end or a failure; adds up their facts. */
static int export_bundles(cairn_engine *engine, int fd, const char *name, uint8_t *buffer,
                          uint64_t *count, uint64_t *facts)
{
    uint8_t *bundle = buffer + BUNDLE_OFFSET;
    struct certificate certificate;
    uint64_t cursor = 0;
    size_t size;
    int code = 0;
    for (;;) {
        uint64_t asked = cursor;
        int result = cairn_export(engine, &cursor, bundle, CAIRN_BUNDLE_SIZE_MAX, &size);
        if (result == CAIRN_RECLAIMED && cursor > asked) continue; /* goes on with the oldest */
        if (result == CAIRN_END) return code;
        if (result == CAIRN_CORRUPT && cursor > asked) {
            /* What lies behind it can still be had; others may have what is damaged here. */
            say("left out: %s", cairn_error_message(engine));
            code = cairn_result_exit_code(result);
            continue;
        }
        if (result != CAIRN_OK) return folder_refusal(engine, result, "exporting");
        store_u32(bundle - PREFIX_SIZE, (uint32_t)size);
        if (!write_all(fd, bundle - PREFIX_SIZE, PREFIX_SIZE + size))
            return say_errno("writing", name);
        if (certificate_decode(&certificate, bundle, size) == CAIRN_OK) *facts += certificate.count;
        ++*count;
    }
}

int bundles_export(cairn_engine *engine, int fd, const char *name, uint64_t *count)
{
    uint64_t facts = 0;
    int result = cairn_flush(engine, FOLDER_TIMEOUT_MS);
    if (result != CAIRN_OK) return folder_refusal(engine, result, "waiting for certificates");
    uint8_t *buffer = memory_take(BUNDLE_OFFSET + CAIRN_BUNDLE_SIZE_MAX);
    *count = 0;
    int code = export_bundles(engine, fd, name, buffer, count, &facts);
    free(buffer);
    if (code == 0) say_left_out(engine, facts);
    return code;
}

int bundles_export_file(cairn_engine *engine, const char *name, uint64_t *count)
{
    struct stat status;
    if (lstat(name, &status) == 0 && !S_ISREG(status.st_mode)) {
        return say_failure(CAIRN_INVALID_ARGUMENT,
                           "%s: is no regular file; write to '-' and redirect it", name);
    }
    char *new_name = memory_take(strlen(name) + sizeof ".new");
    sprintf(new_name, "%s.new", name);
    int fd = open(new_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    int code = fd < 0 ? say_errno("writing", new_name) : 0;
    if (fd >= 0) {
        code = bundles_export(engine, fd, new_name, count);
        if (code == 0 && fsync(fd) != 0 && errno != EINVAL) code = say_errno("syncing", new_name);
        if (close(fd) != 0 && code == 0) code = say_errno("closing", new_name);
        bool whole = code == 0 || code == cairn_result_exit_code(CAIRN_CORRUPT);
        if (whole && rename(new_name, name) != 0) code = say_errno("replacing", name);
        if (!whole) unlink(new_name);
    }
    free(new_name);
    return code;
}

/* ---- The list ------------------------------------------------------------------------------ */

void bundle_list_init(struct bundle_list *self)
{
    memset(self, 0, sizeof *self);
}

void bundle_list_free(struct bundle_list *self)
{
    for (uint32_t i = 0; i < self->file_count; i++)
        close(self->files[i].fd);
    free(self->places);
    memset(self, 0, sizeof *self);
}

void bundle_list_shuffle(struct bundle_list *self, struct prng *prng)
{
    for (size_t i = self->count; i > 1; i--) {
        size_t other = (size_t)prng_below(prng, i);
        struct bundle_place place = self->places[i - 1];
        self->places[i - 1] = self->places[other];
        self->places[other] = place;
    }
}

/* Reads `size` bytes at the offset; fewer only at the end of the file. -1: errno. */
static ssize_t read_at(int fd, uint64_t offset, uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t count = pread(fd, bytes + done, size - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return -1;
        if (count == 0) break;
        done += (size_t)count;
    }
    return (ssize_t)done;
}

/* A pipe cannot be read at an offset: its bytes go to a file without a name first. */
static int open_input(void)
{
    uint8_t *piece = memory_take(CAIRN_BUNDLE_SIZE_MAX);
    FILE *copy = tmpfile();
    int fd = copy != NULL ? fcntl(fileno(copy), F_DUPFD_CLOEXEC, 0) : -1;
    ssize_t count = 0;
    while (fd >= 0 && (count = read(STDIN_FILENO, piece, CAIRN_BUNDLE_SIZE_MAX)) != 0) {
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 || !write_all(fd, piece, (size_t)count)) {
            int error = errno;
            close(fd);
            fd = -1;
            errno = error;
        }
    }
    if (copy != NULL) fclose(copy);
    free(piece);
    return fd;
}

static int refuse_file(const char *name, uint64_t offset, const char *what)
{
    char shown[64];
    char text[TEXT_NUMBER_SIZE];
    return say_failure(
        CAIRN_NOT_CANONICAL, "%s: at byte %s %s; is it whole, and from cairn fact export?",
        text_printable(name, strlen(name), shown, sizeof shown), text_number(offset, text), what);
}

/* Finds where the bundles of a file lie. */
static int find_places(struct bundle_list *self, uint32_t file)
{
    const char *name = self->files[file].name;
    int fd = self->files[file].fd;
    uint8_t prefix[PREFIX_SIZE];
    uint64_t offset = 0;
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0) return say_errno("reading", name);
    while (offset < (uint64_t)end) {
        ssize_t count = read_at(fd, offset, prefix, PREFIX_SIZE);
        if (count < 0) return say_errno("reading", name);
        if (count < (ssize_t)PREFIX_SIZE) return refuse_file(name, offset, "a size is cut off");
        uint32_t size = load_u32(prefix);
        if (size == 0 || size > CAIRN_BUNDLE_SIZE_MAX)
            return refuse_file(name, offset, "there is no size of a bundle");
        offset += PREFIX_SIZE;
        if (size > (uint64_t)end - offset) return refuse_file(name, offset, "a bundle is cut off");
        self->places =
            memory_grow(self->places, &self->capacity, self->count + 1, sizeof *self->places);
        self->places[self->count++] =
            (struct bundle_place){.offset = offset, .size = size, .file = (uint16_t)file};
        offset += size;
    }
    return 0;
}

int bundle_list_add(struct bundle_list *self, const char *name)
{
    if (self->file_count == BUNDLE_FILES_MAX) {
        return say_failure(CAIRN_TOO_LARGE, "more than %u files; import them in several calls",
                           BUNDLE_FILES_MAX);
    }
    int fd = strcmp(name, "-") == 0 ? open_input() : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return say_errno("reading", name);
    self->files[self->file_count] = (struct bundle_file){name, fd};
    self->file_count++;
    return find_places(self, self->file_count - 1);
}

int bundle_list_read(const struct bundle_list *self, size_t index, uint8_t *buffer)
{
    const struct bundle_place *place = &self->places[index];
    const struct bundle_file *file = &self->files[place->file];
    ssize_t count = read_at(file->fd, place->offset, buffer, place->size);
    if (count < 0) return say_errno("reading", file->name);
    if (count < (ssize_t)place->size)
        return refuse_file(file->name, place->offset, "the file became shorter");
    return 0;
}

/* ---- Import -------------------------------------------------------------------------------- */

struct import {
    struct bundle_list *list;
    cairn_engine *engine;
    struct bundle_totals *totals;
    struct progress *progress;
    const volatile int *stop;
    uint8_t *buffer;
};

static int refuse_bundle(const struct import *self, const struct bundle_place *place, int result)
{
    char what[160];
    char shown[64];
    char text[TEXT_NUMBER_SIZE];
    const char *name = self->list->files[place->file].name;
    if (self->progress != NULL) progress_hide(self->progress);
    snprintf(what, sizeof what, "%s: the bundle at byte %s",
             text_printable(name, strlen(name), shown, sizeof shown),
             text_number(place->offset, text));
    return folder_refusal(self->engine, result, what);
}

static void count_import(struct import *self, const struct bundle_place *place,
                         const struct cairn_import *done)
{
    struct bundle_totals *totals = self->totals;
    totals->applied += done->applied;
    if (!place->was_tried) {
        totals->bundles++;
        totals->duplicate += done->duplicate;
        totals->waited += done->waiting != 0;
    }
    if (done->waiting != 0) totals->missing = done->missing;
    if (self->progress != NULL) progress_set(self->progress, self->progress->done + done->applied);
}

/* Goes over the list once. Returns an exit code. */
static int import_round(struct import *self)
{
    struct bundle_list *list = self->list;
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct bundle_place place = list->places[i];
        struct cairn_import done = {0};
        if (self->stop != NULL && *self->stop != 0) return EXIT_CODE_INTERRUPTED;
        int code = bundle_list_read(list, i, self->buffer);
        if (code != 0) return code;
        int result = cairn_import(self->engine, self->buffer, place.size, &done);
        if (result == CAIRN_BUSY)
            done.waiting = 1; /* at least; there was no room to wait in */
        else if (result != CAIRN_OK)
            return refuse_bundle(self, &place, result);
        count_import(self, &place, &done);
        place.was_tried = true;
        if (done.waiting != 0) list->places[kept++] = place;
    }
    list->count = kept;
    self->totals->rounds++;
    return 0;
}

static int import_all(struct import *self)
{
    uint64_t applied;
    do {
        applied = self->totals->applied;
        int code = import_round(self);
        if (code != 0) return code;
        int result = folder_settle(self->engine);
        if (result != CAIRN_OK)
            return folder_refusal(self->engine, result, "waiting until it is durable");
    } while (self->list->count > 0 && self->totals->applied > applied);
    return 0;
}

int bundle_list_import(struct bundle_list *self, cairn_engine *engine, struct bundle_totals *totals,
                       struct progress *progress, const volatile int *stop)
{
    struct import import = {self, engine, totals, progress, stop, NULL};
    import.buffer = memory_take(CAIRN_BUNDLE_SIZE_MAX);
    memset(totals, 0, sizeof *totals);
    int code = import_all(&import);
    free(import.buffer);
    return code;
}
