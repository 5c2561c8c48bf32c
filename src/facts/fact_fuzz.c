/* SPDX-License-Identifier: Apache-2.0 */
/* Arbitrary bytes as a fact: refused, or exactly what an encoder would have made. */
#include <stdlib.h>

#include "base/assert.h"
#include "facts/fact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t again[CAIRN_FACT_SIZE_MAX];
    struct fact fact;
    int result = fact_decode(&fact, data, size);
    if (result != CAIRN_OK) {
        cairn_assert(result == CAIRN_NOT_CANONICAL);
        return 0;
    }
    cairn_assert(fact.size <= size && fact.size <= CAIRN_FACT_SIZE_MAX);
    cairn_assert(fact.effect_count >= 1 && fact.effect_count <= CAIRN_EFFECTS_MAX);
    cairn_assert(fact.dependency_count <= CAIRN_DEPENDENCIES_MAX);
    uint8_t *next =
        fact_encode_header(again, fact.size, fact.realm, &fact.dot, fact.clock, fact.dependencies,
                           fact.dependency_count, fact.idempotency_key, fact.effect_count);
    for (uint32_t i = 0; i < fact.effect_count; i++) {
        const struct fact_effect *effect = &fact.effects[i];
        cairn_assert(effect->key_size >= 1 && effect->key_size <= CAIRN_KEY_SIZE_MAX);
        next = fact_encode_add(next, effect->space_id, effect->key, effect->key_size,
                               (int64_t)load_u64(effect->payload));
    }
    cairn_assert(fact_size((uint32_t)(next - again)) == fact.size);
    cairn_assert(memcmp(again, data, fact.size) == 0);
    struct cairn_dot dot = fact_dot(data);
    cairn_assert(memcmp(&dot, &fact.dot, sizeof dot) == 0);
    return 0;
}
