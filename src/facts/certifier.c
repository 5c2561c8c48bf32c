/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/certifier.h"

#include <string.h>

#include "base/assert.h"
#include "facts/fact.h"

void certifier_init(struct certifier *self, uint32_t realm, uint32_t slot,
                    const uint8_t cluster_id[CAIRN_CLUSTER_ID_SIZE],
                    const uint8_t seed[SIGNATURE_SEED_SIZE], struct arena *arena)
{
    memset(self, 0, sizeof *self);
    self->realm = realm;
    self->slot = slot;
    memcpy(self->cluster_id, cluster_id, CAIRN_CLUSTER_ID_SIZE);
    signature_key_from_seed(&self->key, seed);
    self->run.ids = arena_take(arena, 1, FACT_RUN_IDS_BYTES, CACHE_LINE_SIZE);
}

void certifier_begin(struct certifier *self, uint32_t incarnation, const uint8_t link[ADDRESS_SIZE])
{
    cairn_assert(certifier_is_empty(self));
    self->incarnation = incarnation;
    memcpy(self->link, link, ADDRESS_SIZE);
}

void certifier_add(struct certifier *self, const uint8_t *fact, uint32_t size, uint64_t now_ns)
{
    cairn_assert(!certifier_is_full(self));
    if (certifier_is_empty(self)) self->oldest_ns = now_ns;
    self->group[self->group_count] = fact;
    self->group_sizes[self->group_count++] = size;
    self->group_bytes += size;
    if (self->group_count == CERTIFIER_GROUP) certifier_hash(self);
}

void certifier_hash(struct certifier *self)
{
    if (self->group_count == 0) return;
    bool added = fact_run_add(&self->run, self->group, self->group_sizes, self->group_count);
    cairn_assert(added);
    self->group_count = 0;
    self->group_bytes = 0;
}

bool certifier_is_full(const struct certifier *self)
{
    return (uint64_t)self->run.size + self->group_bytes >= CERTIFICATE_FACTS_SIZE_CUT ||
           self->run.count + self->group_count >= CERTIFICATE_FACTS_MAX;
}

bool certifier_is_empty(const struct certifier *self)
{
    return self->run.count + self->group_count == 0;
}

bool certifier_is_due(const struct certifier *self, uint64_t now_ns)
{
    if (certifier_is_empty(self)) return false;
    return certifier_is_full(self) || now_ns >= self->oldest_ns + (uint64_t)CERTIFIER_INTERVAL_NS;
}

void certifier_cut(struct certifier *self, struct certificate *certificate)
{
    certifier_hash(self);
    cairn_assert(self->run.count > 0);
    memset(certificate, 0, sizeof *certificate);
    certificate->realm = self->realm;
    certificate->slot = self->slot;
    certificate->incarnation = self->incarnation;
    certificate->first = self->run.first;
    memcpy(certificate->cluster_id, self->cluster_id, CAIRN_CLUSTER_ID_SIZE);
    memcpy(certificate->previous, self->link, ADDRESS_SIZE); /* K2 */
    certificate->count = fact_run_take(&self->run, certificate->root, &certificate->facts_size);
    certificate_set_link(certificate);
    certificate_sign(certificate, &self->key);
    memcpy(self->link, certificate->link, ADDRESS_SIZE);
}
