/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_input.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/memory.h"
#include "cli/say.h"
#include "cli/spawn.h"
#include "cli/text.h"

#define APT_HELPER "/usr/lib/apt/apt-helper"
#define APT_LISTS "/var/lib/apt/lists/*_Packages*"

/* ---- Files --------------------------------------------------------------------------------- */

bool examples_path(const char *name, char *path, size_t size)
{
    char binary[PATH_MAX];
    const char *folder = getenv("CAIRN_EXAMPLES");
    if (folder != NULL && *folder != 0) {
        int length = snprintf(path, size, "%s/%s", folder, name);
        return length > 0 && (size_t)length < size && access(path, R_OK) == 0;
    }
    ssize_t count = readlink("/proc/self/exe", binary, sizeof binary - 1);
    if (count <= 0) return false;
    binary[count] = 0;
    char *slash = strrchr(binary, '/');
    if (slash != NULL) *slash = 0;
    static const char *const places[] = {"../examples", "../share/cairn/examples"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int length = snprintf(path, size, "%s/%s/%s", binary, places[i], name);
        if (length > 0 && (size_t)length < size && access(path, R_OK) == 0) return true;
    }
    return false;
}

/* Not the pieces of an update, nor its index of differences. */
static bool is_package_list(const char *path)
{
    static const char *const endings[] = {"", ".lz4", ".gz", ".xz", ".bz2", ".zst", ".lzma"};
    const char *name = strrchr(path, '/');
    const char *end = strstr(name != NULL ? name : path, "_Packages");
    if (end == NULL) return false;
    end += strlen("_Packages");
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (strcmp(end, endings[i]) == 0) return true;
    }
    return false;
}

static void find_lists(struct package_files *self)
{
    glob_t found;
    if (glob(APT_LISTS, 0, NULL, &found) != 0) return;
    for (size_t i = 0; i < found.gl_pathc && self->count < PACKAGE_FILES_MAX; i++) {
        if (!is_package_list(found.gl_pathv[i]) || access(found.gl_pathv[i], R_OK) != 0) continue;
        self->paths[self->count++] = memory_text(found.gl_pathv[i]);
    }
    globfree(&found);
}

int package_files_find(struct package_files *self, bool sample)
{
    char path[PATH_MAX];
    memset(self, 0, sizeof *self);
    if (!sample) find_lists(self);
    if (self->count > 0) return 0;
    self->is_sample = true;
    if (!examples_path("data/Packages", path, sizeof path)) {
        return say_failure(CAIRN_NOT_FOUND,
                           "neither a package index in /var/lib/apt/lists nor the sample "
                           "examples/data/Packages is here; run 'apt-get update', or set "
                           "CAIRN_EXAMPLES to the folder examples of the source");
    }
    self->paths[self->count++] = memory_text(path);
    return 0;
}

void package_files_free(struct package_files *self)
{
    for (uint32_t i = 0; i < self->count; i++)
        free(self->paths[i]);
    memset(self, 0, sizeof *self);
}

/* ---- Reader -------------------------------------------------------------------------------- */

static int start_helper(struct package_reader *self)
{
    const char *const arguments[] = {APT_HELPER, "cat-file", self->path, NULL};
    int error = spawn_reader(arguments, &self->helper, &self->fd);
    if (error == 0) return 0;
    self->helper = 0;
    errno = error;
    return say_errno("starting", APT_HELPER);
}

int package_reader_open(struct package_reader *self, const char *path)
{
    memset(self, 0, sizeof *self);
    self->path = path;
    self->fd = -1;
    int code = 0;
    if (access(APT_HELPER, X_OK) == 0) {
        code = start_helper(self);
    } else {
        self->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (self->fd < 0) code = say_errno("reading", path);
    }
    line_reader_init(&self->lines, self->fd);
    return code;
}

int package_reader_close(struct package_reader *self, bool was_read)
{
    int status = 0;
    if (self->fd >= 0) close(self->fd);
    if (self->helper > 0) status = spawn_wait(self->helper);
    line_reader_free(&self->lines);
    for (unsigned i = 0; i < PACKAGE_FIELDS; i++)
        free(self->fields[i].bytes);
    free(self->terms);
    if (status == 0 || !was_read) return 0;
    return say_failure(CAIRN_SYSTEM, "reading %s: %s failed; is the file whole?", self->path,
                       APT_HELPER);
}

/* ---- Stanzas ------------------------------------------------------------------------------- */

static bool is_blank(char character)
{
    return character == ' ' || character == '\t' || character == '\r';
}

