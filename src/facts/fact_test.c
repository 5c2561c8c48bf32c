/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "facts/fact.h"

#define BYTES_MAX 16384u

/* A fact to encode, lawful or not. */
struct sample {
    struct cairn_dot dot;
    uint64_t clock;
    uint32_t realm;
    uint32_t dependency_count;
    uint32_t effect_count;
    bool has_key;
    uint8_t idempotency_key[CAIRN_IDEMPOTENCY_KEY_SIZE];
    struct cairn_dot dependencies[CAIRN_DEPENDENCIES_MAX + 1];
    uint8_t space_ids[CAIRN_EFFECTS_MAX + 1][CAIRN_SPACE_ID_SIZE];
    uint32_t key_sizes[CAIRN_EFFECTS_MAX + 1];
    int64_t amounts[CAIRN_EFFECTS_MAX + 1];
    uint8_t keys[CAIRN_EFFECTS_MAX + 1][CAIRN_KEY_SIZE_MAX + 1];
};

static uint64_t rounds(uint64_t full)
{
    const char *sanitize = getenv("CAIRN_SANITIZE");
    return sanitize != NULL && sanitize[0] != 0 ? full / 8 + 1 : full;
}

static uint32_t sample_size(const struct sample *sample)
{
    uint32_t size = FACT_HEADER_SIZE + sample->dependency_count * FACT_DEPENDENCY_SIZE;
    if (sample->has_key) size += CAIRN_IDEMPOTENCY_KEY_SIZE;
    for (uint32_t i = 0; i < sample->effect_count; i++) {
        size += FACT_EFFECT_HEADER_SIZE + sample->key_sizes[i] + FACT_ADD_PAYLOAD_SIZE;
    }
    return size;
}

static uint32_t encode(const struct sample *sample, uint8_t *bytes)
{
    uint32_t padded = fact_size(sample_size(sample));
    assert_true(padded <= BYTES_MAX);
    memset(bytes, 0xee, padded); /* the encoder clears its own padding */
    uint8_t *next =
        fact_encode_header(bytes, padded, sample->realm, &sample->dot, sample->clock,
                           sample->dependencies, sample->dependency_count,
                           sample->has_key ? sample->idempotency_key : NULL, sample->effect_count);
    for (uint32_t i = 0; i < sample->effect_count; i++) {
        next = fact_encode_add(next, sample->space_ids[i], sample->keys[i], sample->key_sizes[i],
                               sample->amounts[i]);
    }
    assert_int_equal(next - bytes, sample_size(sample));
    return padded;
}

/* What an encoder would have made of a decoded fact. */
static uint32_t encode_again(const struct fact *fact, uint8_t *bytes)
{
    uint8_t *next = fact_encode_header(bytes, fact->size, fact->realm, &fact->dot, fact->clock,
                                       fact->dependencies, fact->dependency_count,
                                       fact->idempotency_key, fact->effect_count);
    for (uint32_t i = 0; i < fact->effect_count; i++) {
        const struct fact_effect *effect = &fact->effects[i];
        next = fact_encode_add(next, effect->space_id, effect->key, effect->key_size,
                               (int64_t)load_u64(effect->payload));
    }
    return fact_size((uint32_t)(next - bytes));
}

/* Decodes from memory of exactly that size, so that a sanitizer sees a read past the end. */
static int decode_exactly(struct fact *fact, const uint8_t *bytes, uint32_t size, uint8_t **memory)
{
    *memory = malloc(size + (size == 0));
    assert_non_null(*memory);
    memcpy(*memory, bytes, size);
    return fact_decode(fact, *memory, size);
}

/* Refused, or exactly what an encoder would have made. */
static void check_canonical(const uint8_t *bytes, uint32_t size)
{
    static uint8_t again[BYTES_MAX];
    struct fact fact;
    uint8_t *memory;
    int result = decode_exactly(&fact, bytes, size, &memory);
    if (result == CAIRN_OK) {
        assert_true(fact.size <= size && fact.size <= CAIRN_FACT_SIZE_MAX);
        assert_int_equal(encode_again(&fact, again), fact.size);
        assert_memory_equal(again, bytes, fact.size);
    } else {
        assert_int_equal(result, CAIRN_NOT_CANONICAL);
    }
    free(memory);
}

