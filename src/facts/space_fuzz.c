/* SPDX-License-Identifier: Apache-2.0 */
/* Arbitrary bytes as a declaration: refused, or exactly what an encoder would have made. */
#include "base/assert.h"
#include "crypto/address.h"
#include "facts/space.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t again[SPACE_DECLARATION_SIZE_MAX];
    struct space space;
    struct space made;
    struct refusal refusal;
    address_init();
    if (size > UINT32_MAX) return 0;
    int result = space_decode(&space, data, (uint32_t)size);
    if (result != CAIRN_OK) {
        cairn_assert(result == CAIRN_NOT_CANONICAL);
        return 0;
    }
    cairn_assert(space_encode(&space, again) == size);
    cairn_assert(memcmp(again, data, size) == 0);
    /* Whoever makes the same declaration gets the same space. */
    result = space_make(&made, space.realm, space.name, space.type, &refusal);
    cairn_assert(result == CAIRN_OK);
    cairn_assert(memcmp(&made, &space, sizeof made) == 0);
    return 0;
}
