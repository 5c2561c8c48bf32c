/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For vectors_test.c, behind cmocka: a writer of JSON that compares with the golden files, and a
 * small world of two members whose facts and certificates the vectors show.
 */
#ifndef CAIRN_NODE_TEST_VECTORS_H
#define CAIRN_NODE_TEST_VECTORS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "crypto/address.h"
#include "facts/certifier.h"
#include "facts/realm.h"

#define REALM 7u
#define WALL_MS UINT64_C(1700000000000)
#define RECORDS_MAX 32u
#define BUNDLE_MAX 4096u

static const uint8_t cluster_id[CAIRN_CLUSTER_ID_SIZE] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                          8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t no_link[ADDRESS_SIZE];

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Numbers of 64 and 128 bits are strings, since many readers of JSON have only doubles. */
struct json {
    FILE *file;
    char *text;
    size_t size;
    unsigned depth;
    bool has_items;
};

static void json_item(struct json *json, const char *name)
{
    fprintf(json->file, "%s\n%*s", json->has_items ? "," : "", (int)(2 * json->depth), "");
    if (name != NULL) fprintf(json->file, "\"%s\": ", name);
    json->has_items = true;
}

static void json_open(struct json *json, const char *name, char bracket)
{
    json_item(json, name);
    fputc(bracket, json->file);
    json->depth++;
    json->has_items = false;
}

static void json_close(struct json *json, char bracket)
{
    json->depth--;
    fprintf(json->file, "\n%*s%c", (int)(2 * json->depth), "", bracket);
    json->has_items = true;
}

static void json_begin(struct json *json, const char *about)
{
    memset(json, 0, sizeof *json);
    json->file = open_memstream(&json->text, &json->size);
    assert_non_null(json->file);
    fputc('{', json->file);
    json->depth = 1;
    json_item(json, "about");
    fprintf(json->file, "\"%s\"", about);
}

static void json_text(struct json *json, const char *name, const char *text)
{
    json_item(json, name);
    fprintf(json->file, "\"%s\"", text);
}

static void json_u32(struct json *json, const char *name, uint32_t value)
{
    json_item(json, name);
    fprintf(json->file, "%u", value);
}

static void json_u64(struct json *json, const char *name, uint64_t value)
{
    json_item(json, name);
    fprintf(json->file, "\"%llu\"", (unsigned long long)value);
}

static void json_i128(struct json *json, const char *name, i128 value)
{
    char digits[48];
    char *at = &digits[sizeof digits - 1];
    u128 left = value < 0 ? -(u128)value : (u128)value;
    *at = 0;
    do
        *--at = (char)('0' + (int)(left % 10));
    while ((left /= 10) != 0);
    if (value < 0) *--at = '-';
    json_text(json, name, at);
}

static void json_hex(struct json *json, const char *name, const void *bytes, size_t size)
{
    json_item(json, name);
    fputc('"', json->file);
    for (size_t i = 0; i < size; i++)
        fprintf(json->file, "%02x", ((const uint8_t *)bytes)[i]);
    fputc('"', json->file);
}

static void read_text(const char *path, char **text, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("%s is not there; write it with CAIRN_WRITE_VECTORS=1", path);
    *text = malloc(1u << 20);
    assert_non_null(*text);
    *size = fread(*text, 1, 1u << 20, file);
    fclose(file);
}

/* Ends the document; writes the file, or compares it with what is there. */
static void json_end(struct json *json, const char *name)
{
    char path[4096];
    const char *source = getenv("CAIRN_SOURCE");
    json->depth = 0;
    fputs("\n}\n", json->file);
    fclose(json->file);
    snprintf(path, sizeof path, "%s/docs/vectors/%s.json", source != NULL ? source : ".", name);
    if (getenv("CAIRN_WRITE_VECTORS") != NULL) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(json->text, 1, json->size, file), json->size);
        assert_int_equal(fclose(file), 0);
    } else {
        char *kept;
        size_t size;
        read_text(path, &kept, &size);
        if (size != json->size || memcmp(kept, json->text, size) != 0) {
            fail_msg("%s is not what this code writes", path);
        }
        free(kept);
    }
    free(json->text);
}

/* ---- The world: two members, three certificates ---------------------------------------------- */

struct logged {
    uint32_t kind;
    uint32_t size;
    uint8_t bytes[1024];
};

struct bundle {
    struct certificate certificate;
    uint32_t size;
    uint8_t bytes[BUNDLE_MAX];
};

struct side {
    struct realm realm;
    struct ring ring;
    struct certifier certifier;
    struct signature_key key;
    uint8_t seed[SIGNATURE_SEED_SIZE];
    uint32_t slot;
    uint32_t incarnation;
    uint32_t record_count;
    struct logged records[RECORDS_MAX]; /* as they go into the journal */
    uint8_t facts[BUNDLE_MAX];          /* since the last certificate */
    uint32_t facts_size;
};

