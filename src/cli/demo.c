/* SPDX-License-Identifier: Apache-2.0 */
/* cairn demo: three members, real data, SIGKILL, and a count that must come out right. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/demo_run.h"
#include "cli/folder.h"
#include "cli/json.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/text.h"

volatile sig_atomic_t demo_signal;

static void on_signal(int signal_number)
{
    demo_signal = signal_number;
}

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* calls that wait return EINTR */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    /* Who reads our words may leave: then the folder and the members are cleaned up as well. */
    sigaction(SIGPIPE, &action, NULL);
}

/* ---- The folder ---------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void remove_tree(const char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        say_errno("removing", path);
}

static const char *const entry_names[] = {"member", "early", "bundles"};
#define ENTRY_NAMES (sizeof entry_names / sizeof entry_names[0])

/* What is there already belongs to somebody, and would be removed at the end. */
static int check_unused(const char *folder)
{
    char path[PATH_MAX];
    struct stat status;
    for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++) {
        for (size_t i = 0; i < ENTRY_NAMES; i++) {
            demo_path(path, sizeof path, folder, entry_names[i], slot);
            if (lstat(path, &status) != 0) continue;
            return say_failure(CAIRN_FOREIGN,
                               "--data: %s is there from another run; remove it, or "
                               "give a folder without it",
                               path);
        }
    }
    return 0;
}

static int make_temporary_folder(struct demo *self)
{
    char path[PATH_MAX];
    const char *base = getenv("TMPDIR");
    if (base == NULL || *base == 0) base = "/tmp";
    int size = snprintf(path, sizeof path, "%s/cairn-demo-XXXXXX", base);
    if (size < 0 || (size_t)size > sizeof path / 2)
        return say_failure(CAIRN_TOO_LARGE, "TMPDIR is too long a path; set a shorter one");
    if (mkdtemp(path) == NULL) return say_errno("making a folder in", base);
    memcpy(self->folder, path, sizeof path);
    self->folder_is_ours = true;
    return 0;
}

/* Sets `folder` once it is known that nothing in it belongs to anybody else. */
static int make_folder(struct demo *self, const char *given)
{
    if (given == NULL) return make_temporary_folder(self);
    if (strlen(given) > sizeof self->folder / 2)
        return say_failure(CAIRN_TOO_LARGE, "--data: too long a path; give a shorter one");
    bool made = mkdir(given, 0777) == 0;
    if (!made && errno != EEXIST) return say_errno("making", given);
    int code = check_unused(given);
    if (code != 0) return code;
    snprintf(self->folder, sizeof self->folder, "%s", given);
    self->folder_is_ours = made;
    return 0;
}

/* What this run made, and nothing else. */
static void remove_folder(const struct demo *self)
{
    char path[PATH_MAX];
    for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++) {
        for (size_t i = 0; i < ENTRY_NAMES; i++) {
            demo_path(path, sizeof path, self->folder, entry_names[i], slot);
            remove_tree(path);
            /* A member that was ended while it exported leaves this. */
            if (strlen(path) + sizeof ".new" > sizeof path) continue;
            strcat(path, ".new");
            remove_tree(path);
        }
    }
    if (self->folder_is_ours) rmdir(self->folder);
}

/* ---- The run ------------------------------------------------------------------------------- */

static int draw_seed(struct demo *self, const struct command_line *line)
{
    uint32_t drawn;
    if (getrandom(&drawn, sizeof drawn, 0) != sizeof drawn) return say_errno("drawing", "a seed");
    self->seed = option_number(line, OPTION_SEED, drawn);
    prng_init(&self->prng, self->seed);
    prng_fill(&self->prng, self->cluster_id, sizeof self->cluster_id);
    return 0;
}

static int note_read(void *argument, uint64_t packages)
{
    struct demo *self = argument;
    progress_set(&self->progress, packages);
    return demo_signal != 0 ? EXIT_CODE_INTERRUPTED : 0;
}

