/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a batch: what is written is read, and nothing else is (J1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "crypto/crc32c.h"
#include "journal/format.h"

#define BATCH_BYTES 8192u

static uint32_t add_record(uint8_t *batch, uint32_t offset, uint16_t kind, const char *text)
{
    uint32_t size = (uint32_t)strlen(text);
    uint8_t *record = batch + JOURNAL_HEADER_SIZE + offset;
    memset(record, 0, journal_record_size(size));
    store_u32(record, size);
    store_u16(record + 4, kind);
    memcpy(record + JOURNAL_RECORD_HEADER_SIZE, text, size);
    return offset + journal_record_size(size);
}

static struct journal_header sample_header(uint32_t records_size, uint32_t record_count)
{
    return (struct journal_header){
        .position = 12288,
        .next = 12288 + journal_batch_size(records_size),
        .synced = 8192,
        .previous_position = 8192,
        .epoch = 3,
        .records_size = records_size,
        .record_count = record_count,
        .previous_crc = 0x01020304,
    };
}

static uint32_t seal(uint8_t *batch, const struct journal_header *header)
{
    journal_header_encode(header, batch);
    return journal_batch_seal(batch, header);
}

/* Three records; the third is empty. The rest of the memory is not zero before. */
static struct journal_header make_sample(uint8_t batch[BATCH_BYTES], uint32_t *crc)
{
    memset(batch, 0xee, BATCH_BYTES);
    uint32_t size = add_record(batch, 0, 7, "hello");
    size = add_record(batch, size, 8, "sixteen bytes ok");
    size = add_record(batch, size, 9, "");
    struct journal_header header = sample_header(size, 3);
    *crc = seal(batch, &header);
    return header;
}

static void test_sizes(void **state)
{
    (void)state;
    assert_int_equal(journal_record_size(0), 8);
    assert_int_equal(journal_record_size(1), 16);
    assert_int_equal(journal_record_size(8), 16);
    assert_int_equal(journal_batch_size(8), 4096);
    assert_int_equal(journal_batch_size(4096 - 80), 4096);
    assert_int_equal(journal_batch_size(4096 - 72), 8192);
}

static void test_golden_bytes(void **state)
{
    (void)state;
    uint8_t batch[BATCH_BYTES];
    char text[2 * 64 + 1];
    uint32_t crc;
    make_sample(batch, &crc);
    bytes_to_hex(batch, 64, text);
    assert_string_equal(text, "43524e4a03000000003000000000000000400000000000000020000000000000"
                              "30000000030000000403020100000000002000000000000000000000f8fd9739");
    bytes_to_hex(batch + 64, 48, text);
    assert_string_equal(text, "0500000007000000"
                              "68656c6c6f000000"
                              "1000000008000000"
                              "7369787465656e206279746573206f6b"
                              "0000000009000000");
    bytes_to_hex(batch + 112, 16, text);
    assert_string_equal(text, "43524e45236bb88a0030000000000000");
    assert_true(bytes_are_zero(batch + 128, 4096 - 128));
    assert_int_equal(batch[4096], 0xee);
    /* J1, written down a second way: header bytes 0..59, then the records. */
    uint8_t covered[60 + 48];
    memcpy(covered, batch, 60);
    memcpy(covered + 60, batch + 64, 48);
    assert_int_equal(crc, crc32c(0, covered, sizeof covered));
}

static void test_what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t batch[BATCH_BYTES];
    uint32_t sealed_crc;
    struct journal_header written = make_sample(batch, &sealed_crc);
    struct journal_header read;
    uint32_t crc;
    assert_true(journal_batch_check(batch, 4096, &read, &crc));
    assert_int_equal(crc, sealed_crc);
    assert_memory_equal(&read, &written, sizeof read);

    struct journal_record record;
    uint32_t offset = 0;
    assert_true(journal_record_next(batch, &read, &offset, &record));
    assert_int_equal(record.kind, 7);
    assert_int_equal(record.size, 5);
    assert_memory_equal(record.payload, "hello", 5);
    assert_true(journal_record_next(batch, &read, &offset, &record));
    assert_int_equal(record.size, 16);
    assert_true(journal_record_next(batch, &read, &offset, &record));
    assert_int_equal(record.kind, 9);
    assert_int_equal(record.size, 0);
    assert_false(journal_record_next(batch, &read, &offset, &record));
}

