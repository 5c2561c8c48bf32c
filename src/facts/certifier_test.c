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
#include "facts/certifier.h"
#include "facts/fact.h"

static uint64_t rounds(uint64_t full)
{
    const char *sanitize = getenv("CAIRN_SANITIZE");
    return sanitize != NULL && sanitize[0] != 0 ? full / 8 + 1 : full;
}

static const uint8_t cluster_id[CAIRN_CLUSTER_ID_SIZE] = "cluster";
static const uint8_t seed_bytes[SIGNATURE_SEED_SIZE] = {9};

static void *open_certifier(struct certifier *certifier)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    certifier_init(certifier, 7, 1, cluster_id, seed_bytes, &arena);
    uint64_t size = round_up(arena.used, 4096);
    void *memory = aligned_alloc(4096, size);
    assert_non_null(memory);
    memset(memory, 0, size);
    arena_init(&arena, memory, size);
    certifier_init(certifier, 7, 1, cluster_id, seed_bytes, &arena);
    return memory;
}

static uint32_t make_fact(uint8_t *bytes, uint32_t incarnation, uint64_t sequence,
                          uint32_t key_size)
{
    static const uint8_t name[CAIRN_KEY_SIZE_MAX];
    const uint8_t space_id[CAIRN_SPACE_ID_SIZE] = {1, 2, 3};
    struct cairn_dot dot = {1, incarnation, sequence};
    uint32_t size =
        fact_size(FACT_HEADER_SIZE + FACT_EFFECT_HEADER_SIZE + key_size + FACT_ADD_PAYLOAD_SIZE);
    uint8_t *next = fact_encode_header(bytes, size, 7, &dot, sequence, NULL, 0, NULL, 1);
    fact_encode_add(next, space_id, name, key_size, 1);
    return size;
}

/* K1, K2: whatever the runs and incarnations, the certificates form one dense chain. */
static void certificates_form_one_chain(void **state)
{
    static uint8_t bytes[400][1200];
    static uint8_t ids[400][ADDRESS_SIZE];
    struct certifier certifier;
    struct prng prng;
    uint8_t link[ADDRESS_SIZE] = {0};
    uint32_t incarnation = 0;
    (void)state;
    void *memory = open_certifier(&certifier);
    prng_init(&prng, 1);
    for (uint64_t round = 0; round < rounds(40); round++) {
        uint64_t sequence = 1;
        incarnation += 1 + (uint32_t)prng_below(&prng, 3);
        certifier_begin(&certifier, incarnation, link);
        for (uint64_t cuts = prng_below(&prng, 5); cuts > 0; cuts--) {
            struct certificate certificate;
            uint32_t count = 1 + (uint32_t)prng_below(&prng, 400);
            uint64_t size = 0;
            for (uint32_t i = 0; i < count; i++) {
                uint32_t key_size = 1 + (uint32_t)prng_below(&prng, i % 9 ? 60 : 1024);
                uint32_t fact = make_fact(bytes[i], incarnation, sequence + i, key_size);
                address_of_record(ADDRESS_FACT, bytes[i], fact, ids[i]);
                certifier_add(&certifier, bytes[i], fact, 5);
                if (prng_chance(&prng, 1, 20)) {
                    certifier_hash(&certifier);
                    memset(bytes[i], 0xdd, fact); /* the bytes may go */
                }
                size += fact;
            }
            assert_false(certifier_is_empty(&certifier));
            certifier_cut(&certifier, &certificate);
            assert_true(certifier_is_empty(&certifier));
            assert_int_equal(certificate.realm, 7);
            assert_int_equal(certificate.slot, 1);
            assert_int_equal(certificate.incarnation, incarnation);
            assert_int_equal(certificate.first, sequence);
            assert_int_equal(certificate.count, count);
            assert_int_equal(certificate.facts_size, size);
            assert_memory_equal(certificate.previous, link, ADDRESS_SIZE);
            assert_true(certificate_verify(&certificate, certifier.key.public_key));
            uint8_t root[ADDRESS_SIZE];
            merkle_root(ids[0], count, root);
            assert_memory_equal(certificate.root, root, ADDRESS_SIZE);
            struct certificate decoded;
            uint8_t encoded[CERTIFICATE_SIZE_MAX];
            uint32_t encoded_size = certificate_encode(&certificate, encoded);
            assert_int_equal(certificate_decode(&decoded, encoded, encoded_size), CAIRN_OK);
            assert_memory_equal(decoded.link, certificate.link, ADDRESS_SIZE);
            memcpy(link, certificate.link, ADDRESS_SIZE);
            sequence += count;
        }
    }
    free(memory);
}

static void a_cut_is_due_by_time_or_by_size(void **state)
{
    static uint8_t bytes[1200];
    struct certifier certifier;
    struct certificate certificate;
    const uint8_t link[ADDRESS_SIZE] = {0};
    const uint64_t interval = (uint64_t)CERTIFIER_INTERVAL_NS;
    (void)state;
    void *memory = open_certifier(&certifier);
    certifier_begin(&certifier, 1, link);
    assert_false(certifier_is_due(&certifier, UINT64_MAX));
    uint32_t size = make_fact(bytes, 1, 1, 10);
    certifier_add(&certifier, bytes, size, 1000);
    certifier_hash(&certifier);
    assert_false(certifier_is_due(&certifier, 1000 + interval - 1));
    assert_true(certifier_is_due(&certifier, 1000 + interval));
    /* Later facts do not put it off. */
    size = make_fact(bytes, 1, 2, 10);
    certifier_add(&certifier, bytes, size, 1000 + interval - 1);
    certifier_hash(&certifier);
    assert_true(certifier_is_due(&certifier, 1000 + interval));
    certifier_cut(&certifier, &certificate);
    assert_false(certifier_is_due(&certifier, UINT64_MAX));
    /* By bytes: the fact that passes the mark is the last, and the certificate is lawful. */
    uint64_t sequence = 3;
    while (!certifier_is_full(&certifier)) {
        size = make_fact(bytes, 1, sequence++, CAIRN_KEY_SIZE_MAX);
        certifier_add(&certifier, bytes, size, 0);
        certifier_hash(&certifier);
    }
    assert_true(certifier_is_due(&certifier, 0));
    certifier_cut(&certifier, &certificate);
    assert_true(certificate.facts_size >= CERTIFICATE_FACTS_SIZE_CUT);
    assert_true(certificate.facts_size < CERTIFICATE_FACTS_SIZE_CUT + CAIRN_FACT_SIZE_MAX);
    assert_int_equal(certificate.first, 3);
    /* By count: small facts come to the byte mark first, so the count is never passed. */
    while (!certifier_is_full(&certifier)) {
        size = make_fact(bytes, 1, sequence++, 1);
        certifier_add(&certifier, bytes, size, 0);
        certifier_hash(&certifier);
    }
    certifier_cut(&certifier, &certificate);
    assert_true(certificate.count <= CERTIFICATE_FACTS_MAX);
    uint8_t encoded[CERTIFICATE_SIZE_MAX];
    struct certificate decoded;
    uint32_t encoded_size = certificate_encode(&certificate, encoded);
    assert_int_equal(certificate_decode(&decoded, encoded, encoded_size), CAIRN_OK);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_form_one_chain),
        cmocka_unit_test(a_cut_is_due_by_time_or_by_size),
    };
    address_init();
    if (!signature_init()) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
