/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `cairn bench`. The measurements run in a process of their own; this one only waits, and takes the
 * folder away, however that one ends.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/bench.h"
#include "cli/commands.h"
#include "cli/say.h"

#define RUNS_DEFAULT 5u
#define FACTS_DEFAULT UINT64_C(10000000)
#define FACTS_QUICK UINT64_C(40000)

/* What is measured together, in order: the rows it writes, and its function. */
struct group {
    const char *rows; /* separated by spaces */
    int (*run)(struct bench *self);
};

static const struct group groups[] = {
    {"yardstick.disk yardstick.sync", bench_disk_need},
    {"admit.single admit.batch64 import.verify", bench_admission},
    {"admit.single.p50 admit.single.p999", bench_calls},
    {"admit.dependencies1 admit.dependencies2 admit.dependencies4 admit.dependencies8 "
     "admit.dependency",
     bench_dependencies},
    {"cells.million.single cells.million.batch cells.million.create memory.cell digest.million",
     bench_cells},
    {"checkpoint.million", bench_checkpoint},
    {"ids.batch ids.batch256", bench_ids},
    {"staging.single staging.batch64", bench_staging},
    {"durable.throughput durable.throughput.realtime", bench_throughput},
    {"durable.latency durable.latency.realtime", bench_latency},
    {"recovery", bench_recovery},
    {"library.size", bench_library},
};
#define GROUPS (sizeof groups / sizeof groups[0])

/* Does one of the group's rows begin with the name? */
static bool has_row(const struct group *group, const char *name)
{
    const char *at = group->rows;
    while ((at = strstr(at, name)) != NULL) {
        if (at == group->rows || at[-1] == ' ') return true;
        at++;
    }
    return false;
}

static bool is_wanted(const struct bench *self, const struct group *group)
{
    return self->only == NULL || has_row(group, self->only);
}

static int check_only(const struct bench *self)
{
    if (self->only == NULL || strncmp("yardstick.compress", self->only, strlen(self->only)) == 0)
        return 0;
    for (size_t i = 0; i < GROUPS; i++) {
        if (has_row(&groups[i], self->only)) return 0;
    }
    say("bench: --only: no figure's name begins with that; the names are yardstick.compress");
    for (size_t i = 0; i < GROUPS; i++)
        fprintf(stderr, "       %s\n", groups[i].rows);
    return EXIT_CODE_USAGE;
}

/* ---- The process that measures --------------------------------------------------------------- */

static int measure(struct bench *self)
{
    char library[BENCH_PATH_SIZE];
    int code = bench_library_path(library);
    if (code != 0) return code;
    bench_report_begin(self);
    code = bench_compress(self);
    for (size_t i = 0; i < GROUPS && code == 0; i++) {
        if (is_wanted(self, &groups[i])) code = groups[i].run(self);
    }
    /* What was measured before a failure is still worth a look. */
    bench_report_end(self);
    return code;
}

static int measure_and_flush(struct bench *self)
{
    int code = measure(self);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0)
        code = say_errno("writing to", "standard output");
    return code;
}

/* ---- The process that waits ------------------------------------------------------------------ */

static volatile sig_atomic_t child_id;

static void pass_on(int number)
{
    if (child_id > 0) (void)kill(child_id, number);
}

static void catch_signals(void (*handler)(int))
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

static int wait_for(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return say_errno("waiting for", "the process that measures");
    }
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    if (WTERMSIG(status) == SIGINT) return EXIT_CODE_INTERRUPTED;
    return bench_failed("the process that measures ended by signal %d", WTERMSIG(status));
}

static int run_apart(struct bench *self)
{
    pid_t parent = getpid();
    fflush(stdout);
    catch_signals(pass_on);
    pid_t child = fork();
    if (child < 0) return say_errno("fork for", "the process that measures");
    if (child == 0) {
        catch_signals(SIG_DFL);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(EXIT_CODE_FAILURE);
        _exit(measure_and_flush(self));
    }
    child_id = child;
    int code = wait_for(child);
    bench_progress(self, NULL, 0);
    return code;
}

/* ---- The command ----------------------------------------------------------------------------- */

/* A new folder in --data, or in /var/tmp, which is on a disk where /tmp may be memory. */
static int make_folder(struct bench *self, const char *base)
{
    if (base == NULL) base = "/var/tmp";
    int size = snprintf(self->folder, sizeof self->folder, "%s/cairn-bench-XXXXXX", base);
    if (size < 0 || (size_t)size >= sizeof self->folder / 2 + BENCH_PATH_SIZE / 2 - 64)
        return say_failure(CAIRN_TOO_LARGE, "--data: too long a path; give a shorter one");
    if (mkdtemp(self->folder) == NULL) return say_errno("making a folder in", base);
    return 0;
}

int command_bench(struct command_line *line)
{
    static struct bench self;
    self.quick = option_is_given(line, OPTION_QUICK);
    self.json = option_is_given(line, OPTION_BENCH_JSON);
    self.only = option_text(line, OPTION_ONLY);
    self.runs = (unsigned)option_number(line, OPTION_RUNS, self.quick ? 1 : RUNS_DEFAULT);
    self.facts = option_number(line, OPTION_FACTS, self.quick ? FACTS_QUICK : FACTS_DEFAULT);
    self.terminal = !option_is_given(line, OPTION_QUIET) && isatty(STDERR_FILENO) == 1;
    int code = check_only(&self);
    if (code == 0) code = make_folder(&self, option_text(line, OPTION_BENCH_DATA));
    if (code != 0) return code;
    code = run_apart(&self);
    bench_folder_remove(self.folder);
    return code;
}
