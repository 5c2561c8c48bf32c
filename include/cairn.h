/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cairn: the public interface of the library.
 *
 * An engine is one member's replica of a realm: it admits facts at once, makes them durable behind
 * the caller's back, and exchanges whole certificates with other members. See docs/formats.md for
 * the bytes, ARCHITECTURE.md for the house.
 *
 * Threads. An engine has one owner: the thread that calls it. Calls on one engine must not overlap,
 * with one exception, cairn_durable(), which any thread may call at any time. Different engines are
 * independent.
 *
 * Results. Every function that can fail returns an enum cairn_result: 0 or a negative code. The
 * text of the last failure (field, limit, remedy) is read with cairn_error_message(). A refusal
 * changes nothing.
 *
 * Memory. The engine allocates what it will ever use in cairn_open(); cairn_plan() says how much.
 * No pointer that a caller passes in is kept after the call returns.
 */
#ifndef CAIRN_H
#define CAIRN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CAIRN_PUBLIC __attribute__((visibility("default")))
#define CAIRN_CHECKED __attribute__((warn_unused_result))
#else
#define CAIRN_PUBLIC
#define CAIRN_CHECKED
#endif

#define CAIRN_VERSION "0.1.0"

/* Limits of the formats. A configuration may be smaller, never larger. */
#define CAIRN_ADDRESS_SIZE 32u
#define CAIRN_CLUSTER_ID_SIZE 16u
#define CAIRN_SPACE_ID_SIZE 16u
#define CAIRN_PUBLIC_KEY_SIZE 32u
#define CAIRN_IDEMPOTENCY_KEY_SIZE 16u
#define CAIRN_DEPENDENCIES_MAX 8u
#define CAIRN_EFFECTS_MAX 8u
#define CAIRN_KEY_SIZE_MAX 1024u
#define CAIRN_FACT_SIZE_MAX 4096u
#define CAIRN_SPACE_NAME_SIZE_MAX 64u
#define CAIRN_MEMBERS_MAX 64u
/* A bundle is one certificate with all its facts. */
#define CAIRN_BUNDLE_SIZE_MAX (1024u * 1024u + 8u * 1024u)
#define CAIRN_ERROR_MESSAGE_SIZE_MAX 512u

/*
 * Results: constant, number, name, exit code of the command, what it means, what to do.
 * This list is the only place where results are defined.
 */
