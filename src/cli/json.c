/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "cli/text.h"

#define LINES_DEPTH 2u /* members of levels up to this one get lines of their own */

static void write_string(struct json *self, const uint8_t *bytes, size_t size)
{
    putc('"', self->out);
    for (size_t at = 0; at < size;) {
        uint8_t byte = bytes[at];
        size_t length = utf8_length(bytes + at, size - at);
        if (length == 0) {
            fputs("\\ufffd", self->out);
            length = 1;
        } else if (byte == '"' || byte == '\\') {
            fprintf(self->out, "\\%c", byte);
        } else if (byte < 0x20 || byte == 0x7f) {
            fprintf(self->out, "\\u%04x", byte);
        } else {
            fwrite(bytes + at, 1, length, self->out);
        }
        at += length;
    }
    putc('"', self->out);
}

static void new_line(struct json *self)
{
    if (self->depth > LINES_DEPTH) return;
    fprintf(self->out, "\n%*s", (int)(2 * self->depth), "");
}

/* Comma, line and key in front of a value. */
static void begin_value(struct json *self, const char *key)
{
    cairn_assert(self->depth > 0);
    bool *has_members = &self->has_members[self->depth - 1];
    cairn_assert((key != NULL) == (self->closing[self->depth - 1] == '}'));
    if (*has_members) fputs(self->depth > LINES_DEPTH ? ", " : ",", self->out);
    *has_members = true;
    new_line(self);
    if (key == NULL) return;
    write_string(self, (const uint8_t *)key, strlen(key));
    fputs(": ", self->out);
}

static void open_level(struct json *self, char opening, char closing)
{
    cairn_assert(self->depth < JSON_DEPTH_MAX);
    putc(opening, self->out);
    self->closing[self->depth] = closing;
    self->has_members[self->depth] = false;
    self->depth++;
}

void json_begin(struct json *self, FILE *out, const char *schema)
{
    memset(self, 0, sizeof *self);
    self->out = out;
    open_level(self, '{', '}');
    json_text(self, "schema", schema);
}

void json_end(struct json *self)
{
    cairn_assert(self->depth == 1);
    json_close(self);
    putc('\n', self->out);
}

void json_object(struct json *self, const char *key)
{
    begin_value(self, key);
    open_level(self, '{', '}');
}

void json_array(struct json *self, const char *key)
{
    begin_value(self, key);
    open_level(self, '[', ']');
}

void json_close(struct json *self)
{
    cairn_assert(self->depth > 0);
    bool had_lines = self->has_members[self->depth - 1] && self->depth <= LINES_DEPTH;
    self->depth--;
    if (had_lines) new_line(self);
    putc(self->closing[self->depth], self->out);
}

void json_bytes(struct json *self, const char *key, const void *bytes, size_t size)
{
    begin_value(self, key);
    write_string(self, bytes, size);
}

void json_text(struct json *self, const char *key, const char *text)
{
    json_bytes(self, key, text, strlen(text));
}

void json_hex(struct json *self, const char *key, const void *bytes, size_t size)
{
    begin_value(self, key);
    putc('"', self->out);
    for (size_t i = 0; i < size; i++)
        fprintf(self->out, "%02x", ((const uint8_t *)bytes)[i]);
    putc('"', self->out);
}

void json_u64(struct json *self, const char *key, uint64_t value)
{
    begin_value(self, key);
    fprintf(self->out, "%" PRIu64, value);
}

void json_i64(struct json *self, const char *key, int64_t value)
{
    begin_value(self, key);
    fprintf(self->out, "%" PRId64, value);
}

void json_double(struct json *self, const char *key, double value)
{
    begin_value(self, key);
    if (isfinite(value))
        fprintf(self->out, "%.6g", value);
    else
        fputs("null", self->out); /* JSON has no infinity */
}

void json_bool(struct json *self, const char *key, bool value)
{
    begin_value(self, key);
    fputs(value ? "true" : "false", self->out);
}
