/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/fact.h"

#include <assert.h>

static_assert(sizeof(struct cairn_dot) == FACT_DEPENDENCY_SIZE, "a dot is its own encoding");
static_assert(offsetof(struct cairn_dot, incarnation) == 4, "dot layout");
static_assert(offsetof(struct cairn_dot, sequence) == 8, "dot layout");

static bool decode_dependencies(struct fact *fact, struct reader *reader)
{
    for (uint32_t i = 0; i < fact->dependency_count; i++) {
        struct cairn_dot *dot = &fact->dependencies[i];
        dot->slot = reader_u32(reader);
        dot->incarnation = reader_u32(reader);
        dot->sequence = reader_u64(reader);
        if (dot->sequence == 0 || dot->slot == fact->dot.slot) return false;
        if (i > 0 && dot->slot <= fact->dependencies[i - 1].slot) return false;
    }
    return !reader->failed;
}

static bool decode_effect(struct fact_effect *effect, struct reader *reader)
{
    effect->space_id = reader_bytes(reader, CAIRN_SPACE_ID_SIZE);
    effect->operation = reader_u16(reader);
    effect->key_size = reader_u16(reader);
    effect->payload_size = reader_u32(reader);
#ifndef CAIRN_PLANTED_BUG_FACTS_FACT
    if (effect->key_size == 0 || effect->key_size > CAIRN_KEY_SIZE_MAX) return false;
    effect->key = reader_bytes(reader, effect->key_size);
#else
    /* Planted: the key is not checked against what is left. */
    effect->key = reader->next;
    if (!reader->failed) reader->next += effect->key_size;
#endif
    effect->payload = reader_bytes(reader, effect->payload_size);
    if (reader->failed) return false;
    /* The only operation of version 1; an unknown one may have any payload in a later version. */
    return effect->operation == CAIRN_ADD && effect->payload_size == FACT_ADD_PAYLOAD_SIZE;
}

int fact_decode(struct fact *fact, const uint8_t *bytes, uint64_t available)
{
    struct reader reader;
    uint64_t limit = available < CAIRN_FACT_SIZE_MAX ? available : CAIRN_FACT_SIZE_MAX;
    reader_init(&reader, bytes, (size_t)limit);
    uint8_t version = reader_u8(&reader);
    uint8_t flags = reader_u8(&reader);
    fact->dependency_count = reader_u8(&reader);
    fact->effect_count = reader_u8(&reader);
    fact->realm = reader_u32(&reader);
    fact->dot.slot = reader_u32(&reader);
    fact->dot.incarnation = reader_u32(&reader);
    fact->dot.sequence = reader_u64(&reader);
    fact->clock = reader_u64(&reader);
    if (reader.failed || version != FACT_VERSION) return CAIRN_NOT_CANONICAL;
    if ((flags & ~FACT_FLAG_IDEMPOTENCY_KEY) != 0) return CAIRN_NOT_CANONICAL;
    if (fact->dependency_count > CAIRN_DEPENDENCIES_MAX) return CAIRN_NOT_CANONICAL;
    if (fact->effect_count == 0 || fact->effect_count > CAIRN_EFFECTS_MAX) {
        return CAIRN_NOT_CANONICAL;
    }
    if (fact->dot.sequence == 0) return CAIRN_NOT_CANONICAL;
    if (!decode_dependencies(fact, &reader)) return CAIRN_NOT_CANONICAL;
    fact->idempotency_key = NULL;
    if (flags & FACT_FLAG_IDEMPOTENCY_KEY) {
        fact->idempotency_key = reader_bytes(&reader, CAIRN_IDEMPOTENCY_KEY_SIZE);
    }
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        if (!decode_effect(&fact->effects[i], &reader)) return CAIRN_NOT_CANONICAL;
    }
    uint32_t size = (uint32_t)(reader.next - bytes);
    fact->size = fact_size(size);
    if (fact->size > limit) return CAIRN_NOT_CANONICAL;
    if (!bytes_are_zero(bytes + size, fact->size - size)) return CAIRN_NOT_CANONICAL;
    return CAIRN_OK;
}
