/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON (RFC 8259) to a stream: keys and values are escaped, bytes that are not UTF-8 become
 * U+FFFD. Integers are numbers, 128-bit sums are strings. The outer two levels have a line for each
 * member, deeper ones stand on one line, so that a long list can be read by lines.
 *
 * A member of an object has a key, an element of an array has NULL.
 */
#ifndef CAIRN_CLI_JSON_H
#define CAIRN_CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 16u

struct json {
    FILE *out;
    unsigned depth;
    char closing[JSON_DEPTH_MAX]; /* of what is open */
    bool has_members[JSON_DEPTH_MAX];
};

/* Begins the one object of a command's output, with its first member "schema". */
void json_begin(struct json *self, FILE *out, const char *schema);
/* Ends it, with a line end. */
void json_end(struct json *self);

void json_object(struct json *self, const char *key);
void json_array(struct json *self, const char *key);
/* Ends the object or array that was begun last. */
void json_close(struct json *self);

void json_text(struct json *self, const char *key, const char *text);
void json_bytes(struct json *self, const char *key, const void *bytes, size_t size);
/* Bytes as lower-case hexadecimal. */
void json_hex(struct json *self, const char *key, const void *bytes, size_t size);
void json_u64(struct json *self, const char *key, uint64_t value);
void json_i64(struct json *self, const char *key, int64_t value);
void json_double(struct json *self, const char *key, double value);
void json_bool(struct json *self, const char *key, bool value);

#endif
