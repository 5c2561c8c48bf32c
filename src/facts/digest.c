/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digest of all cells: BLAKE3 over the sorted addresses of the cells' records, so it does not
 * depend on the order in which facts came, nor on handles or table positions.
 */
#include "base/assert.h"
#include "facts/realm.h"

#define CELL_RECORD_HEADER_SIZE 36u /* space id, sum, key size */
#define SORT_STACK_MAX 64u
#define SORT_SMALL 16u

static void cell_address(const struct realm *self, const struct cell *cell,
                         uint8_t address[ADDRESS_SIZE])
{
    uint8_t record[CELL_RECORD_HEADER_SIZE + CAIRN_KEY_SIZE_MAX];
    const uint8_t *key = (const uint8_t *)cell + CELL_KEY_OFFSET;
    memcpy(record, self->spaces.table[cell->space].id, CAIRN_SPACE_ID_SIZE);
    memcpy(record + 16, &cell->sum, sizeof cell->sum);
    store_u32(record + 32, cell->key_size);
    memcpy(record + CELL_RECORD_HEADER_SIZE, key, cell->key_size);
    address_of_record(ADDRESS_CELL, record, CELL_RECORD_HEADER_SIZE + cell->key_size, address);
}

struct address_item {
    uint8_t bytes[ADDRESS_SIZE];
};

static bool is_less(const struct address_item *a, const struct address_item *b)
{
    return memcmp(a->bytes, b->bytes, ADDRESS_SIZE) < 0;
}

static void sort_small(struct address_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct address_item item = items[i];
        size_t at = i;
        for (; at > 0 && is_less(&item, &items[at - 1]); at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

static size_t partition(struct address_item *items, size_t count)
{
    struct address_item pivot = items[count / 2];
    size_t low = 0;
    size_t high = count - 1;
    for (;;) {
        while (is_less(&items[low], &pivot))
            low++;
        while (is_less(&pivot, &items[high]))
            high--;
        if (low >= high) return high + 1;
        struct address_item item = items[low];
        items[low++] = items[high];
        items[high--] = item;
    }
}

/*
 * Quicksort (Hoare) without recursion: the larger part waits on the stack, so that 64 entries
 * suffice. Addresses are hashes, so a bad pivot is chance, not choice.
 */
static void sort_addresses(struct address_item *items, size_t count)
{
    struct {
        struct address_item *items;
        size_t count;
    } stack[SORT_STACK_MAX];
    uint32_t depth = 0;
    for (;;) {
        while (count > SORT_SMALL) {
            size_t left = partition(items, count);
            size_t right = count - left;
            cairn_assert(left > 0 && right > 0 && depth < SORT_STACK_MAX);
            bool left_is_larger = left > right;
            stack[depth].items = left_is_larger ? items : items + left;
            stack[depth++].count = left_is_larger ? left : right;
            items = left_is_larger ? items + left : items;
            count = left_is_larger ? right : left;
        }
        sort_small(items, count);
        if (depth == 0) return;
        items = stack[--depth].items;
        count = stack[depth].count;
    }
}

void realm_cells_digest(const struct realm *self, uint8_t *scratch, uint8_t digest[ADDRESS_SIZE])
{
    uint64_t line = 0;
    uint64_t count = 0;
    for (struct cell *cell; (cell = cells_next(&self->cells, &line)) != NULL; count++) {
        cell_address(self, cell, scratch + count * ADDRESS_SIZE);
    }
    cairn_assert(count == self->cells.count);
    sort_addresses((struct address_item *)(void *)scratch, (size_t)count);
    address_of_record(ADDRESS_CELLS, scratch, (size_t)(count * ADDRESS_SIZE), digest);
}
