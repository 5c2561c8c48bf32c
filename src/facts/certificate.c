/* SPDX-License-Identifier: Apache-2.0 */
#include "facts/certificate.h"

#include <assert.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "facts/fact.h"

static_assert(CERTIFICATE_SIZE_MAX + CERTIFICATE_FACTS_SIZE_MAX <= CAIRN_BUNDLE_SIZE_MAX,
              "a bundle fits in the limit that the library states");
static_assert(CERTIFICATE_LEAVES_MAX == 1u << CERTIFICATE_PATH_MAX, "path of the largest tick");

static void encode_body(const struct certificate *certificate, struct writer *writer)
{
    writer_u8(writer, CERTIFICATE_VERSION);
    writer_zeros(writer, 3);
    writer_u32(writer, certificate->realm);
    writer_u32(writer, certificate->slot);
    writer_u32(writer, certificate->incarnation);
    writer_u64(writer, certificate->first);
    writer_u32(writer, certificate->count);
    writer_u32(writer, certificate->facts_size);
    writer_bytes(writer, certificate->cluster_id, CAIRN_CLUSTER_ID_SIZE);
    writer_bytes(writer, certificate->previous, ADDRESS_SIZE);
    writer_bytes(writer, certificate->root, ADDRESS_SIZE);
    cairn_assert(writer_size(writer) == CERTIFICATE_BODY_SIZE);
}

uint32_t certificate_encode(const struct certificate *certificate,
                            uint8_t bytes[CERTIFICATE_SIZE_MAX])
{
    struct writer writer;
    writer_init(&writer, bytes, CERTIFICATE_SIZE_MAX);
    encode_body(certificate, &writer);
    writer_u16(&writer, certificate->leaf_index);
    writer_u16(&writer, certificate->leaf_count);
    writer_u32(&writer, 0);
    writer_bytes(&writer, certificate->path, (size_t)certificate->path_count * ADDRESS_SIZE);
    writer_bytes(&writer, certificate->signature, SIGNATURE_SIZE);
    return (uint32_t)writer_size(&writer);
}

/* Length of the path of a leaf in the RFC 6962 shape. */
static uint32_t path_length(uint32_t index, uint32_t count)
{
    uint32_t length = 0;
    while (count > 1) {
        bool promoted = index == count - 1 && (count & 1) == 1;
        if (!promoted) length++;
        index /= 2;
        count = (count + 1) / 2;
    }
    return length;
}

static bool counts_are_canonical(const struct certificate *certificate)
{
    uint64_t count = certificate->count;
    uint64_t size = certificate->facts_size;
    if (count == 0 || count > CERTIFICATE_FACTS_MAX) return false;
    if (size % FACT_ALIGNMENT != 0 || size < count * FACT_ALIGNMENT) return false;
    if (size > CERTIFICATE_FACTS_SIZE_MAX || size > count * CAIRN_FACT_SIZE_MAX) return false;
    if (certificate->first == 0 || certificate->first > UINT64_MAX - count) return false;
    if (certificate->leaf_count == 0 || certificate->leaf_count > CERTIFICATE_LEAVES_MAX) {
        return false;
    }
    return certificate->leaf_index < certificate->leaf_count;
}

int certificate_decode(struct certificate *certificate, const uint8_t *bytes, uint64_t available)
{
    struct reader reader;
    uint64_t limit = available < CERTIFICATE_SIZE_MAX ? available : CERTIFICATE_SIZE_MAX;
    reader_init(&reader, bytes, (size_t)limit);
    memset(certificate, 0, sizeof *certificate);
    uint32_t head = reader_u32(&reader);
    certificate->realm = reader_u32(&reader);
    certificate->slot = reader_u32(&reader);
    certificate->incarnation = reader_u32(&reader);
    certificate->first = reader_u64(&reader);
    certificate->count = reader_u32(&reader);
    certificate->facts_size = reader_u32(&reader);
    const uint8_t *cluster_id = reader_bytes(&reader, CAIRN_CLUSTER_ID_SIZE);
    const uint8_t *previous = reader_bytes(&reader, ADDRESS_SIZE);
    const uint8_t *root = reader_bytes(&reader, ADDRESS_SIZE);
    certificate->leaf_index = reader_u16(&reader);
    certificate->leaf_count = reader_u16(&reader);
    uint32_t zero = reader_u32(&reader);
    if (reader.failed || head != CERTIFICATE_VERSION || zero != 0) return CAIRN_NOT_CANONICAL;
#ifndef CAIRN_PLANTED_BUG_FACTS_CERTIFICATE
    if (!counts_are_canonical(certificate)) return CAIRN_NOT_CANONICAL;
#else
    (void)counts_are_canonical; /* Planted: any counts. */
#endif
    certificate->path_count = path_length(certificate->leaf_index, certificate->leaf_count);
    const uint8_t *path = reader_bytes(&reader, (size_t)certificate->path_count * ADDRESS_SIZE);
    const uint8_t *signature = reader_bytes(&reader, SIGNATURE_SIZE);
    if (reader.failed) return CAIRN_NOT_CANONICAL;
    memcpy(certificate->cluster_id, cluster_id, CAIRN_CLUSTER_ID_SIZE);
    memcpy(certificate->previous, previous, ADDRESS_SIZE);
    memcpy(certificate->root, root, ADDRESS_SIZE);
    memcpy(certificate->path, path, (size_t)certificate->path_count * ADDRESS_SIZE);
    memcpy(certificate->signature, signature, SIGNATURE_SIZE);
    certificate->size = (uint32_t)(reader.next - bytes);
    certificate_set_link(certificate);
    return CAIRN_OK;
}

