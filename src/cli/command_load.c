/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn fact load: a fact for each line of a file.
 *
 * Lines are admitted in batches, and stay in a ring until they are durable; with --acknowledge the
 * number of each is printed then, so whoever reads the output knows what a crash cannot take.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/folder.h"
#include "cli/lines.h"
#include "cli/memory.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "cli/text.h"

#define BATCH_FACTS 64u
#define RING_LINES 16384u /* a power of two */

struct pending_line {
    uint64_t number;
    uint64_t position;
};

struct load {
    cairn_engine *engine;
    const char *file;
    bool acknowledges;
    struct progress progress;
    uint64_t bytes_read;
    uint64_t line_number;
    /* The batch that is being read. */
    uint32_t count;
    struct cairn_fact facts[BATCH_FACTS];
    struct cairn_effect effects[BATCH_FACTS];
    uint64_t numbers[BATCH_FACTS];
    uint8_t keys[BATCH_FACTS][CAIRN_KEY_SIZE_MAX];
    uint8_t idempotency_keys[BATCH_FACTS][CAIRN_IDEMPOTENCY_KEY_SIZE];
    /* The space of the line before: mostly that of the next, too. */
    char space_name[CAIRN_SPACE_NAME_SIZE_MAX + 1];
    uint32_t space;
    /* Admitted, not yet durable. */
    uint64_t ring_begin;
    uint64_t ring_end;
    struct pending_line ring[RING_LINES];
};

/* ---- Durable lines ------------------------------------------------------------------------- */

static void acknowledge(struct load *self)
{
    uint64_t durable = cairn_durable(self->engine);
    uint64_t begin = self->ring_begin;
    while (self->ring_begin < self->ring_end) {
        const struct pending_line *line = &self->ring[self->ring_begin % RING_LINES];
        if (line->position > durable) break;
        if (self->acknowledges) printf("%llu\n", (unsigned long long)line->number);
        self->ring_begin++;
    }
    if (self->acknowledges && begin != self->ring_begin) fflush(stdout);
}

/* Waits until the oldest line that is not durable is. */
static int wait_oldest(struct load *self)
{
    if (self->ring_begin == self->ring_end) return 0;
    uint64_t position = self->ring[self->ring_begin % RING_LINES].position;
    int result = cairn_wait(self->engine, position, FOLDER_TIMEOUT_MS);
    if (result != CAIRN_OK) {
        char text[TEXT_NUMBER_SIZE];
        progress_hide(&self->progress);
        say("line %s and those behind it may not be durable",
            text_number(self->ring[self->ring_begin % RING_LINES].number, text));
        return folder_refusal(self->engine, result, "waiting until lines are durable");
    }
    acknowledge(self);
    return 0;
}

static int wait_all(struct load *self)
{
    while (self->ring_begin < self->ring_end) {
        int code = wait_oldest(self);
        if (code != 0) return code;
    }
    return 0;
}

/* ---- Batches ------------------------------------------------------------------------------- */

static int refuse_line(struct load *self, uint64_t number, int result, const char *message)
{
    char what[128];
    char shown[64];
    progress_hide(&self->progress);
    snprintf(what, sizeof what, "%s: line %llu",
             text_printable(self->file, strlen(self->file), shown, sizeof shown),
             (unsigned long long)number);
    return say_refusal(result, what, message);
}

/* After BUSY: until something is durable. What fills the ring may be no line, but a declaration. */
static int wait_for_room(struct load *self)
{
    if (self->ring_begin < self->ring_end) return wait_oldest(self);
    int result = folder_settle(self->engine);
    return result == CAIRN_OK ? 0 : folder_refusal(self->engine, result, "waiting for room");
}

/* After STORAGE_FULL: what a checkpoint holds need not be kept in the journal any longer. */
static int make_room(struct load *self)
{
    int result = cairn_checkpoint(self->engine);
    acknowledge(self); /* it made everything durable */
    return result == CAIRN_OK ? 0 : folder_refusal(self->engine, result, "taking a checkpoint");
}

/* Admits the batch from `*next` on; moves it. Returns the result of the refusal, if any. */
static int admit_some(struct load *self, uint32_t *next)
{
    struct cairn_ticket tickets[BATCH_FACTS];
    size_t admitted = 0;
    int result =
        cairn_admit(self->engine, self->facts + *next, self->count - *next, tickets, &admitted);
    for (size_t i = 0; i < admitted; i++) {
        self->ring[self->ring_end++ % RING_LINES] =
            (struct pending_line){self->numbers[*next + i], tickets[i].position};
    }
    *next += (uint32_t)admitted;
    return result;
}

/* Admits the batch; it is empty afterwards, whatever became of it. */
static int admit(struct load *self)
{
    uint32_t next = 0;
    uint32_t full_at = UINT32_MAX; /* where a checkpoint was taken: a second one would not help */
    int code = 0;
    while (code == 0 && next < self->count) {
        if (self->ring_end - self->ring_begin > RING_LINES - BATCH_FACTS) {
            code = wait_oldest(self);
            continue;
        }
        int result = admit_some(self, &next);
        if (result == CAIRN_BUSY) {
            code = wait_for_room(self);
        } else if (result == CAIRN_STORAGE_FULL && full_at != next) {
            full_at = next;
            code = make_room(self);
        } else if (result != CAIRN_OK) {
            code =
                refuse_line(self, self->numbers[next], result, cairn_error_message(self->engine));
        }
    }
    self->count = 0;
    if (code == 0) acknowledge(self);
    return code;
}