static int read_input(struct demo *self, bool sample)
{
    int code = package_files_find(&self->files, sample);
    if (code != 0) return code;
    progress_begin(&self->progress, "reading", "packages", 0, self->quiet);
    code = demo_facts_read(&self->input, self->files.paths, self->files.count, 0, note_read, self);
    if (code != 0) return code;
    progress_set(&self->progress, self->input.packages);
    progress_end(&self->progress);
    for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++)
        self->facts += self->input.counts[slot];
    if (self->input.packages >= DEMO_MEMBERS) return 0;
    return say_failure(CAIRN_NOT_FOUND,
                       "%s holds no packages for three members; run 'apt-get "
                       "update', or use --sample",
                       self->files.paths[0]);
}

static void say_plan(const struct demo *self)
{
    char packages[TEXT_NUMBER_SIZE];
    char facts[TEXT_NUMBER_SIZE];
    if (self->quiet) return;
    say("%s packages of %u %s make %s facts at three members in %s; seed %llu",
        text_number(self->input.packages, packages), self->files.count,
        self->files.is_sample    ? "sample file"
        : self->files.count == 1 ? "file"
                                 : "files",
        text_number(self->facts, facts), self->folder, (unsigned long long)self->seed);
}

static void say_kills(const struct demo *self)
{
    for (uint32_t slot = 1; slot < DEMO_SLOTS && !self->quiet; slot++) {
        char at[TEXT_NUMBER_SIZE];
        char total[TEXT_NUMBER_SIZE];
        const struct demo_member *member = &self->members[slot];
        say("member %u: SIGKILL with %s of %s facts durable", slot,
            text_number(member->killed_at, at), text_number(self->input.counts[slot], total));
    }
}

/* Takes one member to its end: exchange, then judgement. */
static int finish_member(struct demo *self, uint32_t slot, const struct recount *recount)
{
    cairn_engine *engine;
    struct cell_list cells;
    int code = demo_exchange(self, slot, &engine);
    if (code != 0) return code;
    code = cell_list_take(&cells, engine, CELL_LIST_ALL_SPACES);
    if (code == 0) {
        progress_hide(&self->progress);
        code = recount_compare(recount, &cells, slot);
        cell_list_free(&cells);
    }
    return folder_close(engine, code);
}

static int compare_digests(const struct demo *self)
{
    const struct demo_member *first = &self->members[1];
    for (uint32_t slot = 2; slot < DEMO_SLOTS; slot++) {
        const struct demo_member *member = &self->members[slot];
        if (memcmp(member->cells_digest, first->cells_digest, CAIRN_ADDRESS_SIZE) != 0)
            return say_failure(CAIRN_SYSTEM, "the cells of members 1 and %u differ", slot);
        if (memcmp(member->facts_digest, first->facts_digest, CAIRN_ADDRESS_SIZE) != 0)
            return say_failure(CAIRN_SYSTEM, "the facts of members 1 and %u differ", slot);
    }
    return 0;
}

static int finish(struct demo *self)
{
    struct recount recount;
    int code = recount_run(&recount, &self->files);
    if (code == 0) {
        uint64_t left = (DEMO_MEMBERS - 1) * self->facts;
        for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++)
            left -= self->members[slot].result.early_facts;
        progress_begin(&self->progress, "exchange", "facts imported", left, self->quiet);
    }
    for (uint32_t slot = 1; slot < DEMO_SLOTS && code == 0; slot++) {
        code = finish_member(self, slot, &recount);
        if (code == 0 && demo_signal != 0) code = EXIT_CODE_INTERRUPTED;
    }
    if (code == 0) progress_end(&self->progress);
    recount_free(&recount);
    return code != 0 ? code : compare_digests(self);
}

