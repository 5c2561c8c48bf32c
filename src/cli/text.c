/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

#include "base/attributes.h"

const char *text_number(uint64_t value, char text[TEXT_NUMBER_SIZE])
{
    char digits[TEXT_NUMBER_SIZE];
    char *first = digits + sizeof digits - 1;
    *first = 0;
    for (unsigned count = 1;; count++) {
        *--first = (char)('0' + value % 10);
        value /= 10;
        if (value == 0) break;
        if (count % 3 == 0) *--first = ',';
    }
    memcpy(text, first, (size_t)(digits + sizeof digits - first));
    return text;
}

const char *text_bytes(uint64_t bytes, char text[TEXT_NUMBER_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(text, TEXT_NUMBER_SIZE, "%.*f %s", unit == 0 ? 0 : 1, value, units[unit]);
    return text;
}

const char *text_duration(uint64_t nanoseconds, char text[TEXT_NUMBER_SIZE])
{
    static const struct {
        double size;
        const char *name;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
    size_t unit = 0;
    while (unit + 1 < sizeof units / sizeof units[0] && (double)nanoseconds < units[unit].size)
        unit++;
    double value = (double)nanoseconds / units[unit].size;
    int decimals = units[unit].size <= 1 ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0;
    snprintf(text, TEXT_NUMBER_SIZE, "%.*f %s", decimals, value, units[unit].name);
    return text;
}

const char *text_value(const struct cairn_value *value, char text[TEXT_VALUE_SIZE])
{
    u128 bits = (u128)(uint64_t)value->high << 64 | value->low_bits;
    bool negative = value->high < 0;
    if (negative) bits = 0 - bits;
    char digits[TEXT_VALUE_SIZE];
    char *first = digits + sizeof digits - 1;
    *first = 0;
    do {
        *--first = (char)('0' + (unsigned)(bits % 10));
        bits /= 10;
    } while (bits != 0);
    if (negative) *--first = '-';
    memcpy(text, first, (size_t)(digits + sizeof digits - first));
    return text;
}

const char *text_dot(const struct cairn_dot *dot, char text[TEXT_DOT_SIZE])
{
    snprintf(text, TEXT_DOT_SIZE, "%u.%u.%llu", dot->slot, dot->incarnation,
             (unsigned long long)dot->sequence);
    return text;
}

/* ---- Foreign bytes ------------------------------------------------------------------------- */

size_t utf8_length(const uint8_t *bytes, size_t available)
{
    if (available == 0) return 0;
    uint8_t first = bytes[0];
    if (first < 0x80) return 1;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || available < length) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) return 0;
    }
    /* Overlong forms, surrogates, and what is beyond U+10FFFF. */
    if (first == 0xe0 && bytes[1] < 0xa0) return 0;
    if (first == 0xed && bytes[1] > 0x9f) return 0;
    if (first == 0xf0 && bytes[1] < 0x90) return 0;
    if (first == 0xf4 && bytes[1] > 0x8f) return 0;
    return length;
}

size_t utf8_count(const char *text)
{
    size_t count = 0;
    for (; *text != 0; text++)
        count += ((uint8_t)*text & 0xc0) != 0x80;
    return count;
}

/* C0 and C1 controls and DEL: a terminal would obey them. */
static bool is_control(const uint8_t *bytes, size_t length)
{
    if (length == 1) return bytes[0] < 0x20 || bytes[0] == 0x7f;
    return length == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0;
}

const char *text_printable(const void *bytes, size_t size, char *text, size_t capacity)
{
    const uint8_t *from = bytes;
    const uint8_t *end = from + size;
    char *to = text;
    char *kept = text; /* end of what leaves room for "..." */
    char *limit = text + capacity - 1;
    while (from < end) {
        size_t length = utf8_length(from, (size_t)(end - from));
        char escaped[5];
        const char *piece = (const char *)from;
        size_t piece_size = length;
        if (length == 0 || is_control(from, length) || *from == '\\') {
            snprintf(escaped, sizeof escaped, "\\x%02x", *from);
            piece = escaped;
            piece_size = 4;
            length = 1;
        }
        if (piece_size > (size_t)(limit - to)) {
            memcpy(kept, "...", 4);
            return text;
        }
        memcpy(to, piece, piece_size);
        to += piece_size;
        from += length;
        if (limit - to >= 3) kept = to;
    }
    *to = 0;
    return text;
}

/* ---- From text ----------------------------------------------------------------------------- */

/* Decimal digits at the front; *text moves behind them. */
static bool take_u64(const char **text, uint64_t maximum, uint64_t *value)
{
    const char *next = *text;
    if (*next < '0' || *next > '9') return false;
    uint64_t sum = 0;
    for (; *next >= '0' && *next <= '9'; next++) {
        uint64_t digit = (uint64_t)(*next - '0');
        if (sum > (UINT64_MAX - digit) / 10) return false;
        sum = sum * 10 + digit;
    }
    if (sum > maximum) return false;
    *text = next;
    *value = sum;
    return true;
}

bool text_to_u64(const char *text, uint64_t maximum, uint64_t *value)
{
    return take_u64(&text, maximum, value) && *text == 0;
}

bool text_to_i64(const char *text, int64_t *value)
{
    bool negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    uint64_t size;
    if (!text_to_u64(text, (uint64_t)INT64_MAX + (negative ? 1 : 0), &size)) return false;
    *value = negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}

bool text_to_dot(const char *text, struct cairn_dot *dot)
{
    uint64_t slot;
    uint64_t incarnation;
    uint64_t sequence;
    if (!take_u64(&text, UINT32_MAX, &slot) || *text++ != '.') return false;
    if (!take_u64(&text, UINT32_MAX, &incarnation) || *text++ != '.') return false;
    if (!text_to_u64(text, UINT64_MAX, &sequence) || sequence == 0) return false;
    *dot = (struct cairn_dot){(uint32_t)slot, (uint32_t)incarnation, sequence};
    return true;
}
