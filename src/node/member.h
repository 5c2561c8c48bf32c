/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The member file: who a data folder belongs to. Written once, when the folder is made.
 *
 *    0 u32 magic "CRNM"    4 u32 version = 1    8 16 cluster id
 *   24 u32 realm          28 u32 slot          32 u64 segment bytes
 *   40 u32 segment count  44 u32 zero          48 32 public key
 *   80 32 seed of the secret key             112 12 zero    124 u32 crc of bytes 0..123
 */
#ifndef CAIRN_NODE_MEMBER_H
#define CAIRN_NODE_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "cairn.h"
#include "crypto/signature.h"

#define MEMBER_FILE_SIZE 128u
#define MEMBER_FILE_MAGIC UINT32_C(0x4d4e5243)
#define MEMBER_FILE_VERSION 1u

struct member_file {
    uint64_t segment_bytes;
    uint32_t segment_count;
    uint32_t realm;
    uint32_t slot;
    uint8_t cluster_id[CAIRN_CLUSTER_ID_SIZE];
    uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE];
    uint8_t seed[SIGNATURE_SEED_SIZE];
};

void member_file_encode(const struct member_file *member, uint8_t bytes[MEMBER_FILE_SIZE]);
/* False: magic, version, crc or zeros are not right, no journal can have these segments, or the key
 * is not that of the seed. */
CHECKED bool member_file_decode(struct member_file *member, const uint8_t bytes[MEMBER_FILE_SIZE]);

#endif
