/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "crypto/signature.h"

/* RFC 8032, section 7.1, tests 1 to 3. */
static const struct {
    const char *seed;
    const char *public_key;
    const char *message;
    const char *signature;
} vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
     "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da0"
     "85ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac1"
     "8ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

static void the_vectors_of_rfc_8032(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t seed[SIGNATURE_SEED_SIZE];
        uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE];
        uint8_t message[2];
        uint8_t expected[SIGNATURE_SIZE];
        uint8_t signature[SIGNATURE_SIZE];
        size_t size = strlen(vectors[i].message) / 2;
        assert_true(bytes_from_hex(vectors[i].seed, seed, sizeof seed));
        assert_true(bytes_from_hex(vectors[i].public_key, public_key, sizeof public_key));
        assert_true(bytes_from_hex(vectors[i].message, message, size));
        assert_true(bytes_from_hex(vectors[i].signature, expected, sizeof expected));
        struct signature_key key;
        signature_key_from_seed(&key, seed);
        assert_memory_equal(key.public_key, public_key, sizeof public_key);
        signature_sign(&key, message, size, signature);
        assert_memory_equal(signature, expected, SIGNATURE_SIZE);
        assert_true(signature_verify(public_key, message, size, signature));
    }
}

struct signed_message {
    struct signature_key key;
    uint8_t message[40];
    uint8_t signature[SIGNATURE_SIZE];
};

static void sign_random(struct signed_message *self, uint64_t seed)
{
    struct prng prng;
    uint8_t key_seed[SIGNATURE_SEED_SIZE];
    prng_init(&prng, seed);
    prng_fill(&prng, key_seed, sizeof key_seed);
    prng_fill(&prng, self->message, sizeof self->message);
    signature_key_from_seed(&self->key, key_seed);
    signature_sign(&self->key, self->message, sizeof self->message, self->signature);
}

static bool verifies(const struct signed_message *self)
{
    return signature_verify(self->key.public_key, self->message, sizeof self->message,
                            self->signature);
}

static void flip(uint8_t *bytes, size_t bit)
{
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void no_bit_can_change(void **state)
{
    (void)state;
    struct signed_message signed_message;
    struct {
        uint8_t *bytes;
        size_t size;
    } parts[] = {
        {signed_message.signature, SIGNATURE_SIZE},
        {signed_message.message, sizeof signed_message.message},
        {signed_message.key.public_key, SIGNATURE_PUBLIC_KEY_SIZE},
    };
    sign_random(&signed_message, 41);
    for (size_t part = 0; part < 3; part++) {
        for (size_t bit = 0; bit < parts[part].size * 8; bit++) {
            flip(parts[part].bytes, bit);
            assert_false(verifies(&signed_message));
            flip(parts[part].bytes, bit);
        }
    }
    assert_true(verifies(&signed_message));
}

/* s + L is the same scalar; if it passed, anyone could make a second signature of the bytes. */
static void a_scalar_that_is_not_reduced_is_refused(void **state)
{
    (void)state;
    uint8_t order[32];
    assert_true(bytes_from_hex("edd3f55c1a631258d69cf7a2def9de14"
                               "00000000000000000000000000000010",
                               order, sizeof order));
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct signed_message signed_message;
        sign_random(&signed_message, seed);
        assert_true(verifies(&signed_message));
        unsigned carry = 0;
        for (size_t i = 0; i < 32; i++) {
            carry += (unsigned)signed_message.signature[32 + i] + order[i];
            signed_message.signature[32 + i] = (uint8_t)carry;
            carry >>= 8;
        }
        assert_int_equal(carry, 0);
        assert_false(verifies(&signed_message));
    }
}

/* Under the neutral point, R = 0 and s = 0 would sign every message. */
static void a_key_of_small_order_signs_nothing(void **state)
{
    (void)state;
    uint8_t neutral[SIGNATURE_PUBLIC_KEY_SIZE] = {1};
    uint8_t signature[SIGNATURE_SIZE] = {1};
    assert_false(signature_verify(neutral, "message", 7, signature));
}

static void signatures_bind_key_and_size(void **state)
{
    (void)state;
    struct signed_message one;
    struct signed_message other;
    uint8_t again[SIGNATURE_SIZE];
    sign_random(&one, 51);
    sign_random(&other, 52);
    signature_sign(&one.key, one.message, sizeof one.message, again);
    assert_memory_equal(again, one.signature, SIGNATURE_SIZE); /* deterministic */
    assert_false(
        signature_verify(other.key.public_key, one.message, sizeof one.message, one.signature));
    for (size_t size = 0; size < sizeof one.message; size++) {
        assert_false(signature_verify(one.key.public_key, one.message, size, one.signature));
    }
    signature_sign(&one.key, NULL, 0, again);
    assert_true(signature_verify(one.key.public_key, NULL, 0, again));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_8032),
        cmocka_unit_test(no_bit_can_change),
        cmocka_unit_test(a_scalar_that_is_not_reduced_is_refused),
        cmocka_unit_test(a_key_of_small_order_signs_nothing),
        cmocka_unit_test(signatures_bind_key_and_size),
    };
    if (!signature_init() || !signature_init()) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
