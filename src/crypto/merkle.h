/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary Merkle tree over 32-byte leaves in the shape of RFC 6962 section 2.1: the left subtree
 * is the largest power of two smaller than the count. Nodes are BLAKE3 in the derive-key mode.
 * Leaves are record addresses of other kinds, so a leaf cannot be taken for a node.
 */
#ifndef CAIRN_CRYPTO_MERKLE_H
#define CAIRN_CRYPTO_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/address.h"

#define MERKLE_PATH_MAX 32u

/*
 * The root of `count` >= 1 leaves. Works level by level, many nodes at a time, and overwrites
 * `leaves` (count * 32 bytes). One leaf is its own root.
 */
void merkle_root(uint8_t *leaves, size_t count, uint8_t root[ADDRESS_SIZE]);

/* The path of leaf `index`, from the leaf up; overwrites `leaves`. Returns its length in nodes. */
size_t merkle_path(uint8_t *leaves, size_t count, size_t index,
                   uint8_t path[MERKLE_PATH_MAX][ADDRESS_SIZE]);

/* The root that the leaf and its path give; false when the path's length does not fit. */
CHECKED bool merkle_root_of_path(const uint8_t leaf[ADDRESS_SIZE], size_t index, size_t count,
                                 const uint8_t (*path)[ADDRESS_SIZE], size_t path_count,
                                 uint8_t root[ADDRESS_SIZE]);

#endif