static struct side side_a;
static struct side side_b;
static struct bundle bundle_a1; /* three facts of 1.1 */
static struct bundle bundle_b1; /* a fact of 2.1 that depends on one of them */
static struct bundle bundle_a2; /* a fact of 1.2: the certificate names that of 1.1 */
static uint32_t first_life_records;

static const struct realm_limits small_limits = {.cells_max = 64,
                                                 .cell_bytes_max = 64 * 128,
                                                 .idempotency_keys_max = 8,
                                                 .pending_bytes_max = 64 * 1024,
                                                 .pending_bundles_max = 8,
                                                 .spaces_max = 4};

#define TAKEN_MAX 16u

static void *taken[TAKEN_MAX];
static uint32_t taken_count;

static void *take_zeroed(uint64_t size)
{
    void *memory = aligned_alloc(4096, round_up(size, 4096));
    assert_non_null(memory);
    assert_true(taken_count < TAKEN_MAX);
    taken[taken_count++] = memory;
    memset(memory, 0, round_up(size, 4096));
    return memory;
}

static int give_all(void **state)
{
    (void)state;
    while (taken_count > 0)
        free(taken[--taken_count]);
    return 0;
}

static void take_tables(struct side *side, struct arena *arena)
{
    realm_init(&side->realm, &small_limits, 5, arena);
    certifier_init(&side->certifier, REALM, side->slot, cluster_id, side->seed, arena);
    uint8_t *bytes = arena_take(arena, 1, 16384, 64);
    if (bytes != NULL) ring_init(&side->ring, bytes, 16384);
}

static void side_open(struct side *side, uint32_t slot)
{
    struct arena arena;
    memset(side, 0, sizeof *side);
    side->slot = slot;
    for (uint32_t i = 0; i < SIGNATURE_SEED_SIZE; i++)
        side->seed[i] = (uint8_t)(slot * 16 + i);
    signature_key_from_seed(&side->key, side->seed);
    arena_init(&arena, NULL, 0);
    take_tables(side, &arena);
    uint64_t size = arena.used;
    arena_init(&arena, take_zeroed(size), size);
    take_tables(side, &arena);
    side->realm.ring = &side->ring;
    side->realm.realm = REALM;
    memcpy(side->realm.cluster_id, cluster_id, sizeof cluster_id);
    realm_tick(&side->realm, WALL_MS);
}

static void log_record(struct side *side, uint32_t kind, const void *bytes, uint32_t size)
{
    struct logged *record = &side->records[side->record_count++];
    assert_true(side->record_count <= RECORDS_MAX && size <= sizeof record->bytes);
    record->kind = kind;
    record->size = size;
    if (size > 0) memcpy(record->bytes, bytes, size);
}

static void side_begin(struct side *side, uint32_t incarnation, const uint8_t *link)
{
    uint8_t bytes[RECORD_OPEN_SIZE] = {0};
    assert_int_equal(realm_begin(&side->realm, side->slot, incarnation, link), CAIRN_OK);
    certifier_begin(&side->certifier, incarnation, link);
    side->incarnation = incarnation;
    store_u32(bytes, side->slot);
    store_u32(bytes + 4, incarnation);
    store_u64(bytes + 8, WALL_MS);
    memcpy(bytes + 16, cluster_id, sizeof cluster_id);
    memcpy(bytes + 32, link, ADDRESS_SIZE);
    log_record(side, RECORD_OPEN, bytes, sizeof bytes);
}

/* The journal's side: logs what was staged, hands own facts to the certifier. */
static void side_drain(struct side *side)
{
    struct ring_entry entry;
    while (ring_take(&side->ring, &entry)) {
        log_record(side, entry.kind, entry.body, entry.size);
        ring_release(&side->ring, entry.end);
        if (entry.kind != RECORD_FACT || fact_dot(entry.body).slot != side->slot) continue;
        uint8_t *place = side->facts + side->facts_size;
        memcpy(place, side->records[side->record_count - 1].bytes, entry.size);
        side->facts_size += entry.size;
        certifier_add(&side->certifier, place, entry.size, 0);
    }
}

static void side_admit(struct side *side, const struct cairn_fact *fact)
{
    struct cairn_ticket ticket;
    struct refusal refusal;
    size_t admitted;
    int result = realm_admit(&side->realm, fact, 1, &ticket, &admitted, &refusal);
    assert_int_equal(result, CAIRN_OK);
    side_drain(side);
}