#define CAIRN_RESULT_MAP(X)                                                                        \
    X(OK, 0, "ok", 0, "done", "")                                                                  \
    X(INVALID_ARGUMENT, -1, "invalid_argument", 2, "an argument is not usable",                    \
      "correct the argument named above")                                                          \
    X(TOO_LARGE, -2, "too_large", 2, "a size is beyond its limit",                                 \
      "send less, or raise the limit in the configuration if it allows")                           \
    X(UNKNOWN_SPACE, -3, "unknown_space", 4, "the space is not declared at this member",           \
      "declare the space first; the declaration must be the same at all members")                  \
    X(WRONG_TYPE, -4, "wrong_type", 5, "the operation does not fit the type of the space",         \
      "use an operation that this type has (docs/formats.md, types)")                              \
    X(NEGATIVE, -5, "negative", 5, "a grow-only counter cannot take a negative amount",            \
      "use a pncounter for amounts of both signs")                                                 \
    X(UNSEEN_DEPENDENCY, -6, "unseen_dependency", 5, "a dependency was not seen at this member",   \
      "import the facts that it names first, or drop the dependency")                              \
    X(IDEMPOTENCY_MISMATCH, -7, "idempotency_mismatch", 5,                                         \
      "the idempotency key was used for different effects", "use a new key for a new request")     \
    X(BUSY, -8, "busy", 6, "a bounded queue is full", "wait for durable facts, then try again")    \
    X(FULL, -9, "full", 6, "a table is full",                                                      \
      "open the engine with a larger limit (cairn limits shows them)")                             \
    X(STORAGE_FULL, -10, "storage_full", 6, "the disk or the journal ring has no room",            \
      "free disk space or take a checkpoint; admission goes on by itself when there is room")      \
    X(STORAGE_FAILED, -11, "storage_failed", 6, "a write or a sync failed",                        \
      "close and open the engine again; only what was durable is kept")                            \
    X(LOCKED, -12, "locked", 6, "another process has this data folder open",                       \
      "stop the other process, or use another folder")                                             \
    X(FOREIGN, -13, "foreign", 5, "the data belongs to another cluster, member or program",        \
      "use the folder with the cluster and member that it was made for")                           \
    X(CORRUPT, -14, "corrupt", 8, "stored bytes are damaged", "see cairn inspect for the range")   \
    X(NOT_CANONICAL, -15, "not_canonical", 8, "the bytes are not what an encoder would produce",   \
      "send canonical bytes (docs/formats.md)")                                                    \
    X(BAD_SIGNATURE, -16, "bad_signature", 8, "the certificate is not signed by its origin",       \
      "check the member's public key, and where the bytes came from")                              \
    X(BAD_CERTIFICATE, -17, "bad_certificate", 8, "the certificate does not cover these facts",    \
      "fetch the bundle again from a member that has it")                                          \
    X(UNKNOWN_MEMBER, -18, "unknown_member", 4, "the origin is no known member",                   \
      "add the member's public key first")                                                         \
    X(EQUIVOCATION, -19, "equivocation", 8, "two different certificates for the same dots",        \
      "keep both as evidence; one of them is proof of a lie")                                      \
    X(NOT_FOUND, -20, "not_found", 4, "there is no such thing", "check the name")                  \
    X(TIMEOUT, -21, "timeout", 7, "the deadline passed; the outcome is not known",                 \
      "ask again, with the same idempotency key")                                                  \
    X(UNSUPPORTED, -22, "unsupported", 2, "this engine was not opened for that",                   \
      "open the engine with a journal")                                                            \
    X(NO_MEMORY, -23, "no_memory", 6, "the system refused memory at open", "lower the limits")     \
    X(SYSTEM, -24, "system", 1, "a system call failed", "see the text for which one")              \
    X(RECLAIMED, -25, "reclaimed", 4, "these facts are older than what the journal keeps",         \
      "export from the position that the engine still has")                                        \
    X(END, -26, "end", 0, "there is nothing more", "")                                             \
    X(CONFLICT, -27, "conflict", 5, "the name is declared with another type",                      \
      "use another name, or the type that it has")                                                 \
    X(CLOCK, -28, "clock", 6, "the wall clock is behind the clock of facts that are here",         \
      "set the clock right, or wait until it has caught up")

enum cairn_result {
#define CAIRN_RESULT_ENUM(name, number, text, exit_code, meaning, remedy) CAIRN_##name = (number),
    CAIRN_RESULT_MAP(CAIRN_RESULT_ENUM)
#undef CAIRN_RESULT_ENUM
};

/* Types of spaces, and the operation that each has. Numbers are those of the formats. */
enum cairn_type {
    CAIRN_GCOUNTER = 1,  /* sum of amounts >= 0 */
    CAIRN_PNCOUNTER = 2, /* sum of amounts of both signs */
};

enum cairn_operation {
    CAIRN_ADD = 1, /* add an i64 amount to the cell's i128 sum */
};

/* The coordinate of a fact in its realm. Sequences of an origin are dense and start at 1. */
struct cairn_dot {
    uint32_t slot;        /* the member's slot */
    uint32_t incarnation; /* which life of the member; a new one begins at each open */
    uint64_t sequence;
};

struct cairn_effect {
    const void *key;    /* the cell's key: any bytes */
    uint32_t key_size;  /* 1 .. CAIRN_KEY_SIZE_MAX */
    uint32_t space;     /* a handle from cairn_space_declare() or cairn_space_find() */
    uint32_t operation; /* enum cairn_operation */
    uint32_t reserved;  /* 0 */
    int64_t amount;     /* operand of CAIRN_ADD */
};

/* A fact to admit: its effects are applied in one step, or not at all. */
struct cairn_fact {
    const struct cairn_effect *effects;
    const struct cairn_dot *dependencies; /* facts seen here that this one comes after */
    const uint8_t *idempotency_key;       /* CAIRN_IDEMPOTENCY_KEY_SIZE bytes, or NULL */
    uint32_t effect_count;                /* 1 .. CAIRN_EFFECTS_MAX */
    uint32_t dependency_count;            /* 0 .. CAIRN_DEPENDENCIES_MAX */
};

/*
 * What admission returns at once. The fact is durable when cairn_durable() has reached `position`.
 * A retry with the same idempotency key gets the first ticket again; after a restart its position
 * is 0, which is always durable.
 */
struct cairn_ticket {
    struct cairn_dot dot;
    uint64_t position;
};

struct cairn_value {
    int64_t low;  /* the value when it fits in 64 bits, else clamped to INT64_MIN or INT64_MAX */
    int64_t high; /* upper half of the i128 sum; lower half in `low_bits` */
    uint64_t low_bits;
};