static int run(struct demo *self, const struct command_line *line)
{
    int code = draw_seed(self, line);
    if (code == 0) code = recount_check();
    if (code == 0) code = read_input(self, option_is_given(line, OPTION_SAMPLE));
    if (code == 0) code = make_folder(self, option_text(line, OPTION_DEMO_DATA));
    if (code != 0) return code;
    say_plan(self);
    code = demo_live(self, false);
    if (code == 0) say_kills(self);
    if (code == 0) code = demo_live(self, true);
    if (code == 0) code = finish(self);
    return code;
}

/* ---- What was done ------------------------------------------------------------------------- */

static uint64_t rate(uint64_t count, uint64_t ns)
{
    return ns == 0 ? 0 : (uint64_t)((double)count * 1e9 / (double)ns);
}

struct totals {
    uint64_t facts; /* of the second lives */
    uint64_t admit_ns;
    uint64_t ns;
    uint64_t recovered;
    uint64_t dependencies;
    uint64_t bundles;
    uint64_t imported;
    uint64_t duplicate;
    uint64_t waited;
    uint64_t rounds;
};

static void add_up(const struct demo *self, struct totals *totals)
{
    memset(totals, 0, sizeof *totals);
    for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++) {
        const struct demo_member *member = &self->members[slot];
        totals->facts += member->result.facts;
        totals->admit_ns += member->result.admit_ns;
        if (member->result.ns > totals->ns) totals->ns = member->result.ns;
        totals->recovered += member->recovered;
        totals->dependencies += member->result.dependencies;
        totals->bundles += member->imported.bundles + member->result.early_bundles;
        totals->imported += member->imported.applied + member->result.early_facts;
        totals->duplicate += member->imported.duplicate;
        totals->waited += member->imported.waited + member->result.early_waited;
        totals->rounds += member->imported.rounds;
    }
}

static void print_members(const struct demo *self)
{
    struct table table;
    table_begin(&table,
                "member >facts >killed_at >recovered >in >admitted/s >durable/s >bundles >cells");
    for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++) {
        const struct demo_member *member = &self->members[slot];
        char text[2 * TEXT_NUMBER_SIZE];
        char number[TEXT_NUMBER_SIZE];
        table_add_number(&table, slot);
        table_add_number(&table, self->input.counts[slot]);
        snprintf(text, sizeof text, "%s (%.0f %%)", text_number(member->killed_at, number),
                 (double)member->killed_at * 100 / (double)self->input.counts[slot]);
        table_add(&table, text);
        table_add_number(&table, member->recovered);
        table_add(&table, text_duration(member->recovery_ns, number));
        table_add_number(&table, rate(member->result.facts, member->result.admit_ns));
        table_add_number(&table, rate(member->result.facts, member->result.ns));
        table_add_number(&table, member->imported.bundles);
        table_add_number(&table, member->cells);
    }
    table_end(&table, stdout);
}

static void add_row(struct table *table, const char *name, uint64_t value, const char *what)
{
    table_add(table, name);
    table_add_number(table, value);
    table_add(table, what);
}

static void print_summary(const struct demo *self)
{
    struct totals totals;
    struct table table;
    char time[TEXT_NUMBER_SIZE];
    add_up(self, &totals);
    print_members(self);
    putchar('\n');
    table_begin(&table, "what >count -");
    add_row(&table, "packages", self->input.packages,
            self->files.is_sample ? "of the sample in examples/data"
                                  : "of the Debian package index");
    add_row(&table, "facts", self->facts, "each with an idempotency key");
    add_row(&table, "recovered", totals.recovered, "from the journals after SIGKILL");
    add_row(&table, "admitted/s", rate(totals.facts, totals.admit_ns),
            "after the restart, one member");
    add_row(&table, "durable/s", rate(totals.facts, totals.ns), "after the restart, all three");
    add_row(&table, "dependencies", totals.dependencies, "on facts of other members");
    add_row(&table, "bundles", totals.bundles, "exchanged in shuffled order");
    add_row(&table, "waited", totals.waited, "of them, for others");
    add_row(&table, "duplicates", totals.duplicate, "facts that came twice and counted once");
    add_row(&table, "cells checked", DEMO_MEMBERS * self->members[1].cells,
            "equal to an independent count");
    table_end(&table, stdout);
    printf("\nAll three members have the same cells and the same facts, in %s.\n",
           text_duration(self->ns, time));
}

