/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), a face of ISA-L. */
#ifndef CAIRN_CRYPTO_CRC32C_H
#define CAIRN_CRYPTO_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC of the bytes after a prefix with CRC `previous` (0 for none), so that
 * crc32c(crc32c(0, a), b) is the CRC of a followed by b. crc32c(0, "123456789") is e3069283.
 */
uint32_t crc32c(uint32_t previous, const void *bytes, size_t size);

#endif