struct cairn_cell {
    const void *key; /* valid until the next call on the engine */
    uint32_t key_size;
    uint32_t space;
    struct cairn_value value;
};

/* Limits of one engine; 0 means the default. All memory is taken from these at open. */
struct cairn_limits {
    uint64_t cells_max;            /* cells of all spaces; default 1,048,576 */
    uint64_t cell_bytes_max;       /* cells and keys; default 128 bytes for each cell */
    uint64_t idempotency_keys_max; /* remembered requests; default 65,536 */
    uint64_t staging_bytes;        /* ring between admission and journal; default 1 MiB */
    uint64_t pending_bytes_max;    /* bundles that wait for dependencies; default 16 MiB */
    uint64_t pending_bundles_max;  /* how many may wait; default 4,096 */
    uint64_t certificates_max;     /* certificates that can be exported; default 262,144 */
    uint64_t journal_bytes_max;    /* size of the journal ring; default 1 GiB */
    uint64_t segment_bytes;        /* size of one journal segment; default 16 MiB */
    uint32_t spaces_max;           /* default 256 */
    uint32_t members_max;          /* default 64, at most CAIRN_MEMBERS_MAX */
};

enum cairn_durability {
    CAIRN_DURABILITY_JOURNAL = 0, /* facts are journaled and certified */
    CAIRN_DURABILITY_NONE = 1,    /* facts live in memory and die with the process */
};

/* Set `size` to sizeof(struct cairn_options) and everything unused to 0. */
struct cairn_options {
    size_t size;
    const char *folder; /* data folder; NULL with CAIRN_DURABILITY_NONE */
    uint8_t cluster_id[CAIRN_CLUSTER_ID_SIZE];
    uint32_t slot;          /* this member's slot */
    uint32_t realm;         /* number of the realm */
    uint32_t durability;    /* enum cairn_durability */
    uint32_t flags;         /* CAIRN_OPEN_* */
    uint64_t prepare_bytes; /* journal bytes written ahead at open; 0: as they are needed */
    struct cairn_limits limits;
};

#define CAIRN_OPEN_CREATE 1u      /* make the folder if it is not there */
#define CAIRN_OPEN_REALTIME 2u    /* ask for the real-time class for the journal thread */
#define CAIRN_OPEN_NO_URING 4u    /* plain writes, even where io_uring is there */
#define CAIRN_OPEN_EXISTING_ID 8u /* take cluster, slot and realm from the folder */

struct cairn_plan {
    uint64_t memory_bytes;  /* all memory of the engine */
    uint64_t cells_bytes;   /* of it: cells, keys and their index */
    uint64_t pending_bytes; /* of it: bundles that wait */
    uint64_t journal_bytes; /* on disk */
    double bytes_per_cell;  /* beside the key, at full load */
};

/* What recovery found. Counts are facts unless they say otherwise. */
struct cairn_recovery {
    uint64_t facts_applied;
    uint64_t facts_from_checkpoint;
    uint64_t facts_held; /* missing, or behind what is missing: not applied before it is imported */
    uint64_t certificates_verified;
    uint64_t bytes_read;
    uint64_t nanoseconds;
    uint64_t torn_bytes;       /* never acknowledged; cut */
    uint64_t damaged_ranges;   /* were acknowledged; reported, not cut */
    uint64_t damaged_from;     /* first damaged journal position */
    uint64_t damaged_to;       /* end of the last damaged range */
    uint64_t certificates_bad; /* did not match their facts or their signature */
    struct cairn_dot missing;  /* the first fact that is missing, when facts_held is not 0 */
    uint32_t incarnation;      /* of this open */
    uint32_t reserved;
};

struct cairn_status {
    uint64_t facts_applied;  /* by any origin, since the realm began */
    uint64_t facts_admitted; /* here, since open */
    uint64_t facts_imported; /* since open */
    uint64_t cells;
    uint64_t spaces;
    uint64_t members;
    uint64_t staged_position;
    uint64_t durable_position;
    uint64_t certified_sequence; /* last certified and durable fact of this origin */
    uint64_t last_sequence;      /* last admitted fact of this origin */
    uint64_t pending_bundles;
    uint64_t pending_bytes;
    uint64_t pending_dropped;
    uint64_t journal_position;  /* end of what is durable, in bytes since the journal began */
    uint64_t journal_low_water; /* oldest byte that is kept */
    uint64_t checkpoint_generation;
    uint32_t slot;
    uint32_t incarnation;
};

