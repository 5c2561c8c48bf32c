/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cairn.h"
#include "cli/memory.h"
#include "cli/text.h"

#define GAP 2 /* blanks between columns */

void table_begin(struct table *self, const char *columns)
{
    memset(self, 0, sizeof *self);
    self->columns = 1;
    for (const char *at = columns; *at != 0; at++)
        self->columns += *at == ' ';
    cairn_assert(self->columns <= TABLE_COLUMNS_MAX);
    for (unsigned column = 0; column < self->columns; column++) {
        char title[64];
        size_t size = 0;
        if (*columns == '>') {
            self->right |= 1u << column;
            columns++;
        }
        for (; *columns != 0 && *columns != ' ' && size + 1 < sizeof title; columns++)
            title[size++] = *columns == '_' ? ' ' : *columns;
        title[size] = 0;
        if (strcmp(title, "-") == 0) title[0] = 0;
        if (*columns == ' ') columns++;
        table_add(self, title);
    }
}

void table_add(struct table *self, const char *text)
{
    size_t size = strlen(text) + 1;
    self->bytes = memory_grow(self->bytes, &self->capacity, self->size + size, 1);
    memcpy(self->bytes + self->size, text, size);
    self->size += size;
    unsigned *width = &self->widths[self->fields % self->columns];
    size_t count = utf8_count(text);
    if (count > *width) *width = count > TABLE_WIDTH_MAX ? TABLE_WIDTH_MAX : (unsigned)count;
    self->fields++;
}

void table_add_number(struct table *self, uint64_t value)
{
    char text[TEXT_NUMBER_SIZE];
    table_add(self, text_number(value, text));
}

void table_add_bytes(struct table *self, const void *bytes, size_t size)
{
    char text[4 * CAIRN_KEY_SIZE_MAX + 4];
    table_add(self, text_printable(bytes, size, text, sizeof text));
}

void table_end(struct table *self, FILE *out)
{
    cairn_assert(self->fields % self->columns == 0);
    const char *field = self->bytes;
    int blanks = 0; /* not printed yet: none are at the end of a line */
    for (size_t i = 0; i < self->fields; i++) {
        unsigned column = (unsigned)(i % self->columns);
        size_t count = utf8_count(field);
        int padding = count < self->widths[column] ? (int)(self->widths[column] - count) : 0;
        bool to_right = (self->right & 1u << column) != 0;
        if (to_right) blanks += padding;
        if (*field != 0) {
            fprintf(out, "%*s%s", blanks, "", field);
            blanks = 0;
        }
        if (!to_right) blanks += padding;
        blanks += GAP;
        if (column + 1 == self->columns) {
            putc('\n', out);
            blanks = 0;
        }
        field += strlen(field) + 1;
    }
    free(self->bytes);
    memset(self, 0, sizeof *self);
}
