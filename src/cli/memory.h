/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the command, which ends with a clear word when there is none left. */
#ifndef CAIRN_CLI_MEMORY_H
#define CAIRN_CLI_MEMORY_H

#include <stddef.h>

/*
 * Room for at least `wanted` items of `item_size` bytes; *capacity counts items. Doubles, so that
 * adding one by one is cheap. Ends the process when memory is refused.
 */
void *memory_grow(void *memory, size_t *capacity, size_t wanted, size_t item_size);
void *memory_take(size_t size);
char *memory_text(const char *text);

#endif
