/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "facts/certificate.h"
#include "facts/fact.h"

static uint64_t rounds(uint64_t full)
{
    const char *sanitize = getenv("CAIRN_SANITIZE");
    return sanitize != NULL && sanitize[0] != 0 ? full / 8 + 1 : full;
}

static struct signature_key key;
static struct signature_key other_key;

static void make(struct certificate *certificate, struct prng *prng)
{
    memset(certificate, 0, sizeof *certificate);
    certificate->realm = (uint32_t)prng_next(prng);
    certificate->slot = (uint32_t)prng_next(prng);
    certificate->incarnation = (uint32_t)prng_next(prng);
    certificate->count = 1 + (uint32_t)prng_below(prng, CERTIFICATE_FACTS_MAX);
    certificate->first = 1 + (prng_next(prng) >> 8);
    uint64_t most = (uint64_t)certificate->count * CAIRN_FACT_SIZE_MAX;
    if (most > CERTIFICATE_FACTS_SIZE_MAX) most = CERTIFICATE_FACTS_SIZE_MAX;
    uint64_t least = (uint64_t)certificate->count * FACT_ALIGNMENT;
    uint64_t blocks = (most - least) / FACT_ALIGNMENT;
    certificate->facts_size = (uint32_t)(least + prng_below(prng, blocks + 1) * FACT_ALIGNMENT);
    prng_fill(prng, certificate->cluster_id, CAIRN_CLUSTER_ID_SIZE);
    prng_fill(prng, certificate->previous, ADDRESS_SIZE);
    prng_fill(prng, certificate->root, ADDRESS_SIZE);
    certificate_set_link(certificate);
}

/* Refused by the decoder, or not what the key has signed, or not what an encoder writes. */
static bool is_accepted(const uint8_t *bytes, uint32_t size)
{
    struct certificate certificate;
    uint8_t again[CERTIFICATE_SIZE_MAX];
    uint8_t *memory = malloc(size + (size == 0));
    assert_non_null(memory);
    memcpy(memory, bytes, size);
    int result = certificate_decode(&certificate, memory, size);
    free(memory);
    if (result != CAIRN_OK) {
        assert_int_equal(result, CAIRN_NOT_CANONICAL);
        return false;
    }
    assert_true(certificate.size <= size);
    assert_int_equal(certificate_encode(&certificate, again), certificate.size);
    assert_memory_equal(again, bytes, certificate.size);
    return certificate.size == size && certificate_verify(&certificate, key.public_key);
}

/* Ticks over 1 to 64 realms: every certificate decodes, verifies alone, and names its leaf. */
static void ticks_of_all_sizes(void **state)
{
    static struct certificate certificates[CERTIFICATE_LEAVES_MAX];
    struct certificate *pointers[CERTIFICATE_LEAVES_MAX];
    struct prng prng;
    (void)state;
    prng_init(&prng, 1);
    for (uint32_t count = 1; count <= CERTIFICATE_LEAVES_MAX; count += rounds(8) == 8 ? 1 : 7) {
        for (uint32_t i = 0; i < count; i++) {
            make(&certificates[i], &prng);
            pointers[i] = &certificates[i];
        }
        certificates_sign(pointers, count, &key);
        for (uint32_t i = 0; i < count; i++) {
            struct certificate *certificate = &certificates[i];
            struct certificate decoded;
            uint8_t bytes[CERTIFICATE_SIZE_MAX];
            uint32_t size = certificate_encode(certificate, bytes);
            assert_int_equal(size, CERTIFICATE_SIZE_MIN + certificate->path_count * ADDRESS_SIZE);
            assert_int_equal(certificate_decode(&decoded, bytes, size), CAIRN_OK);
            certificate->size = size;
            assert_memory_equal(&decoded, certificate, sizeof decoded);
            assert_true(certificate_verify(&decoded, key.public_key));
            assert_false(certificate_verify(&decoded, other_key.public_key));
            /* One leaf's signature says nothing about another link. */
            decoded.link[0] ^= 1;
            assert_false(certificate_verify(&decoded, key.public_key));
            decoded.link[0] ^= 1;
            if (count > 1) {
                decoded.leaf_index = (uint16_t)((i + 1) % count);
                assert_false(certificate_verify(&decoded, key.public_key));
            }
        }
    }
}

