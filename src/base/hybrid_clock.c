/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hybrid_clock.h"

void hybrid_clock_merge(struct hybrid_clock *self, uint64_t remote)
{
    if (remote > self->last) self->last = remote; /* H1: the next one is above both */
}

bool hybrid_clock_is_near(uint64_t remote, uint64_t wall_ms)
{
    uint64_t remote_ms = remote >> HYBRID_CLOCK_SHIFT;
    /* A difference, not a sum: a remote clock is any u64, and a sum could wrap. */
    return remote_ms <= wall_ms || remote_ms - wall_ms <= HYBRID_CLOCK_OFFSET_MS_MAX;
}
