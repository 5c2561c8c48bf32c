/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a member file: refused, or exactly what an encoder makes of what was read, with a
 * journal that can be. With bit 0 of the first byte set, checksum and key are put right first, so
 * that the fuzzer reaches what lies behind them.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "crypto/crc32c.h"
#include "journal/journal.h"
#include "node/member.h"

#define PUBLIC_KEY_OFFSET 48u
#define SEED_OFFSET 80u
#define CRC_OFFSET (MEMBER_FILE_SIZE - 4u)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_right(uint8_t bytes[MEMBER_FILE_SIZE])
{
    struct signature_key key;
    signature_key_from_seed(&key, bytes + SEED_OFFSET);
    memcpy(bytes + PUBLIC_KEY_OFFSET, key.public_key, SIGNATURE_PUBLIC_KEY_SIZE);
    store_u32(bytes, MEMBER_FILE_MAGIC);
    store_u32(bytes + 4, MEMBER_FILE_VERSION);
    store_u32(bytes + CRC_OFFSET, crc32c(0, bytes, CRC_OFFSET));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct member_file member;
    uint8_t again[MEMBER_FILE_SIZE];
    if (size < 1 || !signature_init()) return 0;
    /* On the heap: so that a byte beyond the file is seen. A short file is filled with zeros. */
    uint8_t *bytes = calloc(1, MEMBER_FILE_SIZE);
    cairn_assert(bytes != NULL);
    memcpy(bytes, data + 1, size - 1 < MEMBER_FILE_SIZE ? size - 1 : MEMBER_FILE_SIZE);
    if ((data[0] & 1) != 0) put_right(bytes);
    if (member_file_decode(&member, bytes)) {
        cairn_assert(is_power_of_two(member.segment_bytes));
        cairn_assert(member.segment_count >= 4);
        cairn_assert(member.segment_count <= JOURNAL_SEGMENTS_MAX);
        cairn_assert(member.segment_bytes * member.segment_count < JOURNAL_POSITION_MAX);
        member_file_encode(&member, again);
        cairn_assert(memcmp(again, bytes, MEMBER_FILE_SIZE) == 0);
    }
    free(bytes);
    return 0;
}
