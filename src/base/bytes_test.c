/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/bytes.h"

/* Lets expect_assert_failure() catch a failed assertion. */
static void on_assert(const char *expression, const char *file, int line)
{
    mock_assert(0, expression, file, line);
}

static void loads_and_stores_are_little_endian_at_any_alignment(void **state)
{
    (void)state;
    for (size_t offset = 0; offset < 8; offset++) {
        uint8_t bytes[16] = {0};
        store_u64(bytes + offset, UINT64_C(0x0807060504030201));
        for (size_t i = 0; i < 8; i++)
            assert_int_equal(bytes[offset + i], i + 1);
        assert_int_equal(load_u16(bytes + offset), 0x0201);
        assert_int_equal(load_u32(bytes + offset), 0x04030201);
        assert_int_equal(load_u64(bytes + offset), UINT64_C(0x0807060504030201));
        store_u32(bytes + offset, 0xa4a3a2a1);
        store_u16(bytes + offset, 0xb2b1);
        assert_int_equal(load_u64(bytes + offset), UINT64_C(0x08070605a4a3b2b1));
    }
}

static void powers_of_two(void **state)
{
    (void)state;
    assert_false(is_power_of_two(0));
    for (unsigned i = 0; i < 64; i++) {
        uint64_t power = UINT64_C(1) << i;
        assert_true(is_power_of_two(power));
        if (i > 1) assert_false(is_power_of_two(power - 1));
        if (i > 0 && i < 63) assert_false(is_power_of_two(power + 1));
    }
    for (uint64_t power = 1; power <= 64; power *= 2) {
        for (uint64_t value = 0; value <= 256; value++) {
            uint64_t rounded = round_up(value, power);
            assert_true(rounded % power == 0 && rounded >= value && rounded < value + power);
        }
    }
}

static void one_bit_anywhere_is_not_zero(void **state)
{
    (void)state;
    uint8_t bytes[40] = {0};
    for (size_t size = 0; size <= 32; size++) {
        for (size_t from = 0; from < 8; from++) {
            bytes[from + size] = 1; /* behind the end: must not count */
            assert_true(bytes_are_zero(bytes + from, size));
            bytes[from + size] = 0;
            for (size_t bit = 0; bit < size * 8; bit++) {
                bytes[from + bit / 8] = (uint8_t)(1u << bit % 8);
                assert_false(bytes_are_zero(bytes + from, size));
                bytes[from + bit / 8] = 0;
            }
        }
    }
}

static void hexadecimal_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    uint8_t back[256];
    char text[513];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    bytes_to_hex(bytes, sizeof bytes, text);
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text + 0xab * 2, "ab", 2);
    assert_true(bytes_from_hex(text, back, sizeof back));
    assert_memory_equal(bytes, back, sizeof back);
    assert_true(bytes_from_hex("aBCdeF", back, 3));
    assert_memory_equal(back, "\xab\xcd\xef", 3);
    bytes_to_hex(bytes, 0, text);
    assert_string_equal(text, "");
    assert_true(bytes_from_hex("", back, 0));
}

static void anything_else_is_not_hexadecimal(void **state)
{
    (void)state;
    uint8_t bytes[4];
    char text[10];
    for (size_t length = 0; length <= 9; length++) {
        memset(text, '0', sizeof text);
        text[length] = 0;
        assert_int_equal(bytes_from_hex(text, bytes, 4), length == 8);
    }
    for (size_t place = 0; place < 8; place++) {
        for (int digit = 0; digit < 256; digit++) {
            memcpy(text, "01234567", 9);
            text[place] = (char)digit;
            bool is_digit = digit != 0 && strchr("0123456789abcdefABCDEF", digit);
            assert_int_equal(bytes_from_hex(text, bytes, 4), is_digit);
        }
    }
}

/* What one read of each kind needs and gives. */
static void read_all(struct reader *reader, uint64_t got[4], const uint8_t **tail)
{
    got[0] = reader_u8(reader);
    got[1] = reader_u16(reader);
    got[2] = reader_u32(reader);
    got[3] = reader_u64(reader);
    *tail = reader_bytes(reader, 3);
}

