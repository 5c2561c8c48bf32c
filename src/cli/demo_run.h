/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of the demonstration, in four steps, each a file: reading what there is to do and telling
 * what was done (demo.c), the members' two lives (demo_lives.c), the exchange of their facts
 * (demo_exchange.c), the judgement by an independent count (demo_judge.c).
 */
#ifndef CAIRN_CLI_DEMO_RUN_H
#define CAIRN_CLI_DEMO_RUN_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/prng.h"
#include "cli/bundles.h"
#include "cli/cell_list.h"
#include "cli/demo.h"
#include "cli/progress.h"

struct demo_member {
    /* The process of the current life. */
    pid_t pid; /* 0: none */
    int channel;
    uint64_t window;
    uint64_t durable; /* own facts, as reported last */
    bool opened;
    bool ready;
    bool killed;
    bool done;
    /* What happened. */
    uint64_t kill_target;
    uint64_t killed_at; /* last position that it reported durable in its first life */
    uint64_t recovered;
    uint64_t recovery_ns;
    uint8_t public_key[CAIRN_PUBLIC_KEY_SIZE];
    struct demo_message result; /* DONE of the second life */
    struct bundle_totals imported;
    uint64_t import_ns;
    uint8_t cells_digest[CAIRN_ADDRESS_SIZE];
    uint8_t facts_digest[CAIRN_ADDRESS_SIZE];
    uint64_t cells;
};

struct demo {
    char folder[PATH_MAX];
    bool folder_is_ours; /* made here, so removed here */
    bool quiet;
    uint64_t seed;
    struct prng prng;
    uint8_t cluster_id[CAIRN_CLUSTER_ID_SIZE];
    struct package_files files;
    struct demo_facts input;                /* only counts */
    uint64_t facts;                         /* of all members */
    struct demo_member members[DEMO_SLOTS]; /* by slot; 0 is not used */
    struct progress progress;
    uint64_t started_ns;
    uint64_t ns;
};

/* The signal that asks for the end, or 0. */
extern volatile sig_atomic_t demo_signal;

/*
 * Each of these returns an exit code. A life is over when all members have ended: the first by
 * SIGKILL, the second with all facts durable and exported.
 */
int demo_live(struct demo *self, bool restarted);
/* Ends all members that still run. */
void demo_kill_all(struct demo *self);
/* Imports at the slot what the others exported, and leaves the engine open. */
int demo_exchange(struct demo *self, uint32_t slot, cairn_engine **engine);

/* The output of examples/recount.py. */
struct recount_line {
    const char *space;
    const char *key;
    const char *value;
};

struct recount {
    char *text;
    size_t size;
    size_t text_capacity;
    struct recount_line *lines;
    size_t count;
    size_t capacity;
};

/* Is the program there? Better asked before the work than behind it. */
int recount_check(void);
int recount_run(struct recount *self, const struct package_files *files);
void recount_free(struct recount *self);
/* Compares cell by cell; says the first differences. */
int recount_compare(const struct recount *self, const struct cell_list *cells, uint32_t slot);

#endif
