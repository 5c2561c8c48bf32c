/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. One table of options (below) and one of commands (commands.c) drive the parser,
 * the help, the suggestions for what was mistyped, and whatever else describes the command.
 *
 * A command is one or two words; its options may stand anywhere behind them, as "--name value" or
 * "--name=value"; after "--" everything is an argument.
 */
#ifndef CAIRN_CLI_OPTIONS_H
#define CAIRN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn.h"

enum value_kind {
    VALUE_FLAG,   /* no value */
    VALUE_STRING, /* any text of minimum .. maximum bytes */
    VALUE_NUMBER, /* minimum .. maximum */
    VALUE_AMOUNT, /* a 64-bit integer of either sign */
    VALUE_SIZE,   /* bytes, with KiB, MiB or GiB behind the number; minimum .. maximum */
    VALUE_HEX,    /* exactly `minimum` bytes as hexadecimal digits */
    VALUE_DOT,    /* SLOT.INCARNATION.SEQUENCE; may be given `maximum` times */
    VALUE_TYPE,   /* a type of facts spaces */
    VALUE_PEER,   /* SLOT:HEX64; may be given `maximum` times */
};

/*
 * Options: identifier, long name, letter or 0, kind, name of the value, minimum, maximum, help.
 * The same long name may stand for two options, as long as no command takes both.
 */
#define OPTION_MAP(X)                                                                              \
    X(DATA, "data", 'd', STRING, "DIR", 1, 4095, "the data folder")                                \
    X(JSON, "json", 0, FLAG, "", 0, 0, "print one JSON object instead of a table")                 \
    X(QUIET, "quiet", 'q', FLAG, "", 0, 0, "no progress, only results and errors")                 \
    X(HELP, "help", 'h', FLAG, "", 0, 0, "explain this command")                                   \
    X(CLUSTER, "cluster", 0, HEX, "HEX32", CAIRN_CLUSTER_ID_SIZE, 0,                               \
      "id of the cluster; without it a new random one is made")                                    \
    X(SLOT, "slot", 0, NUMBER, "N", 0, UINT32_MAX - 1, "the member's slot in its cluster")         \
    X(REALM, "realm", 0, NUMBER, "N", 0, UINT32_MAX, "number of the realm (default 0)")            \
    X(PUBLIC_KEY, "key", 0, HEX, "HEX64", CAIRN_PUBLIC_KEY_SIZE, 0,                                \
      "the member's public key, as its cairn init printed it")                                     \
    X(TYPE, "type", 't', TYPE, "TYPE", 0, 0, "gcounter (only grows) or pncounter (both signs)")    \
    X(SPACE, "space", 's', STRING, "NAME", 1, CAIRN_SPACE_NAME_SIZE_MAX, "name of the space")      \
    X(KEY, "key", 'k', STRING, "KEY", 1, CAIRN_KEY_SIZE_MAX, "key of the cell: any bytes")         \
    X(AMOUNT, "amount", 'a', AMOUNT, "N", 0, 0, "what to add to the cell")                         \
    X(IDEMPOTENCY_KEY, "idempotency-key", 'i', HEX, "HEX32", CAIRN_IDEMPOTENCY_KEY_SIZE, 0,        \
      "name of this request: the same one again counts once")                                      \
    X(AFTER, "after", 0, DOT, "DOT", 0, CAIRN_DEPENDENCIES_MAX,                                    \
      "SLOT.INCARNATION.SEQUENCE of a fact seen here that this one comes after; repeatable")       \
    X(TIMEOUT, "timeout", 0, NUMBER, "MS", 1, 86400000,                                            \
      "milliseconds to wait until it is durable (default 10000)")                                  \
    X(ACKNOWLEDGE, "acknowledge", 0, FLAG, "", 0, 0,                                               \
      "print the number of each line once its fact is durable")                                    \
    X(RECORDS, "records", 0, FLAG, "", 0, 0, "list every record of the journal")                   \
    X(CELLS, "cells", 0, NUMBER, "N", 1, UINT64_C(1) << 40,                                        \
      "cells of all spaces (default 1,048,576)")                                                   \
    X(CELL_BYTES, "cell-bytes", 0, SIZE, "SIZE", 1, UINT64_C(1) << 46,                             \
      "cells and keys (default 128 bytes for each cell)")                                          \
    X(IDEMPOTENCY_KEYS, "idempotency-keys", 0, NUMBER, "N", 1, UINT64_C(1) << 32,                  \
      "remembered requests (default 65,536)")                                                      \
    X(STAGING_BYTES, "staging-bytes", 0, SIZE, "SIZE", 1, UINT64_C(1) << 40,                       \
      "ring between admission and journal, a power of two (default 1 MiB)")                        \
    X(PENDING_BYTES, "pending-bytes", 0, SIZE, "SIZE", 1, UINT64_C(1) << 40,                       \
      "bundles that wait for others (default 16 MiB)")                                             \
    X(PENDING_BUNDLES, "pending-bundles", 0, NUMBER, "N", 1, UINT32_MAX,                           \
      "how many may wait (default 4,096)")                                                         \
    X(CERTIFICATES, "certificates", 0, NUMBER, "N", 1, UINT64_C(1) << 32,                          \
      "certificates that can be exported (default 262,144)")                                       \
    X(JOURNAL_BYTES, "journal-bytes", 0, SIZE, "SIZE", 1, UINT64_C(1) << 50,                       \
      "the journal on disk, fixed by init (default 1 GiB)")                                        \
    X(SEGMENT_BYTES, "segment-bytes", 0, SIZE, "SIZE", 1, UINT64_C(1) << 40,                       \
      "one file of the journal, a power of two, fixed by init (default 16 MiB)")                   \
    X(SPACES, "spaces", 0, NUMBER, "N", 1, UINT32_MAX, "facts spaces (default 256)")               \
    X(MEMBERS, "members", 0, NUMBER, "N", 1, CAIRN_MEMBERS_MAX,                                    \
      "members of the realm (default 64)")                                                         \
    X(DEMO_DATA, "data", 'd', STRING, "DIR", 1, 4095,                                              \
      "make the members' folders here instead of in a temporary folder")                           \
    X(KEEP, "keep", 0, FLAG, "", 0, 0, "leave the members' folders there at the end")              \
    X(SEED, "seed", 0, NUMBER, "N", 0, UINT64_MAX,                                                 \
      "of all chance in the run: the same seed, the same choices")                                 \
    X(SAMPLE, "sample", 0, FLAG, "", 0, 0, "use the sample, even where there is a package index")  \
    X(PEER, "peer", 0, PEER, "SLOT:HEX64", 0, CAIRN_MEMBERS_MAX,                                   \
      "another member and its public key")                                                         \
    X(WINDOW, "window", 0, NUMBER, "N", 1, UINT32_MAX, "facts ahead of what was reported")         \
    X(BENCH_JSON, "json", 0, FLAG, "", 0, 0, "print a line of JSON for each figure, as they come") \
    X(BENCH_DATA, "data", 'd', STRING, "DIR", 1, 4000,                                             \
      "make a temporary folder in DIR (default /var/tmp); it is removed at the end")               \
    X(RUNS, "runs", 0, NUMBER, "N", 1, 64, "runs of each measurement (default 5)")                 \
    X(FACTS, "facts", 0, NUMBER, "N", 10000, UINT64_C(1000000000),                                 \
      "facts of the largest measurements (default 10,000,000)")                                    \
    X(ONLY, "only", 0, STRING, "NAME", 1, 63,                                                      \
      "only figures whose names begin so, with their group")                                       \
    X(QUICK, "quick", 0, FLAG, "", 0, 0, "small counts: does it run at all?")

