/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: everything that the parser and the help know of them. */
#include "cli/commands.h"

#include <stddef.h>

#define ANY COMMAND_ARGUMENTS_ANY

/* Of every command that opens an engine. */
#define LIMITS                                                                                     \
    (OPTION_BIT(CELLS) | OPTION_BIT(CELL_BYTES) | OPTION_BIT(IDEMPOTENCY_KEYS) |                   \
     OPTION_BIT(STAGING_BYTES) | OPTION_BIT(PENDING_BYTES) | OPTION_BIT(PENDING_BUNDLES) |         \
     OPTION_BIT(CERTIFICATES) | OPTION_BIT(SPACES) | OPTION_BIT(MEMBERS))
/* Fixed when the folder is made. */
#define GEOMETRY (OPTION_BIT(JOURNAL_BYTES) | OPTION_BIT(SEGMENT_BYTES))
#define HELP OPTION_BIT(HELP)
#define JSON OPTION_BIT(JSON)
#define OPENS (OPTION_BIT(DATA) | LIMITS | HELP)

const struct command command_table[] = {
    {
        .name = "init",
        .arguments = "",
        .options =
            OPENS | GEOMETRY | JSON | OPTION_BIT(CLUSTER) | OPTION_BIT(SLOT) | OPTION_BIT(REALM),
        .required = OPTION_BIT(DATA),
        .summary = "make a data folder",
        .text = "Makes the folder of one member: its key, its journal. Prints the id of the\n"
                "cluster, the slot and the public key. Members of one cluster have the same\n"
                "cluster id and realm, and different slots; each is told the others' keys with\n"
                "'cairn member add'.\n",
        .examples = "cairn init --data one --slot 1\n"
                    "cairn init --data two --slot 2 --cluster 0123456789abcdef0123456789abcdef\n",
        .run = command_init,
    },
    {
        .name = "member add",
        .arguments = "",
        .options = OPENS | OPTION_BIT(SLOT) | OPTION_BIT(PUBLIC_KEY),
        .required = OPTION_BIT(DATA) | OPTION_BIT(SLOT) | OPTION_BIT(PUBLIC_KEY),
        .summary = "make another member's public key known",
        .text = "Facts of a member are taken only when its key is known. The key of a slot never\n"
                "changes; adding the same again does nothing.\n",
        .examples = "cairn member add --data one --slot 2 --key $(cat two.key)\n",
        .run = command_member_add,
    },
    {
        .name = "space declare",
        .arguments = "NAME",
        .arguments_min = 1,
        .arguments_max = 1,
        .options = OPENS | OPTION_BIT(TYPE),
        .required = OPTION_BIT(DATA) | OPTION_BIT(TYPE),
        .summary = "declare a space of cells",
        .text = "A space is a named collection of cells of one type. Its id follows from realm,\n"
                "name and type, so the same declaration has the same id at every member. A name\n"
                "has 1 to 64 characters of a-z 0-9 . _ -\n",
        .examples = "cairn space declare --data one visits --type gcounter\n"
                    "cairn space declare --data one stock --type pncounter\n",
        .run = command_space_declare,
    },
    {
        .name = "space list",
        .arguments = "",
        .options = OPENS | JSON,
        .required = OPTION_BIT(DATA),
        .summary = "list the declared spaces",
        .text = "",
        .examples = "cairn space list --data one\n"
                    "cairn space list --data one --json\n",
        .run = command_space_list,
    },
    {
        .name = "fact add",
        .arguments = "",
        .options = OPENS | JSON | OPTION_BIT(SPACE) | OPTION_BIT(KEY) | OPTION_BIT(AMOUNT) |
                   OPTION_BIT(IDEMPOTENCY_KEY) | OPTION_BIT(AFTER) | OPTION_BIT(TIMEOUT),
        .required = OPTION_BIT(DATA) | OPTION_BIT(SPACE) | OPTION_BIT(KEY) | OPTION_BIT(AMOUNT),
        .summary = "admit one fact, and wait until it is durable",
        .text = "Adds an amount to a cell. Prints the fact's dot (SLOT.INCARNATION.SEQUENCE) and\n"
                "journal position once it is durable. With --idempotency-key the same request\n"
                "again, after a restart too, counts once and gets the first dot. With --after the\n"
                "fact is applied everywhere behind the facts that it names, which must have been\n"
                "seen here.\n",
        .examples =
            "cairn fact add --data one --space visits --key /home --amount 1\n"
            "cairn fact add --data one --space stock --key bolts --amount -12 --after 2.1.7\n"
            "cairn fact add --data one --space stock --key bolts --amount 50 \\\n"
            "    --idempotency-key 00112233445566778899aabbccddeeff\n",
        .run = command_fact_add,
    },
    {
        .name = "fact read",
        .arguments = "",
        .options = OPENS | JSON | OPTION_BIT(SPACE) | OPTION_BIT(KEY),
        .required = OPTION_BIT(DATA) | OPTION_BIT(SPACE),
        .summary = "print the cells of a space, sorted by key",
        .text =
            "With --key only that cell; one that no fact touched reads as 0. In JSON a value\n"
            "is a string, since sums have 128 bits, and a key that is not UTF-8 has \"key_hex\"\n"
            "beside it.\n",
        .examples = "cairn fact read --data one --space visits\n"
                    "cairn fact read --data one --space visits --key /home\n"
                    "cairn fact read --data one --space visits --json\n",
        .run = command_fact_read,
    },
    {
        .name = "fact load",
        .arguments = "FILE",
        .arguments_min = 1,
        .arguments_max = 1,
        .options = OPENS | OPTION_BIT(ACKNOWLEDGE) | OPTION_BIT(QUIET),
        .required = OPTION_BIT(DATA),
        .summary = "admit a fact for each line of a file",
        .text = "A line is SPACE, KEY and AMOUNT with tabs between them, and may have an\n"
                "idempotency key (32 hexadecimal digits) as a fourth field. FILE may be '-',\n"
                "standard input. Stops at the first refusal; what came before it is durable when\n"
                "the command ends.\n",
        .examples = "cairn fact load --data one visits.tsv\n"
                    "printf 'visits\\t/home\\t1\\n' | cairn fact load --data one -\n"
                    "generate | cairn fact load --data one --acknowledge - > durable-lines\n",
        .run = command_fact_load,
    },
    {
        .name = "fact export",
        .arguments = "FILE",
        .arguments_min = 1,
        .arguments_max = 1,
        .options = OPENS | OPTION_BIT(QUIET),
        .required = OPTION_BIT(DATA),
        .summary = "write all certified facts to a file",
        .text = "Writes bundles: certificates with their facts, each behind its size as a little-\n"
                "endian 32-bit number. FILE may be '-', standard output. A file that is there is\n"
                "replaced.\n",
        .examples = "cairn fact export --data one one.bundles\n"
                    "cairn fact export --data one - | ssh two cairn fact import --data two -\n",
        .run = command_fact_export,
    },
    {
        .name = "fact import",
        .arguments = "FILE...",
        .arguments_min = 1,
        .arguments_max = ANY,
        .options = OPENS | OPTION_BIT(QUIET),
        .required = OPTION_BIT(DATA),
        .summary = "take the facts of other members from files",
        .text = "Every byte is checked: canonical form, hashes, signature. Files and bundles may\n"
                "come in any order, and twice: a fact waits for those it depends on, and counts\n"
                "once. Facts that still wait at the end are not kept, and the exit code is 5.\n",
        .examples = "cairn fact import --data two one.bundles\n"
                    "cairn fact import --data two one.bundles three.bundles\n",
        .run = command_fact_import,
    },
    {
        .name = "digest",
        .arguments = "",
        .options = OPENS | JSON,
        .required = OPTION_BIT(DATA),
        .summary = "print the digests of cells and facts",
        .text = "Members that applied the same facts, in whatever order, have the same digests.\n",
        .examples = "cairn digest --data one\n"
                    "test \"$(cairn digest --data one)\" = \"$(cairn digest --data two)\"\n",
        .run = command_digest,
    },
    {
        .name = "address",
        .arguments = "FILE...",
        .arguments_min = 0,
        .arguments_max = ANY,
        .options = HELP,
        .summary = "print the address of files: what b3sum prints",
        .text = "The address of bytes is their BLAKE3 hash. Without FILE, or with '-', reads\n"
                "standard input.\n",
        .examples = "cairn address README.md\n"
                    "tar c src | cairn address\n",
        .run = command_address,
    },
    {
        .name = "inspect",
        .arguments = "DIR",
        .arguments_min = 1,
        .arguments_max = 1,
        .options = JSON | OPTION_BIT(RECORDS) | HELP,
        .summary = "say what is in a data folder, without opening it",
        .text = "Reads only, needs no lock, and works on a damaged folder: member, segments,\n"
                "batches, records by kind, damaged ranges, torn bytes, checkpoints. Exit code 8\n"
                "when something that was acknowledged is damaged. The secret key is never shown.\n",
        .examples = "cairn inspect one\n"
                    "cairn inspect one --json\n"
                    "cairn inspect one --records | grep certificate\n",
        .run = command_inspect,
    },
    {
        .name = "limits",
        .arguments = "",
        .options = JSON | LIMITS | GEOMETRY | HELP,
        .summary = "print what an engine with these limits will use",
        .text = "An engine takes all its memory when it opens, from its limits.\n",
        .examples = "cairn limits\n"
                    "cairn limits --cells 10000000 --pending-bytes 64MiB\n",
        .run = command_limits,
    },
    {
        .name = "bench",
        .arguments = "",
        .options = HELP | OPTION_BIT(BENCH_JSON) | OPTION_BIT(BENCH_DATA) | OPTION_BIT(RUNS) |
                   OPTION_BIT(FACTS) | OPTION_BIT(ONLY) | OPTION_BIT(QUICK) | OPTION_BIT(QUIET),
        .summary = "measure this build on this machine",
        .text = "Measures admission, hashing, the journal and recovery, beside yardsticks that\n"
                "are measured in the same run: one BLAKE3 compression, or plain writes with\n"
                "fdatasync. All cells are counted again behind every measurement; exit code 1\n"
                "when anything is refused or does not add up, not when a target is missed. The\n"
                "full run takes two minutes and 2 GB of disk for a while.\n",
        .examples = "cairn bench\n"
                    "cairn bench --json > figures.jsonl\n"
                    "cairn bench --quick --only admit\n",
        .run = command_bench,
    },
    {
        .name = "demo",
        .alias = "demo embedded",
        .arguments = "",
        .options = JSON | HELP | OPTION_BIT(QUIET) | OPTION_BIT(DEMO_DATA) | OPTION_BIT(KEEP) |
                   OPTION_BIT(SEED) | OPTION_BIT(SAMPLE),
        .summary = "kill three members on real data, and count again",
        .text = "Three members take in the Debian package index of this machine (or a sample of\n"
                "it) as facts: packages per section, installed size per maintainer, packages that\n"
                "depend on each name. Each is killed with SIGKILL at a random durable position,\n"
                "restarted, and goes on from its journal. Then they exchange their facts in\n"
                "shuffled order. It ends well when all three have the same digests, and every\n"
                "cell equals the count of an independent program.\n",
        .examples = "cairn demo\n"
                    "cairn demo --seed 7 --json\n"
                    "cairn demo --data demo.data --keep && cairn inspect demo.data/member-1\n",
        .run = command_demo,
    },
    {
        .name = "demo-member",
        .arguments = "FILE...",
        .arguments_min = 1,
        .arguments_max = ANY,
        .options = HELP | OPTION_BIT(DEMO_DATA) | OPTION_BIT(CLUSTER) | OPTION_BIT(SLOT) |
                   OPTION_BIT(PEER) | OPTION_BIT(WINDOW) | OPTION_BIT(SEED),
        .required =
            OPTION_BIT(DEMO_DATA) | OPTION_BIT(CLUSTER) | OPTION_BIT(SLOT) | OPTION_BIT(WINDOW),
        .flags = COMMAND_HIDDEN,
        .summary = "one member of 'cairn demo', which talks to it through descriptor 3",
        .text = "",
        .examples = "cairn demo\n",
        .run = command_demo_member,
    },
    {
        .name = "help",
        .arguments = "[COMMAND]",
        .arguments_max = 2,
        .options = HELP,
        .summary = "explain a command, or the exit codes",
        .text = "",
        .examples = "cairn help fact add\n"
                    "cairn help exit-codes\n",
        .run = command_help,
    },
    {.name = NULL},
};
