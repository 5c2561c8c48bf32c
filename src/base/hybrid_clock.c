/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hybrid_clock.h"

void hybrid_clock_merge(struct hybrid_clock *self, uint64_t remote)
{
    if (remote > self->last) self->last = remote; /* H1: the next one is above both */
}
