/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Level by level from the leaves up. Neighbours form a node; an odd last one goes up unchanged.
 * After k levels, entry i is thus the root of the leaves [i * 2^k, (i + 1) * 2^k), cut at the
 * count, so the last merge splits at the largest power of two below the count: RFC 6962's shape.
 */
#include "crypto/merkle.h"

#include <string.h>

#include "base/assert.h"

#define NODE_SIZE (2u * ADDRESS_SIZE)
#define NODES_AT_ONCE 64u

/* Replaces the `count` entries by the next level; returns its size. */
static size_t level_up(uint8_t *entries, size_t count)
{
    size_t pairs = count / 2;
    for (size_t done = 0; done < pairs;) {
        size_t now = pairs - done < NODES_AT_ONCE ? pairs - done : NODES_AT_ONCE;
        const uint8_t *nodes[NODES_AT_ONCE];
        uint8_t addresses[NODES_AT_ONCE * ADDRESS_SIZE];
        for (size_t i = 0; i < now; i++)
            nodes[i] = entries + (done + i) * NODE_SIZE;
        /* By way of a buffer: the library does not say that output may overlap input. What is
           overwritten then, at half the place, was read in this pass or before. */
        address_of_many(ADDRESS_NODE, nodes, now, NODE_SIZE, addresses);
        memcpy(entries + done * ADDRESS_SIZE, addresses, now * ADDRESS_SIZE);
        done += now;
    }
    if (count % 2 == 0) return pairs;
    memmove(entries + pairs * ADDRESS_SIZE, entries + (count - 1) * ADDRESS_SIZE, ADDRESS_SIZE);
    return pairs + 1;
}

void merkle_root(uint8_t *leaves, size_t count, uint8_t root[ADDRESS_SIZE])
{
    cairn_assert(count >= 1);
    while (count > 1)
        count = level_up(leaves, count);
    memcpy(root, leaves, ADDRESS_SIZE);
}

size_t merkle_path(uint8_t *leaves, size_t count, size_t index,
                   uint8_t path[MERKLE_PATH_MAX][ADDRESS_SIZE])
{
    cairn_assert(index < count);
    size_t length = 0;
    for (; count > 1; count = level_up(leaves, count), index /= 2) {
        size_t sibling = index ^ 1;
        if (sibling >= count) continue; /* goes up alone: no node here */
        cairn_assert(length < MERKLE_PATH_MAX);
        memcpy(path[length++], leaves + sibling * ADDRESS_SIZE, ADDRESS_SIZE);
    }
    return length;
}

bool merkle_root_of_path(const uint8_t leaf[ADDRESS_SIZE], size_t index, size_t count,
                         const uint8_t (*path)[ADDRESS_SIZE], size_t path_count,
                         uint8_t root[ADDRESS_SIZE])
{
    if (index >= count || path_count > MERKLE_PATH_MAX) return false;
    uint8_t node[NODE_SIZE];
    uint8_t entry[ADDRESS_SIZE];
    memcpy(entry, leaf, ADDRESS_SIZE);
    size_t used = 0;
    for (; count > 1; count = count / 2 + count % 2, index /= 2) {
        if ((index ^ 1) >= count) continue;
        if (used == path_count) return false;
        size_t side = index % 2;
        memcpy(node + side * ADDRESS_SIZE, entry, ADDRESS_SIZE);
        memcpy(node + (1 - side) * ADDRESS_SIZE, path[used++], ADDRESS_SIZE);
        address_of_record(ADDRESS_NODE, node, NODE_SIZE, entry);
    }
    memcpy(root, entry, ADDRESS_SIZE);
    return used == path_count;
}
