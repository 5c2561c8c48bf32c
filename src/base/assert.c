/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"

void (*cairn_assert_hook)(const char *expression, const char *file, int line);

void cairn_assert_failed(const char *expression, const char *file, int line)
{
    if (cairn_assert_hook) cairn_assert_hook(expression, file, line);
    __builtin_trap(); /* needs no library, and leaves the frame of the failure in the core dump */
}
