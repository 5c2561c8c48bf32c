/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `cairn demo` and its members say to each other, over a socket pair (descriptor 3 at the
 * member), one message at a time:
 *
 *   member                            demo
 *   OPENED   recovered, key     -->
 *                               <--   GO        (second life: the others' early bundles are there)
 *   DURABLE  facts              -->             whenever more own facts are durable
 *                               <--   SEEN      facts: the report arrived
 *   DONE     facts and times    -->
 *
 * In its first life a member stays at most two windows ahead of what was seen, as a client with a
 * bounded queue would; so it can be killed near a chosen position while it is at work.
 *
 * A demonstration's folder:
 *
 *   member-1/ ...     data folders
 *   early-1 ...       bundles of the facts that survived the kill, exported at the restart
 *   bundles-1 ...     bundles of all facts of a member
 */
#ifndef CAIRN_CLI_DEMO_H
#define CAIRN_CLI_DEMO_H

#include <stddef.h>
#include <stdint.h>

#include "cairn.h"
#include "cli/demo_facts.h"

#define DEMO_CHANNEL 3
/* Facts before the recovered position that a restarted member sends again. */
#define DEMO_OVERLAP 1000u

enum demo_message_kind {
    DEMO_OPENED = 1,
    DEMO_GO = 2,
    DEMO_DURABLE = 3,
    DEMO_SEEN = 4,
    DEMO_DONE = 5,
};

struct demo_message {
    uint32_t kind;
    uint32_t slot;
    uint64_t facts;    /* OPENED: recovered; DURABLE, SEEN: how many; DONE: admitted in this life */
    uint64_t ns;       /* OPENED: of recovery; DONE: from the first admission to the last sync */
    uint64_t admit_ns; /* DONE: inside cairn_admit() */
    uint64_t repeated; /* DONE: facts sent again that got their first ticket */
    uint64_t dependencies;  /* DONE: facts that name a fact of another member */
    uint64_t bundles;       /* DONE: exported */
    uint64_t early_bundles; /* DONE: taken at the restart; of them waited, and their facts */
    uint64_t early_waited;
    uint64_t early_facts;
    uint8_t public_key[CAIRN_PUBLIC_KEY_SIZE];
};

/* Path of a member's folder or file in the demonstration's folder: "member", "early", "bundles". */
void demo_path(char *path, size_t size, const char *folder, const char *name, uint32_t slot);

/* Limits that suffice for so many facts, all together. */
void demo_limits(uint64_t facts, struct cairn_limits *limits);

#endif
