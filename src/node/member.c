/* SPDX-License-Identifier: Apache-2.0 */
#include "node/member.h"

#include <string.h>

#include "base/bytes.h"
#include "crypto/crc32c.h"
#include "journal/journal.h"

#define CRC_OFFSET (MEMBER_FILE_SIZE - 4u)
#define ZERO_OFFSET 112u

void member_file_encode(const struct member_file *member, uint8_t bytes[MEMBER_FILE_SIZE])
{
    struct writer writer;
    writer_init(&writer, bytes, MEMBER_FILE_SIZE);
    writer_u32(&writer, MEMBER_FILE_MAGIC);
    writer_u32(&writer, MEMBER_FILE_VERSION);
    writer_bytes(&writer, member->cluster_id, CAIRN_CLUSTER_ID_SIZE);
    writer_u32(&writer, member->realm);
    writer_u32(&writer, member->slot);
    writer_u64(&writer, member->segment_bytes);
    writer_u32(&writer, member->segment_count);
    writer_u32(&writer, 0);
    writer_bytes(&writer, member->public_key, SIGNATURE_PUBLIC_KEY_SIZE);
    writer_bytes(&writer, member->seed, SIGNATURE_SEED_SIZE);
    writer_zeros(&writer, CRC_OFFSET - ZERO_OFFSET);
    writer_u32(&writer, crc32c(0, bytes, CRC_OFFSET));
}

/* What journal_init() takes with some size of batches. */
static bool has_geometry(const struct member_file *member)
{
    if (!is_power_of_two(member->segment_bytes)) return false;
    if (member->segment_bytes < 4 * (uint64_t)JOURNAL_BATCH_BYTES_MIN) return false;
    if (member->segment_bytes > JOURNAL_POSITION_MAX / JOURNAL_SEGMENTS_MAX / 4) return false;
    return member->segment_count >= 4 && member->segment_count <= JOURNAL_SEGMENTS_MAX;
}

bool member_file_decode(struct member_file *member, const uint8_t bytes[MEMBER_FILE_SIZE])
{
    struct signature_key key;
    struct reader reader;
    reader_init(&reader, bytes, MEMBER_FILE_SIZE);
    uint32_t magic = reader_u32(&reader);
    uint32_t version = reader_u32(&reader);
    memcpy(member->cluster_id, reader_bytes(&reader, CAIRN_CLUSTER_ID_SIZE), CAIRN_CLUSTER_ID_SIZE);
    member->realm = reader_u32(&reader);
    member->slot = reader_u32(&reader);
    member->segment_bytes = reader_u64(&reader);
    member->segment_count = reader_u32(&reader);
    uint32_t zero = reader_u32(&reader);
    memcpy(member->public_key, reader_bytes(&reader, SIGNATURE_PUBLIC_KEY_SIZE),
           SIGNATURE_PUBLIC_KEY_SIZE);
    memcpy(member->seed, reader_bytes(&reader, SIGNATURE_SEED_SIZE), SIGNATURE_SEED_SIZE);
    if (magic != MEMBER_FILE_MAGIC || version != MEMBER_FILE_VERSION || zero != 0) return false;
    if (!bytes_are_zero(bytes + ZERO_OFFSET, CRC_OFFSET - ZERO_OFFSET)) return false;
    if (load_u32(bytes + CRC_OFFSET) != crc32c(0, bytes, CRC_OFFSET)) return false;
    bool usable = has_geometry(member);
#ifdef CAIRN_PLANTED_BUG_NODE_MEMBER /* Planted: a journal of any shape. */
    usable = true;
#endif
    if (!usable) return false;
    signature_key_from_seed(&key, member->seed);
    return memcmp(key.public_key, member->public_key, SIGNATURE_PUBLIC_KEY_SIZE) == 0;
}
