/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of this room: an engine on a virtual host.
 *
 * A host counts the calls that its engine makes of the disk; at a chosen one the power is cut: the
 * call does not return, the engine's memory is gone, and the disk is what sim/disk.h makes of it.
 */
#ifndef CAIRN_NODE_TEST_ENGINE_H
#define CAIRN_NODE_TEST_ENGINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/prng.h"
#include "crypto/address.h"
#include "facts/fact.h"
#include "node/engine.h"
#include "sim/disk.h"
#include "sim/system.h"

/* Far below what cairn_open() allows, so that a recovery takes less than a millisecond. */
#define TEST_SEGMENT_BYTES (UINT64_C(256) * 1024)
#define TEST_BATCH_BYTES (64u * 1024u)
#define TEST_FILE_BYTES (256u * 1024u)
#define TEST_REALM 7u
#define TEST_BLOCKS_MAX 8u
#define TEST_TICK_NS UINT64_C(10000)

static const uint8_t test_cluster_id[CAIRN_CLUSTER_ID_SIZE] = "cairn test clust";

static inline bool test_is_sanitized(void)
{
    const char *sanitize = getenv("CAIRN_SANITIZE");
    return sanitize != NULL && sanitize[0] != 0;
}

/* ---- An engine on a virtual host ----------------------------------------------------------- */

struct test_block {
    void *memory;
    uint64_t size;
};

struct test_node {
    struct cairn_engine *engine;
    bool is_open;
    bool is_cut; /* the power is cut, and the disk was told so */
    struct sim_disk disk;
    struct sim_system system;
    struct host_disk disk_face;
    struct host_store store_face;
    struct host_system system_face;
    struct test_block disk_memory;
    struct test_block blocks[TEST_BLOCKS_MAX]; /* what the engine holds */
    uint64_t takes;
    uint64_t refused_take; /* this one of them is refused; 0: none */
    uint64_t operations;   /* calls of disk and store that move bytes */
    uint64_t cut_at;       /* the power is cut at this one; 0: never */
    struct member_file member;
    struct cairn_limits limits;
    struct journal_limits journal_limits;
    uint64_t prepare_bytes;
    struct refusal refusal; /* of the last open */
};

/* Where a power cut leads to: the engine's call never returns. */
static jmp_buf test_cut_jump;
static struct test_node *test_cut_node;

static inline void test_take_operation(struct test_node *self)
{
    self->operations++;
    if (self->cut_at == 0 || self->operations != self->cut_at) return;
    self->cut_at = 0;
    test_cut_node = self;
    longjmp(test_cut_jump, 1);
}

static inline void test_block_take(struct test_block *self, uint64_t size)
{
    self->size = size;
    self->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cairn_assert(self->memory != MAP_FAILED);
}

static inline void test_block_give(struct test_block *self)
{
    if (self->memory != NULL) cairn_assert(munmap(self->memory, self->size) == 0);
    self->memory = NULL;
}

static inline void *test_memory_take(void *node, uint64_t size)
{
    struct test_node *self = node;
    uint32_t free_block = 0;
    if (++self->takes == self->refused_take) return NULL;
    while (self->blocks[free_block].memory != NULL)
        free_block++;
    cairn_assert(free_block < TEST_BLOCKS_MAX);
    test_block_take(&self->blocks[free_block], size);
    return self->blocks[free_block].memory;
}

static inline void test_memory_give(void *node, void *memory, uint64_t size)
{
    struct test_node *self = node;
    for (uint32_t i = 0; i < TEST_BLOCKS_MAX; i++) {
        if (self->blocks[i].memory != memory) continue;
        cairn_assert(self->blocks[i].size == size);
        test_block_give(&self->blocks[i]);
        return;
    }
    cairn_assert(false);
}

static inline uint32_t test_blocks_held(const struct test_node *self)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < TEST_BLOCKS_MAX; i++)
        held += self->blocks[i].memory != NULL;
    return held;
}

/* Time goes on by being asked for: an engine without threads waits in a loop. */
static inline uint64_t test_monotonic_ns(void *node)
{
    struct test_node *self = node;
    sim_system_advance(&self->system, TEST_TICK_NS);
    return self->system.monotonic_ns;
}

static inline uint64_t test_wall_ms(void *node)
{
    return ((struct test_node *)node)->system.wall_ms;
}

