/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/result.h"

struct row {
    int number;
    const char *constant;
};

static const struct row rows[] = {
#define ROW(constant, number, name, exit_code, meaning, remedy) {number, #constant},
    CAIRN_RESULT_MAP(ROW)
#undef ROW
};

#define ROWS (sizeof rows / sizeof rows[0])

static void every_result_has_its_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(rows[i].number, -(int)i); /* dense, so that none is used twice */
        const char *name = result_name(rows[i].number);
        assert_int_equal(strlen(name), strlen(rows[i].constant));
        for (size_t c = 0; name[c] != 0; c++) {
            assert_int_equal(toupper((unsigned char)name[c]), rows[i].constant[c]);
        }
        assert_true(strlen(result_text(rows[i].number)) > 0);
        assert_non_null(result_remedy(rows[i].number));
        bool good = rows[i].number == CAIRN_OK || rows[i].number == CAIRN_END;
        assert_int_equal(result_exit_code(rows[i].number) == 0, good);
        assert_in_range(result_exit_code(rows[i].number), 0, 125); /* what a shell can tell apart */
    }
}

static void unknown_numbers_have_words_too(void **state)
{
    (void)state;
    static const int numbers[] = {1, -(int)ROWS, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(result_name(numbers[i]), "unknown");
        assert_true(strlen(result_text(numbers[i])) > 0);
        assert_string_equal(result_remedy(numbers[i]), "");
        assert_int_equal(result_exit_code(numbers[i]), 1);
    }
}

static void refuse_fills_everything(void **state)
{
    (void)state;
    struct refusal refusal;
    memset(&refusal, 0xee, sizeof refusal);
    assert_int_equal(refuse(&refusal, CAIRN_FULL, "cells", 7, 8), CAIRN_FULL);
    assert_int_equal(refusal.code, CAIRN_FULL);
    assert_int_equal(refusal.item, 0);
    assert_string_equal(refusal.field, "cells");
    assert_int_equal(refusal.value, 7);
    assert_int_equal(refusal.limit, 8);
}

static void assert_text(struct refusal refusal, const char *expected)
{
    char text[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    refusal_text(&refusal, text, sizeof text);
    assert_string_equal(text, expected);
}

static void texts_name_field_limit_and_remedy(void **state)
{
    (void)state;
    assert_text((struct refusal){CAIRN_TOO_LARGE, 3, "key", 1200, 1024},
                "fact 3: key: 1,200 is beyond the limit of 1,024; send less, or raise the limit in "
                "the configuration if it allows");
    assert_text((struct refusal){CAIRN_FULL, 0, "cells", 1048576, 1048576},
                "cells: a table is full (1,048,576, with a limit of 1,048,576); open the engine "
                "with a larger limit (cairn limits shows them)");
    assert_text((struct refusal){CAIRN_INVALID_ARGUMENT, 0, "key_size", 0, 1024},
                "key_size: an argument is not usable (0, with a limit of 1,024); correct the "
                "argument named above");
    assert_text((struct refusal){CAIRN_NEGATIVE, 1234, "amount", (uint64_t)INT64_MIN, 0},
                "fact 1,234: amount: a grow-only counter cannot take a negative amount "
                "(-9,223,372,036,854,775,808); use a pncounter for amounts of both signs");
    assert_text((struct refusal){CAIRN_NEGATIVE, 0, "amount", (uint64_t)INT64_C(-5), 0},
                "amount: a grow-only counter cannot take a negative amount (-5); use a pncounter "
                "for amounts of both signs");
    assert_text((struct refusal){CAIRN_UNKNOWN_SPACE, 0, NULL, 12, 0},
                "the space is not declared at this member (12); declare the space first; the "
                "declaration must be the same at all members");
    assert_text((struct refusal){CAIRN_END, 0, NULL, 0, 0}, "there is nothing more");
    assert_text((struct refusal){-99, 0, "x", 0, 0}, "x: not a result of this version");
}

static void numbers_are_grouped(void **state)
{
    (void)state;
    uint64_t value = 0;
    for (size_t digits = 0; digits <= 20; digits++) {
        char plain[32];
        char grouped[64];
        char expected[160];
        size_t length = (size_t)snprintf(plain, sizeof plain, "%llu", (unsigned long long)value);
        size_t used = 0;
        for (size_t i = 0; i < length; i++) {
            if (i > 0 && (length - i) % 3 == 0) grouped[used++] = ',';
            grouped[used++] = plain[i];
        }
        grouped[used] = 0;
        snprintf(expected, sizeof expected, "f: there is nothing more (%s)", grouped);
        if (value == 0) expected[strlen("f: there is nothing more")] = 0;
        assert_text((struct refusal){CAIRN_END, 0, "f", value, 0}, expected);
        value = digits < 19 ? value * 10 + 1 + digits % 9 : UINT64_MAX;
    }
}

static void any_size_is_terminated_and_kept(void **state)
{
    (void)state;
    struct refusal refusal = {CAIRN_TOO_LARGE, 3, "key", 1200, 1024};
    char whole[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    refusal_text(&refusal, whole, sizeof whole);
    size_t length = strlen(whole);
    for (size_t size = 0; size <= length + 3; size++) {
        char text[sizeof whole];
        memset(text, '#', sizeof text);
        refusal_text(&refusal, text, size);
        assert_int_equal(text[size], '#');
        if (size == 0) continue;
        size_t kept = size - 1 < length ? size - 1 : length;
        assert_int_equal(strlen(text), kept);
        assert_memory_equal(text, whole, kept);
    }
}

/* The longest words with the longest numbers fit the size that the interface promises. */
static void no_text_is_cut_in_practice(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct refusal refusal = {rows[i].number, UINT32_MAX, "idempotency_keys_max", UINT64_MAX,
                                  UINT64_MAX};
        char text[CAIRN_ERROR_MESSAGE_SIZE_MAX];
        refusal_text(&refusal, text, sizeof text);
        assert_true(strlen(text) < sizeof text - 64);
        assert_null(strchr(text, '\n'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_result_has_its_words),
        cmocka_unit_test(unknown_numbers_have_words_too),
        cmocka_unit_test(refuse_fills_everything),
        cmocka_unit_test(texts_name_field_limit_and_remedy),
        cmocka_unit_test(numbers_are_grouped),
        cmocka_unit_test(any_size_is_terminated_and_kept),
        cmocka_unit_test(no_text_is_cut_in_practice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
