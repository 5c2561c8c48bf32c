/* SPDX-License-Identifier: Apache-2.0 */
/* The judge: a program that shares no code with Cairn reads the same input and counts again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/demo_run.h"
#include "cli/memory.h"
#include "cli/say.h"
#include "cli/spawn.h"
#include "cli/text.h"

#define DIFFERENCES_SHOWN 10u
#define READ_SIZE (1024u * 1024u)

/* ---- Running it ---------------------------------------------------------------------------- */

static int start(const char *script, const struct package_files *files, int *fd, pid_t *pid)
{
    const char *arguments[PACKAGE_FILES_MAX + 3] = {"python3", script};
    for (uint32_t i = 0; i < files->count; i++)
        arguments[2 + i] = files->paths[i];
    int error = spawn_reader(arguments, pid, fd);
    if (error == 0) return 0;
    return say_failure(CAIRN_NOT_FOUND,
                       "python3, which counts again, does not start: %s; install "
                       "Debian's package python3",
                       strerror(error));
}

static int read_output(struct recount *self, int fd)
{
    for (;;) {
        self->text = memory_grow(self->text, &self->text_capacity, self->size + READ_SIZE + 1, 1);
        ssize_t count = read(fd, self->text + self->size, READ_SIZE);
        if (demo_signal != 0) return EXIT_CODE_INTERRUPTED;
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return say_errno("reading", "the recount");
        if (count == 0) break;
        self->size += (size_t)count;
    }
    self->text[self->size] = 0;
    return 0;
}

static int split_lines(struct recount *self)
{
    char *at = self->text;
    while (*at != 0) {
        char *key = strchr(at, '\t');
        char *value = key != NULL ? strchr(key + 1, '\t') : NULL;
        char *end = value != NULL ? strchr(value + 1, '\n') : NULL;
        if (end == NULL || memchr(at, '\n', (size_t)(value - at)) != NULL) {
            return say_failure(CAIRN_SYSTEM, "line %zu of the recount is not SPACE, KEY and VALUE",
                               self->count + 1);
        }
        *key++ = *value++ = *end = 0;
        self->lines =
            memory_grow(self->lines, &self->capacity, self->count + 1, sizeof *self->lines);
        self->lines[self->count++] = (struct recount_line){at, key, value};
        at = end + 1;
    }
    return 0;
}

static int find_script(char path[PATH_MAX])
{
    if (examples_path("recount.py", path, PATH_MAX)) return 0;
    return say_failure(CAIRN_NOT_FOUND, "examples/recount.py, which counts again, is not here; set "
                                        "CAIRN_EXAMPLES to the folder examples of the source");
}

int recount_check(void)
{
    char script[PATH_MAX];
    return find_script(script);
}

int recount_run(struct recount *self, const struct package_files *files)
{
    char script[PATH_MAX];
    int fd = -1;
    pid_t pid;
    memset(self, 0, sizeof *self);
    int code = find_script(script);
    if (code == 0) code = start(script, files, &fd, &pid);
    if (code != 0) return code;
    code = read_output(self, fd);
    close(fd);
    if (code != 0) kill(pid, SIGKILL);
    int status = spawn_wait(pid);
    if (code == 0 && status != 0)
        code = say_failure(CAIRN_SYSTEM, "%s failed; its own words are above", script);
    return code != 0 ? code : split_lines(self);
}

void recount_free(struct recount *self)
{
    free(self->text);
    free(self->lines);
    memset(self, 0, sizeof *self);
}

/* ---- Comparing ----------------------------------------------------------------------------- */

static int compare_keys(const struct listed_cell *cell, const uint8_t *keys,
                        const struct recount_line *line)
{
    int order = strcmp(cell->space, line->space);
    if (order != 0) return order;
    size_t line_size = strlen(line->key);
    size_t size = cell->key_size < line_size ? cell->key_size : line_size;
    order = memcmp(keys + cell->key_offset, line->key, size);
    if (order != 0) return order;
    return (cell->key_size > line_size) - (cell->key_size < line_size);
}

struct differences {
    uint32_t slot;
    uint64_t count;
};

static void say_difference(struct differences *self, const char *space, const void *key,
                           size_t key_size, const char *here, const char *there)
{
    char shown[128];
    if (self->count++ >= DIFFERENCES_SHOWN) return;
    say("member %u: %s, '%s': cell %s, recount %s", self->slot, space,
        text_printable(key, key_size, shown, sizeof shown), here, there);
}

int recount_compare(const struct recount *self, const struct cell_list *cells, uint32_t slot)
{
    struct differences differences = {.slot = slot};
    size_t c = 0;
    size_t l = 0;
    while (c < cells->count || l < self->count) {
        const struct listed_cell *cell = &cells->cells[c];
        const struct recount_line *line = &self->lines[l];
        char value[TEXT_VALUE_SIZE];
        int order = c == cells->count  ? 1
                    : l == self->count ? -1
                                       : compare_keys(cell, cells->keys, line);
        if (order <= 0) text_value(&cell->value, value);
        if (order < 0) {
            say_difference(&differences, cell->space, cells->keys + cell->key_offset,
                           cell->key_size, value, "none");
        } else if (order > 0) {
            say_difference(&differences, line->space, line->key, strlen(line->key), "none",
                           line->value);
        } else if (strcmp(value, line->value) != 0) {
            say_difference(&differences, cell->space, line->key, strlen(line->key), value,
                           line->value);
        }
        c += order <= 0;
        l += order >= 0;
    }
    if (differences.count == 0) return 0;
    char count[TEXT_NUMBER_SIZE];
    say("member %u: %s cells differ from the recount", slot, text_number(differences.count, count));
    return EXIT_CODE_FAILURE;
}
