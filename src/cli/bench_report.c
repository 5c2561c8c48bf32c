/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as they come, as JSON lines; or all at the end, as a table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cli/bench.h"
#include "cli/text.h"

/* ---- Samples --------------------------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

double bench_quantile(double *values, size_t count, double quantile)
{
    cairn_assert(count > 0);
    qsort(values, count, sizeof *values, compare);
    double place = quantile * (double)(count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < count ? below + 1 : below;
    return values[below] + (values[above] - values[below]) * (place - (double)below);
}

static double sorted_at(const struct bench_samples *samples, double quantile)
{
    double values[BENCH_RUNS_MAX];
    memcpy(values, samples->values, sizeof values);
    return bench_quantile(values, samples->count, quantile);
}

void bench_sample(struct bench_samples *samples, double value)
{
    cairn_assert(samples->count < BENCH_RUNS_MAX);
    samples->values[samples->count++] = value;
}

double bench_median(const struct bench_samples *samples)
{
    return sorted_at(samples, 0.5);
}

double bench_lowest(const struct bench_samples *samples)
{
    return sorted_at(samples, 0);
}

double bench_highest(const struct bench_samples *samples)
{
    return sorted_at(samples, 1);
}

/* ---- What a row says ------------------------------------------------------------------------- */

struct verdict {
    double value;
    double ratio;
    double ns;
    bool has_ratio;
    bool meets;
};

static struct verdict judge(const struct bench_row *row)
{
    struct verdict verdict = {.value = bench_median(row->samples)};
    if (row->best == BENCH_LOWEST) verdict.value = bench_lowest(row->samples);
    if (row->best == BENCH_HIGHEST) verdict.value = bench_highest(row->samples);
    verdict.has_ratio = row->yardstick != NULL && row->yardstick_value > 0;
    if (verdict.has_ratio) verdict.ratio = verdict.value / row->yardstick_value;
    verdict.ns = row->ns;
    if (row->ns <= 0 && strcmp(row->unit, "ns") == 0) verdict.ns = verdict.value;
    switch (row->target_kind) {
    case BENCH_TARGET_NONE: break;
    case BENCH_VALUE_AT_MOST: verdict.meets = verdict.value <= row->target; break;
    case BENCH_VALUE_AT_LEAST: verdict.meets = verdict.value >= row->target; break;
    case BENCH_RATIO_AT_MOST: verdict.meets = verdict.ratio <= row->target; break;
    case BENCH_RATIO_AT_LEAST: verdict.meets = verdict.ratio >= row->target; break;
    }
    return verdict;
}

static const char *target_text(enum bench_target kind)
{
    switch (kind) {
    case BENCH_VALUE_AT_MOST: return "value at most";
    case BENCH_VALUE_AT_LEAST: return "value at least";
    case BENCH_RATIO_AT_MOST: return "ratio at most";
    case BENCH_RATIO_AT_LEAST: return "ratio at least";
    default: return "";
    }
}

/* Share of the last ten seconds in which some task waited for a processor; negative: not known. */
static double cpu_pressure(void)
{
    double percent = -1;
    FILE *file = fopen("/proc/pressure/cpu", "r");
    if (file == NULL) return percent;
    if (fscanf(file, "some avg10=%lf", &percent) != 1) percent = -1;
    fclose(file);
    return percent;
}

/* ---- JSON: a row is a line ------------------------------------------------------------------- */

/* Names and notes are this program's own words, with nothing in them that JSON would escape. */
static void print_text(const char *key, const char *text)
{
    cairn_assert(strpbrk(text, "\"\\\n") == NULL);
    printf(", \"%s\": \"%s\"", key, text);
}

static void print_json(const struct bench_row *row, const struct verdict *verdict)
{
    double load = 0;
    double pressure = cpu_pressure();
    printf("{\"schema\": \"cairn-bench-1\"");
    print_text("name", row->name);
    print_text("unit", row->unit);
    printf(
        ", \"value\": %.6g, \"minimum\": %.6g, \"median\": %.6g, \"maximum\": %.6g, \"runs\": %u",
        verdict->value, bench_lowest(row->samples), bench_median(row->samples),
        bench_highest(row->samples), row->samples->count);
    if (verdict->has_ratio) {
        printf(", \"yardstick\": {\"name\": \"%s\", \"value\": %.6g}, \"ratio\": %.4g",
               row->yardstick, row->yardstick_value, verdict->ratio);
    }
    if (verdict->ns > 0) printf(", \"ns\": %.6g", verdict->ns);
    if (row->target_kind != BENCH_TARGET_NONE) {
        printf(", \"target\": %.6g, \"meets\": %s", row->target, verdict->meets ? "true" : "false");
        print_text("target_is", target_text(row->target_kind));
    }
    if (getloadavg(&load, 1) == 1) printf(", \"load\": %.2f", load);
    if (pressure >= 0) printf(", \"cpu_pressure\": %.2f", pressure);
    if (row->notes[0] != 0) print_text("notes", row->notes);
    printf("}\n");
    fflush(stdout);
}

/* ---- The table ------------------------------------------------------------------------------- */

static void add_number(struct table *table, double value)
{
    char text[TEXT_NUMBER_SIZE];
    if (value >= 100000) {
        table_add(table, text_number((uint64_t)(value + 0.5), text));
        return;
    }
    snprintf(text, sizeof text, value >= 1000 ? "%.0f" : value >= 100 ? "%.1f" : "%.2f", value);
    table_add(table, text);
}

static void add_row(struct table *table, const struct bench_row *row, const struct verdict *verdict)
{
    table_add(table, row->name);
    add_number(table, verdict->value);
    add_number(table, bench_lowest(row->samples));
    add_number(table, bench_highest(row->samples));
    table_add(table, row->unit);
    if (verdict->has_ratio)
        add_number(table, verdict->ratio);
    else
        table_add(table, "");
    table_add(table, target_text(row->target_kind));
    if (row->target_kind != BENCH_TARGET_NONE)
        add_number(table, row->target);
    else
        table_add(table, "");
    table_add(table, row->target_kind == BENCH_TARGET_NONE ? "" : verdict->meets ? "yes" : "NO");
}

void bench_report_begin(struct bench *self)
{
    if (self->json) return;
    table_begin(&self->table,
                "figure >value >minimum >maximum unit >ratio target_is >target meets");
}

void bench_report(struct bench *self, const struct bench_row *row)
{
    cairn_assert(row->samples->count > 0);
    struct verdict verdict = judge(row);
    bench_progress(self, NULL, 0);
    self->rows++;
    if (row->target_kind != BENCH_TARGET_NONE) {
        self->rows_with_target++;
        self->rows_met += verdict.meets;
    }
    if (self->json)
        print_json(row, &verdict);
    else
        add_row(&self->table, row, &verdict);
}

void bench_report_end(struct bench *self)
{
    bench_progress(self, NULL, 0);
    if (self->json) return;
    table_end(&self->table, stdout);
    printf("\n%u of %u targets met; a ratio is to the row's yardstick, C = %.1f ns for one BLAKE3 "
           "compression;\n'cairn bench --json' says what each row holds.\n",
           self->rows_met, self->rows_with_target, self->compress_ns);
}

void bench_progress(const struct bench *self, const char *name, unsigned run)
{
    if (!self->terminal) return;
    fputs("\r\033[K", stderr);
    if (name != NULL) fprintf(stderr, "%s, run %u of %u", name, run + 1, self->runs);
    fflush(stderr);
}