static inline int test_entropy(void *node, void *bytes, size_t size)
{
    struct host_system *face = &((struct test_node *)node)->system_face;
    return face->entropy(face->self, bytes, size);
}

static inline void test_submit(void *node, const struct host_request *requests, uint32_t count)
{
    struct test_node *self = node;
    for (uint32_t i = 0; i < count; i++) {
        test_take_operation(self);
        self->disk_face.submit(self->disk_face.self, &requests[i], 1);
    }
}

static inline uint32_t test_wait(void *node, struct host_completion *completions, uint32_t maximum,
                                 int64_t timeout_ns)
{
    struct test_node *self = node;
    if (self->disk.in_flight > 0) test_take_operation(self);
    uint32_t count = self->disk_face.wait(self->disk_face.self, completions, maximum, timeout_ns);
    if (count == 0 && timeout_ns > 0) sim_system_advance(&self->system, (uint64_t)timeout_ns);
    return count;
}

static inline void test_wake(void *node)
{
    struct host_disk *face = &((struct test_node *)node)->disk_face;
    face->wake(face->self);
}

static inline int test_read(void *node, uint32_t segment, uint64_t offset, void *bytes,
                            uint32_t size)
{
    struct test_node *self = node;
    test_take_operation(self);
    return self->disk_face.read(self->disk_face.self, segment, offset, bytes, size);
}

static inline bool test_is_prepared(void *node, uint32_t segment)
{
    struct host_disk *face = &((struct test_node *)node)->disk_face;
    return face->is_prepared(face->self, segment);
}

static inline int test_store_size(void *node, enum host_file file, uint64_t *size)
{
    struct test_node *self = node;
    return self->store_face.size(self->store_face.self, file, size);
}

static inline int test_store_read(void *node, enum host_file file, uint64_t offset, void *bytes,
                                  size_t size)
{
    struct test_node *self = node;
    test_take_operation(self);
    return self->store_face.read(self->store_face.self, file, offset, bytes, size);
}

static inline int test_store_write(void *node, enum host_file file, uint64_t offset,
                                   const void *bytes, size_t size)
{
    struct test_node *self = node;
    test_take_operation(self);
    return self->store_face.write(self->store_face.self, file, offset, bytes, size);
}

static inline int test_store_truncate(void *node, enum host_file file, uint64_t size)
{
    struct test_node *self = node;
    test_take_operation(self);
    return self->store_face.truncate(self->store_face.self, file, size);
}

static inline int test_store_sync(void *node, enum host_file file)
{
    struct test_node *self = node;
    test_take_operation(self);
    return self->store_face.sync(self->store_face.self, file);
}

static inline void test_node_faces(struct test_node *self, struct host *host)
{
    memset(host, 0, sizeof *host);
    host->disk = (struct host_disk){.self = self,
                                    .segment_bytes = self->disk_face.segment_bytes,
                                    .segment_count = self->disk_face.segment_count,
                                    .submit = test_submit,
                                    .wait = test_wait,
                                    .wake = test_wake,
                                    .read = test_read,
                                    .is_prepared = test_is_prepared};
    host->store = (struct host_store){.self = self,
                                      .size = test_store_size,
                                      .read = test_store_read,
                                      .write = test_store_write,
                                      .truncate = test_store_truncate,
                                      .sync = test_store_sync};
    host->system = (struct host_system){.self = self,
                                        .wall_ms = test_wall_ms,
                                        .monotonic_ns = test_monotonic_ns,
                                        .entropy = test_entropy,
                                        .memory_take = test_memory_take,
                                        .memory_give = test_memory_give};
}

/* What was asserted; the trap that follows ends the test. */
static inline void test_say_assertion(const char *expression, const char *file, int line)
{
    (void)fprintf(stderr, "assertion at %s:%d: %s\n", file, line, expression);
}

