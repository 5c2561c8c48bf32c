/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder: everything behind admission, on the journal's thread. One turn takes what was
 * staged into the open batch, hashes the facts, cuts certificates, writes, and publishes what is
 * durable. In a host without threads the engine calls the turns itself.
 *
 *   owner -> ring -> recorder_turn -> journal -> disk
 *   owner <- published <------------------------ completions
 *
 *   N1  durable_ring only grows, and passes an entry only after the batch with it was synced
 *   N2  a certificate is published only after it was synced
 *   N4  whoever takes a turn holds `turn_taken`, so the disk has one user at a time. The owner
 *       lets go of it only with no write on its way
 *   N3  the recorder sleeps only with an empty ring and no request: it says that it sleeps, then
 *       looks again; who stages publishes, then looks whether it sleeps (Dekker's order)
 */
#ifndef CAIRN_NODE_RECORDER_H
#define CAIRN_NODE_RECORDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ring.h"
#include "facts/certificate_index.h"
#include "facts/certifier.h"
#include "facts/record.h"
#include "host/host.h"
#include "journal/journal.h"

#define RECORDER_BATCH_BYTES_MAX (1024u * 1024u)
#define RECORDER_FLIGHTS_MAX (JOURNAL_BUFFERS + 1u)
/*
 * The owner writes what it waits for itself when it is no more than this: one small write, which
 * the host does in place, instead of two wake-ups and a write.
 */
#define RECORDER_HELP_BYTES_MAX (UINT64_C(48) << 10)

enum recorder_sleep {
    RECORDER_AWAKE = 0,
    RECORDER_ON_DISK = 1, /* in the disk's wait, with the turn */
    RECORDER_ON_BELL = 2, /* on the word `bell`, without it */
};

/* What becomes durable with a batch. */
struct flight {
    uint64_t next; /* journal position behind the batch */
    uint64_t ring_end;
    uint64_t certified; /* last sequence, or 0: no own certificate in the batch */
    uint32_t incarnation;
    uint8_t link[ADDRESS_SIZE];
};

struct recorder {
    struct host *host;
    bool owner_fences; /* no barrier everywhere on this host: each kick has a fence of its own */
    struct ring ring;
    struct journal journal;
    struct certifier certifier;
    struct certificate_index index;
    /* The batch that is open: what it will make durable. */
    struct flight open;
    bool open_has_records;
    struct flight flights[RECORDER_FLIGHTS_MAX];
    uint32_t flight_first;
    uint32_t flight_count;
    uint32_t preparing; /* segments asked for */
    uint64_t turn_ns;   /* monotonic time of this turn */
    uint64_t retry_ns;  /* when a full disk is asked again */

    /* What each admission reads: a line of its own, written once a batch or a rest. */
    CACHE_ALIGNED _Atomic uint32_t sleeping; /* enum recorder_sleep */
    _Atomic uint32_t failed;
    _Atomic uint64_t prepared_bytes;
    _Atomic uint64_t durable_journal;
    _Atomic uint32_t storage_full;

    /* Published to whoever waits; written each turn. */
    CACHE_ALIGNED _Atomic uint64_t durable_ring;
    _Atomic uint32_t change;  /* grows with each publication; what waiters watch */
    _Atomic uint32_t version; /* odd while what follows changes */
    _Atomic uint64_t tail_position;
    _Atomic uint64_t tail_previous;
    _Atomic uint32_t tail_crc;
    _Atomic uint32_t tail_epoch;
    _Atomic uint32_t certified_incarnation;
    _Atomic uint64_t certified_last;
    _Atomic uint64_t certified_link[ADDRESS_SIZE / 8];

    /* Requests of the owner, and whose turn it is. */
    CACHE_ALIGNED _Atomic uint32_t waiters;
    _Atomic uint32_t cut_requested;
    _Atomic uint32_t stop_requested;
    _Atomic uint32_t bell;        /* grows with each wake-up on the bell */
    _Atomic uint32_t turn_taken;  /* N4 */
    _Atomic uint32_t uncertified; /* the certifier holds facts */
    _Atomic uint64_t low_water;
    _Atomic uint64_t low_water_done;
};

/* What is durable, as one consistent picture. */
struct recorder_durable {
    uint64_t certified; /* last sequence that a durable certificate covers; 0: none in this open */
    uint32_t incarnation;
    uint8_t link[ADDRESS_SIZE];
    struct journal_tail tail; /* the journal's chain behind its last durable batch */
};

void recorder_init(struct recorder *self, struct host *host, const struct journal_limits *limits,
                   uint64_t staging_bytes, uint64_t certificates_max, struct arena *arena);

/* One turn, never sleeping. True: something was done. */
bool recorder_turn(struct recorder *self);
/* A turn in a host without threads: waits a little for the disk when there is nothing to do. */
void recorder_turn_alone(struct recorder *self);
/*
 * Owner, beside the thread: takes a turn in its place if the thread is idle and little is staged,
 * and returns when that is written. False: the thread is at it.
 */
CHECKED bool recorder_help(struct recorder *self);
/* Wakes the thread wherever it sleeps. */
COLD void recorder_wake(struct recorder *self);
/*
 * The journal's thread: turns until stop is requested. No write is on its way when it returns; what
 * is staged by then and not written is lost, so who wants it waits first.
 */
void recorder_run(void *self);
/* Waits until nothing is on its way to the disk. */
void recorder_settle(struct recorder *self);

/* Owner: after publishing, wakes a recorder that sleeps (N3). */
HOT_INLINE void recorder_kick(struct recorder *self)
{
    /* The recorder's barrier on all threads stands for both fences: with the ring's lines in the
     * other processor's cache, a fence here costs as much as the rest of the admission. */
    if (UNLIKELY(self->owner_fences)) atomic_thread_fence(memory_order_seq_cst);
    atomic_signal_fence(memory_order_seq_cst);
    if (UNLIKELY(atomic_load_explicit(&self->sleeping, memory_order_relaxed) != 0)) {
        recorder_wake(self);
    }
}

/* Any thread. */
void recorder_durable(const struct recorder *self, struct recorder_durable *durable);

#endif