static void every_bit_and_every_truncation_is_refused(void **state)
{
    const uint32_t counts[] = {1, 2, 3, 5, 33, 64};
    static struct certificate certificates[CERTIFICATE_LEAVES_MAX];
    struct certificate *pointers[CERTIFICATE_LEAVES_MAX];
    struct prng prng;
    (void)state;
    prng_init(&prng, 2);
    for (size_t n = 0; n < rounds(6); n++) {
        for (uint32_t i = 0; i < counts[n]; i++) {
            make(&certificates[i], &prng);
            pointers[i] = &certificates[i];
        }
        certificates_sign(pointers, counts[n], &key);
        const uint32_t leaves[] = {0, counts[n] - 1};
        for (size_t i = 0; i < (counts[n] > 1 ? 2 : 1); i++) {
            uint8_t bytes[CERTIFICATE_SIZE_MAX];
            uint32_t size = certificate_encode(&certificates[leaves[i]], bytes);
            assert_true(is_accepted(bytes, size));
            for (uint32_t left = 0; left < size; left++)
                assert_false(is_accepted(bytes, left));
            for (uint32_t bit = 0; bit < size * 8; bit++) {
                bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
                if (is_accepted(bytes, size)) fail_msg("bit %u of %u leaves", bit, counts[n]);
                bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            }
        }
    }
}

static int decode_changed(const struct certificate *certificate, uint32_t at, uint64_t value,
                          uint32_t width)
{
    struct certificate decoded;
    uint8_t bytes[CERTIFICATE_SIZE_MAX];
    uint32_t size = certificate_encode(certificate, bytes);
    memcpy(bytes + at, &value, width);
    return certificate_decode(&decoded, bytes, size);
}

