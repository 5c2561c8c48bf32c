/* SPDX-License-Identifier: Apache-2.0 */
/* cairn inspect: prints what inspect.h finds. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/inspect.h"
#include "cli/json.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/text.h"

#define DESCRIPTION_SIZE 1024u

static const char *const checkpoint_names[] = {"checkpoint.a", "checkpoint.b"};

static uint64_t all_records(const struct inspection *self)
{
    uint64_t records = 0;
    for (uint32_t kind = 0; kind < INSPECT_KINDS; kind++)
        records += self->kinds[kind];
    return records;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void member_json(struct json *json, const struct inspection *self)
{
    const struct member_file *member = &self->member;
    json_object(json, "member");
    json_text(json, "state", inspect_state_name(self->member_state));
    if (self->member_state == INSPECT_VALID) {
        json_hex(json, "cluster", member->cluster_id, CAIRN_CLUSTER_ID_SIZE);
        json_u64(json, "realm", member->realm);
        json_u64(json, "slot", member->slot);
        json_hex(json, "key", member->public_key, CAIRN_PUBLIC_KEY_SIZE);
    }
    json_close(json);
}

static void journal_json(struct json *json, const struct inspection *self)
{
    json_object(json, "journal");
    json_u64(json, "segment_bytes", self->limits.segment_bytes);
    json_u64(json, "segment_count", self->limits.segment_count);
    json_bool(json, "geometry_is_guessed", self->geometry_is_guessed);
    json_u64(json, "from", self->from);
    json_u64(json, "tail", self->tail.position);
    json_u64(json, "epoch", self->tail.epoch);
    json_u64(json, "records", all_records(self));
    json_u64(json, "torn_bytes", self->torn_bytes);
    json_u64(json, "not_canonical", self->not_canonical);
    json_close(json);

    json_array(json, "damage");
    for (size_t i = 0; i < self->damage_count; i++) {
        json_object(json, NULL);
        json_u64(json, "from", self->damage[i].from);
        json_u64(json, "to", self->damage[i].to);
        json_close(json);
    }
    json_close(json);
}

static void lists_json(struct json *json, const struct inspection *self)
{
    json_array(json, "segments");
    for (size_t i = 0; i < self->segment_count; i++) {
        const struct inspect_segment *segment = &self->segments[i];
        json_object(json, NULL);
        json_u64(json, "file", segment->file);
        json_u64(json, "size", segment->size);
        if (segment->number != INSPECT_NO_SEGMENT)
            json_u64(json, "position", segment->number * self->limits.segment_bytes);
        json_u64(json, "batches", segment->batches);
        json_u64(json, "records", segment->records);
        json_u64(json, "bytes", segment->bytes);
        json_close(json);
    }
    json_close(json);

    json_array(json, "batches");
    for (size_t i = 0; i < self->batch_count; i++) {
        const struct inspect_batch *batch = &self->batches[i];
        json_object(json, NULL);
        json_u64(json, "position", batch->position);
        json_u64(json, "epoch", batch->epoch);
        json_u64(json, "records", batch->records);
        json_u64(json, "bytes", batch->bytes);
        json_close(json);
    }
    json_close(json);

    json_array(json, "kinds");
    for (uint32_t kind = 0; kind < INSPECT_KINDS; kind++) {
        if (self->kinds[kind] == 0) continue;
        json_object(json, NULL);
        json_text(json, "kind", inspect_kind_name(kind));
        json_u64(json, "records", self->kinds[kind]);
        json_u64(json, "bytes", self->kind_bytes[kind]);
        json_close(json);
    }
    json_close(json);

    json_array(json, "origins");
    for (size_t i = 0; i < self->origin_count; i++) {
        const struct inspect_origin *origin = &self->origins[i];
        json_object(json, NULL);
        json_u64(json, "slot", origin->slot);
        json_u64(json, "incarnation", origin->incarnation);
        json_u64(json, "facts", origin->facts);
        json_u64(json, "first", origin->first);
        json_u64(json, "last", origin->last);
        json_u64(json, "certificates", origin->certificates);
        json_u64(json, "certified", origin->certified);
        json_close(json);
    }
    json_close(json);
}

static void checkpoints_json(struct json *json, const struct inspection *self)
{
    json_array(json, "checkpoints");
    for (size_t i = 0; i < 2; i++) {
        const struct inspect_checkpoint *checkpoint = &self->checkpoints[i];
        json_object(json, NULL);
        json_text(json, "file", checkpoint_names[i]);
        json_text(json, "state", inspect_state_name(checkpoint->state));
        if (checkpoint->state == INSPECT_VALID) {
            json_u64(json, "generation", checkpoint->header.generation);
            json_u64(json, "position", checkpoint->header.position);
            json_u64(json, "low_water", checkpoint->header.low_water);
            json_u64(json, "bytes", checkpoint->header.body_size);
        }
        json_close(json);
    }
    json_close(json);
}

static void record_json(void *argument, const struct inspection *self, uint64_t position,
                        const struct journal_record *record)
{
    struct json *json = argument;
    char text[DESCRIPTION_SIZE];
    inspect_describe(self, record, text, sizeof text);
    json_object(json, NULL);
    json_u64(json, "batch", position);
    json_text(json, "kind", inspect_kind_name(record->kind));
    json_u64(json, "bytes", record->size);
    json_text(json, "text", text);
    json_close(json);
}

static int print_json(struct inspection *self, bool records)
{
    struct json json;
    int code = 0;
    json_begin(&json, stdout, "cairn.inspect/1");
    json_bool(&json, "damaged", inspect_is_damaged(self));
    member_json(&json, self);
    journal_json(&json, self);
    lists_json(&json, self);
    checkpoints_json(&json, self);
    if (records) {
        json_array(&json, "records");
        code = inspect_records(self, record_json, &json);
        json_close(&json);
    }
    json_end(&json);
    return code;
}

/* ---- Tables -------------------------------------------------------------------------------- */