void certificate_set_link(struct certificate *certificate)
{
    uint8_t body[CERTIFICATE_BODY_SIZE];
    struct writer writer;
    writer_init(&writer, body, sizeof body);
    encode_body(certificate, &writer);
    address_of_record(ADDRESS_CERTIFICATE, body, sizeof body, certificate->link);
}

void certificate_sign(struct certificate *certificate, const struct signature_key *key)
{
    certificates_sign(&certificate, 1, key);
}

/*
 * What is signed: root and leaf count. The count is in it because trees of 5 to 8 leaves give their
 * first leaf the same path, so a certificate could otherwise be rewritten without its key.
 */
static void tick_address(const uint8_t root[ADDRESS_SIZE], uint32_t leaf_count,
                         uint8_t tick[ADDRESS_SIZE])
{
    uint8_t record[ADDRESS_SIZE + 4];
    memcpy(record, root, ADDRESS_SIZE);
    store_u32(record + ADDRESS_SIZE, leaf_count);
    address_of_record(ADDRESS_TICK, record, sizeof record, tick);
}

void certificates_sign(struct certificate *const *certificates, uint32_t count,
                       const struct signature_key *key)
{
    uint8_t links[CERTIFICATE_LEAVES_MAX][ADDRESS_SIZE];
    uint8_t path[MERKLE_PATH_MAX][ADDRESS_SIZE];
    uint8_t root[ADDRESS_SIZE];
    uint8_t tick[ADDRESS_SIZE];
    uint8_t signature[SIGNATURE_SIZE];
    cairn_assert(count >= 1 && count <= CERTIFICATE_LEAVES_MAX);
    for (uint32_t i = 0; i < count; i++)
        memcpy(links[i], certificates[i]->link, ADDRESS_SIZE);
    merkle_root(links[0], count, root);
    tick_address(root, count, tick);
    signature_sign(key, tick, sizeof tick, signature);
    for (uint32_t i = 0; i < count; i++) {
        struct certificate *certificate = certificates[i];
        for (uint32_t j = 0; j < count; j++) {
            memcpy(links[j], certificates[j]->link, ADDRESS_SIZE);
        }
        certificate->leaf_index = (uint16_t)i;
        certificate->leaf_count = (uint16_t)count;
        certificate->path_count = (uint32_t)merkle_path(links[0], count, i, path);
        cairn_assert(certificate->path_count == path_length(i, count));
        memcpy(certificate->path, path, (size_t)certificate->path_count * ADDRESS_SIZE);
        memcpy(certificate->signature, signature, SIGNATURE_SIZE);
    }
}

bool certificate_verify(const struct certificate *certificate,
                        const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE])
{
    uint8_t root[ADDRESS_SIZE];
    uint8_t tick[ADDRESS_SIZE];
    if (!merkle_root_of_path(certificate->link, certificate->leaf_index, certificate->leaf_count,
                             certificate->path, certificate->path_count, root)) {
        return false;
    }
    tick_address(root, certificate->leaf_count, tick);
    return signature_verify(public_key, tick, sizeof tick, certificate->signature);
}

void fact_run_clear(struct fact_run *self)
{
    self->first = 0;
    self->count = 0;
    self->size = 0;
    self->stop_count = 0;
}

void fact_run_stop(struct fact_run *self)
{
    uint32_t stops = self->stop_count;
    bool again = self->count == 0 || (stops > 0 && self->stop_counts[stops - 1] == self->count);
    if (again || stops == FACT_RUN_STOPS_MAX) return;
    self->stop_counts[stops] = self->count;
    self->stop_sizes[stops] = self->size;
    self->stop_count++;
}

uint32_t fact_run_take(struct fact_run *self, uint8_t root[ADDRESS_SIZE], uint32_t *size)
{
    uint32_t count = self->stop_count > 0 ? self->stop_counts[0] : self->count;
    *size = self->stop_count > 0 ? self->stop_sizes[0] : self->size;
    cairn_assert(count > 0 && count <= self->count);
    merkle_root(self->ids, count, root);
    self->first += count;
    self->count -= count;
    self->size -= *size;
    memmove(self->ids, self->ids + (uint64_t)count * ADDRESS_SIZE,
            (size_t)self->count * ADDRESS_SIZE);
    for (uint32_t i = 1; i < self->stop_count; i++) {
        self->stop_counts[i - 1] = self->stop_counts[i] - count;
        self->stop_sizes[i - 1] = self->stop_sizes[i] - *size;
    }
    if (self->stop_count > 0) self->stop_count--;
    if (self->count == 0) fact_run_clear(self);
    return count;
}

bool fact_run_add(struct fact_run *self, const uint8_t *const *facts, const uint32_t *sizes,
                  uint32_t count)
{
    uint64_t size = self->size;
    for (uint32_t i = 0; i < count; i++)
        size += sizes[i];
    if (self->count + (uint64_t)count > CERTIFICATE_FACTS_MAX) return false;
    if (size > CERTIFICATE_FACTS_SIZE_MAX) return false;
    if (self->count == 0) self->first = fact_dot(facts[0]).sequence;
    cairn_assert(fact_dot(facts[0]).sequence == self->first + self->count);
    /* Equal sizes lie together in practice; each group is hashed many at a time. */
    for (uint32_t from = 0; from < count;) {
        uint32_t to = from + 1;
        while (to < count && sizes[to] == sizes[from])
            to++;
        address_of_many(ADDRESS_FACT, facts + from, to - from, sizes[from],
                        self->ids + (uint64_t)(self->count + from) * ADDRESS_SIZE);
        from = to;
    }
    self->count += count;
    self->size = (uint32_t)size;
    return true;
}

void fact_run_root(struct fact_run *self, uint8_t root[ADDRESS_SIZE])
{
    cairn_assert(self->count > 0);
    merkle_root(self->ids, self->count, root);
}