static void counts_have_exact_limits(void **state)
{
    struct certificate certificate;
    struct prng prng;
    (void)state;
    prng_init(&prng, 3);
    make(&certificate, &prng);
    certificate.count = 300;
    certificate.facts_size = 300 * 64;
    certificate_set_link(&certificate);
    certificate_sign(&certificate, &key);
    const struct {
        uint32_t at;
        uint32_t width;
        uint64_t value;
        bool lawful;
    } cases[] = {
        {16, 8, 0, false},
        {16, 8, 1, true},
        {16, 8, UINT64_MAX - 300, true},
        {16, 8, UINT64_MAX - 299, false},
        {16, 8, UINT64_MAX, false},
        {24, 4, 0, false},
        {24, 4, 1, false}, /* more than 4,096 bytes a fact */
        {24, 4, 5, true},
        {24, 4, 301, false}, /* less than 64 bytes a fact */
        {24, 4, UINT32_MAX, false},
        {28, 4, 0, false},
        {28, 4, 300 * 64 - 64, false},
        {28, 4, 300 * 64 + 64, true},
        {28, 4, 300 * 64 + 32, false},
        {28, 4, CERTIFICATE_FACTS_SIZE_MAX, true},
        {28, 4, CERTIFICATE_FACTS_SIZE_MAX + 64, false},
        {28, 4, 0xffffffc0, false},
        {112, 2, 1, false}, /* leaf 1 of 1 */
        {114, 2, 0, false},
        {114, 2, CERTIFICATE_LEAVES_MAX + 1, false},
        {114, 2, 0xffff, false},
        {116, 4, 1, false},
        {0, 1, 0, false},
        {0, 1, 2, false},
        {1, 1, 1, false},
        {2, 2, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int result = decode_changed(&certificate, cases[i].at, cases[i].value, cases[i].width);
        if (result != (cases[i].lawful ? CAIRN_OK : CAIRN_NOT_CANONICAL)) fail_msg("case %zu", i);
    }
}

/* ---- Runs ---------------------------------------------------------------------------------- */

static uint8_t *run_memory(void)
{
    uint8_t *memory = calloc(1, FACT_RUN_IDS_BYTES);
    assert_non_null(memory);
    return memory;
}

static uint32_t make_fact(uint8_t *bytes, uint64_t sequence, uint32_t key_size)
{
    static uint8_t name[CAIRN_KEY_SIZE_MAX];
    const uint8_t space_id[CAIRN_SPACE_ID_SIZE] = {1, 2, 3};
    struct cairn_dot dot = {1, 1, sequence};
    uint32_t size =
        fact_size(FACT_HEADER_SIZE + FACT_EFFECT_HEADER_SIZE + key_size + FACT_ADD_PAYLOAD_SIZE);
    uint8_t *next = fact_encode_header(bytes, size, 7, &dot, sequence, NULL, 0, NULL, 1);
    memset(name, (int)sequence, sizeof name);
    fact_encode_add(next, space_id, name, key_size, 1);
    return size;
}

/* However facts are grouped, the ids and the root are those of hashing them one by one. */
static void grouping_does_not_matter(void **state)
{
    enum { FACTS = 150 };
    static uint8_t bytes[FACTS][2048];
    static uint8_t ids[FACTS][ADDRESS_SIZE];
    const uint8_t *facts[FACTS];
    uint32_t sizes[FACTS];
    struct fact_run run = {.ids = run_memory()};
    struct prng prng;
    (void)state;
    prng_init(&prng, 4);
    for (uint64_t round = 0; round < rounds(200); round++) {
        uint64_t first = 1 + prng_below(&prng, 1000);
        uint64_t total = 0;
        uint32_t key_size = 8;
        for (uint32_t i = 0; i < FACTS; i++) {
            if (prng_chance(&prng, 1, 4)) {
                uint64_t limit = prng_chance(&prng, 1, 10) ? CAIRN_KEY_SIZE_MAX : 150;
                key_size = 1 + (uint32_t)prng_below(&prng, limit);
            }
            sizes[i] = make_fact(bytes[i], first + i, key_size);
            facts[i] = bytes[i];
            total += sizes[i];
            address_of_record(ADDRESS_FACT, bytes[i], sizes[i], ids[i]);
        }
        fact_run_clear(&run);
        for (uint32_t from = 0; from < FACTS;) {
            uint32_t count = 1 + (uint32_t)prng_below(&prng, round % 2 ? 3 : FACTS - from);
            if (count > FACTS - from) count = FACTS - from;
            assert_true(fact_run_add(&run, facts + from, sizes + from, count));
            from += count;
        }
        assert_int_equal(run.first, first);
        assert_int_equal(run.count, FACTS);
        assert_int_equal(run.size, total);
        assert_memory_equal(run.ids, ids, sizeof ids);
        uint8_t root[ADDRESS_SIZE];
        uint8_t expected[ADDRESS_SIZE];
        fact_run_root(&run, root);
        merkle_root(ids[0], FACTS, expected);
        assert_memory_equal(root, expected, ADDRESS_SIZE);
    }
    free(run.ids);
}

static void runs_have_exact_limits(void **state)
{
    static uint8_t bytes[CAIRN_FACT_SIZE_MAX];
    const uint8_t *fact = bytes;
    struct fact_run run = {.ids = run_memory()};
    (void)state;
    /* Too many facts: a fact can be as small as 128 bytes, so count is forced up here. */
    uint32_t size = make_fact(bytes, 1, 1);
    assert_true(fact_run_add(&run, &fact, &size, 1));
    run.count = CERTIFICATE_FACTS_MAX;
    make_fact(bytes, 1 + (uint64_t)CERTIFICATE_FACTS_MAX, 1);
    struct fact_run before = run;
    assert_false(fact_run_add(&run, &fact, &size, 1));
    assert_memory_equal(&run, &before, sizeof run);
    /* Too many bytes: the cut, and one more fact of any size, always fit. */
    fact_run_clear(&run);
    size = make_fact(bytes, 1, CAIRN_KEY_SIZE_MAX);
    uint64_t sequence = 1;
    while (run.size < CERTIFICATE_FACTS_SIZE_CUT) {
        make_fact(bytes, sequence++, CAIRN_KEY_SIZE_MAX);
        assert_true(fact_run_add(&run, &fact, &size, 1));
    }
    while (run.size + size <= CERTIFICATE_FACTS_SIZE_MAX) {
        make_fact(bytes, sequence++, CAIRN_KEY_SIZE_MAX);
        assert_true(fact_run_add(&run, &fact, &size, 1));
    }
    make_fact(bytes, sequence, CAIRN_KEY_SIZE_MAX);
    before = run;
    assert_false(fact_run_add(&run, &fact, &size, 1));
    assert_memory_equal(&run, &before, sizeof run);
    free(run.ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_of_all_sizes),
        cmocka_unit_test(every_bit_and_every_truncation_is_refused),
        cmocka_unit_test(counts_have_exact_limits),
        cmocka_unit_test(grouping_does_not_matter),
        cmocka_unit_test(runs_have_exact_limits),
    };
    uint8_t seed[SIGNATURE_SEED_SIZE] = {1};
    address_init();
    if (!signature_init()) return 1;
    signature_key_from_seed(&key, seed);
    seed[0] = 2;
    signature_key_from_seed(&other_key, seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
