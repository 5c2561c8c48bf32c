/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a long work is, on standard error: a bar that is drawn over itself on a terminal; else a
 * line when a quarter more is done. Nothing at all when it is made quiet.
 */
#ifndef CAIRN_CLI_PROGRESS_H
#define CAIRN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *label;
    const char *unit;
    uint64_t total;
    uint64_t done;
    uint64_t started_ns;
    uint64_t drawn_ns;
    unsigned quarters; /* said already, where there is no terminal */
    bool quiet;
    bool terminal;
    bool colour;
};

/* `label` and `unit` are kept. A total of 0: not known. */
void progress_begin(struct progress *self, const char *label, const char *unit, uint64_t total,
                    bool quiet);
void progress_set(struct progress *self, uint64_t done);
/* Clears the bar, and says in one line what was done and how long it took. */
void progress_end(struct progress *self);
/* Clears the bar for other words; the next progress_set() draws it again. */
void progress_hide(struct progress *self);

/* Nanoseconds since some start. */
uint64_t monotonic_ns(void);

#endif
