/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: a realm's whole state as bytes (docs/formats.md, "Checkpoint").
 *
 * header, 176 bytes:
 *     0 u32 magic "CRNC"   4 u32 version = 1   8 u64 generation   16 16 cluster id
 *    32 u32 realm         36 u32 slot         40 u32 incarnation  44 u32 zero
 *    48 u64 position: every record before it is in the checkpoint
 *    56 u64 low water: the journal is kept from here, a batch begins here
 *    64 u64 hybrid clock  72 u64 body size    80 32 head: link of the last own certificate
 *   112 32 address of the body
 *   144 u64 position of the batch before `position`, 152 u32 its crc, 156 u32 epoch
 *   160 12 zero          172 u32 crc of bytes 0..171
 * body, from byte 4096: members, origins, spaces, idempotency keys, cells; each a u64 count and the
 * entries, in the order in which they are kept; no padding.
 *
 * Two files take turns. The body is synced before its header is written, so a torn checkpoint has
 * no valid header, and the other file still holds the one before.
 */
#ifndef CAIRN_FACTS_CHECKPOINT_H
#define CAIRN_FACTS_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "facts/realm.h"

#define CHECKPOINT_HEADER_SIZE 176u
#define CHECKPOINT_BODY_OFFSET 4096u
#define CHECKPOINT_VERSION 1u
#define CHECKPOINT_BODY_SIZE_MIN 40u /* five empty sections */
#define CHECKPOINT_BODY_SIZE_MAX (UINT64_C(1) << 42)
#define CHECKPOINT_POSITION_MAX (UINT64_C(1) << 62)
#define CHECKPOINT_POSITION_ALIGNMENT 4096u /* batches begin at block boundaries */
#define CHECKPOINT_MAGIC UINT32_C(0x434e5243)
/* No entry is larger, so an encoder's buffer must be at least this. */
#define CHECKPOINT_ENTRY_SIZE_MAX (128u + CAIRN_KEY_SIZE_MAX)

struct checkpoint_header {
    uint64_t generation;
    uint64_t position;
    uint64_t low_water;
    uint64_t clock;
    uint64_t body_size;
    uint64_t previous_position; /* the journal's chain at `position` */
    uint32_t previous_crc;
    uint32_t epoch;
    uint32_t realm;
    uint32_t slot;
    uint32_t incarnation;
    uint8_t cluster_id[CAIRN_CLUSTER_ID_SIZE];
    uint8_t head[ADDRESS_SIZE];
    uint8_t body_address[ADDRESS_SIZE];
};

void checkpoint_header_encode(const struct checkpoint_header *header,
                              uint8_t bytes[CHECKPOINT_HEADER_SIZE]);
CHECKED bool checkpoint_header_decode(struct checkpoint_header *header,
                                      const uint8_t bytes[CHECKPOINT_HEADER_SIZE]);

/* Writes the body piece by piece, so that it never lies in memory whole. */
struct checkpoint_encoder {
    const struct realm *realm;
    uint32_t section;
    bool counted; /* the section's count was written */
    uint64_t next;
    uint64_t line;
    uint64_t size; /* so far */
    struct address_stream address;
};

void checkpoint_encoder_init(struct checkpoint_encoder *self, const struct realm *realm);
/* Fills up to `size` bytes (at least CHECKPOINT_ENTRY_SIZE_MAX); 0 at the end. */
uint32_t checkpoint_encode(struct checkpoint_encoder *self, uint8_t *bytes, uint32_t size);

/*
 * Loads a body into a fresh realm. The address was not checked by the caller: this does it first.
 * CORRUPT; FULL when the realm's limits are smaller than what the checkpoint holds.
 */
CHECKED int checkpoint_decode(struct realm *realm, const struct checkpoint_header *header,
                              const uint8_t *body, uint64_t size, struct refusal *refusal);

#endif
