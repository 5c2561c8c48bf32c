/* SPDX-License-Identifier: Apache-2.0 */
/* JSON, tables, and text made safe to show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"

static char *printed;
static size_t printed_size;

static FILE *begin(void)
{
    FILE *out = open_memstream(&printed, &printed_size);
    assert_non_null(out);
    return out;
}

static void expect(FILE *out, const char *expected)
{
    fclose(out);
    assert_string_equal(printed, expected);
    free(printed);
}

static void json_escapes_and_nests(void **state)
{
    (void)state;
    struct json json;
    FILE *out = begin();
    json_begin(&json, out, "cairn.test/1");
    json_bytes(&json, "text", "a\"\\\n\x01\x7f\0z", 8);
    json_bytes(&json, "wrong", "\xff\xc3\xa9\xe2\x82\xed\xa0\x80\xc0\xaf", 10);
    json_u64(&json, "large", UINT64_MAX);
    json_i64(&json, "small", INT64_MIN);
    json_double(&json, "half", 0.5);
    json_hex(&json, "hex", "\x0f\xa0", 2);
    json_array(&json, "empty");
    json_close(&json);
    json_array(&json, "list");
    json_object(&json, NULL);
    json_bool(&json, "yes", true);
    json_array(&json, "inner");
    json_u64(&json, NULL, 1);
    json_u64(&json, NULL, 2);
    json_close(&json);
    json_close(&json);
    json_object(&json, NULL);
    json_close(&json);
    json_close(&json);
    json_end(&json);
    expect(out,
           "{\n"
           "  \"schema\": \"cairn.test/1\",\n"
           "  \"text\": \"a\\\"\\\\\\u000a\\u0001\\u007f\\u0000z\",\n"
           "  \"wrong\": \"\\ufffd\xc3\xa9\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\",\n"
           "  \"large\": 18446744073709551615,\n"
           "  \"small\": -9223372036854775808,\n"
           "  \"half\": 0.5,\n"
           "  \"hex\": \"0fa0\",\n"
           "  \"empty\": [],\n"
           "  \"list\": [\n"
           "    {\"yes\": true, \"inner\": [1, 2]},\n"
           "    {}\n"
           "  ]\n"
           "}\n");
}

static void tables_align(void **state)
{
    (void)state;
    struct table table;
    FILE *out = begin();
    table_begin(&table, "name >in_all -");
    table_add(&table, "\xc3\xa9t\xc3\xa9");
    table_add_number(&table, 1234567);
    table_add(&table, "last");
    table_add_bytes(&table, "\x1b[1m", 4);
    table_add_number(&table, 0);
    table_add(&table, "");
    table_end(&table, out);
    expect(out, "name        in all\n"
                "\xc3\xa9t\xc3\xa9      1,234,567  last\n"
                "\\x1b[1m          0\n");
}

static void numbers_have_units(void **state)
{
    (void)state;
    char text[TEXT_NUMBER_SIZE];
    assert_string_equal(text_number(0, text), "0");
    assert_string_equal(text_number(999, text), "999");
    assert_string_equal(text_number(1000, text), "1,000");
    assert_string_equal(text_number(UINT64_MAX, text), "18,446,744,073,709,551,615");
    assert_string_equal(text_bytes(1023, text), "1023 B");
    assert_string_equal(text_bytes(1536, text), "1.5 KiB");
    assert_string_equal(text_bytes(UINT64_MAX, text), "16.0 EiB");
    assert_string_equal(text_duration(0, text), "0 ns");
    assert_string_equal(text_duration(999, text), "999 ns");
    assert_string_equal(text_duration(1200, text), "1.20 us");
    assert_string_equal(text_duration(UINT64_C(3600000000000), text), "3600 s");
}

static void values_have_128_bits(void **state)
{
    (void)state;
    static const struct {
        int64_t high;
        uint64_t low;
        const char *text;
    } rows[] = {
        {0, 0, "0"},
        {0, UINT64_MAX, "18446744073709551615"},
        {-1, UINT64_MAX, "-1"},
        {-1, UINT64_C(1) << 63, "-9223372036854775808"},
        {1, 0, "18446744073709551616"},
        {INT64_MAX, UINT64_MAX, "170141183460469231731687303715884105727"},
        {INT64_MIN, 0, "-170141183460469231731687303715884105728"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[TEXT_VALUE_SIZE];
        struct cairn_value value = {.high = rows[i].high, .low_bits = rows[i].low};
        assert_string_equal(text_value(&value, text), rows[i].text);
    }
}

static void foreign_bytes_are_made_safe(void **state)
{
    (void)state;
    char text[16];
    assert_string_equal(text_printable("plain", 5, text, sizeof text), "plain");
    assert_string_equal(text_printable("a\tb\\", 4, text, sizeof text), "a\\x09b\\x5c");
    assert_string_equal(text_printable("\xc2\x9bm", 3, text, sizeof text), "\\xc2\\x9bm");
    assert_string_equal(text_printable("123456789012345", 15, text, sizeof text),
                        "123456789012345");
    assert_string_equal(text_printable("1234567890123456", 16, text, sizeof text),
                        "123456789012...");
    assert_string_equal(text_printable("", 0, text, sizeof text), "");
    /* Any bytes, any room: terminated, and nothing that a terminal would obey. */
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t capacity = 4; capacity <= sizeof text; capacity++) {
            char bytes[8];
            memset(bytes, (int)byte, sizeof bytes);
            text_printable(bytes, sizeof bytes, text, capacity);
            assert_true(strlen(text) < capacity);
            for (const char *at = text; *at != 0; at++)
                assert_true((uint8_t)*at >= 0x20 && (uint8_t)*at != 0x7f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_escapes_and_nests),      cmocka_unit_test(tables_align),
        cmocka_unit_test(numbers_have_units),          cmocka_unit_test(values_have_128_bits),
        cmocka_unit_test(foreign_bytes_are_made_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
