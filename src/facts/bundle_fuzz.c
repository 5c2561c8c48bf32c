/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary bundles into a small realm: u8 mode, then bundles, each u16 size and its bytes.
 *
 * Arbitrary bytes do not get past a signature. So with bit 0 of the mode each bundle is made true
 * before it goes in, as a member that lies would: its facts are counted, its root, cluster and
 * previous link are put right, and it is signed with the key of its slot (1 or 2).
 */
#include <stdlib.h>

#include "facts/test_member.h"

#define MODE_TRUE 1u       /* count, root and signature are put right */
#define MODE_CHAINED 2u    /* the previous link too */
#define MODE_SMALL_RING 4u /* the ring is drained only after each bundle's first release */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct test_member member;
static struct realm fresh_realm;
static uint8_t *fresh_tables;
static uint8_t *ring_bytes;

static void open_member(void)
{
    struct test_limits limits = test_limits_small();
    struct arena arena;
    limits.realm.pending_bytes_max = 10 * PENDING_PAGE_SIZE;
    limits.realm.pending_bundles_max = 6;
    limits.realm.cells_max = 20;
    limits.realm.cell_bytes_max = 20 * 96;
    limits.log_bytes = 0;
    limits.run_bytes = 0;
    address_init();
    cairn_assert(signature_init());
    arena_init(&arena, NULL, 0);
    test_member_init(&member, 9, &limits, NULL, &arena);
    uint64_t memory_size = round_up(arena.used, 4096);
    uint8_t *memory = aligned_alloc(4096, memory_size);
    cairn_assert(memory != NULL);
    memset(memory, 0, memory_size);
    arena_init(&arena, memory, memory_size);
    test_member_init(&member, 9, &limits, NULL, &arena);
    (void)test_member_declare(&member, "grow", CAIRN_GCOUNTER);
    (void)test_member_declare(&member, "sum", CAIRN_PNCOUNTER);
    test_member_knows(&member, 1);
    test_member_knows(&member, 2);
    fresh_realm = member.realm;
    fresh_tables = malloc(member.tables_size);
    cairn_assert(fresh_tables != NULL);
    memcpy(fresh_tables, member.tables, member.tables_size);
    ring_bytes = member.ring.bytes;
}

static void drain(void)
{
    struct ring_entry entry;
    uint64_t end = 0;
    while (ring_take(&member.ring, &entry)) {
        struct fact fact;
        struct certificate certificate;
        end = entry.end;
        /* What is staged is what was accepted: canonical. */
        int code = entry.kind == RECORD_FACT
                       ? fact_decode(&fact, entry.body, entry.size)
                       : certificate_decode(&certificate, entry.body, entry.size);
        cairn_assert(code == CAIRN_OK);
    }
    if (end != 0) ring_release(&member.ring, end);
}

/* Where the facts begin, if these bytes have the size of a certificate of one leaf. */
static uint32_t make_true(uint8_t *bytes, uint32_t size, uint8_t mode)
{
    static uint8_t ids[1024][ADDRESS_SIZE];
    struct certificate certificate;
    struct signature_key key;
    if (size < CERTIFICATE_SIZE_MIN) return size;
    memset(&certificate, 0, sizeof certificate);
    certificate.realm = TEST_REALM;
    certificate.slot = 1 + load_u32(bytes + 8) % 2;
    certificate.incarnation = load_u32(bytes + 12);
    certificate.first = load_u64(bytes + 16);
    memcpy(certificate.cluster_id, test_cluster_id, CAIRN_CLUSTER_ID_SIZE);
    memcpy(certificate.previous, bytes + 48, ADDRESS_SIZE);
    uint32_t index = origins_newest(&member.realm.origins, certificate.slot);
    if ((mode & MODE_CHAINED) != 0 && index != ORIGIN_NONE) {
        memcpy(certificate.previous, member.realm.origins.details[index].link, ADDRESS_SIZE);
    }
    struct fact fact;
    uint32_t at = CERTIFICATE_SIZE_MIN;
    while (at < size && certificate.count < 1024 &&
           fact_decode(&fact, bytes + at, size - at) == CAIRN_OK) {
        address_of_record(ADDRESS_FACT, bytes + at, fact.size, ids[certificate.count++]);
        at += fact.size;
    }
    if (certificate.count == 0) return size;
    certificate.facts_size = at - CERTIFICATE_SIZE_MIN;
    merkle_root(ids[0], certificate.count, certificate.root);
    certificate_set_link(&certificate);
    test_key_of_slot(certificate.slot, &key);
    certificate_sign(&certificate, &key);
    uint8_t encoded[CERTIFICATE_SIZE_MAX];
    cairn_assert(certificate_encode(&certificate, encoded) == CERTIFICATE_SIZE_MIN);
    memcpy(bytes, encoded, CERTIFICATE_SIZE_MIN);
    return at;
}

static void import(const uint8_t *bytes, uint32_t size, uint8_t mode)
{
    uint8_t before[ADDRESS_SIZE];
    uint8_t after[ADDRESS_SIZE];
    struct cairn_import result;
    struct refusal refusal;
    uint64_t applied = 0;
    test_member_fingerprint(&member, before);
    int code = realm_import(&member.realm, bytes, size, &result, &refusal);
    if (code != CAIRN_OK) {
        cairn_assert(refusal.code == code);
        test_member_fingerprint(&member, after);
        cairn_assert(memcmp(before, after, sizeof before) == 0);
        return;
    }
    if ((mode & MODE_SMALL_RING) == 0) drain();
    code = realm_release(&member.realm, &applied, &refusal);
    cairn_assert(realm_is_valid(&member.realm));
    drain();
    for (uint32_t i = 0; code == CAIRN_BUSY; i++) {
        cairn_assert(i < 1000);
        code = realm_release(&member.realm, &applied, &refusal);
        drain();
    }
    cairn_assert(realm_is_valid(&member.realm));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader;
    if (fresh_tables == NULL) open_member();
    member.realm = fresh_realm;
    memcpy(member.tables, fresh_tables, member.tables_size);
    ring_init(&member.ring, ring_bytes, member.ring.size);
    reader_init(&reader, data, size);
    uint8_t mode = reader_u8(&reader);
    for (uint32_t bundles = 0; bundles < 8 && reader_left(&reader) > 2; bundles++) {
        uint32_t bundle_size = reader_u16(&reader);
        if (bundle_size > reader_left(&reader)) bundle_size = (uint32_t)reader_left(&reader);
        uint8_t *bytes = malloc(bundle_size + 1u); /* its own, so that its end is guarded */
        cairn_assert(bytes != NULL);
        memcpy(bytes, reader_bytes(&reader, bundle_size), bundle_size);
        uint32_t true_size = bundle_size;
        if ((mode & MODE_TRUE) != 0) true_size = make_true(bytes, bundle_size, mode);
        import(bytes, true_size, mode);
        free(bytes);
    }
    return 0;
}