static void expect(const uint8_t *bytes, uint32_t size, int expected)
{
    struct fact fact;
    uint8_t *memory;
    assert_int_equal(decode_exactly(&fact, bytes, size, &memory), expected);
    free(memory);
}

static void sample_init(struct sample *sample)
{
    memset(sample, 0, sizeof *sample);
    sample->dot = (struct cairn_dot){5, 3, 9};
    sample->clock = 77;
    sample->realm = 7;
    sample->effect_count = 1;
    for (uint32_t i = 0; i <= CAIRN_EFFECTS_MAX; i++) {
        memset(sample->space_ids[i], (int)(0x10 + i), CAIRN_SPACE_ID_SIZE);
        memset(sample->keys[i], (int)('a' + i), CAIRN_KEY_SIZE_MAX + 1);
        sample->key_sizes[i] = 1;
        sample->amounts[i] = i;
    }
    for (uint32_t i = 0; i <= CAIRN_DEPENDENCIES_MAX; i++) {
        sample->dependencies[i] = (struct cairn_dot){10 + i, 1, 1};
    }
}

static void sample_randomly(struct sample *sample, struct prng *prng)
{
    prng_fill(prng, sample, sizeof *sample);
    sample->dot.sequence |= 1;
    sample->dot.slot = (uint32_t)prng_below(prng, 20);
    sample->has_key = prng_chance(prng, 1, 3);
    sample->dependency_count = (uint32_t)prng_below(prng, CAIRN_DEPENDENCIES_MAX + 1);
    sample->effect_count = 1 + (uint32_t)prng_below(prng, CAIRN_EFFECTS_MAX);
    uint32_t slot = 0;
    for (uint32_t i = 0; i < sample->dependency_count; i++) {
        slot += 1 + (uint32_t)prng_below(prng, 3);
        if (slot == sample->dot.slot) slot++;
        sample->dependencies[i].slot = slot;
        sample->dependencies[i].sequence |= 1;
    }
    for (uint32_t i = 0; i < sample->effect_count; i++) {
        uint32_t limit = prng_chance(prng, 1, 10) ? CAIRN_KEY_SIZE_MAX : 40;
        sample->key_sizes[i] = 1 + (uint32_t)prng_below(prng, limit);
    }
    while (sample_size(sample) > CAIRN_FACT_SIZE_MAX)
        sample->effect_count--;
}

static void decode_gives_back_what_was_encoded(void **state)
{
    static struct sample sample;
    static uint8_t bytes[BYTES_MAX];
    static uint8_t again[BYTES_MAX];
    struct prng prng;
    struct fact fact;
    (void)state;
    prng_init(&prng, 1);
    for (uint64_t round = 0; round < rounds(20000); round++) {
        sample_randomly(&sample, &prng);
        uint32_t size = encode(&sample, bytes);
        /* What lies behind a fact is the next one's affair. */
        memset(bytes + size, (int)round, 64);
        assert_int_equal(fact_decode(&fact, bytes, size + prng_below(&prng, 65)), CAIRN_OK);
        assert_int_equal(fact.size, size);
        assert_int_equal(fact.realm, sample.realm);
        assert_int_equal(fact.clock, sample.clock);
        assert_memory_equal(&fact.dot, &sample.dot, sizeof fact.dot);
        struct cairn_dot dot = fact_dot(bytes);
        assert_memory_equal(&dot, &sample.dot, sizeof dot);
        assert_int_equal(fact.dependency_count, sample.dependency_count);
        assert_memory_equal(fact.dependencies, sample.dependencies,
                            sample.dependency_count * sizeof fact.dependencies[0]);
        assert_int_equal(fact.idempotency_key != NULL, sample.has_key);
        if (sample.has_key) {
            assert_memory_equal(fact.idempotency_key, sample.idempotency_key,
                                CAIRN_IDEMPOTENCY_KEY_SIZE);
        }
        assert_int_equal(fact.effect_count, sample.effect_count);
        for (uint32_t i = 0; i < fact.effect_count; i++) {
            const struct fact_effect *effect = &fact.effects[i];
            assert_int_equal(effect->operation, CAIRN_ADD);
            assert_memory_equal(effect->space_id, sample.space_ids[i], CAIRN_SPACE_ID_SIZE);
            assert_int_equal(effect->key_size, sample.key_sizes[i]);
            assert_memory_equal(effect->key, sample.keys[i], effect->key_size);
            assert_int_equal(effect->payload_size, FACT_ADD_PAYLOAD_SIZE);
            assert_int_equal((int64_t)load_u64(effect->payload), sample.amounts[i]);
        }
        assert_int_equal(encode_again(&fact, again), size);
        assert_memory_equal(again, bytes, size);
    }
}