/* A member with an empty disk. */
static inline void test_node_init(struct test_node *self, uint32_t slot, uint32_t segment_count,
                                  uint64_t seed)
{
    struct signature_key key;
    struct arena arena;
    memset(self, 0, sizeof *self);
    cairn_assert_hook = test_say_assertion;
    struct sim_disk_settings settings = {.segment_bytes = TEST_SEGMENT_BYTES,
                                         .segment_count = segment_count,
                                         .file_bytes_max = TEST_FILE_BYTES,
                                         .seed = seed};
    arena_init(&arena, NULL, 0);
    sim_disk_init(&self->disk, &settings, &arena);
    test_block_take(&self->disk_memory, arena.used);
    arena_init(&arena, self->disk_memory.memory, arena.used);
    sim_disk_init(&self->disk, &settings, &arena);
    sim_system_init_memory(&self->system, seed, &(struct sim_memory){0});
    self->disk_face = sim_disk_face(&self->disk);
    self->store_face = sim_store_face(&self->disk);
    self->system_face = sim_system_face(&self->system);
    self->limits = (struct cairn_limits){.cells_max = 1000,
                                         .cell_bytes_max = 1000 * 256,
                                         .idempotency_keys_max = 4096,
                                         .staging_bytes = 64 * 1024,
                                         .pending_bytes_max = 2 * CAIRN_BUNDLE_SIZE_MAX,
                                         .pending_bundles_max = 64,
                                         .certificates_max = 4096,
                                         .spaces_max = 64};
    self->journal_limits = (struct journal_limits){.segment_bytes = TEST_SEGMENT_BYTES,
                                                   .segment_count = segment_count,
                                                   .batch_bytes_max = TEST_BATCH_BYTES};
    self->member = (struct member_file){.segment_bytes = TEST_SEGMENT_BYTES,
                                        .segment_count = segment_count,
                                        .realm = TEST_REALM,
                                        .slot = slot};
    memcpy(self->member.cluster_id, test_cluster_id, CAIRN_CLUSTER_ID_SIZE);
    memset(self->member.seed, 0x40 + (int)slot, SIGNATURE_SEED_SIZE);
    signature_key_from_seed(&key, self->member.seed);
    memcpy(self->member.public_key, key.public_key, SIGNATURE_PUBLIC_KEY_SIZE);
    uint64_t size = round_up(sizeof *self->engine, CACHE_LINE_SIZE);
    self->engine = aligned_alloc(CACHE_LINE_SIZE, size);
    cairn_assert(self->engine != NULL);
}

static inline void test_node_free(struct test_node *self)
{
    for (uint32_t i = 0; i < TEST_BLOCKS_MAX; i++)
        test_block_give(&self->blocks[i]);
    test_block_give(&self->disk_memory);
    free(self->engine);
    self->engine = NULL;
}

/* A host that is closed waits for what is in flight: at most segments that are being prepared. */
static inline void test_node_settle(struct test_node *self)
{
    struct host_completion completion;
    cairn_assert(test_blocks_held(self) == 0);
    for (uint32_t i = 0; i < self->disk.in_flight; i++) {
        cairn_assert(self->disk.requests[i].request.kind == HOST_PREPARE);
    }
    while (self->disk.in_flight > 0) {
        (void)self->disk_face.wait(self->disk_face.self, &completion, 1, 0);
    }
}

static inline int test_node_open(struct test_node *self)
{
    struct cairn_options options = {.size = sizeof options,
                                    .slot = self->member.slot,
                                    .realm = self->member.realm,
                                    .limits = self->limits};
    struct cairn_engine *engine = self->engine;
    cairn_assert(!self->is_open && test_blocks_held(self) == 0);
    memset(engine, 0, sizeof *engine);
    memset(&self->refusal, 0, sizeof self->refusal);
    int result = engine_limits(engine, &options, &self->refusal);
    cairn_assert(result == CAIRN_OK);
    engine->journal_limits = self->journal_limits;
    engine->admit_margin =
        2 * engine->staging_bytes + 3 * (uint64_t)self->journal_limits.batch_bytes_max;
    engine->member = self->member;
    result = engine_check_ring(engine, &self->refusal);
    cairn_assert(result == CAIRN_OK);
    test_node_faces(self, &engine->host);
    result = engine_open(engine, self->prepare_bytes, &self->refusal);
    self->is_open = result == CAIRN_OK;
    if (!self->is_open) test_node_settle(self);
    return result;
}

/* The power is cut: nothing of the engine is left, and of the disk what was synced. */
static inline void test_node_crash(struct test_node *self)
{
    self->cut_at = 0;
    sim_disk_power_cut(&self->disk);
    for (uint32_t i = 0; i < TEST_BLOCKS_MAX; i++)
        test_block_give(&self->blocks[i]);
    self->is_open = false;
}

static inline int test_node_close(struct test_node *self)
{
    int result = engine_close(self->engine);
    self->is_open = false;
    test_node_settle(self);
    return result;
}

#endif
