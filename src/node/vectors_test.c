/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The golden vectors of docs/vectors/: every format, rebuilt from fixed inputs by the code that
 * writes it in earnest, and compared with the files byte for byte. What is there is decoded again,
 * and every single flipped bit of what a checksum or a signature covers is refused.
 *
 * With CAIRN_WRITE_VECTORS=1 in the environment the files are written instead of compared.
 * tests/vectors.py reads the same files, knowing nothing but docs/formats.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/test_vectors.h"

#include "crypto/merkle.h"
#include "facts/checkpoint.h"
#include "journal/journal.h"
#include "journal/scan.h"
#include "node/member.h"

#define BATCHES_MAX 16u
#define BATCH_MAX (64u * 1024u)
#define SEGMENT_BYTES (256u * 1024u)

/* ---- Addresses, Merkle trees ----------------------------------------------------------------- */

static void the_addresses(void **state)
{
    (void)state;
    static const char *const contexts[ADDRESS_KINDS] = {
#define CONTEXT(name, context) context,
        ADDRESS_KIND_MAP(CONTEXT)
#undef CONTEXT
    };
    static const uint32_t sizes[] = {0, 1, 63, 64, 65, 128, 1023, 1024, 1025, 2048, 2049, 5000};
    uint8_t bytes[5000];
    uint8_t address[ADDRESS_SIZE];
    struct json json;
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i % 251);
    json_begin(&json, "Byte i of an input is i mod 251. Without a context: plain BLAKE3.");
    json_open(&json, "addresses", '[');
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        json_open(&json, NULL, '{');
        json_u32(&json, "size", sizes[i]);
        address_of_bytes(bytes, sizes[i], address);
        json_hex(&json, "address", address, sizeof address);
        json_close(&json, '}');
    }
    for (uint32_t kind = 0; kind < ADDRESS_KINDS; kind++) {
        for (uint32_t size = 64; size <= 2048; size *= 32) {
            json_open(&json, NULL, '{');
            json_u32(&json, "size", size);
            json_text(&json, "context", contexts[kind]);
            address_of_record((enum address_kind)kind, bytes, size, address);
            json_hex(&json, "address", address, sizeof address);
            json_close(&json, '}');
        }
    }
    json_close(&json, ']');
    json_end(&json, "addresses");
}

/* Leaf i of all vectors: the plain address of the single byte i. */
static void make_leaves(uint8_t *leaves, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t byte = (uint8_t)i;
        address_of_bytes(&byte, 1, leaves + i * ADDRESS_SIZE);
    }
}

