/* SPDX-License-Identifier: Apache-2.0 */
#include "base/result.h"

#include <stdbool.h>

/* ---- Words of the codes --------------------------------------------------------------------- */

struct result_words {
    int number;
    int exit_code;
    const char *name;
    const char *meaning;
    const char *remedy;
};

static const struct result_words results[] = {
#define RESULT_WORDS(constant, number, name, exit_code, meaning, remedy)                           \
    {number, exit_code, name, meaning, remedy},
    CAIRN_RESULT_MAP(RESULT_WORDS)
#undef RESULT_WORDS
};

/* For a number that a newer library, or a mistake, may give. */
static const struct result_words unknown = {0, 1, "unknown", "not a result of this version", ""};

static const struct result_words *result_find(int result)
{
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        if (results[i].number == result) return &results[i];
    }
    return &unknown;
}

const char *result_name(int result)
{
    return result_find(result)->name;
}

const char *result_text(int result)
{
    return result_find(result)->meaning;
}

const char *result_remedy(int result)
{
    return result_find(result)->remedy;
}

int result_exit_code(int result)
{
    return result_find(result)->exit_code;
}

/* ---- Text of a refusal ----------------------------------------------------------------------- */

struct line {
    char *next;
    char *end; /* the last character, kept for the terminator */
};

static void line_add(struct line *self, const char *text)
{
    while (*text != 0 && self->next < self->end)
        *self->next++ = *text++;
}

/* 1200 as 1,200. */
static void line_add_number(struct line *self, uint64_t value)
{
    char digits[sizeof "18,446,744,073,709,551,615"];
    char *first = digits + sizeof digits - 1;
    *first = 0;
    for (unsigned count = 1;; count++) {
        *--first = (char)('0' + value % 10);
        value /= 10;
        if (value == 0) break;
        if (count % 3 == 0) *--first = ',';
    }
    line_add(self, first);
}

/* The one code whose value is signed carries it in two's complement. */
static void line_add_value(struct line *self, const struct refusal *refusal)
{
    bool negative = refusal->code == CAIRN_NEGATIVE && refusal->value > INT64_MAX;
    if (negative) line_add(self, "-");
    line_add_number(self, negative ? 0 - refusal->value : refusal->value);
}

static void line_add_reason(struct line *self, const struct refusal *refusal)
{
    if (refusal->limit != 0 && refusal->value > refusal->limit) {
        line_add_value(self, refusal);
        line_add(self, " is beyond the limit of ");
        line_add_number(self, refusal->limit);
        return;
    }
    line_add(self, result_text(refusal->code));
    if (refusal->value == 0 && refusal->limit == 0) return;
    line_add(self, " (");
    line_add_value(self, refusal);
    if (refusal->limit != 0) {
        line_add(self, ", with a limit of ");
        line_add_number(self, refusal->limit);
    }
    line_add(self, ")");
}

int refuse(struct refusal *refusal, int code, const char *field, uint64_t value, uint64_t limit)
{
    *refusal = (struct refusal){.code = code, .field = field, .value = value, .limit = limit};
    return code;
}

void refusal_text(const struct refusal *refusal, char *text, size_t size)
{
    if (size == 0) return;
    struct line line = {text, text + size - 1};
    if (refusal->item != 0) {
        line_add(&line, "fact ");
        line_add_number(&line, refusal->item);
        line_add(&line, ": ");
    }
    if (refusal->field) {
        line_add(&line, refusal->field);
        line_add(&line, ": ");
    }
    line_add_reason(&line, refusal);
    const char *remedy = result_remedy(refusal->code);
    if (*remedy != 0) {
        line_add(&line, "; ");
        line_add(&line, remedy);
    }
    *line.next = 0;
}
