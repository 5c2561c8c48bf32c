/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <blake3.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/prng.h"
#include "crypto/address.h"

#define INPUT_SIZE 102400u
#define RECORDS 40u
#define RECORD_SIZE_MAX 4096u

static uint8_t input[INPUT_SIZE]; /* the pattern of the official vectors: i mod 251 */

static const char *const contexts[ADDRESS_KINDS] = {
#define CONTEXT(name, context) context,
    ADDRESS_KIND_MAP(CONTEXT)
#undef CONTEXT
};

/* Lets expect_assert_failure() catch a failed assertion. */
static void on_assert(const char *expression, const char *file, int line)
{
    mock_assert(0, expression, file, line);
}

static void assert_address(const uint8_t address[ADDRESS_SIZE], const char *expected)
{
    char text[2 * ADDRESS_SIZE + 1];
    bytes_to_hex(address, ADDRESS_SIZE, text);
    assert_string_equal(text, expected);
}

/* Printed by b3sum for the first bytes of the pattern. */
static const struct {
    size_t size;
    const char *address;
} plain_vectors[] = {
    {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
    {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
    {63, "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b"},
    {64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98"},
    {65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee"},
    {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
    {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
    {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
    {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
    {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"},
    {3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2"},
    {3073, "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3"},
    {8192, "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63"},
    {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"},
    {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
};

static void plain_addresses_are_what_b3sum_prints(void **state)
{
    (void)state;
    uint8_t address[ADDRESS_SIZE];
    for (size_t i = 0; i < sizeof plain_vectors / sizeof plain_vectors[0]; i++) {
        size_t size = plain_vectors[i].size;
        address_of_bytes(input, size, address);
        assert_address(address, plain_vectors[i].address);
        struct address_stream stream;
        address_stream_init_plain(&stream);
        address_stream_add(&stream, input, size / 3);
        address_stream_add(&stream, input + size / 3, size - size / 3);
        address_stream_end(&stream, address);
        assert_address(address, plain_vectors[i].address);
    }
    address_of_bytes(NULL, 0, address);
    assert_address(address, plain_vectors[0].address);
}

/* Printed by b3sum --derive-key "cairn v1 <kind>". */
static const struct {
    enum address_kind kind;
    size_t size;
    const char *address;
} kind_vectors[] = {
    {ADDRESS_FACT, 200, "fb3ad057b26e42aef1b11b46c49e9d1cf7cdcd2ec50d071b9f1ea997aeb553c3"},
    {ADDRESS_FACT, 1500, "2756996026fd6221d940e7a6c08083d53f4aa7b7c861b05f62b9e127a429bed2"},
    {ADDRESS_NODE, 200, "96247b77328cd91fb66723d6dbae52ab7370335168b66a77d115db605d4f52de"},
    {ADDRESS_NODE, 1500, "22d24c739b84372c1a233b58934594a471f97b08e351643ef0ed3087e70ff970"},
    {ADDRESS_CERTIFICATE, 200, "15b0ab95f4c6e6af0ad04cd8585996752f7a7a51b4d363807c32f1a26792be90"},
    {ADDRESS_CERTIFICATE, 1500, "314e3705576564b250316d0b4d376a085738e41f4fef5adc863a3baeacc094ca"},
    {ADDRESS_TICK, 200, "5c1458d899373ee81a7842ca48033843b2a01c609cc8bad7ac2efe61d302dae9"},
    {ADDRESS_TICK, 1500, "4177679e6510738c8057fd2fcf716573134c89b9d4f7ded00fc4b3e9f439c97f"},
    {ADDRESS_SPACE, 200, "f74bb293d68bcea78b84e075f93f8fa14d61d29267263b1e2765bdb8bbc2195f"},
    {ADDRESS_SPACE, 1500, "f86f2ea09cc2df1f7c0e55dfe22e45e5829f653d3e191cfcad5f2718a2fb662c"},
    {ADDRESS_CELL, 200, "60cecd11894b798a8f645a51015201d7df8cf48cecfc31056bd6f4fd2d16a807"},
    {ADDRESS_CELL, 1500, "faa16d82e20df9e101e59b164277aad0c9a4a687e7af3c966b3ec7fee4c6eaf9"},
    {ADDRESS_CELLS, 200, "f6958c7809f58e3e2a27fc9e8d9d7a4890d1854fdb073fad9befb9875632b3c9"},
    {ADDRESS_CELLS, 1500, "f56a173f7e7c4b69d6660b087ac12306058b48db4c37f8f19fbc794d122b497d"},
    {ADDRESS_FACTS, 200, "1fd63aba973f23f7856af1aa7e7d2e59cfab66ca68bf6c313abc2acd4da56288"},
    {ADDRESS_FACTS, 1500, "5c7b65b97aa9b3f9c2b793e09113f108c8899c37e1d6c69786c24ca524318b2c"},
    {ADDRESS_CHECKPOINT, 200, "07b41180be392b33b36e1496932fc8721eb475dc4cbd24c56ce2981ea800e260"},
    {ADDRESS_CHECKPOINT, 1500, "c1f09c3db6fbd093eaa47883223cd09b13d2f56cc2aa02fd46d6cfb7bd9cc389"},
};

static void record_addresses_are_in_the_derive_key_mode(void **state)
{
    (void)state;
    uint8_t address[ADDRESS_SIZE];
    assert_int_equal(sizeof kind_vectors / sizeof kind_vectors[0], 2 * ADDRESS_KINDS);
    for (size_t i = 0; i < 2 * ADDRESS_KINDS; i++) {
        address_of_record(kind_vectors[i].kind, input, kind_vectors[i].size, address);
        assert_address(address, kind_vectors[i].address);
    }
}

/* The way around the library's front door gives what the front door gives. */
static void every_size_agrees_with_the_library(void **state)
{
    (void)state;
    uint8_t expected[ADDRESS_SIZE];
    uint8_t address[ADDRESS_SIZE];
    for (size_t size = 0; size <= 2200; size++) {
        enum address_kind kind = (enum address_kind)(size % ADDRESS_KINDS);
        const uint8_t *bytes = input + size % 5; /* at any alignment */
        blake3_hasher hasher;
        blake3_hasher_init_derive_key(&hasher, contexts[kind]);
        blake3_hasher_update(&hasher, bytes, size);
        blake3_hasher_finalize(&hasher, expected, ADDRESS_SIZE);
        address_of_record(kind, bytes, size, address);
        assert_memory_equal(address, expected, ADDRESS_SIZE);
        blake3_hasher_init(&hasher);
        blake3_hasher_update(&hasher, bytes, size);
        blake3_hasher_finalize(&hasher, expected, ADDRESS_SIZE);
        address_of_bytes(bytes, size, address);
        assert_memory_equal(address, expected, ADDRESS_SIZE);
    }
}

/* Records of one size, each of its own allocation, so that reading past one is seen. */
static void check_many(enum address_kind kind, size_t size)
{
    static uint8_t expected[RECORDS * ADDRESS_SIZE];
    static uint8_t addresses[(RECORDS + 1) * ADDRESS_SIZE];
    const uint8_t *records[RECORDS];
    struct prng prng;
    prng_init(&prng, size);
    for (size_t i = 0; i < RECORDS; i++) {
        uint8_t *record = malloc(size + 1);
        prng_fill(&prng, record, size);
        address_of_record(kind, record, size, expected + i * ADDRESS_SIZE);
        records[i] = record;
    }
    for (size_t count = 0; count <= RECORDS; count++) {
        memset(addresses, 0xee, sizeof addresses);
        address_of_many(kind, records, count, size, addresses);
        assert_memory_equal(addresses, expected, count * ADDRESS_SIZE);
        for (size_t i = 0; i < ADDRESS_SIZE; i++) {
            assert_int_equal(addresses[count * ADDRESS_SIZE + i], 0xee);
        }
    }
    for (size_t i = 0; i < RECORDS; i++)
        free((void *)(uintptr_t)records[i]);
}

static void many_at_once_are_the_same_as_one_by_one(void **state)
{
    (void)state;
    for (size_t size = 0; size <= RECORD_SIZE_MAX; size += 64) {
        check_many((enum address_kind)(size / 64 % ADDRESS_KINDS), size);
    }
    const uint8_t *records[1] = {input};
    uint8_t address[ADDRESS_SIZE];
    expect_assert_failure(address_of_many(ADDRESS_FACT, records, 1, 65, address));
}

static void streams_do_not_depend_on_the_cuts(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 21);
    for (int round = 0; round < 2000; round++) {
        enum address_kind kind = (enum address_kind)prng_below(&prng, ADDRESS_KINDS);
        size_t size = (size_t)prng_below(&prng, round % 10 ? 300 : 20000);
        uint8_t expected[ADDRESS_SIZE];
        uint8_t address[ADDRESS_SIZE];
        address_of_record(kind, input, size, expected);
        struct address_stream stream;
        address_stream_init(&stream, kind);
        for (size_t done = 0; done < size;) {
            size_t now = 1 + (size_t)prng_below(&prng, size - done);
            address_stream_add(&stream, input + done, now);
            done += now;
        }
        address_stream_end(&stream, address);
        assert_memory_equal(address, expected, ADDRESS_SIZE);
        address_stream_end(&stream, address); /* the end changes nothing */
        assert_memory_equal(address, expected, ADDRESS_SIZE);
    }
}

static void kinds_are_domains(void **state)
{
    (void)state;
    uint8_t addresses[ADDRESS_KINDS + 1][ADDRESS_SIZE];
    address_of_bytes("same", 4, addresses[ADDRESS_KINDS]);
    for (unsigned kind = 0; kind < ADDRESS_KINDS; kind++) {
        address_of_record((enum address_kind)kind, "same", 4, addresses[kind]);
    }
    for (size_t i = 0; i <= ADDRESS_KINDS; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(addresses[i], addresses[j], ADDRESS_SIZE);
        }
    }
}

static void *hash_and_init(void *argument)
{
    uint8_t *sum = argument;
    for (uint8_t i = 0; i < 100; i++) {
        uint8_t address[ADDRESS_SIZE];
        address_init(); /* again is fine, also beside others */
        address_of_record((enum address_kind)(i % ADDRESS_KINDS), &i, 1, address);
        for (size_t at = 0; at < ADDRESS_SIZE; at++)
            sum[at] ^= address[at];
    }
    return NULL;
}

static void threads_hash_at_the_same_time(void **state)
{
    (void)state;
    pthread_t threads[3];
    uint8_t sums[3][ADDRESS_SIZE] = {{0}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hash_and_init, sums[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_memory_equal(sums[0], sums[1], ADDRESS_SIZE);
    assert_memory_equal(sums[0], sums[2], ADDRESS_SIZE);
}

/* The first test: later ones rely on address_init(). */
static void records_before_init_are_a_defect(void **state)
{
    (void)state;
    uint8_t address[ADDRESS_SIZE];
    expect_assert_failure(address_of_record(ADDRESS_FACT, "", 0, address));
    address_init();
    address_init();
    address_of_record(ADDRESS_FACT, "", 0, address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_before_init_are_a_defect),
        cmocka_unit_test(plain_addresses_are_what_b3sum_prints),
        cmocka_unit_test(record_addresses_are_in_the_derive_key_mode),
        cmocka_unit_test(every_size_agrees_with_the_library),
        cmocka_unit_test(many_at_once_are_the_same_as_one_by_one),
        cmocka_unit_test(streams_do_not_depend_on_the_cuts),
        cmocka_unit_test(kinds_are_domains),
        cmocka_unit_test(threads_hash_at_the_same_time),
    };
    cairn_assert_hook = on_assert;
    for (size_t i = 0; i < INPUT_SIZE; i++)
        input[i] = (uint8_t)(i % 251);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