/* ---- Lines --------------------------------------------------------------------------------- */

#define FIELDS_MAX 5u

static unsigned split(char *line, char *fields[FIELDS_MAX])
{
    unsigned count = 0;
    while (count < FIELDS_MAX) {
        fields[count++] = line;
        line = strchr(line, '\t');
        if (line == NULL) break;
        *line++ = 0;
    }
    return count;
}

static int find_space(struct load *self, const char *name)
{
    if (strcmp(name, self->space_name) == 0) return CAIRN_OK;
    int result = cairn_space_find(self->engine, name, &self->space);
    if (result == CAIRN_OK) snprintf(self->space_name, sizeof self->space_name, "%s", name);
    return result;
}

/* Adds the line to the batch. Returns an exit code. */
static int take_line(struct load *self, char *line)
{
    char *fields[FIELDS_MAX];
    unsigned count = split(line, fields);
    uint64_t number = self->line_number;
    if (count < 3 || count > 4) {
        return refuse_line(self, number, CAIRN_INVALID_ARGUMENT,
                           "write SPACE, KEY and AMOUNT with tabs between them, and an idempotency "
                           "key behind them or nothing");
    }
    int result = find_space(self, fields[0]);
    if (result != CAIRN_OK) return refuse_line(self, number, result, NULL);
    size_t key_size = strlen(fields[1]);
    if (key_size == 0 || key_size > CAIRN_KEY_SIZE_MAX) {
        return refuse_line(self, number, CAIRN_TOO_LARGE,
                           "the key must have 1 to 1,024 bytes; shorten it");
    }
    int64_t amount;
    if (!text_to_i64(fields[2], &amount)) {
        return refuse_line(self, number, CAIRN_INVALID_ARGUMENT,
                           "the amount is not a 64-bit integer; give digits, with '-' in front for "
                           "a negative amount");
    }
    uint8_t *idempotency_key = self->idempotency_keys[self->count];
    if (count == 4 && !bytes_from_hex(fields[3], idempotency_key, CAIRN_IDEMPOTENCY_KEY_SIZE)) {
        return refuse_line(self, number, CAIRN_INVALID_ARGUMENT,
                           "the idempotency key must have exactly 32 hexadecimal digits");
    }
    struct cairn_effect *effect = &self->effects[self->count];
    memcpy(self->keys[self->count], fields[1], key_size);
    *effect = (struct cairn_effect){
        .key = self->keys[self->count],
        .key_size = (uint32_t)key_size,
        .space = self->space,
        .operation = CAIRN_ADD,
        .amount = amount,
    };
    self->facts[self->count] = (struct cairn_fact){
        .effects = effect,
        .effect_count = 1,
        .idempotency_key = count == 4 ? idempotency_key : NULL,
    };
    self->numbers[self->count++] = number;
    return self->count == BATCH_FACTS ? admit(self) : 0;
}

/* Whoever writes the lines may be waiting for what it wrote to become durable. */
static int settle_before_waiting(struct load *self, const struct line_reader *reader)
{
    if (self->count == 0 && self->ring_begin == self->ring_end) return 0;
    if (!line_reader_would_wait(reader)) return 0;
    int code = admit(self);
    return code != 0 ? code : wait_all(self);
}

static int load_lines(struct load *self, int fd)
{
    struct line_reader reader;
    char *line;
    size_t size;
    int code = 0;
    enum line_result found = LINE_END;
    line_reader_init(&reader, fd);
    while (code == 0 && (code = settle_before_waiting(self, &reader)) == 0 &&
           (found = line_reader_next(&reader, &line, &size)) == LINE_READ) {
        self->line_number++;
        if (strlen(line) != size) {
            code = refuse_line(self, self->line_number, CAIRN_INVALID_ARGUMENT,
                               "a zero byte; remove it");
        } else {
            code = take_line(self, line);
        }
        progress_set(&self->progress, reader.bytes_read);
    }
    if (found == LINE_FAILED) code = say_errno("reading", self->file);
    line_reader_free(&reader);
    /* What came before a bad line is kept, so it is made durable as well. */
    if (self->count > 0) {
        int admit_code = admit(self);
        if (code == 0) code = admit_code;
    }
    int wait_code = wait_all(self);
    return code != 0 ? code : wait_code;
}

static int load(cairn_engine *engine, const struct command_line *line, int fd, uint64_t size)
{
    struct load *self = memory_take(sizeof *self);
    self->engine = engine;
    self->file = line->arguments[0];
    self->acknowledges = option_is_given(line, OPTION_ACKNOWLEDGE);
    progress_begin(&self->progress, "loading", "bytes", size, option_is_given(line, OPTION_QUIET));
    int code = load_lines(self, fd);
    if (code == 0) progress_end(&self->progress);
    free(self);
    return code;
}

int command_fact_load(struct command_line *line)
{
    cairn_engine *engine;
    struct stat status;
    const char *name = line->arguments[0];
    bool is_input = strcmp(name, "-") == 0;
    int fd = is_input ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return say_errno("reading", name);
    uint64_t size = 0;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) size = (uint64_t)status.st_size;
    int code = folder_open(line, &engine);
    if (code == 0) code = folder_close(engine, load(engine, line, fd, size));
    if (!is_input) close(fd);
    return code;
}
