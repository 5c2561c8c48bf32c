/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crc32c.h"

#include <isa-l/crc.h>

/*
 * The library's length is an int, but its assembly reads the whole 64-bit register: only a length
 * that is computed as a size_t, and small enough for both, is safe.
 */
#define STEP_SIZE ((size_t)1 << 30)

uint32_t crc32c(uint32_t previous, const void *bytes, size_t size)
{
    /* The library gives the bare register; the CRC is its complement, before and after. The
       library does not write to its buffer, though its type allows it. */
    unsigned char *next = (unsigned char *)(uintptr_t)bytes;
    uint32_t state = ~previous;
    while (size > STEP_SIZE) {
        state = crc32_iscsi(next, (int)STEP_SIZE, state);
        next += STEP_SIZE;
        size -= STEP_SIZE;
    }
    return ~crc32_iscsi(next, (int)size, state);
}
