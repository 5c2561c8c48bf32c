/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts of the demonstration. Package number p of all files goes to member p mod 3 + 1, which
 * makes of it, in this order: one fact for its section, one for its installed size, one for each
 * name that it depends on. So fact number n of a member is the same in every run over the same
 * files, and a member that knows how many it has durable knows where to go on.
 */
#ifndef CAIRN_CLI_DEMO_FACTS_H
#define CAIRN_CLI_DEMO_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "cairn.h"
#include "cli/demo_input.h"

#define DEMO_MEMBERS 3u
#define DEMO_SLOTS (DEMO_MEMBERS + 1u) /* slots are 1 to 3 */

/* Spaces of the demonstration: name, type. Facts of each have the index as their kind. */
#define DEMO_SPACE_MAP(X)                                                                          \
    X(SECTION, "packages-per-section", CAIRN_GCOUNTER)                                             \
    X(SIZE, "installed-size", CAIRN_PNCOUNTER)                                                     \
    X(DEPENDENT, "dependents", CAIRN_PNCOUNTER)

enum demo_kind {
#define DEMO_KIND_ENUM(name, text, type) DEMO_##name,
    DEMO_SPACE_MAP(DEMO_KIND_ENUM)
#undef DEMO_KIND_ENUM
        DEMO_KINDS
};

struct demo_fact {
    int64_t amount;
    size_t key_offset;
    uint16_t key_size;
    uint8_t kind;
    uint8_t other_slot; /* the member of the package before, 0: none */
    /* How many facts that member had made of its packages up to that one. */
    uint64_t other_count;
    uint8_t idempotency_key[CAIRN_IDEMPOTENCY_KEY_SIZE];
};

struct demo_facts {
    uint64_t packages;
    uint64_t terms;
    uint64_t counts[DEMO_SLOTS]; /* facts of each member */
    /* The facts of one member. */
    struct demo_fact *facts;
    size_t count;
    size_t capacity;
    uint8_t *keys;
    size_t keys_size;
    size_t keys_capacity;
};

/*
 * Reads the files; keeps the facts of the slot, only counts with slot 0. `read`, if set, is called
 * now and then with the number of packages so far; it returns an exit code that ends the reading.
 */
int demo_facts_read(struct demo_facts *self, char *const *paths, uint32_t path_count, uint32_t slot,
                    int (*read)(void *argument, uint64_t packages), void *argument);
void demo_facts_free(struct demo_facts *self);

#endif
