/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian loads and stores at any alignment, and a cursor over untrusted bytes. */
#ifndef CAIRN_BASE_BYTES_H
#define CAIRN_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attributes.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Cairn's formats are little-endian; a big-endian machine needs swaps here"
#endif

HOT_INLINE uint16_t load_u16(const void *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

HOT_INLINE uint32_t load_u32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

HOT_INLINE uint64_t load_u64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

HOT_INLINE void store_u16(void *to, uint16_t value)
{
    memcpy(to, &value, sizeof value);
}

HOT_INLINE void store_u32(void *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
}

HOT_INLINE void store_u64(void *to, uint64_t value)
{
    memcpy(to, &value, sizeof value);
}

HOT_INLINE uint64_t round_up(uint64_t value, uint64_t power_of_two)
{
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

HOT_INLINE bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

bool bytes_are_zero(const void *bytes, size_t size);

/* Lower-case hexadecimal. `text` has room for 2 * size + 1. */
void bytes_to_hex(const void *bytes, size_t size, char *text);
/* Exactly 2 * size digits of either case, then the end. False: anything else; bytes undefined. */
CHECKED bool bytes_from_hex(const char *text, void *bytes, size_t size);

/*
 * A reader takes values from the front of untrusted bytes. After a read past the end it is failed,
 * and stays so; every later read gives zeros, so a decoder checks once, at its end.
 */
struct reader {
    const uint8_t *next;
    const uint8_t *end;
    bool failed;
};

void reader_init(struct reader *self, const void *bytes, size_t size);
size_t reader_left(const struct reader *self);
/* A pointer to `size` bytes inside the input, or NULL after a failure. */
HOT_INLINE const uint8_t *reader_bytes(struct reader *self, size_t size)
{
    if (UNLIKELY(self->failed || size > (size_t)(self->end - self->next))) {
        self->failed = true;
        return NULL;
    }
    const uint8_t *bytes = self->next;
    self->next += size;
    return bytes;
}

HOT_INLINE uint8_t reader_u8(struct reader *self)
{
    const uint8_t *bytes = reader_bytes(self, 1);
    return bytes ? *bytes : 0;
}

HOT_INLINE uint16_t reader_u16(struct reader *self)
{
    const uint8_t *bytes = reader_bytes(self, 2);
    return bytes ? load_u16(bytes) : 0;
}

HOT_INLINE uint32_t reader_u32(struct reader *self)
{
    const uint8_t *bytes = reader_bytes(self, 4);
    return bytes ? load_u32(bytes) : 0;
}

HOT_INLINE uint64_t reader_u64(struct reader *self)
{
    const uint8_t *bytes = reader_bytes(self, 8);
    return bytes ? load_u64(bytes) : 0;
}

/* True when everything was read and nothing failed. */
bool reader_done(const struct reader *self);

/* A writer puts values into a buffer whose size is known to suffice (asserted). */
struct writer {
    uint8_t *start;
    uint8_t *next;
    uint8_t *end;
};

void writer_init(struct writer *self, void *bytes, size_t size);
size_t writer_size(const struct writer *self);
void writer_u8(struct writer *self, uint8_t value);
void writer_u16(struct writer *self, uint16_t value);
void writer_u32(struct writer *self, uint32_t value);
void writer_u64(struct writer *self, uint64_t value);
void writer_bytes(struct writer *self, const void *bytes, size_t size);
void writer_zeros(struct writer *self, size_t size);

#endif
