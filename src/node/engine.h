/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: one realm of one member, wired to a host. What the library, the command and, later,
 * the daemon embed.
 *
 *   engine.c      open and close, admission, waiting
 *   recovery.c    checkpoint and journal back into the realm
 *   exchange.c    export from the journal, import, checkpoints
 *   library.c     the functions of include/cairn.h over a Linux host
 */
#ifndef CAIRN_NODE_ENGINE_H
#define CAIRN_NODE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/result.h"
#include "facts/checkpoint.h"
#include "facts/realm.h"
#include "host/host.h"
#include "node/member.h"
#include "node/recorder.h"

/* A cairn_engine is this struct; only node/ knows. */
struct cairn_engine {
    struct realm realm;
    struct recorder recorder;
    struct host host;
    struct member_file member;
    struct realm_limits realm_limits;
    struct journal_limits journal_limits;
    uint64_t staging_bytes;
    uint64_t certificates_max;
    uint64_t admit_margin;        /* prepared bytes below which admission is refused */
    uint64_t checkpoint_retry_ns; /* no attempt before, after one that failed */
    uint64_t wait_spin_ns;        /* how long the next wait looks before it sleeps */
    bool has_journal;
    bool has_thread;
    bool realtime;
    struct checkpoint_header checkpoint; /* the newest; generation 0: none */
    uint64_t low_water;                  /* of the checkpoint before it */
    uint64_t checkpoint_due; /* journal position from which admission takes a checkpoint first */
    struct cairn_recovery recovery;
    uint8_t *scratch; /* one largest batch, block-aligned: export, checkpoints */
    void *memory;
    uint64_t memory_bytes;
    struct refusal refusal; /* the last one */
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    void *os_host; /* library.c's */
};

/* Fills in defaults and checks ranges: limits of an engine from a caller's. INVALID_ARGUMENT. */
CHECKED int engine_limits(struct cairn_engine *self, const struct cairn_options *options,
                          struct refusal *refusal);
/* Memory that the tables of an engine with these limits take; plan may be NULL. */
uint64_t engine_memory(struct cairn_engine *self, struct cairn_plan *plan);

/*
 * Takes memory, recovers, begins an incarnation that is durable, starts the journal's thread. The
 * limits and, with a journal, the member file were filled in, and host is complete. After a failure
 * everything taken was given back.
 */
CHECKED int engine_open(struct cairn_engine *self, uint64_t prepare_bytes, struct refusal *refusal);
/* Makes everything durable, stops the thread, gives the memory back. */
int engine_close(struct cairn_engine *self);
/* Stops at once, as a crash would, but gives memory back; for tests and failed opens. */
void engine_abandon(struct cairn_engine *self);

CHECKED int engine_admit(struct cairn_engine *self, const struct cairn_fact *facts, size_t count,
                         struct cairn_ticket *tickets, size_t *admitted);
/* A turn of the recorder where the host has no thread for it. */
void engine_pump(struct cairn_engine *self);
CHECKED int engine_wait(struct cairn_engine *self, uint64_t position, uint32_t timeout_ms);
CHECKED int engine_wait_room(struct cairn_engine *self, uint32_t timeout_ms);
CHECKED int engine_flush(struct cairn_engine *self, uint32_t timeout_ms);
/* Takes the published certificate into the realm. */
void engine_note_certified(struct cairn_engine *self);

/* Loads checkpoint and journal; sets low_water and recovery. *tail: where writing goes on. */
CHECKED int engine_recover(struct cairn_engine *self, struct journal_tail *tail,
                           struct refusal *refusal);

CHECKED int engine_export(struct cairn_engine *self, uint64_t *cursor, uint8_t *buffer,
                          uint64_t size, size_t *written);
CHECKED int engine_import(struct cairn_engine *self, const uint8_t *bundle, uint64_t size,
                          struct cairn_import *result);
/* Applies what waits and can be applied by now; what holds the rest back, as realm_release(). */
int engine_release(struct cairn_engine *self);
CHECKED int engine_checkpoint(struct cairn_engine *self);
/* Takes a checkpoint if one is due; a failure puts it off. */
COLD void engine_take_due_checkpoint(struct cairn_engine *self);
/* Is the journal ring large enough for checkpoints to keep it going? INVALID_ARGUMENT. */
CHECKED int engine_check_ring(const struct cairn_engine *self, struct refusal *refusal);
/* Sets checkpoint_due a quarter of the ring behind the newest checkpoint. */
void engine_plan_checkpoint(struct cairn_engine *self);

/* Sets the engine's refusal and returns its code. */
COLD int engine_refuse(struct cairn_engine *self, int code, const char *field, uint64_t value,
                       uint64_t limit);

/* Takes a checkpoint where that frees the ring. OK, or why the journal takes nothing now. */
CHECKED int engine_make_room(struct cairn_engine *self);
/*
 * May a small record be staged, a declaration or a member? Each takes a batch of its own at worst,
 * so at a full disk or ring they are refused like facts. STORAGE_FAILED, STORAGE_FULL.
 */
CHECKED int engine_check_room(struct cairn_engine *self);

/* The reason why the journal takes nothing now: STORAGE_FAILED, STORAGE_FULL or BUSY. */
COLD int engine_refuse_storage(struct cairn_engine *self, uint64_t prepared);

#endif