static enum package_field field_of(const char *line, size_t name_size)
{
    static const char *const names[PACKAGE_FIELDS] = {"Section", "Maintainer", "Installed-Size",
                                                      "Depends", "Pre-Depends"};
    for (unsigned i = 0; i < PACKAGE_FIELDS; i++) {
        if (strlen(names[i]) == name_size && memcmp(names[i], line, name_size) == 0)
            return (enum package_field)i;
    }
    return FIELD_OTHER;
}

/* Adds a text without the blanks around it, and a terminator that is not counted. */
static void field_add(struct field_text *self, const char *text, size_t size)
{
    while (size > 0 && is_blank(text[0])) {
        text++;
        size--;
    }
    while (size > 0 && is_blank(text[size - 1]))
        size--;
    self->bytes = memory_grow(self->bytes, &self->capacity, self->size + size + 2, 1);
    if (self->size > 0) self->bytes[self->size++] = ' ';
    memcpy(self->bytes + self->size, text, size);
    self->size += size;
    self->bytes[self->size] = 0;
}

static bool is_name_end(char character)
{
    return character == 0 || is_blank(character) || strchr("(:[<", character) != NULL;
}

/* Adds the names of "a (>= 1), b:any | c" in a terminated text. */
static size_t add_terms(struct package_reader *self, size_t count, const char *text)
{
    while (*text != 0) {
        size_t size = strcspn(text, ",|");
        const char *name = text;
        const char *end = text + size;
        while (name < end && is_blank(*name))
            name++;
        const char *name_end = name;
        while (name_end < end && !is_name_end(*name_end))
            name_end++;
        if (name_end > name) {
            self->terms =
                memory_grow(self->terms, &self->terms_capacity, count + 1, sizeof *self->terms);
            self->terms[count++] = (struct package_term){name, (size_t)(name_end - name)};
        }
        text = end + (*end != 0);
    }
    return count;
}

static int compare_terms(const void *left, const void *right)
{
    const struct package_term *a = left;
    const struct package_term *b = right;
    int order = memcmp(a->name, b->name, a->size < b->size ? a->size : b->size);
    if (order != 0) return order;
    return (a->size > b->size) - (a->size < b->size);
}

static size_t sort_terms(struct package_term *terms, size_t count)
{
    size_t kept = 0;
    if (count > 0) qsort(terms, count, sizeof *terms, compare_terms);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && compare_terms(&terms[kept - 1], &terms[i]) == 0) continue;
        terms[kept++] = terms[i];
    }
    return kept;
}

static const char *field_get(const struct package_reader *self, enum package_field field)
{
    return self->fields[field].size > 0 ? self->fields[field].bytes : "";
}

static void fill_package(struct package_reader *self, struct package *package)
{
    package->index = self->next_index++;
    package->section = field_get(self, FIELD_SECTION);
    package->maintainer = field_get(self, FIELD_MAINTAINER);
    package->has_installed_size =
        text_to_i64(field_get(self, FIELD_INSTALLED_SIZE), &package->installed_size);
    size_t count = add_terms(self, 0, field_get(self, FIELD_DEPENDS));
    count = add_terms(self, count, field_get(self, FIELD_PRE_DEPENDS));
    package->term_count = sort_terms(self->terms, count);
    package->terms = self->terms;
}

enum line_result package_reader_next(struct package_reader *self, struct package *package)
{
    char *line;
    size_t size;
    enum line_result result;
    enum package_field field = FIELD_OTHER;
    bool has_fields = false;
    for (unsigned i = 0; i < PACKAGE_FIELDS; i++)
        self->fields[i].size = 0;
    while ((result = line_reader_next(&self->lines, &line, &size)) == LINE_READ) {
        bool goes_on = size > 0 && is_blank(line[0]);
        size_t blanks = strspn(line, " \t\r");
        if (blanks == size) {
            if (has_fields) break;
            continue;
        }
        char *colon = memchr(line, ':', size);
        if (!goes_on && colon == NULL) continue;
        if (!goes_on) {
            has_fields = true;
            field = field_of(line, (size_t)(colon - line));
            if (field != FIELD_OTHER) self->fields[field].size = 0; /* the last one counts */
        }
        if (field == FIELD_OTHER) continue;
        const char *value = goes_on ? line : colon + 1;
        field_add(&self->fields[field], value, size - (size_t)(value - line));
    }
    if (result == LINE_FAILED || !has_fields) return result;
    fill_package(self, package);
    return LINE_READ;
}