static void side_cut(struct side *side, struct bundle *bundle)
{
    certifier_cut(&side->certifier, &bundle->certificate);
    bundle->size = certificate_encode(&bundle->certificate, bundle->bytes);
    bundle->certificate.size = bundle->size;
    log_record(side, RECORD_CERTIFICATE, bundle->bytes, bundle->size);
    memcpy(bundle->bytes + bundle->size, side->facts, side->facts_size);
    bundle->size += side->facts_size;
    side->facts_size = 0;
    realm_note_certified(&side->realm, side->incarnation, certificate_last(&bundle->certificate),
                         bundle->certificate.link);
}

static int side_import(struct side *side, const uint8_t *bytes, uint32_t size)
{
    struct cairn_import import;
    struct refusal refusal;
    uint64_t applied = 0;
    int result = realm_import(&side->realm, bytes, size, &import, &refusal);
    if (result != CAIRN_OK) return result;
    result = realm_release(&side->realm, &applied, &refusal);
    side_drain(side);
    return result;
}

static uint32_t declare(struct side *side, const char *name, uint32_t type)
{
    struct refusal refusal;
    struct space space;
    uint32_t handle;
    assert_int_equal(space_make(&space, REALM, name, type, &refusal), CAIRN_OK);
    assert_int_equal(realm_declare(&side->realm, &space, &handle, &refusal), CAIRN_OK);
    side_drain(side);
    return handle;
}

static void introduce(struct side *side, const struct side *other)
{
    struct refusal refusal;
    int result = realm_add_member(&side->realm, other->slot, other->key.public_key, &refusal);
    assert_int_equal(result, CAIRN_OK);
    side_drain(side);
}

static struct cairn_effect add(uint32_t space, const char *key, int64_t amount)
{
    return (struct cairn_effect){key, (uint32_t)strlen(key), space, CAIRN_ADD, 0, amount};
}

static void first_life_of_a(uint32_t visits, uint32_t stock)
{
    static const uint8_t request[CAIRN_IDEMPOTENCY_KEY_SIZE] = "request 00000001";
    struct cairn_effect one = add(visits, "/home", 1);
    struct cairn_effect two[2] = {add(visits, "/home", 2), add(stock, "bolts", -12)};
    struct cairn_effect least = add(stock, "a key of forty-one bytes, for two blocks.", INT64_MIN);
    side_admit(&side_a, &(struct cairn_fact){.effects = &one, .effect_count = 1});
    side_admit(&side_a,
               &(struct cairn_fact){.effects = two, .effect_count = 2, .idempotency_key = request});
    side_admit(&side_a, &(struct cairn_fact){.effects = &least, .effect_count = 1});
    side_cut(&side_a, &bundle_a1);
    uint8_t facts[8];
    store_u64(facts, 3);
    log_record(&side_a, RECORD_CLOSE, facts, sizeof facts);
    first_life_records = side_a.record_count;
}

static int make_world(void **state)
{
    (void)state;
    address_init();
    if (!signature_init()) return 1;
    side_open(&side_a, 1);
    side_open(&side_b, 2);
    introduce(&side_a, &side_a); /* an engine knows its own key from the member file */
    introduce(&side_b, &side_b);
    side_a.record_count = 0;
    side_b.record_count = 0;
    side_begin(&side_a, 1, no_link);
    side_begin(&side_b, 1, no_link);
    uint32_t visits = declare(&side_a, "visits", CAIRN_GCOUNTER);
    uint32_t stock = declare(&side_a, "stock", CAIRN_PNCOUNTER);
    uint32_t stock_of_b = declare(&side_b, "stock", CAIRN_PNCOUNTER);
    (void)declare(&side_b, "visits", CAIRN_GCOUNTER);
    introduce(&side_a, &side_b);
    introduce(&side_b, &side_a);

    first_life_of_a(visits, stock);
    assert_int_equal(side_import(&side_b, bundle_a1.bytes, bundle_a1.size), CAIRN_OK);
    struct cairn_dot after_a = {1, 1, 2};
    struct cairn_effect fifty = add(stock_of_b, "bolts", 50);
    side_admit(&side_b, &(struct cairn_fact){&fifty, &after_a, NULL, 1, 1});
    side_cut(&side_b, &bundle_b1);

    side_begin(&side_a, 2, bundle_a1.certificate.link);
    assert_int_equal(side_import(&side_a, bundle_b1.bytes, bundle_b1.size), CAIRN_OK);
    struct cairn_dot after_b = {2, 1, 1};
    struct cairn_effect last = add(stock, "bolts", INT64_MAX);
    side_admit(&side_a, &(struct cairn_fact){&last, &after_b, NULL, 1, 1});
    side_cut(&side_a, &bundle_a2);
    assert_int_equal(side_import(&side_b, bundle_a2.bytes, bundle_a2.size), CAIRN_OK);
    return 0;
}

#endif