/* What cairn_import() did with the bundle. */
struct cairn_import {
    uint64_t applied;   /* facts applied now, of this bundle and of waiting ones it released */
    uint64_t duplicate; /* facts of this bundle that were here already */
    uint64_t waiting;   /* facts of this bundle that wait for others */
    struct cairn_dot missing; /* a dot that the bundle waits for; all 0: none, see `blocked`, or it
                                 waits for the wall clock */
    int32_t blocked; /* why what waits could not go on: OK, BUSY, FULL, EQUIVOCATION (of a bundle
                          that waited), STORAGE_FAILED */
    uint32_t reserved;
};

typedef struct cairn_engine cairn_engine;

/* ---- Open and close ------------------------------------------------------------------------ */

/*
 * Opens an engine: recovers the folder, begins a new incarnation (durable before this returns).
 * Ownership: *engine is the caller's, to give back with cairn_close(); NULL after a failure.
 * Errors: LOCKED, FOREIGN, NOT_FOUND, CORRUPT, NO_MEMORY, FULL (the folder holds more than the
 * limits allow), STORAGE_FULL, STORAGE_FAILED, SYSTEM, TOO_LARGE, INVALID_ARGUMENT;
 * their text is written to `message` (size CAIRN_ERROR_MESSAGE_SIZE_MAX, may be NULL).
 */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_open(const struct cairn_options *options,
                                          cairn_engine **engine, char *message);

/* Makes everything admitted durable (up to ten seconds), then frees the engine. NULL is allowed. */
CAIRN_PUBLIC int cairn_close(cairn_engine *engine);

/* What an engine with these options would use. Errors: INVALID_ARGUMENT, TOO_LARGE, NO_MEMORY. */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_plan(const struct cairn_options *options,
                                          struct cairn_plan *plan, char *message);

/* What the open of this engine recovered. */
CAIRN_PUBLIC void cairn_recovered(const cairn_engine *engine, struct cairn_recovery *recovery);
CAIRN_PUBLIC void cairn_status(cairn_engine *engine, struct cairn_status *status);

/* ---- Members and spaces -------------------------------------------------------------------- */

/* This member's public key (Ed25519), made at the first open of the folder. */
CAIRN_PUBLIC void cairn_public_key(const cairn_engine *engine,
                                   uint8_t public_key[CAIRN_PUBLIC_KEY_SIZE]);

/*
 * Makes another member's key known; kept in the journal. Adding the same again does nothing.
 * Errors: FOREIGN (the slot has another key), FULL, BUSY.
 */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_member_add(cairn_engine *engine, uint32_t slot,
                                                const uint8_t public_key[CAIRN_PUBLIC_KEY_SIZE]);

/*
 * Declares a space; its id is a hash of realm, name and type, so the same declaration has the same
 * id everywhere. Declaring it again gives the same handle. A handle is valid until close.
 * Errors: INVALID_ARGUMENT (name: 1 to 64 characters of a-z 0-9 . _ -), CONFLICT (the name is there
 * with another type), FULL, BUSY, STORAGE_FULL, STORAGE_FAILED.
 */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_space_declare(cairn_engine *engine, const char *name,
                                                   uint32_t type, uint32_t *space);
CAIRN_PUBLIC CAIRN_CHECKED int cairn_space_find(cairn_engine *engine, const char *name,
                                                uint32_t *space);
/* Handles are 0 .. status.spaces - 1. `name` is valid until close. Errors: NOT_FOUND. */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_space_get(const cairn_engine *engine, uint32_t space,
                                               const char **name, uint32_t *type,
                                               uint8_t id[CAIRN_SPACE_ID_SIZE]);

/* ---- Facts --------------------------------------------------------------------------------- */

/*
 * Admits `count` facts in order; writes a ticket for each. Stops at the first refusal, and returns
 * its code; *admitted says how many were admitted before it (may be NULL). Does not wait for the
 * disk, with one exception: about every quarter of the journal ring a call takes a checkpoint first
 * (cairn_checkpoint(); take one yourself at a quiet moment to choose when).
 * Errors: INVALID_ARGUMENT, TOO_LARGE, UNKNOWN_SPACE, WRONG_TYPE, NEGATIVE, UNSEEN_DEPENDENCY,
 * IDEMPOTENCY_MISMATCH, CLOCK, BUSY, FULL, STORAGE_FULL, STORAGE_FAILED.
 */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_admit(cairn_engine *engine, const struct cairn_fact *facts,
                                           size_t count, struct cairn_ticket *tickets,
                                           size_t *admitted);

