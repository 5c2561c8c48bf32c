/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results inside Cairn: the codes of include/cairn.h, and a refusal, which is a code with what a
 * person needs to mend the call: which item, which field, which value, which limit.
 */
#ifndef CAIRN_BASE_RESULT_H
#define CAIRN_BASE_RESULT_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "cairn.h"

struct refusal {
    int code;          /* enum cairn_result, never CAIRN_OK */
    uint32_t item;     /* index in the batch, or 0 */
    const char *field; /* static text, or NULL */
    uint64_t value;
    uint64_t limit; /* 0: the refusal is not about a limit */
};

/* Fills *refusal and returns its code, so that a check reads `return refuse(...)`. */
COLD int refuse(struct refusal *refusal, int code, const char *field, uint64_t value,
                uint64_t limit);

/* Writes one line of text that names field, limit and remedy. Always terminated. */
void refusal_text(const struct refusal *refusal, char *text, size_t size);

const char *result_name(int result);
const char *result_text(int result);
const char *result_remedy(int result);
int result_exit_code(int result);

#endif
