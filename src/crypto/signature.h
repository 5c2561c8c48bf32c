/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 (RFC 8032), a face of libsodium. Deterministic. */
#ifndef CAIRN_CRYPTO_SIGNATURE_H
#define CAIRN_CRYPTO_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

#define SIGNATURE_SIZE 64u
#define SIGNATURE_SEED_SIZE 32u
#define SIGNATURE_PUBLIC_KEY_SIZE 32u
#define SIGNATURE_SECRET_KEY_SIZE 64u

struct signature_key {
    uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE];
    uint8_t secret_key[SIGNATURE_SECRET_KEY_SIZE];
};

/* False when libsodium cannot start. Call once before threads start; again is fine. */
CHECKED bool signature_init(void);
void signature_key_from_seed(struct signature_key *key, const uint8_t seed[SIGNATURE_SEED_SIZE]);
void signature_sign(const struct signature_key *key, const void *bytes, size_t size,
                    uint8_t signature[SIGNATURE_SIZE]);
CHECKED bool signature_verify(const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE],
                              const void *bytes, size_t size,
                              const uint8_t signature[SIGNATURE_SIZE]);

#endif
