/* SPDX-License-Identifier: Apache-2.0 */
/* A table for people: columns as wide as their widest field, two spaces between them. */
#ifndef CAIRN_CLI_TABLE_H
#define CAIRN_CLI_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12u
/* A longer field does not widen its column for all rows. */
#define TABLE_WIDTH_MAX 60u

struct table {
    char *bytes; /* all fields, each terminated */
    size_t size;
    size_t capacity;
    size_t fields;
    unsigned columns;
    unsigned right; /* a bit for each column that is aligned to the right */
    unsigned widths[TABLE_COLUMNS_MAX];
};

/*
 * `columns`: the titles with spaces between them; '>' in front of one aligns it to the right, '_'
 * in one is a space, '-' alone stands for no title.
 */
void table_begin(struct table *self, const char *columns);
/* Adds the next field of the current row. */
void table_add(struct table *self, const char *text);
void table_add_number(struct table *self, uint64_t value);
/* Foreign bytes, made safe to show. */
void table_add_bytes(struct table *self, const void *bytes, size_t size);
/* Prints titles and rows, and frees the table. */
void table_end(struct table *self, FILE *out);

#endif
