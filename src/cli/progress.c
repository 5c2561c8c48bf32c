/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/say.h"
#include "cli/text.h"

#define BAR_WIDTH 30
#define REDRAW_NS UINT64_C(80000000)

uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void progress_begin(struct progress *self, const char *label, const char *unit, uint64_t total,
                    bool quiet)
{
    memset(self, 0, sizeof *self);
    self->label = label;
    self->unit = unit;
    self->total = total;
    self->quiet = quiet;
    self->terminal = isatty(STDERR_FILENO) == 1;
    self->colour = say_in_colour(STDERR_FILENO);
    self->started_ns = monotonic_ns();
}

static unsigned percent(const struct progress *self)
{
    if (self->total == 0) return 0;
    if (self->done >= self->total) return 100;
    return (unsigned)((double)self->done * 100 / (double)self->total);
}

static void draw(const struct progress *self)
{
    char done[TEXT_NUMBER_SIZE];
    unsigned filled = percent(self) * BAR_WIDTH / 100;
    fprintf(stderr, "\r\033[K%-12s ", self->label);
    if (self->total != 0) {
        fputs(self->colour ? "\033[32m" : "", stderr);
        for (unsigned i = 0; i < BAR_WIDTH; i++)
            putc(i < filled ? '#' : '.', stderr);
        fputs(self->colour ? "\033[0m" : "", stderr);
        fprintf(stderr, " %3u %%", percent(self));
    }
    fprintf(stderr, "  %s %s", text_number(self->done, done), self->unit);
    fflush(stderr);
}

void progress_set(struct progress *self, uint64_t done)
{
    self->done = done;
    if (self->quiet) return;
    if (!self->terminal) {
        unsigned quarters = percent(self) / 25;
        if (quarters <= self->quarters || quarters >= 4) return; /* the end says the rest */
        self->quarters = quarters;
        char text[TEXT_NUMBER_SIZE];
        fprintf(stderr, "%-12s %3u %%  %s %s\n", self->label, percent(self),
                text_number(done, text), self->unit);
        return;
    }
    uint64_t now = monotonic_ns();
    if (now - self->drawn_ns < REDRAW_NS && self->drawn_ns != 0) return;
    self->drawn_ns = now;
    draw(self);
}

void progress_hide(struct progress *self)
{
    if (self->quiet || !self->terminal || self->drawn_ns == 0) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    self->drawn_ns = 0;
}

void progress_end(struct progress *self)
{
    if (self->quiet) return;
    progress_hide(self);
    char done[TEXT_NUMBER_SIZE];
    char time[TEXT_NUMBER_SIZE];
    fprintf(stderr, "%-12s %s %s in %s\n", self->label, text_number(self->done, done), self->unit,
            text_duration(monotonic_ns() - self->started_ns, time));
}