enum option_id {
#define OPTION_ENUM(id, name, letter, kind, value, minimum, maximum, help) OPTION_##id,
    OPTION_MAP(OPTION_ENUM)
#undef OPTION_ENUM
        OPTIONS
};

struct option_row {
    const char *name;
    char letter; /* 0: none */
    enum value_kind kind;
    const char *value; /* its name in help; "" for a flag */
    uint64_t minimum;
    uint64_t maximum;
    const char *help;
};

extern const struct option_row option_table[OPTIONS];

/* Sets of options are masks. */
#define OPTION_BIT(id) (UINT64_C(1) << OPTION_##id)
_Static_assert(OPTIONS <= 64, "a set of options is a mask of 64 bits");

struct command_line;

#define COMMAND_ARGUMENTS_ANY UINT32_MAX
#define COMMAND_HIDDEN 1u /* not in help: a part of another command */

struct command {
    const char *name;  /* one or two words */
    const char *alias; /* another name, or NULL */
    const char *arguments;
    uint32_t arguments_min;
    uint32_t arguments_max;
    uint64_t options;
    uint64_t required; /* of them */
    uint32_t flags;    /* COMMAND_* */
    const char *summary;
    const char *text;     /* paragraphs with line ends, or "" */
    const char *examples; /* lines */
    int (*run)(struct command_line *line);
};

/* The table of commands; the last row has no name. */
extern const struct command command_table[];

#define OPTION_USES_MAX 96u

/* One option on the command line. */
struct option_use {
    enum option_id option;
    const char *text;  /* NULL for a flag */
    uint64_t number;   /* value of NUMBER, SIZE, TYPE; slot of PEER; AMOUNT in two's complement */
    uint8_t bytes[32]; /* of HEX and PEER */
    struct cairn_dot dot;
};

struct command_line {
    const struct command *command; /* NULL: none was named */
    uint32_t use_count;
    uint32_t argument_count;
    const char **arguments; /* in argv, behind the options */
    struct option_use uses[OPTION_USES_MAX];
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX]; /* what is wrong, after a failed parse */
};

/*
 * Parses argv[1] and following against the tables; moves arguments to the front of argv. False: the
 * line cannot be used, and `message` says why, and what to do. With --help on the line only the
 * command is looked up. A first word that begins with '-' leaves `command` NULL, with its uses.
 */
bool command_line_parse(struct command_line *line, int argc, char **argv);

bool option_is_given(const struct command_line *line, enum option_id option);
/* The last use; NULL: none. */
const struct option_use *option_find(const struct command_line *line, enum option_id option);
const char *option_text(const struct command_line *line, enum option_id option);
uint64_t option_number(const struct command_line *line, enum option_id option, uint64_t otherwise);

/* The row of a name or alias, of the `words` (1 or 2) at `argv`; NULL: none. */
const struct command *command_find(const char *name);
/* The command's name that is most like the text, or NULL when none is. */
const char *command_suggest(const char *text);
/* Is there a command that begins with this word and has a second one? */
bool command_is_group(const char *word);
/* Edits between two texts: insert, remove, replace, swap neighbours. */
size_t text_distance(const char *left, const char *right);

#endif