/* The position up to which everything is synced. Any thread. */
CAIRN_PUBLIC uint64_t cairn_durable(const cairn_engine *engine);

/*
 * Waits until `position` is durable. Errors: TIMEOUT, STORAGE_FAILED (not durable, and will not
 * become so), UNSUPPORTED (no journal).
 */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_wait(cairn_engine *engine, uint64_t position,
                                          uint32_t timeout_ms);

/*
 * Waits until admission has room again: for who was answered BUSY. Half of the staging ring is free
 * then. Errors: TIMEOUT, STORAGE_FULL (no room will come by waiting a little), STORAGE_FAILED,
 * UNSUPPORTED (no journal).
 */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_wait_room(cairn_engine *engine, uint32_t timeout_ms);

/* Waits until every fact admitted here is certified and its certificate is durable. */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_flush(cairn_engine *engine, uint32_t timeout_ms);

/* Reads one cell. A cell that no fact touched reads as 0. Errors: UNKNOWN_SPACE, TOO_LARGE. */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_read(cairn_engine *engine, uint32_t space, const void *key,
                                          size_t key_size, struct cairn_value *value);

/* Walks all cells in the order of their creation; start with *cursor = 0. END after the last. */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_cell_next(cairn_engine *engine, uint64_t *cursor,
                                               struct cairn_cell *cell);

/* A hash of all cells: equal at members that applied the same facts, in whatever order. */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_cells_digest(cairn_engine *engine,
                                                  uint8_t digest[CAIRN_ADDRESS_SIZE]);

/* A hash of which certified facts were applied. */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_facts_digest(cairn_engine *engine,
                                                  uint8_t digest[CAIRN_ADDRESS_SIZE]);

/* ---- Exchange ------------------------------------------------------------------------------ */

/*
 * Writes the next bundle (one certificate and its facts) after *cursor to `buffer`, in an order in
 * which dependencies come first; start with *cursor = 0, or with the value of an earlier call. A
 * cursor is good until close.
 * `size` must be at least CAIRN_BUNDLE_SIZE_MAX. Only durable certificates are given out.
 * Errors: END, INVALID_ARGUMENT, UNSUPPORTED, STORAGE_FAILED, CORRUPT (*cursor stands behind the
 * damaged one), RECLAIMED (*cursor moved to the next that is still there: what is older comes with
 * a checkpoint).
 */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_export(cairn_engine *engine, uint64_t *cursor, void *buffer,
                                            size_t size, size_t *written);

/*
 * Takes one bundle of any member: checks every byte, then applies what can be applied and lets the
 * rest wait: it goes on with the next import, or cairn_status(). The same bundle twice counts
 * once. Errors: NOT_CANONICAL, BAD_SIGNATURE, BAD_CERTIFICATE, UNKNOWN_MEMBER, UNKNOWN_SPACE,
 * WRONG_TYPE, NEGATIVE, EQUIVOCATION, FOREIGN, FULL, TOO_LARGE, BUSY (full pending buffer or
 * staging ring), STORAGE_FULL, STORAGE_FAILED. It may wait for the disk: for room in the staging
 * ring, and for a checkpoint that is due.
 */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_import(cairn_engine *engine, const void *bundle, size_t size,
                                            struct cairn_import *result);

/*
 * Writes a checkpoint, after which the journal before it may be recycled. Everything admitted is
 * made durable first. Errors: TIMEOUT, UNSUPPORTED, STORAGE_FULL, STORAGE_FAILED.
 */
CAIRN_PUBLIC CAIRN_CHECKED int cairn_checkpoint(cairn_engine *engine);

/* ---- Words --------------------------------------------------------------------------------- */

/* BLAKE3-256 of the bytes: what `b3sum` prints. */
CAIRN_PUBLIC void cairn_address(const void *bytes, size_t size,
                                uint8_t address[CAIRN_ADDRESS_SIZE]);
CAIRN_PUBLIC const char *cairn_version(void);
CAIRN_PUBLIC const char *cairn_result_name(int result);
CAIRN_PUBLIC const char *cairn_result_text(int result);
CAIRN_PUBLIC int cairn_result_exit_code(int result);
/* The text of the engine's last refusal: field, limit and remedy. Valid until the next call. */
CAIRN_PUBLIC const char *cairn_error_message(cairn_engine *engine);

#ifdef __cplusplus
}
#endif

#endif
