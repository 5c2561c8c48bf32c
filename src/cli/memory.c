/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attributes.h"
#include "cairn.h"

static COLD NORETURN void out_of_memory(void)
{
    fputs("cairn: the system refused memory; give it more, or give less to read at once\n", stderr);
    exit(cairn_result_exit_code(CAIRN_NO_MEMORY));
}

void *memory_grow(void *memory, size_t *capacity, size_t wanted, size_t item_size)
{
    if (wanted <= *capacity) return memory;
    size_t grown = *capacity < 64 ? 64 : *capacity;
    while (grown < wanted) {
        if (grown > SIZE_MAX / 2 / item_size) out_of_memory();
        grown *= 2;
    }
    memory = realloc(memory, grown * item_size);
    if (memory == NULL) out_of_memory();
    *capacity = grown;
    return memory;
}

void *memory_take(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL) out_of_memory();
    return memory;
}

char *memory_text(const char *text)
{
    char *copy = memory_take(strlen(text) + 1);
    strcpy(copy, text);
    return copy;
}
