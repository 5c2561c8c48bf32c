/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signature.h"

#include <sodium.h>

#include "base/assert.h"

_Static_assert(SIGNATURE_SIZE == crypto_sign_BYTES, "libsodium's Ed25519");
_Static_assert(SIGNATURE_SEED_SIZE == crypto_sign_SEEDBYTES, "libsodium's Ed25519");
_Static_assert(SIGNATURE_PUBLIC_KEY_SIZE == crypto_sign_PUBLICKEYBYTES, "libsodium's Ed25519");
_Static_assert(SIGNATURE_SECRET_KEY_SIZE == crypto_sign_SECRETKEYBYTES, "libsodium's Ed25519");

bool signature_init(void)
{
    return sodium_init() >= 0; /* 1: it had started before */
}

void signature_key_from_seed(struct signature_key *key, const uint8_t seed[SIGNATURE_SEED_SIZE])
{
    int failed = crypto_sign_seed_keypair(key->public_key, key->secret_key, seed);
    cairn_assert(!failed);
}

void signature_sign(const struct signature_key *key, const void *bytes, size_t size,
                    uint8_t signature[SIGNATURE_SIZE])
{
    int failed = crypto_sign_detached(signature, NULL, bytes, size, key->secret_key);
    cairn_assert(!failed);
}

bool signature_verify(const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE], const void *bytes,
                      size_t size, const uint8_t signature[SIGNATURE_SIZE])
{
    return crypto_sign_verify_detached(signature, bytes, size, public_key) == 0;
}
