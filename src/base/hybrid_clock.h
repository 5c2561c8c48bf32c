/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hybrid clock: one u64, milliseconds << 16 plus counter, that never goes back and stays close
 * to the wall clock. Source: Kulkarni et al., Logical Physical Clocks, 2014, packed into 64 bits.
 *
 *   H1  next = max(local, remote, wall << 16) + 1: strictly increasing
 *   H2  a clock more than HYBRID_CLOCK_OFFSET_MS_MAX ahead of the wall is not merged; milliseconds
 *       are compared, whatever the counter
 *
 * A carry from the counter into the milliseconds is legal. The wall clock arrives as a value.
 */
#ifndef CAIRN_BASE_HYBRID_CLOCK_H
#define CAIRN_BASE_HYBRID_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/attributes.h"

#define HYBRID_CLOCK_OFFSET_MS_MAX 500u
#define HYBRID_CLOCK_SHIFT 16u

struct hybrid_clock {
    uint64_t last;
};

/* The next clock of a local fact. wall_ms: milliseconds since 1970. */
HOT_INLINE uint64_t hybrid_clock_next(struct hybrid_clock *self, uint64_t wall_ms)
{
    uint64_t wall = wall_ms << HYBRID_CLOCK_SHIFT;
    self->last = (self->last > wall ? self->last : wall) + 1;
    cairn_assert(self->last != 0); /* H1: stops rather than wraps, in the year 10889 */
    return self->last;
}

/* Takes over a remote clock. Precondition: hybrid_clock_is_near(). */
void hybrid_clock_merge(struct hybrid_clock *self, uint64_t remote);
/* False when `remote` is more than the allowed offset ahead of the wall clock (H2). */
HOT_INLINE bool hybrid_clock_is_near(uint64_t remote, uint64_t wall_ms)
{
    uint64_t remote_ms = remote >> HYBRID_CLOCK_SHIFT;
    /* A difference, not a sum: a remote clock is any u64, and a sum could wrap. */
    return remote_ms <= wall_ms || remote_ms - wall_ms <= HYBRID_CLOCK_OFFSET_MS_MAX;
}

#endif
