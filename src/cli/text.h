/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, sizes, times and foreign bytes as text for people. */
#ifndef CAIRN_CLI_TEXT_H
#define CAIRN_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn.h"

#define TEXT_NUMBER_SIZE 32u /* of the buffers below */
#define TEXT_VALUE_SIZE 48u
#define TEXT_DOT_SIZE 48u

/* 1200 as "1,200". Returns `text`, as all of these do. */
const char *text_number(uint64_t value, char text[TEXT_NUMBER_SIZE]);
/* 1200 as "1.2 KiB". */
const char *text_bytes(uint64_t bytes, char text[TEXT_NUMBER_SIZE]);
/* 1200 as "1.20 us". */
const char *text_duration(uint64_t nanoseconds, char text[TEXT_NUMBER_SIZE]);
/* The 128-bit sum of a cell, in decimal. */
const char *text_value(const struct cairn_value *value, char text[TEXT_VALUE_SIZE]);
/* SLOT.INCARNATION.SEQUENCE */
const char *text_dot(const struct cairn_dot *dot, char text[TEXT_DOT_SIZE]);

/*
 * Copies bytes that may be anything, so that they can be shown on a terminal: control characters,
 * backslashes and what is not UTF-8 become \xNN, and an end that does not fit becomes "...".
 * Always terminated; `capacity` is at least 4.
 */
const char *text_printable(const void *bytes, size_t size, char *text, size_t capacity);

/* Length of the UTF-8 character at the front, 0 when there is none. */
size_t utf8_length(const uint8_t *bytes, size_t available);
/* Characters of a terminated text, as a terminal counts them, nearly. */
size_t utf8_count(const char *text);

/* 0 .. maximum in decimal, nothing else. */
bool text_to_u64(const char *text, uint64_t maximum, uint64_t *value);
bool text_to_i64(const char *text, int64_t *value);
bool text_to_dot(const char *text, struct cairn_dot *dot);

#endif