static void member_json(struct json *json, const struct demo *self, uint32_t slot)
{
    const struct demo_member *member = &self->members[slot];
    json_object(json, NULL);
    json_u64(json, "slot", slot);
    json_u64(json, "facts", self->input.counts[slot]);
    json_u64(json, "killed_at", member->killed_at);
    json_u64(json, "recovered", member->recovered);
    json_u64(json, "recovery_ns", member->recovery_ns);
    json_u64(json, "repeated", member->result.repeated);
    json_u64(json, "admitted_per_second", rate(member->result.facts, member->result.admit_ns));
    json_u64(json, "durable_per_second", rate(member->result.facts, member->result.ns));
    json_u64(json, "dependencies", member->result.dependencies);
    json_u64(json, "bundles_exported", member->result.bundles);
    json_u64(json, "bundles_imported", member->imported.bundles);
    json_u64(json, "bundles_waited", member->imported.waited);
    json_u64(json, "import_rounds", member->imported.rounds);
    json_u64(json, "early_bundles", member->result.early_bundles);
    json_u64(json, "early_bundles_waited", member->result.early_waited);
    json_u64(json, "early_facts", member->result.early_facts);
    json_u64(json, "facts_imported", member->imported.applied);
    json_u64(json, "facts_duplicate", member->imported.duplicate);
    json_u64(json, "import_ns", member->import_ns);
    json_u64(json, "cells", member->cells);
    json_close(json);
}

static void print_json(const struct demo *self)
{
    struct totals totals;
    struct json json;
    add_up(self, &totals);
    json_begin(&json, stdout, "cairn.demo/1");
    json_u64(&json, "seed", self->seed);
    json_bool(&json, "sample", self->files.is_sample);
    json_u64(&json, "packages", self->input.packages);
    json_u64(&json, "dependency_terms", self->input.terms);
    json_u64(&json, "facts", self->facts);
    json_u64(&json, "recovered", totals.recovered);
    json_u64(&json, "admitted_per_second", rate(totals.facts, totals.admit_ns));
    json_u64(&json, "durable_per_second", rate(totals.facts, totals.ns));
    json_u64(&json, "dependencies", totals.dependencies);
    json_u64(&json, "bundles_exchanged", totals.bundles);
    json_u64(&json, "cells_checked", DEMO_MEMBERS * self->members[1].cells);
    json_hex(&json, "cells_digest", self->members[1].cells_digest, CAIRN_ADDRESS_SIZE);
    json_hex(&json, "facts_digest", self->members[1].facts_digest, CAIRN_ADDRESS_SIZE);
    json_u64(&json, "ns", self->ns);
    json_array(&json, "members");
    for (uint32_t slot = 1; slot < DEMO_SLOTS; slot++)
        member_json(&json, self, slot);
    json_close(&json);
    json_end(&json);
}

int command_demo(struct command_line *line)
{
    static struct demo self; /* large, and there is one */
    self.quiet = option_is_given(line, OPTION_QUIET);
    self.started_ns = monotonic_ns();
    watch_signals();
    int code = run(&self, line);
    self.ns = monotonic_ns() - self.started_ns;
    demo_kill_all(&self);
    if (demo_signal != 0) {
        progress_hide(&self.progress);
        say("interrupted");
        code = EXIT_CODE_INTERRUPTED;
    }
    if (code == 0 && option_is_given(line, OPTION_JSON))
        print_json(&self);
    else if (code == 0)
        print_summary(&self);
    bool keep = option_is_given(line, OPTION_KEEP);
    if (*self.folder != 0 && !keep) remove_folder(&self);
    if (*self.folder != 0 && keep && !self.quiet)
        say("the members' folders stay in %s", self.folder);
    demo_facts_free(&self.input);
    package_files_free(&self.files);
    return code;
}