static void test_every_flipped_bit_is_seen(void **state)
{
    (void)state;
    uint8_t batch[BATCH_BYTES];
    struct journal_header header;
    uint32_t crc;
    make_sample(batch, &crc);
    for (uint32_t bit = 0; bit < 4096 * 8; bit++) {
        batch[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(journal_batch_check(batch, 4096, &header, &crc));
        batch[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(journal_batch_check(batch, 4096, &header, &crc));
}

/* Each in memory of its own, so that a sanitizer sees a read past the end. */
static void test_every_truncation_is_seen(void **state)
{
    (void)state;
    uint8_t batch[BATCH_BYTES];
    struct journal_header header;
    uint32_t crc;
    make_sample(batch, &crc);
    for (uint32_t size = 0; size < 4096; size++) {
        uint8_t *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, batch, size);
        assert_false(journal_batch_check(copy, size, &header, &crc));
        free(copy);
    }
}

/* The batch's crc depends on each field of its header, so the chain binds all that came before. */
static void test_crc_covers_header(void **state)
{
    (void)state;
    uint8_t batch[BATCH_BYTES];
    uint32_t crc;
    struct journal_header header = make_sample(batch, &crc);
    struct journal_header other = header;
    other.epoch++;
    assert_int_not_equal(seal(batch, &other), crc);
    other = header;
    other.previous_crc ^= 1;
    assert_int_not_equal(seal(batch, &other), crc);
    other = header;
    other.synced += 4096;
    assert_int_not_equal(seal(batch, &other), crc);
}

/* ---- What an encoder would not have produced, with right crcs ---- */

static bool is_accepted(uint8_t *batch, const struct journal_header *header)
{
    struct journal_header read;
    uint32_t crc;
    seal(batch, header);
    return journal_batch_check(batch, BATCH_BYTES, &read, &crc);
}

static void test_headers_that_are_not_canonical(void **state)
{
    (void)state;
    uint8_t batch[BATCH_BYTES];
    uint32_t crc;
    const struct journal_header good = make_sample(batch, &crc);
    struct journal_header header = good;
    assert_true(is_accepted(batch, &header));
#define REFUSED(field, value)                                                                      \
    header = good;                                                                                 \
    header.field = (value);                                                                        \
    assert_false(is_accepted(batch, &header))
    REFUSED(epoch, 0);
    REFUSED(record_count, 0); /* then there are no bytes of records either */
    REFUSED(record_count, 2);
    REFUSED(record_count, 4);
    REFUSED(record_count, UINT32_MAX);
    REFUSED(position, 12289);
    REFUSED(next, good.position);
    REFUSED(next, good.position + 1);
    REFUSED(next, good.position + 4096 + JOURNAL_BATCH_BYTES_MAX);
    REFUSED(next, JOURNAL_POSITION_MAX);
    REFUSED(synced, good.position + 4096);
    REFUSED(synced, 1);
    REFUSED(previous_position, good.position);
    REFUSED(previous_position, 1);
    REFUSED(position, 0); /* has none before it */
#undef REFUSED
    header = good;
    header.next = good.position + JOURNAL_BATCH_BYTES_MAX; /* skips the end of a segment */
    assert_true(is_accepted(batch, &header));
}

/* J9 */
static void test_opening_batch(void **state)
{
    (void)state;
    uint8_t batch[BATCH_BYTES];
    struct journal_header read;
    struct journal_record record;
    uint32_t crc;
    uint32_t offset = 0;
    memset(batch, 0xee, sizeof batch);
    struct journal_header header = sample_header(0, 0);
    seal(batch, &header);
    assert_true(journal_batch_check(batch, 4096, &read, &crc));
    assert_false(journal_record_next(batch, &read, &offset, &record));
    header.record_count = 1;
    assert_false(is_accepted(batch, &header));
}

static bool header_is_accepted(const struct journal_header *header)
{
    uint8_t bytes[JOURNAL_HEADER_SIZE];
    struct journal_header read;
    journal_header_encode(header, bytes);
    return journal_header_decode(&read, bytes);
}

static void test_sizes_of_records_have_a_limit(void **state)
{
    (void)state;
    struct journal_header header = sample_header(JOURNAL_BATCH_BYTES_MAX - 80, 1);
    assert_true(header_is_accepted(&header));
    header.records_size += 8;
    header.next += 4096;
    assert_false(header_is_accepted(&header));
    header.records_size = 12;
    assert_false(header_is_accepted(&header));
    header.records_size = UINT32_MAX - 7;
    assert_false(header_is_accepted(&header));
}

static void test_records_that_are_not_canonical(void **state)
{
    (void)state;
    uint8_t batch[BATCH_BYTES];
    uint32_t crc;
    const struct journal_header header = make_sample(batch, &crc);
    uint8_t *first = batch + JOURNAL_HEADER_SIZE;
    first[15] = 1; /* padding of the first payload */
    assert_false(is_accepted(batch, &header));
    first[15] = 0;
    first[6] = 1; /* the record header's zero */
    assert_false(is_accepted(batch, &header));
    first[6] = 0;
    assert_true(is_accepted(batch, &header));
    const uint32_t sizes[] = {0, 9, 24, 40, 41, 48, 4096, 8191, 0x7fffffff, 0xfffffff8, 0xffffffff};
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        store_u32(first, sizes[i]);
        assert_false(is_accepted(batch, &header));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_golden_bytes),
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_every_flipped_bit_is_seen),
        cmocka_unit_test(test_every_truncation_is_seen),
        cmocka_unit_test(test_crc_covers_header),
        cmocka_unit_test(test_headers_that_are_not_canonical),
        cmocka_unit_test(test_opening_batch),
        cmocka_unit_test(test_sizes_of_records_have_a_limit),
        cmocka_unit_test(test_records_that_are_not_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
