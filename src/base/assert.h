/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions that stay on in release. An assertion states an invariant; its failure is a defect of
 * Cairn, never of its input, and stops the process before wrong bytes become durable.
 */
#ifndef CAIRN_BASE_ASSERT_H
#define CAIRN_BASE_ASSERT_H

#include "base/attributes.h"

/*
 * Called with the failed assertion before the process stops, when set. Base knows no system; os/
 * sets it, before threads start, to what writes the line to standard error.
 */
extern void (*cairn_assert_hook)(const char *expression, const char *file, int line);

NORETURN COLD void cairn_assert_failed(const char *expression, const char *file, int line);

#define cairn_assert(expression)                                                                   \
    do {                                                                                           \
        if (UNLIKELY(!(expression))) cairn_assert_failed(#expression, __FILE__, __LINE__);         \
    } while (0)

#endif