static void every_bit_and_every_truncation_is_canonical_or_refused(void **state)
{
    static struct sample sample;
    static uint8_t bytes[BYTES_MAX];
    struct prng prng;
    (void)state;
    prng_init(&prng, 2);
    for (uint64_t round = 0; round < rounds(60); round++) {
        sample_randomly(&sample, &prng);
        if (round < 40) { /* most of them small, so that headers and counts are hit often */
            sample.effect_count = 1 + (uint32_t)(round % 3);
            for (uint32_t i = 0; i < 3; i++)
                sample.key_sizes[i] = 1 + (uint32_t)(round % 9);
        }
        uint32_t size = encode(&sample, bytes);
        for (uint32_t left = 0; left < size; left++)
            expect(bytes, left, CAIRN_NOT_CANONICAL);
        for (uint32_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            check_canonical(bytes, size);
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        expect(bytes, size, CAIRN_OK);
    }
}

/* Random damage in the header and the effect heads, several bytes at once. */
static void damage_is_canonical_or_refused(void **state)
{
    static struct sample sample;
    static uint8_t bytes[BYTES_MAX];
    struct prng prng;
    (void)state;
    prng_init(&prng, 3);
    for (uint64_t round = 0; round < rounds(100000); round++) {
        sample_randomly(&sample, &prng);
        uint32_t size = encode(&sample, bytes);
        uint64_t hits = 1 + prng_below(&prng, 4);
        for (uint64_t i = 0; i < hits; i++) {
            uint64_t near_front = prng_chance(&prng, 1, 2) ? 64 : size;
            bytes[prng_below(&prng, near_front)] = (uint8_t)prng_below(&prng, 12);
        }
        check_canonical(bytes, (uint32_t)prng_below(&prng, size + 1));
        check_canonical(bytes, size);
    }
}

static void counts_have_exact_limits(void **state)
{
    static struct sample sample;
    static uint8_t bytes[BYTES_MAX];
    (void)state;
    for (uint32_t count = 0; count <= CAIRN_DEPENDENCIES_MAX + 1; count++) {
        sample_init(&sample);
        sample.dependency_count = count;
        uint32_t size = encode(&sample, bytes);
        expect(bytes, size, count <= CAIRN_DEPENDENCIES_MAX ? CAIRN_OK : CAIRN_NOT_CANONICAL);
    }
    for (uint32_t count = 0; count <= CAIRN_EFFECTS_MAX + 1; count++) {
        sample_init(&sample);
        sample.effect_count = count;
        uint32_t size = encode(&sample, bytes);
        bool lawful = count >= 1 && count <= CAIRN_EFFECTS_MAX;
        expect(bytes, size, lawful ? CAIRN_OK : CAIRN_NOT_CANONICAL);
    }
}

static void sizes_have_exact_limits(void **state)
{
    static struct sample sample;
    static uint8_t bytes[BYTES_MAX];
    (void)state;
    for (uint32_t key_size = 0; key_size <= CAIRN_KEY_SIZE_MAX + 1; key_size++) {
        sample_init(&sample);
        sample.key_sizes[0] = key_size;
        uint32_t size = encode(&sample, bytes);
        bool lawful = key_size >= 1 && key_size <= CAIRN_KEY_SIZE_MAX;
        expect(bytes, size, lawful ? CAIRN_OK : CAIRN_NOT_CANONICAL);
    }
    /* 32 + 3 * (32 + 1024) + 32 + 864 = 4096: the largest fact; one byte more makes 4160. */
    sample_init(&sample);
    sample.effect_count = 4;
    for (uint32_t i = 0; i < 3; i++)
        sample.key_sizes[i] = CAIRN_KEY_SIZE_MAX;
    sample.key_sizes[3] = 864;
    uint32_t size = encode(&sample, bytes);
    assert_int_equal(size, CAIRN_FACT_SIZE_MAX);
    expect(bytes, size, CAIRN_OK);
    sample.key_sizes[3] = 865;
    size = encode(&sample, bytes);
    assert_int_equal(size, CAIRN_FACT_SIZE_MAX + FACT_ALIGNMENT);
    expect(bytes, size, CAIRN_NOT_CANONICAL);
}

static void every_byte_of_padding_is_zero(void **state)
{
    static struct sample sample;
    static uint8_t bytes[BYTES_MAX];
    (void)state;
    for (uint32_t key_size = 1; key_size <= 64; key_size++) {
        sample_init(&sample);
        sample.key_sizes[0] = key_size;
        uint32_t size = encode(&sample, bytes);
        for (uint32_t at = sample_size(&sample); at < size; at++) {
            bytes[at] = 0x80;
            expect(bytes, size, CAIRN_NOT_CANONICAL);
            bytes[at] = 0;
        }
        expect(bytes, size, CAIRN_OK);
    }
}

static void dependencies_are_ascending_foreign_and_from_one(void **state)
{
    static struct sample sample;
    static uint8_t bytes[BYTES_MAX];
    (void)state;
    /* All pairs of slots around the fact's own, 5, with sequences 0 to 2. */
    for (uint32_t first = 3; first <= 7; first++) {
        for (uint32_t second = 3; second <= 7; second++) {
            for (uint64_t sequences = 0; sequences < 9; sequences++) {
                sample_init(&sample);
                sample.dependency_count = 2;
                sample.dependencies[0] = (struct cairn_dot){first, 1, sequences % 3};
                sample.dependencies[1] = (struct cairn_dot){second, 2, sequences / 3};
                uint32_t size = encode(&sample, bytes);
                bool lawful = first < second && first != 5 && second != 5 && sequences % 3 != 0 &&
                              sequences / 3 != 0;
                expect(bytes, size, lawful ? CAIRN_OK : CAIRN_NOT_CANONICAL);
            }
        }
    }
}

static void fields_of_version_one_only(void **state)
{
    static struct sample sample;
    static uint8_t bytes[BYTES_MAX];
    (void)state;
    sample_init(&sample);
    uint32_t size = encode(&sample, bytes);
    for (uint32_t version = 0; version < 256; version++) {
        bytes[0] = (uint8_t)version;
        expect(bytes, size, version == FACT_VERSION ? CAIRN_OK : CAIRN_NOT_CANONICAL);
    }
    bytes[0] = FACT_VERSION;
    for (uint32_t flags = 2; flags < 256; flags++) {
        bytes[1] = (uint8_t)flags;
        expect(bytes, size, CAIRN_NOT_CANONICAL);
    }
    bytes[1] = 0;
    uint8_t *effect = bytes + FACT_HEADER_SIZE;
    for (uint32_t operation = 0; operation < 65536; operation++) {
        struct fact fact;
        store_u16(effect + 16, (uint16_t)operation);
        int expected = operation == CAIRN_ADD ? CAIRN_OK : CAIRN_NOT_CANONICAL;
        assert_int_equal(fact_decode(&fact, bytes, size), expected);
    }
    store_u16(effect + 16, CAIRN_ADD);
    const uint32_t payload_sizes[] = {0, 1, 7, 9, 16, 0x7fffffff, 0xfffffff8, 0xffffffff};
    for (size_t i = 0; i < sizeof payload_sizes / sizeof payload_sizes[0]; i++) {
        store_u32(effect + 20, payload_sizes[i]);
        expect(bytes, size, CAIRN_NOT_CANONICAL);
    }
    store_u32(effect + 20, FACT_ADD_PAYLOAD_SIZE);
    expect(bytes, size, CAIRN_OK);
    store_u64(bytes + 16, 0);
    expect(bytes, size, CAIRN_NOT_CANONICAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_gives_back_what_was_encoded),
        cmocka_unit_test(every_bit_and_every_truncation_is_canonical_or_refused),
        cmocka_unit_test(damage_is_canonical_or_refused),
        cmocka_unit_test(counts_have_exact_limits),
        cmocka_unit_test(sizes_have_exact_limits),
        cmocka_unit_test(every_byte_of_padding_is_zero),
        cmocka_unit_test(dependencies_are_ascending_foreign_and_from_one),
        cmocka_unit_test(fields_of_version_one_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
