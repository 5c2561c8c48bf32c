/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include "base/assert.h"

/* Where cursors over nothing point: arithmetic on NULL is undefined, even with 0. */
static uint8_t nothing[1];

bool bytes_are_zero(const void *bytes, size_t size)
{
    const uint8_t *next = bytes;
    for (; size >= 8; next += 8, size -= 8) {
        if (load_u64(next) != 0) return false;
    }
    for (; size > 0; next++, size--) {
        if (*next != 0) return false;
    }
    return true;
}

void bytes_to_hex(const void *bytes, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *next = bytes;
    for (size_t i = 0; i < size; i++) {
        *text++ = digits[next[i] >> 4];
        *text++ = digits[next[i] & 15];
    }
    *text = 0;
}

/* 0..15, or -1. */
static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

bool bytes_from_hex(const char *text, void *bytes, size_t size)
{
    uint8_t *next = bytes;
    for (size_t i = 0; i < size; i++) {
        /* One digit at a time: nothing may be read behind an early end. */
        int high = hex_digit(*text++);
        if (high < 0) return false;
        int low = hex_digit(*text++);
        if (low < 0) return false;
        next[i] = (uint8_t)(high << 4 | low);
    }
    return *text == 0;
}

void reader_init(struct reader *self, const void *bytes, size_t size)
{
    self->next = size == 0 ? nothing : bytes;
    self->end = self->next + size;
    self->failed = false;
}

size_t reader_left(const struct reader *self)
{
    return self->failed ? 0 : (size_t)(self->end - self->next);
}

bool reader_done(const struct reader *self)
{
    return !self->failed && self->next == self->end;
}

void writer_init(struct writer *self, void *bytes, size_t size)
{
    self->start = size == 0 ? nothing : bytes;
    self->next = self->start;
    self->end = self->start + size;
}

size_t writer_size(const struct writer *self)
{
    return (size_t)(self->next - self->start);
}

/* The place of the next `size` bytes. */
static uint8_t *writer_take(struct writer *self, size_t size)
{
    cairn_assert(size <= (size_t)(self->end - self->next));
    uint8_t *place = self->next;
    self->next += size;
    return place;
}

void writer_u8(struct writer *self, uint8_t value)
{
    *writer_take(self, 1) = value;
}

void writer_u16(struct writer *self, uint16_t value)
{
    store_u16(writer_take(self, 2), value);
}

void writer_u32(struct writer *self, uint32_t value)
{
    store_u32(writer_take(self, 4), value);
}

void writer_u64(struct writer *self, uint64_t value)
{
    store_u64(writer_take(self, 8), value);
}

void writer_bytes(struct writer *self, const void *bytes, size_t size)
{
    if (size == 0) return; /* `bytes` may be NULL, which memcpy does not allow */
    memcpy(writer_take(self, size), bytes, size);
}

void writer_zeros(struct writer *self, size_t size)
{
    memset(writer_take(self, size), 0, size);
}
