/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cell_list.h"

#include <stdlib.h>
#include <string.h>

#include "cli/folder.h"
#include "cli/memory.h"

static void add(struct cell_list *self, const struct cairn_cell *cell, const char *space)
{
    self->cells = memory_grow(self->cells, &self->capacity, self->count + 1, sizeof *self->cells);
    self->keys = memory_grow(self->keys, &self->keys_capacity, self->keys_size + cell->key_size, 1);
    memcpy(self->keys + self->keys_size, cell->key, cell->key_size);
    self->cells[self->count++] = (struct listed_cell){
        .space = space,
        .key_offset = self->keys_size,
        .key_size = cell->key_size,
        .value = cell->value,
    };
    self->keys_size += cell->key_size;
}

static int compare(const void *left, const void *right, void *list)
{
    const struct listed_cell *a = left;
    const struct listed_cell *b = right;
    const uint8_t *keys = ((const struct cell_list *)list)->keys;
    int order = a->space == b->space ? 0 : strcmp(a->space, b->space);
    if (order != 0) return order;
    size_t size = a->key_size < b->key_size ? a->key_size : b->key_size;
    order = memcmp(keys + a->key_offset, keys + b->key_offset, size);
    if (order != 0) return order;
    return (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

int cell_list_take(struct cell_list *self, cairn_engine *engine, uint32_t space)
{
    struct cairn_cell cell;
    uint64_t cursor = 0;
    uint32_t named = CELL_LIST_ALL_SPACES; /* the space that `name` belongs to */
    const char *name = "";
    int result;
    memset(self, 0, sizeof *self);
    while ((result = cairn_cell_next(engine, &cursor, &cell)) == CAIRN_OK) {
        if (space != CELL_LIST_ALL_SPACES && cell.space != space) continue;
        if (cell.space != named) {
            uint32_t type;
            uint8_t id[CAIRN_SPACE_ID_SIZE];
            named = cell.space;
            result = cairn_space_get(engine, named, &name, &type, id);
            if (result != CAIRN_OK) break;
        }
        add(self, &cell, name);
    }
    if (result != CAIRN_END) {
        cell_list_free(self);
        return folder_refusal(engine, result, "reading cells");
    }
    if (self->count != 0) qsort_r(self->cells, self->count, sizeof *self->cells, compare, self);
    return 0;
}

void cell_list_free(struct cell_list *self)
{
    free(self->cells);
    free(self->keys);
    memset(self, 0, sizeof *self);
}