static void print_member(const struct inspection *self)
{
    char cluster[2 * CAIRN_CLUSTER_ID_SIZE + 1];
    char key[2 * CAIRN_PUBLIC_KEY_SIZE + 1];
    const struct member_file *member = &self->member;
    if (self->member_state != INSPECT_VALID) {
        printf("member      %s\n", inspect_state_name(self->member_state));
        return;
    }
    bytes_to_hex(member->cluster_id, CAIRN_CLUSTER_ID_SIZE, cluster);
    bytes_to_hex(member->public_key, CAIRN_PUBLIC_KEY_SIZE, key);
    printf("member      slot %u, realm %u\n", member->slot, member->realm);
    printf("cluster     %s\n", cluster);
    printf("key         %s\n", key);
}

static void print_journal(const struct inspection *self)
{
    char a[TEXT_NUMBER_SIZE];
    char b[TEXT_NUMBER_SIZE];
    printf("journal     %u segments of %s%s, %zu prepared\n", self->limits.segment_count,
           text_bytes(self->limits.segment_bytes, a),
           self->geometry_is_guessed ? " (guessed: no member file says)" : "", self->segment_count);
    printf("positions   %s to %s, epoch %u\n", text_number(self->from, a),
           text_number(self->tail.position, b), self->tail.epoch);
    printf("batches     %s with %s records\n", text_number(self->batch_count, a),
           text_number(all_records(self), b));
    printf("torn bytes  %s\n", text_number(self->torn_bytes, a));
    if (self->not_canonical > 0)
        printf("bad records %s whose payload is not canonical\n",
               text_number(self->not_canonical, a));
    for (size_t i = 0; i < 2; i++) {
        const struct inspect_checkpoint *checkpoint = &self->checkpoints[i];
        printf("checkpoint  %s: %s", checkpoint_names[i], inspect_state_name(checkpoint->state));
        if (checkpoint->state == INSPECT_VALID) {
            printf(", generation %llu at %s", (unsigned long long)checkpoint->header.generation,
                   text_number(checkpoint->header.position, a));
        }
        putchar('\n');
    }
    if (self->damage_count == 0) puts("damage      none");
    for (size_t i = 0; i < self->damage_count; i++) {
        printf("damage      positions %s to %s: acknowledged, and cannot be read\n",
               text_number(self->damage[i].from, a), text_number(self->damage[i].to, b));
    }
}

