/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the journal in words. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/inspect.h"
#include "cli/text.h"
#include "facts/certificate.h"
#include "facts/fact.h"

const char *inspect_kind_name(uint32_t kind)
{
    switch (kind) {
#define KIND_NAME(constant, number, text)                                                          \
    case number: return text;
        RECORD_KIND_MAP(KIND_NAME)
#undef KIND_NAME
    default: return "unknown";
    }
}

static const char *space_name(const struct inspection *self, const uint8_t id[CAIRN_SPACE_ID_SIZE],
                              char text[2 * CAIRN_SPACE_ID_SIZE + 1])
{
    for (size_t i = 0; i < self->space_count; i++) {
        if (memcmp(self->spaces[i].id, id, CAIRN_SPACE_ID_SIZE) == 0) return self->spaces[i].name;
    }
    bytes_to_hex(id, CAIRN_SPACE_ID_SIZE, text);
    return text;
}

/* Text that is built up, and cut where the room ends. */
struct words {
    char *next;
    size_t left;
};

static __attribute__((format(printf, 2, 3))) void add(struct words *self, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int size = vsnprintf(self->next, self->left, format, list);
    va_end(list);
    if (size < 0) return;
    size_t used = (size_t)size < self->left ? (size_t)size : self->left - 1;
    self->next += used;
    self->left -= used;
}

static void describe_fact(const struct inspection *self, const struct journal_record *record,
                          struct words *words)
{
    struct fact fact;
    char dot[TEXT_DOT_SIZE];
    if (fact_decode(&fact, record->payload, record->size) != CAIRN_OK) {
        add(words, "not canonical");
        return;
    }
    add(words, "%s", text_dot(&fact.dot, dot));
    for (uint32_t i = 0; i < fact.effect_count; i++) {
        const struct fact_effect *effect = &fact.effects[i];
        char id[2 * CAIRN_SPACE_ID_SIZE + 1];
        char key[128];
        add(words, "%s %s '%s'", i > 0 ? "," : "", space_name(self, effect->space_id, id),
            text_printable(effect->key, effect->key_size, key, sizeof key));
        if (effect->operation == CAIRN_ADD && effect->payload_size == FACT_ADD_PAYLOAD_SIZE)
            add(words, " %+" PRId64, (int64_t)load_u64(effect->payload));
        else
            add(words, " operation %u", effect->operation);
    }
    for (uint32_t i = 0; i < fact.dependency_count; i++)
        add(words, "%s %s", i == 0 ? " after" : ",", text_dot(&fact.dependencies[i], dot));
    if (fact.idempotency_key != NULL) {
        char key[2 * CAIRN_IDEMPOTENCY_KEY_SIZE + 1];
        bytes_to_hex(fact.idempotency_key, CAIRN_IDEMPOTENCY_KEY_SIZE, key);
        add(words, " key %s", key);
    }
}

static void describe_certificate(const struct journal_record *record, struct words *words)
{
    struct certificate certificate;
    char link[2 * ADDRESS_SIZE + 1];
    if (certificate_decode(&certificate, record->payload, record->size) != CAIRN_OK) {
        add(words, "not canonical");
        return;
    }
    bytes_to_hex(certificate.link, ADDRESS_SIZE, link);
    add(words, "%u.%u.%" PRIu64 " to %" PRIu64 ", %u facts, %u bytes, link %s", certificate.slot,
        certificate.incarnation, certificate.first, certificate_last(&certificate),
        certificate.count, certificate.facts_size, link);
}

static void describe_space(const struct journal_record *record, struct words *words)
{
    struct space space;
    char id[2 * CAIRN_SPACE_ID_SIZE + 1];
    if (space_decode(&space, record->payload, record->size) != CAIRN_OK) {
        add(words, "not canonical");
        return;
    }
    bytes_to_hex(space.id, CAIRN_SPACE_ID_SIZE, id);
    add(words, "%s, %s, id %s", space.name, space_type_name(space.type), id);
}

static void describe_member(const struct journal_record *record, struct words *words)
{
    char key[2 * CAIRN_PUBLIC_KEY_SIZE + 1];
    if (record->size != RECORD_MEMBER_SIZE) {
        add(words, "not canonical");
        return;
    }
    bytes_to_hex(record->payload + 8, CAIRN_PUBLIC_KEY_SIZE, key);
    add(words, "slot %u, key %s", load_u32(record->payload), key);
}

static void describe_open(const struct journal_record *record, struct words *words)
{
    if (record->size != RECORD_OPEN_SIZE) {
        add(words, "not canonical");
        return;
    }
    add(words, "slot %u, incarnation %u, at %" PRIu64 " ms since 1970", load_u32(record->payload),
        load_u32(record->payload + 4), load_u64(record->payload + 8));
}

void inspect_describe(const struct inspection *self, const struct journal_record *record,
                      char *text, size_t size)
{
    struct words words = {text, size};
    *text = 0;
    switch (record->kind) {
    case RECORD_OPEN: describe_open(record, &words); break;
    case RECORD_SPACE: describe_space(record, &words); break;
    case RECORD_MEMBER: describe_member(record, &words); break;
    case RECORD_FACT: describe_fact(self, record, &words); break;
    case RECORD_CERTIFICATE: describe_certificate(record, &words); break;
    default: add(&words, "%u bytes", record->size); break;
    }
}