static void a_reader_fails_at_the_first_missing_byte_and_stays_so(void **state)
{
    (void)state;
    static const size_t ends[4] = {1, 3, 7, 15};
    uint8_t bytes[18];
    memset(bytes, 0x11, sizeof bytes);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        struct reader reader;
        uint64_t got[4];
        const uint8_t *tail;
        reader_init(&reader, bytes, size);
        assert_int_equal(reader_left(&reader), size);
        read_all(&reader, got, &tail);
        bool complete = size == sizeof bytes;
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(got[i] != 0, size >= ends[i]);
        assert_ptr_equal(tail, complete ? bytes + 15 : NULL);
        assert_int_equal(reader.failed, !complete);
        assert_int_equal(reader_done(&reader), complete);
        if (!complete) assert_int_equal(reader_left(&reader), 0);
        assert_int_equal(reader_u8(&reader), 0); /* one more: fails in any case */
        assert_null(reader_bytes(&reader, 0));
        assert_false(reader_done(&reader));
    }
}

static void a_reader_is_not_done_with_bytes_left(void **state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, "ab", 2);
    assert_int_equal(reader_u8(&reader), 'a');
    assert_false(reader_done(&reader));
    assert_null(reader_bytes(&reader, SIZE_MAX)); /* no sum that could wrap */
    reader_init(&reader, NULL, 0);
    assert_true(reader_done(&reader));
    assert_non_null(reader_bytes(&reader, 0));
    assert_true(reader_done(&reader));
}

static void a_reader_reads_what_a_writer_wrote(void **state)
{
    (void)state;
    uint8_t bytes[23];
    memset(bytes, 0xff, sizeof bytes);
    struct writer writer;
    writer_init(&writer, bytes, sizeof bytes);
    writer_u8(&writer, 0xf1);
    writer_u16(&writer, 0xf2f3);
    writer_u32(&writer, 0xf4f5f6f7);
    writer_u64(&writer, UINT64_C(0xf8f9fafbfcfdfeff));
    writer_bytes(&writer, "abc", 3);
    writer_bytes(&writer, NULL, 0);
    writer_zeros(&writer, 5);
    assert_int_equal(writer_size(&writer), sizeof bytes);
    struct reader reader;
    reader_init(&reader, bytes, sizeof bytes);
    assert_int_equal(reader_u8(&reader), 0xf1);
    assert_int_equal(reader_u16(&reader), 0xf2f3);
    assert_int_equal(reader_u32(&reader), 0xf4f5f6f7);
    assert_int_equal(reader_u64(&reader), UINT64_C(0xf8f9fafbfcfdfeff));
    assert_memory_equal(reader_bytes(&reader, 3), "abc", 3);
    assert_true(bytes_are_zero(reader_bytes(&reader, 5), 5));
    assert_true(reader_done(&reader));
}

static void a_writer_past_its_end_is_a_defect(void **state)
{
    (void)state;
    uint8_t bytes[7] = {0};
    struct writer writer;
    writer_init(&writer, bytes, sizeof bytes);
    expect_assert_failure(writer_u64(&writer, 1));
    expect_assert_failure(writer_zeros(&writer, SIZE_MAX));
    writer_zeros(&writer, 6);
    expect_assert_failure(writer_u16(&writer, 1));
    writer_u8(&writer, 1);
    expect_assert_failure(writer_u8(&writer, 1));
    expect_assert_failure(writer_bytes(&writer, "a", 1));
    assert_int_equal(writer_size(&writer), 7);
    writer_init(&writer, NULL, 0);
    writer_zeros(&writer, 0);
    assert_int_equal(writer_size(&writer), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_and_stores_are_little_endian_at_any_alignment),
        cmocka_unit_test(powers_of_two),
        cmocka_unit_test(one_bit_anywhere_is_not_zero),
        cmocka_unit_test(hexadecimal_there_and_back),
        cmocka_unit_test(anything_else_is_not_hexadecimal),
        cmocka_unit_test(a_reader_fails_at_the_first_missing_byte_and_stays_so),
        cmocka_unit_test(a_reader_is_not_done_with_bytes_left),
        cmocka_unit_test(a_reader_reads_what_a_writer_wrote),
        cmocka_unit_test(a_writer_past_its_end_is_a_defect),
    };
    cairn_assert_hook = on_assert;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