static void the_merkle_trees(void **state)
{
    (void)state;
    uint8_t leaves[16 * ADDRESS_SIZE];
    uint8_t path[MERKLE_PATH_MAX][ADDRESS_SIZE];
    uint8_t root[ADDRESS_SIZE];
    uint8_t again[ADDRESS_SIZE];
    uint8_t leaf[ADDRESS_SIZE];
    struct json json;
    json_begin(&json, "Leaf i is the plain BLAKE3 of the single byte i.");
    json_open(&json, "trees", '[');
    for (uint32_t count = 1; count <= 9; count++) {
        json_open(&json, NULL, '{');
        json_u32(&json, "count", count);
        make_leaves(leaves, count);
        merkle_root(leaves, count, root);
        json_hex(&json, "root", root, sizeof root);
        json_open(&json, "paths", '[');
        for (uint32_t index = 0; index < count; index++) {
            make_leaves(leaves, count);
            memcpy(leaf, leaves + index * ADDRESS_SIZE, sizeof leaf);
            size_t length = merkle_path(leaves, count, index, path);
            json_hex(&json, NULL, path, length * ADDRESS_SIZE);
            assert_true(merkle_root_of_path(leaf, index, count, path, length, again));
            assert_memory_equal(root, again, sizeof root);
        }
        json_close(&json, ']');
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_end(&json, "merkle");
}

/* ---- What a decoder refuses ------------------------------------------------------------------ */

/* A change of one field of canonical bytes that makes them no bytes of an encoder. */
struct change {
    const char *why;
    uint32_t offset;
    uint32_t width;
    uint64_t value;
};

typedef bool (*accepts)(const uint8_t *bytes, uint32_t size);

static void json_refused(struct json *json, const uint8_t *bytes, uint32_t size,
                         const struct change *changes, size_t count, accepts accepted)
{
    uint8_t changed[BUNDLE_MAX];
    json_open(json, "refused", '[');
    for (size_t i = 0; i < count; i++) {
        memcpy(changed, bytes, size);
        memcpy(changed + changes[i].offset, &changes[i].value, changes[i].width);
        if (accepted(changed, size)) fail_msg("accepted: %s", changes[i].why);
        json_open(json, NULL, '{');
        json_text(json, "why", changes[i].why);
        json_hex(json, "bytes", changed, size);
        json_close(json, '}');
    }
    json_open(json, NULL, '{');
    json_text(json, "why", "the last byte is missing");
    json_hex(json, "bytes", bytes, size - 1);
    json_close(json, '}');
    assert_false(accepted(bytes, size - 1));
    json_close(json, ']');
}

/* ---- Facts ----------------------------------------------------------------------------------- */

static bool accepts_fact(const uint8_t *bytes, uint32_t size)
{
    struct fact fact;
    return fact_decode(&fact, bytes, size) == CAIRN_OK && fact.size == size;
}

static void json_effect(struct json *json, const struct fact_effect *effect)
{
    json_open(json, NULL, '{');
    json_hex(json, "space_id", effect->space_id, CAIRN_SPACE_ID_SIZE);
    json_u32(json, "operation", effect->operation);
    json_hex(json, "key", effect->key, effect->key_size);
    json_i128(json, "amount", (int64_t)load_u64(effect->payload));
    json_close(json, '}');
}

static void json_fact(struct json *json, const uint8_t *bytes, uint32_t size)
{
    struct fact fact;
    uint8_t id[ADDRESS_SIZE];
    assert_int_equal(fact_decode(&fact, bytes, size), CAIRN_OK);
    assert_int_equal(fact.size, size);
    json_open(json, NULL, '{');
    json_u32(json, "realm", fact.realm);
    json_u32(json, "slot", fact.dot.slot);
    json_u32(json, "incarnation", fact.dot.incarnation);
    json_u64(json, "sequence", fact.dot.sequence);
    json_u64(json, "clock", fact.clock);
    json_open(json, "dependencies", '[');
    for (uint32_t i = 0; i < fact.dependency_count; i++) {
        json_open(json, NULL, '{');
        json_u32(json, "slot", fact.dependencies[i].slot);
        json_u32(json, "incarnation", fact.dependencies[i].incarnation);
        json_u64(json, "sequence", fact.dependencies[i].sequence);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_hex(json, "idempotency_key", fact.idempotency_key,
             fact.idempotency_key != NULL ? CAIRN_IDEMPOTENCY_KEY_SIZE : 0);
    json_open(json, "effects", '[');
    for (uint32_t i = 0; i < fact.effect_count; i++)
        json_effect(json, &fact.effects[i]);
    json_close(json, ']');
    json_hex(json, "bytes", bytes, size);
    address_of_record(ADDRESS_FACT, bytes, size, id);
    json_hex(json, "id", id, sizeof id);
    json_close(json, '}');
}

static void the_facts(void **state)
{
    (void)state;
    /* Offsets of the fact 2.1.1: one dependency at 32, its effect at 48, its key at 72. */
    static const struct change changes[] = {
        {"version 0", 0, 1, 0},
        {"version 2", 0, 1, 2},
        {"an unknown flag", 1, 1, 2},
        {"nine dependencies", 2, 1, 9},
        {"no effect", 3, 1, 0},
        {"nine effects", 3, 1, 9},
        {"sequence 0", 16, 8, 0},
        {"a dependency on the fact's own slot", 32, 4, 2},
        {"a dependency with sequence 0", 40, 8, 0},
        {"an unknown operation", 64, 2, 2},
        {"an empty key", 66, 2, 0},
        {"a key longer than the fact", 66, 2, 1000},
        {"a key of 1025 bytes", 66, 2, 1025},
        {"a payload of 7 bytes", 68, 4, 7},
        {"a payload of 4 GiB", 68, 4, UINT32_MAX},
        {"padding that is not zero", 127, 1, 1},
    };
    struct json json;
    const uint8_t *refused = bundle_b1.bytes + bundle_b1.certificate.size;
    json_begin(&json, "Facts of a realm of two members; refused: changes of the last one.");
    json_open(&json, "facts", '[');
    for (uint32_t i = 0; i < side_a.record_count; i++) {
        const struct logged *record = &side_a.records[i];
        if (record->kind == RECORD_FACT && fact_dot(record->bytes).slot == 1)
            json_fact(&json, record->bytes, record->size);
    }
    json_fact(&json, refused, 128);
    json_close(&json, ']');
    json_refused(&json, refused, 128, changes, sizeof changes / sizeof changes[0], accepts_fact);
    json_end(&json, "fact");
}

/* ---- Spaces ---------------------------------------------------------------------------------- */

static bool accepts_space(const uint8_t *bytes, uint32_t size)
{
    struct space space;
    return space_decode(&space, bytes, size) == CAIRN_OK;
}

static void the_spaces(void **state)
{
    (void)state;
    static const struct change changes[] = {
        {"version 2", 0, 1, 2},
        {"type 0", 1, 1, 0},
        {"an unknown type", 1, 1, 3},
        {"type version 2", 2, 2, 2},
        {"an empty name", 8, 1, 0},
        {"a name of one byte less", 8, 1, 5},
        {"a name of one byte more", 8, 1, 7},
        {"an upper-case letter", 9, 1, 'V'},
        {"a zero in the name", 14, 1, 0},
    };
    uint8_t bytes[SPACE_DECLARATION_SIZE_MAX];
    struct json json;
    json_begin(&json, "Declarations; refused: changes of the first one.");
    json_open(&json, "spaces", '[');
    for (uint32_t i = 0; i < side_a.realm.spaces.count; i++) {
        const struct space *space = &side_a.realm.spaces.table[i];
        uint32_t size = space_encode(space, bytes);
        json_open(&json, NULL, '{');
        json_text(&json, "name", space->name);
        json_text(&json, "type", space_type_name(space->type));
        json_u32(&json, "realm", space->realm);
        json_hex(&json, "bytes", bytes, size);
        json_hex(&json, "id", space->id, sizeof space->id);
        json_close(&json, '}');
        assert_true(accepts_space(bytes, size));
    }
    json_close(&json, ']');
    uint32_t size = space_encode(&side_a.realm.spaces.table[0], bytes);
    json_refused(&json, bytes, size, changes, sizeof changes / sizeof changes[0], accepts_space);
    json_end(&json, "space");
}

/* ---- Certificates and bundles ---------------------------------------------------------------- */

static void json_certificate(struct json *json, const struct certificate *certificate,
                             const uint8_t *bytes, uint32_t size)
{
    json_u32(json, "realm", certificate->realm);
    json_u32(json, "slot", certificate->slot);
    json_u32(json, "incarnation", certificate->incarnation);
    json_u64(json, "first", certificate->first);
    json_u32(json, "count", certificate->count);
    json_u32(json, "facts_size", certificate->facts_size);
    json_hex(json, "cluster_id", certificate->cluster_id, sizeof certificate->cluster_id);
    json_hex(json, "previous", certificate->previous, ADDRESS_SIZE);
    json_hex(json, "root", certificate->root, ADDRESS_SIZE);
    json_hex(json, "link", certificate->link, ADDRESS_SIZE);
    json_u32(json, "leaf_index", certificate->leaf_index);
    json_u32(json, "leaf_count", certificate->leaf_count);
    json_hex(json, "path", certificate->path, (size_t)certificate->path_count * ADDRESS_SIZE);
    json_hex(json, "signature", certificate->signature, SIGNATURE_SIZE);
    json_hex(json, "bytes", bytes, size);
}

static bool accepts_certificate(const uint8_t *bytes, uint32_t size)
{
    struct certificate certificate;
    if (certificate_decode(&certificate, bytes, size) != CAIRN_OK) return false;
    return certificate.size == size && certificate_verify(&certificate, side_a.key.public_key);
}

/* One signature over the certificates of five realms: the last leaf has the shortest path. */
static void json_tick(struct json *json)
{
    struct certificate certificates[5];
    struct certificate *pointers[5];
    uint8_t bytes[CERTIFICATE_SIZE_MAX];
    for (uint32_t i = 0; i < 5; i++) {
        certificates[i] = bundle_a1.certificate;
        certificates[i].realm = i;
        certificate_set_link(&certificates[i]);
        pointers[i] = &certificates[i];
    }
    certificates_sign(pointers, 5, &side_a.key);
    json_open(json, "tick", '[');
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t size = certificate_encode(&certificates[i], bytes);
        json_open(json, NULL, '{');
        json_certificate(json, &certificates[i], bytes, size);
        json_close(json, '}');
        assert_true(accepts_certificate(bytes, size));
        for (uint32_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (accepts_certificate(bytes, size)) fail_msg("leaf %u, bit %u", i, bit);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    json_close(json, ']');
}

static void json_bundle(struct json *json, const struct bundle *bundle)
{
    json_open(json, NULL, '{');
    json_certificate(json, &bundle->certificate, bundle->bytes, bundle->certificate.size);
    json_hex(json, "bundle", bundle->bytes, bundle->size);
    json_close(json, '}');
}

static void the_certificates(void **state)
{
    (void)state;
    static const struct change changes[] = {
        {"version 2", 0, 1, 2},
        {"a flag", 1, 1, 1},
        {"reserved bytes that are not zero", 2, 2, 1},
        {"first sequence 0", 16, 8, 0},
        {"no fact", 24, 4, 0},
        {"16385 facts", 24, 4, 16385},
        {"facts of no whole blocks", 28, 4, 32},
        {"fewer than 64 bytes for each fact", 28, 4, 128},
        {"leaf count 0", 114, 2, 0},
        {"leaf count 65", 114, 2, 65},
        {"leaf index beyond the count", 112, 2, 1},
        {"reserved bytes behind the leaf count", 116, 4, 1},
    };
    struct json json;
    json_begin(&json, "Certificates with their facts; one tick over five realms; refused: changes "
                      "of the first certificate.");
    json_open(&json, "public_keys", '{');
    json_hex(&json, "1", side_a.key.public_key, SIGNATURE_PUBLIC_KEY_SIZE);
    json_hex(&json, "2", side_b.key.public_key, SIGNATURE_PUBLIC_KEY_SIZE);
    json_close(&json, '}');
    json_open(&json, "bundles", '[');
    json_bundle(&json, &bundle_a1);
    json_bundle(&json, &bundle_b1);
    json_bundle(&json, &bundle_a2);
    json_close(&json, ']');
    json_tick(&json);
    json_refused(&json, bundle_a1.bytes, bundle_a1.certificate.size, changes,
                 sizeof changes / sizeof changes[0], accepts_certificate);
    json_end(&json, "certificate");
}

/* A third member, which has seen nothing: it takes the bundle, and no bundle with a flipped bit. */
static void every_bit_of_a_bundle(void **state)
{
    (void)state;
    static struct side observer;
    side_open(&observer, 3);
    (void)declare(&observer, "visits", CAIRN_GCOUNTER);
    (void)declare(&observer, "stock", CAIRN_PNCOUNTER);
    introduce(&observer, &side_a);
    introduce(&observer, &side_b);
    struct bundle bundle = bundle_a1;
    for (uint32_t bit = 0; bit < bundle.size * 8; bit++) {
        bundle.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (side_import(&observer, bundle.bytes, bundle.size) == CAIRN_OK) fail_msg("bit %u", bit);
        bundle.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(origins_applied(&observer.realm.origins), 0);
    assert_int_equal(side_import(&observer, bundle.bytes, bundle.size), CAIRN_OK);
    assert_int_equal(origins_applied(&observer.realm.origins), 3);
}

/* ---- Journal --------------------------------------------------------------------------------- */

static struct journal journal;
static uint32_t batch_count;
static struct journal_action batches[BATCHES_MAX]; /* `bytes` are copies */
static uint8_t *segment;                           /* the first one, as it lies on the disk */

static bool all_prepared(void *argument, uint32_t number)
{
    (void)argument;
    (void)number;
    return true;
}

/* Takes the event, and completes the writes that it brings, at once. */
static void run_journal(struct journal_event event)
{
    struct journal_outbox outbox = {0};
    journal_step(&journal, &event, &outbox);
    for (uint32_t i = 0; i < outbox.count; i++) {
        struct journal_action *action = &outbox.actions[i];
        if (action->kind != JOURNAL_WRITE) continue;
        assert_int_equal(action->segment, 0);
        memcpy(segment + action->offset, action->bytes, action->size);
        batches[batch_count] = *action;
        batches[batch_count++].bytes = segment + action->offset;
        run_journal((struct journal_event){.kind = JOURNAL_WRITTEN, .buffer = action->buffer});
    }
}

static void write_records(uint32_t from, uint32_t to)
{
    uint64_t position;
    for (uint32_t i = from; i < to; i++) {
        const struct logged *record = &side_a.records[i];
        assert_true(journal_room(&journal) >= journal_record_size(record->size));
        uint8_t *place = journal_append(&journal, (uint16_t)record->kind, record->size, &position);
        memcpy(place, record->bytes, record->size);
        /* Several batches: one behind the first record, and one behind each certificate. */
        bool flush = i == from || record->kind == RECORD_CERTIFICATE;
        if (flush) run_journal((struct journal_event){.kind = JOURNAL_FLUSH});
    }
    run_journal((struct journal_event){.kind = JOURNAL_FLUSH});
}

static void make_journal(void)
{
    const struct journal_limits limits = {SEGMENT_BYTES, 4, BATCH_MAX};
    struct journal_tail tail = {0};
    struct arena arena;
    arena_init(&arena, NULL, 0);
    journal_init(&journal, &limits, &arena);
    uint64_t size = arena.used;
    arena_init(&arena, take_zeroed(size), size);
    journal_init(&journal, &limits, &arena);
    segment = take_zeroed(SEGMENT_BYTES);
    journal_start(&journal, &tail, 0, all_prepared, NULL);
    run_journal((struct journal_event){.kind = JOURNAL_FLUSH});
    write_records(0, first_life_records);
    tail = journal_durable_tail(&journal);
    journal_start(&journal, &tail, 0, all_prepared, NULL);
    run_journal((struct journal_event){.kind = JOURNAL_FLUSH});
    write_records(first_life_records, side_a.record_count);
    assert_true(journal_is_idle(&journal));
}

static uint32_t size_without_zeros(const uint8_t *bytes, uint32_t size)
{
    while (size > 0 && bytes[size - 1] == 0)
        size--;
    return size;
}

static void json_batch(struct json *json, const struct journal_action *batch)
{
    struct journal_header header;
    struct journal_record record;
    uint32_t offset = 0;
    uint32_t crc;
    assert_true(journal_batch_check(batch->bytes, batch->size, &header, &crc));
    json_open(json, NULL, '{');
    json_u32(json, "epoch", header.epoch);
    json_u64(json, "position", header.position);
    json_u64(json, "next", header.next);
    json_u64(json, "synced", header.synced);
    json_u64(json, "previous_position", header.previous_position);
    json_u32(json, "previous_crc", header.previous_crc);
    json_u32(json, "crc", crc);
    json_u32(json, "size", batch->size);
    json_open(json, "records", '[');
    while (journal_record_next(batch->bytes, &header, &offset, &record)) {
        json_open(json, NULL, '{');
        json_u32(json, "kind", record.kind);
        json_hex(json, "payload", record.payload, record.size);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_hex(json, "bytes", batch->bytes, size_without_zeros(batch->bytes, batch->size));
    json_close(json, '}');
}

static void the_journal(void **state)
{
    (void)state;
    struct json json;
    make_journal();
    json_begin(&json, "The journal of slot 1 over two lives: all batches, from position 0; zeros "
                      "at the end of a batch are left out.");
    json_u32(&json, "segment_bytes", SEGMENT_BYTES);
    json_u32(&json, "segment_count", 4);
    json_u32(&json, "batch_bytes_max", BATCH_MAX);
    json_open(&json, "batches", '[');
    for (uint32_t i = 0; i < batch_count; i++)
        json_batch(&json, &batches[i]);
    json_close(&json, ']');
    json_end(&json, "journal");
}

static void a_scan_finds_every_batch(void **state)
{
    (void)state;
    const struct journal_limits limits = {SEGMENT_BYTES, 4, BATCH_MAX};
    const struct journal_tail tail = {0};
    struct journal_scan scan;
    uint32_t found = 0;
    journal_scan_init(&scan, &limits, 0, true, &tail);
    for (;;) {
        enum journal_scan_result result = journal_scan_next(&scan);
        if (result == JOURNAL_SCAN_END) break;
        if (result == JOURNAL_SCAN_WANTS) {
            journal_scan_give(&scan, scan.wants == 0 ? segment : NULL);
            continue;
        }
        assert_int_equal(result, JOURNAL_SCAN_BATCH);
        assert_int_equal(scan.header.position, batches[found++].offset);
    }
    assert_int_equal(found, batch_count);
    assert_int_equal(scan.tail.epoch, 2);
}

static void every_bit_of_a_batch(void **state)
{
    (void)state;
    struct journal_header header;
    uint32_t crc;
    for (uint32_t i = 0; i < batch_count; i++) {
        for (uint32_t bit = 0; bit < batches[i].size * 8; bit++) {
            batches[i].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (journal_batch_check(batches[i].bytes, batches[i].size, &header, &crc)) {
                fail_msg("batch %u, bit %u", i, bit);
            }
            batches[i].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* ---- Member file ----------------------------------------------------------------------------- */

static void the_member_file(void **state)
{
    (void)state;
    uint8_t bytes[MEMBER_FILE_SIZE];
    struct member_file member = {.segment_bytes = UINT64_C(16) << 20,
                                 .segment_count = 64,
                                 .realm = REALM,
                                 .slot = side_a.slot};
    struct member_file again;
    struct json json;
    memcpy(member.cluster_id, cluster_id, sizeof cluster_id);
    memcpy(member.public_key, side_a.key.public_key, sizeof member.public_key);
    memcpy(member.seed, side_a.seed, sizeof member.seed);
    member_file_encode(&member, bytes);
    json_begin(&json, "The member file of slot 1. The seed is public, so use it nowhere.");
    json_hex(&json, "cluster_id", cluster_id, sizeof cluster_id);
    json_u32(&json, "realm", member.realm);
    json_u32(&json, "slot", member.slot);
    json_u64(&json, "segment_bytes", member.segment_bytes);
    json_u32(&json, "segment_count", member.segment_count);
    json_hex(&json, "public_key", member.public_key, sizeof member.public_key);
    json_hex(&json, "seed", member.seed, sizeof member.seed);
    json_hex(&json, "bytes", bytes, sizeof bytes);
    json_end(&json, "member");

    assert_true(member_file_decode(&again, bytes));
    assert_memory_equal(again.seed, member.seed, sizeof member.seed);
    assert_int_equal(again.segment_bytes, member.segment_bytes);
    for (uint32_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (member_file_decode(&again, bytes)) fail_msg("bit %u", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* ---- Checkpoint ------------------------------------------------------------------------------ */

static uint8_t checkpoint_body[8192];

static void make_checkpoint(struct checkpoint_header *header)
{
    struct checkpoint_encoder encoder;
    uint32_t size;
    *header = (struct checkpoint_header){.generation = 3,
                                         .position = 40960,
                                         .low_water = 8192,
                                         .previous_position = 36864,
                                         .previous_crc = 0x12345678,
                                         .epoch = 2,
                                         .clock = side_a.realm.clock.last,
                                         .realm = REALM,
                                         .slot = 1,
                                         .incarnation = 2};
    memcpy(header->cluster_id, cluster_id, sizeof cluster_id);
    memcpy(header->head, bundle_a2.certificate.link, ADDRESS_SIZE);
    checkpoint_encoder_init(&encoder, &side_a.realm);
    while ((size = checkpoint_encode(&encoder, checkpoint_body + header->body_size,
                                     (uint32_t)(sizeof checkpoint_body - header->body_size))) > 0) {
        header->body_size += size;
    }
    address_stream_end(&encoder.address, header->body_address);
}

static void digest_of(const struct side *side, uint8_t digest[ADDRESS_SIZE])
{
    uint8_t scratch[64 * ADDRESS_SIZE];
    realm_cells_digest(&side->realm, scratch, digest);
}

static void the_checkpoint(void **state)
{
    (void)state;
    static struct side restored;
    struct checkpoint_header header;
    struct checkpoint_header again;
    struct refusal refusal;
    struct json json;
    uint8_t bytes[CHECKPOINT_HEADER_SIZE];
    uint8_t digests[2][ADDRESS_SIZE];
    make_checkpoint(&header);
    checkpoint_header_encode(&header, bytes);
    json_begin(&json, "A checkpoint of slot 1 at the end: header (at 0) and body (at 4096).");
    json_u64(&json, "generation", header.generation);
    json_u64(&json, "position", header.position);
    json_u64(&json, "low_water", header.low_water);
    json_u64(&json, "previous_position", header.previous_position);
    json_u32(&json, "previous_crc", header.previous_crc);
    json_u32(&json, "epoch", header.epoch);
    json_u64(&json, "clock", header.clock);
    json_u32(&json, "incarnation", header.incarnation);
    json_hex(&json, "head", header.head, ADDRESS_SIZE);
    json_hex(&json, "body_address", header.body_address, ADDRESS_SIZE);
    json_hex(&json, "header", bytes, sizeof bytes);
    json_hex(&json, "body", checkpoint_body, (size_t)header.body_size);
    json_end(&json, "checkpoint");

    assert_true(checkpoint_header_decode(&again, bytes));
    side_open(&restored, 1);
    assert_int_equal(
        checkpoint_decode(&restored.realm, &again, checkpoint_body, header.body_size, &refusal),
        CAIRN_OK);
    digest_of(&side_a, digests[0]);
    digest_of(&restored, digests[1]);
    assert_memory_equal(digests[0], digests[1], ADDRESS_SIZE);
    for (uint32_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (checkpoint_header_decode(&again, bytes)) fail_msg("bit %u of the header", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    /* The address stands before everything else, so one fresh realm serves for all. */
    side_open(&restored, 1);
    for (uint32_t bit = 0; bit < header.body_size * 8; bit++) {
        checkpoint_body[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (checkpoint_decode(&restored.realm, &header, checkpoint_body, header.body_size,
                              &refusal) != CAIRN_CORRUPT) {
            fail_msg("bit %u of the body", bit);
        }
        checkpoint_body[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* ---- Digests --------------------------------------------------------------------------------- */

static void json_state(struct json *json, const struct side *side)
{
    uint8_t digest[ADDRESS_SIZE];
    uint64_t line = 0;
    json_open(json, NULL, '{');
    json_open(json, "cells", '[');
    for (struct cell *cell; (cell = cells_next(&side->realm.cells, &line)) != NULL;) {
        json_open(json, NULL, '{');
        json_text(json, "space", side->realm.spaces.table[cell->space].name);
        json_hex(json, "space_id", side->realm.spaces.table[cell->space].id, CAIRN_SPACE_ID_SIZE);
        json_hex(json, "key", (const uint8_t *)cell + CELL_KEY_OFFSET, cell->key_size);
        json_i128(json, "sum", cell->sum);
        json_close(json, '}');
    }
    json_close(json, ']');
    digest_of(side, digest);
    json_hex(json, "cells_digest", digest, sizeof digest);
    json_open(json, "certified", '[');
    for (uint32_t i = 0; i < side->realm.origins.count; i++) {
        json_open(json, NULL, '{');
        json_u32(json, "slot", side->realm.origins.clocks[i].slot);
        json_u32(json, "incarnation", side->realm.origins.clocks[i].incarnation);
        json_hex(json, "link", side->realm.origins.details[i].link, ADDRESS_SIZE);
        json_close(json, '}');
    }
    json_close(json, ']');
    origins_digest(&side->realm.origins, digest);
    json_hex(json, "facts_digest", digest, sizeof digest);
    json_close(json, '}');
}

static void the_digests(void **state)
{
    (void)state;
    static struct side empty;
    struct json json;
    uint8_t digests[2][ADDRESS_SIZE];
    side_open(&empty, 3);
    json_begin(&json, "An empty realm, then the same facts at slot 1 and at slot 2.");
    json_open(&json, "states", '[');
    json_state(&json, &empty);
    json_state(&json, &side_a);
    json_state(&json, &side_b);
    json_close(&json, ']');
    json_end(&json, "digests");
    digest_of(&side_a, digests[0]);
    digest_of(&side_b, digests[1]);
    assert_memory_equal(digests[0], digests[1], ADDRESS_SIZE);
    origins_digest(&side_a.realm.origins, digests[0]);
    origins_digest(&side_b.realm.origins, digests[1]);
    assert_memory_equal(digests[0], digests[1], ADDRESS_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_addresses),
        cmocka_unit_test(the_merkle_trees),
        cmocka_unit_test(the_facts),
        cmocka_unit_test(the_spaces),
        cmocka_unit_test(the_certificates),
        cmocka_unit_test(every_bit_of_a_bundle),
        cmocka_unit_test(the_journal),
        cmocka_unit_test(a_scan_finds_every_batch),
        cmocka_unit_test(every_bit_of_a_batch),
        cmocka_unit_test(the_member_file),
        cmocka_unit_test(the_checkpoint),
        cmocka_unit_test(the_digests),
    };
    return cmocka_run_group_tests(tests, make_world, give_all);
}