static void print_kinds(const struct inspection *self)
{
    struct table table;
    table_begin(&table, "kind >records >bytes");
    for (uint32_t kind = 0; kind < INSPECT_KINDS; kind++) {
        if (self->kinds[kind] == 0) continue;
        table_add(&table, inspect_kind_name(kind));
        table_add_number(&table, self->kinds[kind]);
        table_add_number(&table, self->kind_bytes[kind]);
    }
    table_end(&table, stdout);
}

static void print_origins(const struct inspection *self)
{
    struct table table;
    table_begin(&table, ">slot >incarnation >facts >first >last >certificates >certified");
    for (size_t i = 0; i < self->origin_count; i++) {
        const struct inspect_origin *origin = &self->origins[i];
        table_add_number(&table, origin->slot);
        table_add_number(&table, origin->incarnation);
        table_add_number(&table, origin->facts);
        table_add_number(&table, origin->first);
        table_add_number(&table, origin->last);
        table_add_number(&table, origin->certificates);
        table_add_number(&table, origin->certified);
    }
    table_end(&table, stdout);
}

static void print_segments(const struct inspection *self)
{
    struct table table;
    char text[TEXT_NUMBER_SIZE];
    table_begin(&table, "segment >position >batches >records >bytes");
    for (size_t i = 0; i < self->segment_count; i++) {
        const struct inspect_segment *segment = &self->segments[i];
        bool has_number = segment->number != INSPECT_NO_SEGMENT;
        snprintf(text, sizeof text, "%04u%s", segment->file,
                 segment->size != self->limits.segment_bytes ? " (size)" : "");
        table_add(&table, text);
        if (has_number)
            table_add_number(&table, segment->number * self->limits.segment_bytes);
        else
            table_add(&table, "-");
        table_add_number(&table, segment->batches);
        table_add_number(&table, segment->records);
        table_add_number(&table, segment->bytes);
    }
    table_end(&table, stdout);
}

static void print_record(void *argument, const struct inspection *self, uint64_t position,
                         const struct journal_record *record)
{
    char text[DESCRIPTION_SIZE];
    (void)argument;
    inspect_describe(self, record, text, sizeof text);
    printf("%-12llu %-11s %s\n", (unsigned long long)position, inspect_kind_name(record->kind),
           text);
}

static int print_tables(struct inspection *self, bool records)
{
    print_member(self);
    print_journal(self);
    putchar('\n');
    print_kinds(self);
    putchar('\n');
    print_origins(self);
    putchar('\n');
    print_segments(self);
    if (!records) return 0;
    puts("\nbatch        kind        record");
    return inspect_records(self, print_record, NULL);
}

int command_inspect(struct command_line *line)
{
    static struct inspection inspection; /* large, and there is one */
    bool records = option_is_given(line, OPTION_RECORDS);
    int code = inspect_folder(&inspection, line->arguments[0]);
    if (code == 0) {
        code = option_is_given(line, OPTION_JSON) ? print_json(&inspection, records)
                                                  : print_tables(&inspection, records);
        if (code == 0 && inspect_is_damaged(&inspection)) {
            code = say_failure(CAIRN_CORRUPT,
                               "%s: there is damage; what was lost can be imported from "
                               "another member",
                               inspection.folder);
        }
    }
    inspect_free(&inspection);
    return code;
}
