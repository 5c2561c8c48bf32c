/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of an engine's cells, sorted by space name, then by key, byte by byte. */
#ifndef CAIRN_CLI_CELL_LIST_H
#define CAIRN_CLI_CELL_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "cairn.h"

#define CELL_LIST_ALL_SPACES UINT32_MAX

struct listed_cell {
    const char *space; /* its name, the engine's: valid until that is closed */
    size_t key_offset;
    uint32_t key_size;
    struct cairn_value value;
};

struct cell_list {
    struct listed_cell *cells;
    uint8_t *keys;
    size_t count;
    size_t capacity;
    size_t keys_size;
    size_t keys_capacity;
};

/* Takes the cells of one space, or of all. Returns an exit code. */
int cell_list_take(struct cell_list *self, cairn_engine *engine, uint32_t space);
void cell_list_free(struct cell_list *self);

#endif
