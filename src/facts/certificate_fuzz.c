/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary bytes as a certificate: refused, or exactly what an encoder would have made, with
 * counts that the rest of Cairn may rely on. The key has signed nothing, so nothing verifies.
 */
#include "base/assert.h"
#include "facts/certificate.h"
#include "facts/fact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE] = {
        0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a,
        0xa7, 0x4d, 0x1b, 0x7e, 0xbc, 0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4,
        0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c,
    }; /* RFC 8032, section 7.1, test 2 */
    uint8_t again[CERTIFICATE_SIZE_MAX];
    struct certificate certificate;
    address_init();
    cairn_assert(signature_init());
    int result = certificate_decode(&certificate, data, size);
    if (result != CAIRN_OK) {
        cairn_assert(result == CAIRN_NOT_CANONICAL);
        return 0;
    }
    uint64_t count = certificate.count;
    uint64_t facts_size = certificate.facts_size;
    cairn_assert(certificate.size <= size && certificate.size <= CERTIFICATE_SIZE_MAX);
    cairn_assert(count >= 1 && count <= CERTIFICATE_FACTS_MAX);
    cairn_assert(facts_size >= count * FACT_ALIGNMENT && facts_size % FACT_ALIGNMENT == 0);
    cairn_assert(facts_size <= CERTIFICATE_FACTS_SIZE_MAX);
    cairn_assert(certificate.first >= 1 && certificate_last(&certificate) >= certificate.first);
    cairn_assert(certificate.leaf_index < certificate.leaf_count);
    cairn_assert(certificate.leaf_count <= CERTIFICATE_LEAVES_MAX);
    cairn_assert(certificate.path_count <= CERTIFICATE_PATH_MAX);
    cairn_assert(certificate_encode(&certificate, again) == certificate.size);
    cairn_assert(memcmp(again, data, certificate.size) == 0);
    cairn_assert(!certificate_verify(&certificate, public_key));
    return 0;
}
