/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates: an origin's signature over a run of its facts (docs/formats.md, "Certificate").
 *
 *     0 u8  version = 1   1 u8 flags = 0   2 u16 zero      16 u64 first sequence
 *     4 u32 realm         8 u32 slot      12 u32 incarnation
 *    24 u32 count        28 u32 size of the facts in bytes
 *    32 16  cluster id   48 32 previous link               80 32 Merkle root of the fact ids
 *   112 u16 leaf index  114 u16 leaf count  116 u32 zero
 *   120 n * 32  path from the link to the root of the tick, n given by index and count
 *       64  Ed25519 signature over the tick's address
 *
 * The link of a certificate is the address of bytes 0..111. A tick signs the Merkle root of the
 * links of all realms that it certifies; with one realm the link is the root. The tick's address is
 * that of 32 bytes root and u32 leaf count.
 *
 * A bundle is a certificate followed by its facts, in sequence, and nothing else.
 */
#ifndef CAIRN_FACTS_CERTIFICATE_H
#define CAIRN_FACTS_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "cairn.h"
#include "crypto/address.h"
#include "crypto/merkle.h"
#include "crypto/signature.h"

#define CERTIFICATE_VERSION 1u
#define CERTIFICATE_BODY_SIZE 112u
#define CERTIFICATE_TICK_SIZE 8u
#define CERTIFICATE_LEAVES_MAX 64u
#define CERTIFICATE_PATH_MAX 6u
#define CERTIFICATE_SIZE_MIN (CERTIFICATE_BODY_SIZE + CERTIFICATE_TICK_SIZE + SIGNATURE_SIZE)
#define CERTIFICATE_SIZE_MAX (CERTIFICATE_SIZE_MIN + CERTIFICATE_PATH_MAX * ADDRESS_SIZE)

/* A certificate is cut when its facts reach this size, so the last fact may pass it. */
#define CERTIFICATE_FACTS_SIZE_CUT (1024u * 1024u)
#define CERTIFICATE_FACTS_SIZE_MAX (CERTIFICATE_FACTS_SIZE_CUT + CAIRN_FACT_SIZE_MAX)
#define CERTIFICATE_FACTS_MAX (CERTIFICATE_FACTS_SIZE_CUT / 64u)

struct certificate {
    uint32_t realm;
    uint32_t slot;
    uint32_t incarnation;
    uint32_t count;
    uint64_t first;
    uint32_t facts_size;
    uint16_t leaf_index;
    uint16_t leaf_count;
    uint32_t path_count;
    uint32_t size; /* of the encoded certificate */
    uint8_t cluster_id[CAIRN_CLUSTER_ID_SIZE];
    uint8_t previous[ADDRESS_SIZE];
    uint8_t root[ADDRESS_SIZE];
    uint8_t path[CERTIFICATE_PATH_MAX][ADDRESS_SIZE];
    uint8_t signature[SIGNATURE_SIZE];
    uint8_t link[ADDRESS_SIZE]; /* derived from the body */
};

/* Sequence of the last fact. */
HOT_INLINE uint64_t certificate_last(const struct certificate *certificate)
{
    return certificate->first + certificate->count - 1;
}

/* Encodes body, tick and signature; returns the size. */
uint32_t certificate_encode(const struct certificate *certificate,
                            uint8_t bytes[CERTIFICATE_SIZE_MAX]);
/* Decodes the certificate at the front of the bytes; fills size and link. NOT_CANONICAL. */
CHECKED int certificate_decode(struct certificate *certificate, const uint8_t *bytes,
                               uint64_t available);

/* Fills the link from the body's fields. */
void certificate_set_link(struct certificate *certificate);
/* Signs a tick of one realm: fills leaf index and count, path and signature. */
void certificate_sign(struct certificate *certificate, const struct signature_key *key);
/*
 * Signs one tick over several realms, at most CERTIFICATE_LEAVES_MAX certificates whose links are
 * set: one signature, each certificate with its path.
 */
void certificates_sign(struct certificate *const *certificates, uint32_t count,
                       const struct signature_key *key);
/* Does the member's key sign for this link? */
CHECKED bool certificate_verify(const struct certificate *certificate,
                                const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE]);

#define FACT_RUN_STOPS_MAX 8u

/*
 * A run of facts of one origin, collected towards a certificate: their ids in order.
 */
struct fact_run {
    uint64_t first; /* sequence of the first fact; 0 when empty */
    uint32_t count;
    uint32_t size; /* bytes of the facts */
    uint8_t *ids;  /* CERTIFICATE_FACTS_MAX + 1 ids */
    /* Where the run may have been cut before, by a certificate that damage took: counts and sizes
     * up to there. A run that is being collected has none. */
    uint32_t stop_count;
    uint32_t stop_counts[FACT_RUN_STOPS_MAX];
    uint32_t stop_sizes[FACT_RUN_STOPS_MAX];
};

#define FACT_RUN_IDS_BYTES ((uint64_t)(CERTIFICATE_FACTS_MAX + 1u) * ADDRESS_SIZE)

/*
 * Adds canonical facts that continue the run, hashing several at a time. False: they do not fit in
 * one certificate; nothing was added.
 */
CHECKED bool fact_run_add(struct fact_run *self, const uint8_t *const *facts, const uint32_t *sizes,
                          uint32_t count);
void fact_run_clear(struct fact_run *self);
/* Notes a stop behind the last fact. */
void fact_run_stop(struct fact_run *self);
/* Takes the facts up to the first stop, or all, out of the run; fills their root and size. */
uint32_t fact_run_take(struct fact_run *self, uint8_t root[ADDRESS_SIZE], uint32_t *size);
/* The Merkle root; overwrites the ids. Precondition: the run is not empty. */
void fact_run_root(struct fact_run *self, uint8_t root[ADDRESS_SIZE]);

#endif
