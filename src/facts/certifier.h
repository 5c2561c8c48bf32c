/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certifier works behind admission, on the journal's side: it collects the facts of this
 * member's incarnation and cuts a certificate every 2 ms or 1 MiB, whichever comes first.
 *
 *   K1  certificates of an incarnation are dense: each begins where the one before ended
 *   K2  each names the link of the one before; the first, that of the predecessor's last
 *   K3  a certificate is cut once; recovery continues behind what the journal holds, and stops
 *       where damage may have taken a certificate: link and signature are deterministic, so the
 *       same facts get the same certificate again
 */
#ifndef CAIRN_FACTS_CERTIFIER_H
#define CAIRN_FACTS_CERTIFIER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "facts/certificate.h"

#define CERTIFIER_INTERVAL_NS INT64_C(2000000)
#define CERTIFIER_GROUP 64u

struct certifier {
    struct fact_run run;
    struct signature_key key;
    uint8_t cluster_id[CAIRN_CLUSTER_ID_SIZE];
    uint8_t link[ADDRESS_SIZE]; /* of the last certificate */
    uint32_t realm;
    uint32_t slot;
    uint32_t incarnation;
    uint32_t group_count;
    uint64_t oldest_ns; /* when the run's first fact came; host's monotonic time */
    const uint8_t *group[CERTIFIER_GROUP];
    uint32_t group_sizes[CERTIFIER_GROUP];
    uint32_t group_bytes;
};

void certifier_init(struct certifier *self, uint32_t realm, uint32_t slot,
                    const uint8_t cluster_id[CAIRN_CLUSTER_ID_SIZE],
                    const uint8_t seed[SIGNATURE_SEED_SIZE], struct arena *arena);
/* Begins an incarnation. Precondition: nothing is collected. */
void certifier_begin(struct certifier *self, uint32_t incarnation,
                     const uint8_t link[ADDRESS_SIZE]);

/*
 * Takes one canonical fact of this origin, the next in sequence. The bytes must stay until
 * certifier_hash(): hashing goes many at a time.
 */
void certifier_add(struct certifier *self, const uint8_t *fact, uint32_t size, uint64_t now_ns);
/* Hashes what was added. Call before the added bytes go away. */
void certifier_hash(struct certifier *self);

/* Would one more fact of the largest size not fit? Then cut before adding. */
bool certifier_is_full(const struct certifier *self);
bool certifier_is_empty(const struct certifier *self);
/* Is it time to cut? */
bool certifier_is_due(const struct certifier *self, uint64_t now_ns);

/* Cuts and signs the certificate of what was added, up to a stop. Precondition: not empty. */
void certifier_cut(struct certifier *self, struct certificate *certificate);

#endif
