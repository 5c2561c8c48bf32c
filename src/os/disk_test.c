/* SPDX-License-Identifier: Apache-2.0 */
/* The whole suite runs for each engine, on a temporary folder and in memory. */
#define _GNU_SOURCE
#include "os/test_folder.h"

#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/prng.h"

#define BLOCK HOST_BLOCK_SIZE
#define SEGMENT_BYTES (1u << 20)
#define SEGMENTS 4u
#define MILLISECOND INT64_C(1000000)

static const char *base;  /* where temporary folders are made */
static bool wanted_uring; /* the engine of this round */

struct opened {
    char path[TEST_PATH_SIZE];
    struct os_host *host;
    struct host_disk disk;
};

static int disk_try(struct opened *self, uint64_t segment_bytes, uint32_t count, char *message)
{
    struct os_options options = {.folder = self->path, .create = true, .uring = wanted_uring};
    struct host face;
    int result = os_host_open(&self->host, &options, &face, message);
    if (result != CAIRN_OK) return result;
    result = os_disk_open(self->host, segment_bytes, count, &face, message);
    self->disk = face.disk;
    return result;
}

static void disk_reopen(struct opened *self)
{
    os_host_close(self->host);
    assert_int_equal(disk_try(self, SEGMENT_BYTES, SEGMENTS, NULL), CAIRN_OK);
}

static int setup(void **state)
{
    struct opened *self = calloc(1, sizeof *self);
    test_folder_make(self->path, base);
    assert_int_equal(disk_try(self, SEGMENT_BYTES, SEGMENTS, NULL), CAIRN_OK);
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    struct opened *self = *state;
    os_host_close(self->host);
    test_folder_remove(self->path);
    free(self);
    return 0;
}

static uint8_t *blocks_take(size_t size)
{
    uint8_t *bytes = aligned_alloc(BLOCK, size);
    assert_non_null(bytes);
    memset(bytes, 0, size);
    return bytes;
}

/* One request, and its result. */
static int run(const struct host_disk *disk, uint32_t kind, uint32_t segment, uint64_t offset,
               uint8_t *bytes, uint32_t size)
{
    struct host_request request = {.kind = kind,
                                   .segment = segment,
                                   .offset = offset,
                                   .bytes = bytes,
                                   .size = size,
                                   .token = 77};
    struct host_completion done = {0};
    disk->submit(disk->self, &request, 1);
    if (disk->wait(disk->self, &done, 1, -1) != 1 || done.token != 77) return 1;
    return done.result;
}

static int prepare(const struct host_disk *disk, uint32_t segment)
{
    return run(disk, HOST_PREPARE, segment, 0, NULL, 0);
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void bytes_come_back(void **state)
{
    struct opened *self = *state;
    struct host_disk *disk = &self->disk;
    uint8_t *bytes = blocks_take(4 * BLOCK), *stored = blocks_take(4 * BLOCK);
    memset(bytes, 5, 4 * BLOCK);
    memset(stored, 9, 4 * BLOCK);

    assert_false(disk->is_prepared(disk->self, 1));
    assert_int_equal(run(disk, HOST_READ, 1, 0, stored, 4 * BLOCK), CAIRN_OK);
    for (size_t i = 0; i < 4 * BLOCK; i++)
        assert_int_equal(stored[i], 0);

    assert_int_equal(prepare(disk, 1), CAIRN_OK);
    assert_true(disk->is_prepared(disk->self, 1));
    assert_int_equal(run(disk, HOST_WRITE, 1, SEGMENT_BYTES - 4 * BLOCK, bytes, 4 * BLOCK),
                     CAIRN_OK);
    assert_int_equal(prepare(disk, 1), CAIRN_OK); /* keeps the bytes */
    disk_reopen(self);
    assert_true(disk->is_prepared(disk->self, 1));
    assert_false(disk->is_prepared(disk->self, 0));
    assert_int_equal(run(disk, HOST_READ, 1, SEGMENT_BYTES - 4 * BLOCK, stored, 4 * BLOCK),
                     CAIRN_OK);
    assert_memory_equal(stored, bytes, 4 * BLOCK);
    assert_int_equal(run(disk, HOST_READ, 1, 0, stored, 4 * BLOCK), CAIRN_OK);
    for (size_t i = 0; i < 4 * BLOCK; i++)
        assert_int_equal(stored[i], 0);
    free(bytes);
    free(stored);
}

#define BLOCKS_PER_SEGMENT (SEGMENT_BYTES / BLOCK)
#define FLIGHT_MAX 16u
#define FLIGHT_BYTES (64u * BLOCK)

struct flight {
    struct prng prng;
    uint8_t *model;                          /* what each segment must hold */
    uint8_t *buffers;                        /* FLIGHT_MAX times FLIGHT_BYTES */
    bool busy[SEGMENTS][BLOCKS_PER_SEGMENT]; /* by a request in flight */
    struct host_request requests[HOST_REQUESTS_MAX];
    bool used[FLIGHT_MAX];
    uint32_t count;
};

static uint8_t *model_at(struct flight *self, const struct host_request *request)
{
    return self->model + (size_t)request->segment * SEGMENT_BYTES + request->offset;
}

static bool range_is_free(struct flight *self, const struct host_request *request)
{
    for (uint64_t i = 0; i < request->size; i += BLOCK) {
        if (self->busy[request->segment][(request->offset + i) / BLOCK]) return false;
    }
    return true;
}

static void range_mark(struct flight *self, const struct host_request *request, bool busy)
{
    for (uint64_t i = 0; i < request->size; i += BLOCK) {
        self->busy[request->segment][(request->offset + i) / BLOCK] = busy;
    }
}

/* A random request that touches nothing in flight; false: not this time. */
static bool flight_make(struct flight *self, struct host_request *request)
{
    uint32_t slot = (uint32_t)prng_below(&self->prng, FLIGHT_MAX);
    if (self->used[slot]) return false;
    uint32_t blocks =
        1 + (uint32_t)prng_below(&self->prng, prng_chance(&self->prng, 1, 2) ? 4 : 64);
    *request = (struct host_request){
        .kind = prng_chance(&self->prng, 2, 3) ? HOST_WRITE : HOST_READ,
        .segment = (uint32_t)prng_below(&self->prng, SEGMENTS),
        .offset = prng_below(&self->prng, BLOCKS_PER_SEGMENT - blocks + 1) * BLOCK,
        .bytes = self->buffers + (size_t)slot * FLIGHT_BYTES,
        .size = blocks * BLOCK,
        .token = slot,
    };
    if (!range_is_free(self, request)) return false;
    if (request->kind == HOST_WRITE) {
        prng_fill(&self->prng, request->bytes, request->size);
        memcpy(model_at(self, request), request->bytes, request->size);
    }
    range_mark(self, request, true);
    self->requests[slot] = *request;
    self->used[slot] = true;
    self->count++;
    return true;
}

static void flight_land(struct flight *self, const struct host_disk *disk, int64_t timeout_ns)
{
    struct host_completion done[5];
    uint32_t count = disk->wait(disk->self, done, 5, timeout_ns);
    for (uint32_t i = 0; i < count; i++) {
        struct host_request *request = &self->requests[done[i].token];
        assert_int_equal(done[i].result, CAIRN_OK);
        assert_true(self->used[done[i].token]);
        assert_memory_equal(request->bytes, model_at(self, request), request->size);
        range_mark(self, request, false);
        self->used[done[i].token] = false;
        self->count--;
    }
}

static void random_requests_agree_with_a_model(void **state)
{
    struct opened *self = *state;
    struct flight *flight = calloc(1, sizeof *flight);
    prng_init(&flight->prng, 42);
    flight->model = calloc(SEGMENTS, SEGMENT_BYTES);
    flight->buffers = blocks_take((size_t)FLIGHT_MAX * FLIGHT_BYTES);
    for (uint32_t i = 0; i < SEGMENTS; i++)
        assert_int_equal(prepare(&self->disk, i), CAIRN_OK);

    for (uint32_t round = 0; round < 1000; round++) {
        struct host_request requests[FLIGHT_MAX];
        uint32_t count = 0;
        for (uint64_t tries = 1 + prng_below(&flight->prng, 8); tries > 0; tries--) {
            if (flight_make(flight, &requests[count])) count++;
        }
        if (count > 0) self->disk.submit(self->disk.self, requests, count);
        if (flight->count > 0) flight_land(flight, &self->disk, round % 2 == 0 ? 0 : -1);
    }
    while (flight->count > 0)
        flight_land(flight, &self->disk, -1);

    disk_reopen(self);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        uint8_t *bytes = blocks_take(SEGMENT_BYTES);
        assert_int_equal(run(&self->disk, HOST_READ, i, 0, bytes, SEGMENT_BYTES), CAIRN_OK);
        assert_memory_equal(bytes, flight->model + (size_t)i * SEGMENT_BYTES, SEGMENT_BYTES);
        free(bytes);
    }
    free(flight->model);
    free(flight->buffers);
    free(flight);
}

static void as_many_as_are_allowed_may_be_in_flight(void **state)
{
    struct opened *self = *state;
    struct host_disk *disk = &self->disk;
    uint8_t *bytes = blocks_take(BLOCK);
    struct host_request requests[HOST_REQUESTS_MAX];
    assert_int_equal(prepare(disk, 0), CAIRN_OK);
    for (uint32_t i = 0; i < HOST_REQUESTS_MAX; i++) {
        requests[i] = (struct host_request){.kind = i % 2 == 0 ? HOST_WRITE : HOST_PREPARE,
                                            .segment = i % 2 == 0 ? 0 : i / 2 % SEGMENTS,
                                            .token = i};
        if (i % 2 != 0) continue;
        requests[i].bytes = bytes;
        requests[i].size = BLOCK;
        requests[i].offset = i * BLOCK;
    }
    bool seen[HOST_REQUESTS_MAX] = {false};
    disk->submit(disk->self, requests, HOST_REQUESTS_MAX);
    for (uint32_t count = 0; count < HOST_REQUESTS_MAX; count++) {
        struct host_completion done;
        assert_int_equal(disk->wait(disk->self, &done, 1, -1), 1);
        assert_int_equal(done.result, CAIRN_OK);
        assert_false(seen[done.token]);
        seen[done.token] = true;
    }
    struct host_completion done;
    assert_int_equal(disk->wait(disk->self, &done, 1, 0), 0);
    free(bytes);
}

static uint32_t open_files(void)
{
    uint32_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory) return 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void a_large_ring_needs_few_descriptors(void **state)
{
    struct opened *self = *state;
    os_host_close(self->host);
    assert_int_equal(disk_try(self, BLOCK, 200, NULL), CAIRN_OK);
    uint8_t *bytes = blocks_take(64 * BLOCK);
    uint32_t before = open_files();
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(prepare(&self->disk, i), CAIRN_OK);
        memset(bytes, (int)i, BLOCK);
        assert_int_equal(run(&self->disk, HOST_WRITE, i, 0, bytes, BLOCK), CAIRN_OK);
    }
    struct host_request requests[64];
    for (uint32_t first = 0; first < 192; first += 64) {
        for (uint32_t i = 0; i < 64; i++) {
            requests[i] = (struct host_request){
                .kind = HOST_READ, .segment = first + i, .bytes = bytes + i * BLOCK, .size = BLOCK};
        }
        self->disk.submit(self->disk.self, requests, 64);
        struct host_completion done[64];
        for (uint32_t count = 0; count < 64;) {
            count += self->disk.wait(self->disk.self, done + count, 64 - count, -1);
        }
        for (uint32_t i = 0; i < 64; i++) {
            assert_int_equal(done[i].result, CAIRN_OK);
            assert_int_equal(bytes[i * BLOCK + 100], (uint8_t)(first + i));
        }
    }
    assert_true(open_files() <= before + HOST_REQUESTS_MAX + 1);
    free(bytes);
}

static void *write_and_read(void *argument)
{
    const struct host_disk *disk = argument;
    uint8_t *bytes = blocks_take(32 * BLOCK);
    memset(bytes, 3, 32 * BLOCK);
    bool failed = run(disk, HOST_WRITE, 0, 0, bytes, 32 * BLOCK) != CAIRN_OK ||
                  run(disk, HOST_READ, 0, 0, bytes, 32 * BLOCK) != CAIRN_OK || bytes[70000] != 3;
    free(bytes);
    return failed ? argument : NULL;
}

static void *read_at_once(void *argument)
{
    const struct host_disk *disk = argument;
    uint8_t *bytes = blocks_take(4 * BLOCK);
    bool failed = false;
    for (uint32_t i = 0; i < 500 && !failed; i++) {
        uint32_t segment = i % 3;
        memset(bytes, 9, 4 * BLOCK);
        failed = disk->read(disk->self, segment, 64 * BLOCK, bytes, 4 * BLOCK) != CAIRN_OK ||
                 bytes[0] != segment || bytes[4 * BLOCK - 1] != segment;
    }
    free(bytes);
    return failed ? argument : NULL;
}

/* Segment 0 is not prepared; 1 and 2 hold their number; the journal's thread goes on meanwhile. */
static void other_threads_may_read_at_once(void **state)
{
    struct opened *self = *state;
    uint8_t *bytes = blocks_take(32 * BLOCK);
    for (uint32_t i = 1; i < 3; i++) {
        memset(bytes, (int)i, 4 * BLOCK);
        assert_int_equal(prepare(&self->disk, i), CAIRN_OK);
        assert_int_equal(run(&self->disk, HOST_WRITE, i, 64 * BLOCK, bytes, 4 * BLOCK), CAIRN_OK);
    }
    pthread_t threads[2];
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_at_once, &self->disk), 0);
    }
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t size = i % 2 == 0 ? BLOCK : 32 * BLOCK;
        assert_int_equal(run(&self->disk, HOST_WRITE, 1 + i % 2, 0, bytes, size), CAIRN_OK);
    }
    for (uint32_t i = 0; i < 2; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    free(bytes);
}

/* As between recovery and the journal thread, and back at close. */
static void another_thread_may_take_over(void **state)
{
    struct opened *self = *state;
    assert_int_equal(prepare(&self->disk, 0), CAIRN_OK);
    assert_null(write_and_read(&self->disk));
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        void *failed;
        assert_int_equal(pthread_create(&thread, NULL, write_and_read, &self->disk), 0);
        assert_int_equal(pthread_join(thread, &failed), 0);
        assert_null(failed);
    }
    assert_null(write_and_read(&self->disk));
}

static void a_close_waits_for_what_is_in_flight(void **state)
{
    struct opened *self = *state;
    uint8_t *bytes = blocks_take(2 * 64 * BLOCK), *stored = blocks_take(2 * 64 * BLOCK);
    memset(bytes, 8, 2 * 64 * BLOCK);
    assert_int_equal(prepare(&self->disk, 0), CAIRN_OK);
    struct host_request requests[2];
    for (uint32_t i = 0; i < 2; i++) {
        requests[i] = (struct host_request){.kind = HOST_WRITE,
                                            .bytes = bytes + i * 64 * BLOCK,
                                            .offset = i * 64 * BLOCK,
                                            .size = 64 * BLOCK};
    }
    self->disk.submit(self->disk.self, requests, 2);
    disk_reopen(self);
    assert_int_equal(run(&self->disk, HOST_READ, 0, 0, stored, 2 * 64 * BLOCK), CAIRN_OK);
    assert_memory_equal(stored, bytes, 2 * 64 * BLOCK);
    free(bytes);
    free(stored);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 * MILLISECOND + now.tv_nsec;
}

static void a_wait_ends_by_time(void **state)
{
    struct opened *self = *state;
    struct host_completion done;
    assert_int_equal(self->disk.wait(self->disk.self, &done, 1, 0), 0);
    int64_t start = now_ns();
    assert_int_equal(self->disk.wait(self->disk.self, &done, 1, 20 * MILLISECOND), 0);
    assert_true(now_ns() - start >= 20 * MILLISECOND);
}

static void a_wake_before_the_wait_counts_once(void **state)
{
    struct opened *self = *state;
    struct host_disk *disk = &self->disk;
    struct host_completion done;
    disk->wake(disk->self);
    disk->wake(disk->self);
    assert_int_equal(disk->wait(disk->self, &done, 1, -1), 0);
    int64_t start = now_ns();
    assert_int_equal(disk->wait(disk->self, &done, 1, 20 * MILLISECOND), 0);
    assert_true(now_ns() - start >= 20 * MILLISECOND);
}

struct waker {
    const struct host_disk *disk;
    _Atomic uint32_t heard;
    _Atomic bool stop;
};

static void *wake_often(void *argument)
{
    struct waker *waker = argument;
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t heard = atomic_load(&waker->heard);
        waker->disk->wake(waker->disk->self);
        /* Each wake is heard, or this never ends. */
        while (atomic_load(&waker->heard) == heard)
            sched_yield();
    }
    atomic_store(&waker->stop, true);
    waker->disk->wake(waker->disk->self);
    return NULL;
}

/* Completions, of writes and preparations, and wakes come together; none is lost. */
static void no_wake_is_lost(void **state)
{
    struct opened *self = *state;
    struct host_disk *disk = &self->disk;
    uint8_t *bytes = blocks_take(2 * 32 * BLOCK);
    assert_int_equal(prepare(disk, 0), CAIRN_OK);
    struct waker waker = {.disk = disk};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_often, &waker), 0);
    uint32_t in_flight = 0, written = 0, prepared = 0;
    while (!atomic_load(&waker.stop) || in_flight > 0) {
        if (in_flight == 0 && !atomic_load(&waker.stop)) {
            struct host_request requests[3];
            for (uint32_t i = 0; i < 2; i++) {
                requests[i] = (struct host_request){.kind = HOST_WRITE,
                                                    .bytes = bytes + i * 32 * BLOCK,
                                                    .offset = i * 32 * BLOCK,
                                                    .size = (1 + written % 32) * BLOCK};
            }
            requests[2] = (struct host_request){.kind = HOST_PREPARE, .segment = 1, .token = 9};
            disk->submit(disk->self, requests, 3);
            in_flight = 3;
        }
        struct host_completion done[4];
        uint32_t count = disk->wait(disk->self, done, 4, -1);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(done[i].result, CAIRN_OK);
            if (done[i].token == 9) prepared++;
            if (done[i].token != 9) written++;
        }
        in_flight -= count;
        atomic_fetch_add(&waker.heard, 1);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(written, 2 * prepared);
    free(bytes);
}

/* ---- Preparing, and having no room ----------------------------------------------------------- */

static void an_unfinished_preparation_is_none(void **state)
{
    struct opened *self = *state;
    test_file_write(self->path, "journal/0002.new", SEGMENT_BYTES);
    disk_reopen(self);
    assert_false(self->disk.is_prepared(self->disk.self, 2));
    assert_false(test_file_exists(self->path, "journal/0002.new"));
    assert_int_equal(prepare(&self->disk, 2), CAIRN_OK);
    assert_false(test_file_exists(self->path, "journal/0002.new"));
}

static void a_close_gives_up_a_preparation(void **state)
{
    struct opened *self = *state;
    os_host_close(self->host);
    assert_int_equal(disk_try(self, 32u << 20, 2, NULL), CAIRN_OK);
    struct host_request requests[2] = {{.kind = HOST_PREPARE},
                                       {.kind = HOST_PREPARE, .segment = 1}};
    self->disk.submit(self->disk.self, requests, 2);
    os_host_close(self->host);
    assert_false(test_file_exists(self->path, "journal/0000.new"));
    assert_false(test_file_exists(self->path, "journal/0001"));
    assert_false(test_file_exists(self->path, "journal/0001.new"));
    assert_int_equal(disk_try(self, 32u << 20, 2, NULL), CAIRN_OK);
}

static void the_file_limit_counts_as_full(void **state)
{
    struct opened *self = *state;
    struct host_disk *disk = &self->disk;
    uint8_t *bytes = blocks_take(BLOCK);
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    assert_int_equal(prepare(disk, 0), CAIRN_OK);
    test_file_limit(SEGMENT_BYTES - 1); /* beyond it, SIGXFSZ would end this process */
    int prepared = prepare(disk, 1);
    os_host_failure(self->host, message);
    int written = run(disk, HOST_WRITE, 0, SEGMENT_BYTES - BLOCK, bytes, BLOCK);
    test_file_limit(RLIM_INFINITY);
    assert_int_equal(prepared, CAIRN_STORAGE_FULL);
    assert_string_equal(message, "fallocate journal/0001: File too large");
    assert_int_equal(written, CAIRN_STORAGE_FULL);
    assert_false(disk->is_prepared(disk->self, 1));
    assert_false(test_file_exists(self->path, "journal/0001.new"));
    assert_int_equal(prepare(disk, 1), CAIRN_OK);
    free(bytes);
}

static unsigned long free_blocks(const char *path)
{
    struct statvfs status;
    return statvfs(path, &status) == 0 ? status.f_bfree : 0;
}

static int fill_the_disk(const char *path)
{
    if (!test_small_disk(path, "size=3m")) return CHILD_LEFT_OUT;
    struct opened self = {0};
    (void)snprintf(self.path, sizeof self.path, "%s", path);
    CHILD_CHECK(disk_try(&self, SEGMENT_BYTES, SEGMENTS, NULL) == CAIRN_OK);
    test_file_write(path, "LOCK", BLOCK); /* so that the third has not all of its room */
    CHILD_CHECK(prepare(&self.disk, 0) == CAIRN_OK);
    CHILD_CHECK(prepare(&self.disk, 1) == CAIRN_OK);
    unsigned long before = free_blocks(path);
    CHILD_CHECK(prepare(&self.disk, 2) == CAIRN_STORAGE_FULL);
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    os_host_failure(self.host, message);
    CHILD_CHECK(strcmp(message, "fallocate journal/0002: No space left on device") == 0);
    CHILD_CHECK(free_blocks(path) == before);
    CHILD_CHECK(!self.disk.is_prepared(self.disk.self, 2));

    uint8_t *bytes = aligned_alloc(BLOCK, SEGMENT_BYTES);
    memset(bytes, 1, SEGMENT_BYTES);
    CHILD_CHECK(run(&self.disk, HOST_WRITE, 1, 0, bytes, SEGMENT_BYTES) == CAIRN_OK);
    test_file_write(path, "LOCK", 0);
    CHILD_CHECK(prepare(&self.disk, 2) == CAIRN_OK); /* goes on when there is room */
    free(bytes);
    os_host_close(self.host);
    return 0;
}

static void a_full_disk_is_storage_full(void **state)
{
    (void)state;
    char path[TEST_PATH_SIZE];
    test_folder_make(path, base);
    bool mounted = test_child(fill_the_disk, path);
    test_folder_remove(path);
    if (!mounted) print_message("left out: no right to mount a tmpfs\n");
    if (!mounted) skip();
}

/* ---- Damage ---------------------------------------------------------------------------------- */

static void a_short_segment_is_a_failure(void **state)
{
    struct opened *self = *state;
    uint8_t *bytes = blocks_take(SEGMENT_BYTES);
    char path[TEST_PATH_SIZE], message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    assert_int_equal(prepare(&self->disk, 3), CAIRN_OK);
    test_path(path, self->path, "journal/0003");
    assert_int_equal(truncate(path, 8 * BLOCK), 0);
    assert_int_equal(run(&self->disk, HOST_READ, 3, 0, bytes, 8 * BLOCK), CAIRN_OK);
    assert_int_equal(run(&self->disk, HOST_READ, 3, 0, bytes, 9 * BLOCK), CAIRN_STORAGE_FAILED);
    assert_int_equal(self->disk.read(self->disk.self, 3, 7 * BLOCK, bytes, 2 * BLOCK),
                     CAIRN_STORAGE_FAILED);
    os_host_failure(self->host, message);
    assert_non_null(strstr(message, "read journal/0003: Input/output error"));

    os_host_close(self->host);
    assert_int_equal(disk_try(self, SEGMENT_BYTES, SEGMENTS, message), CAIRN_CORRUPT);
    assert_string_equal(message, "journal/0003: has 32768 bytes, a segment here has 1048576");
    free(bytes);
}

static void a_bad_geometry_is_refused(void **state)
{
    struct opened *self = *state;
    os_host_close(self->host);
    assert_int_equal(disk_try(self, BLOCK + 1, 4, NULL), CAIRN_INVALID_ARGUMENT);
    os_host_close(self->host);
    assert_int_equal(disk_try(self, 0, 4, NULL), CAIRN_INVALID_ARGUMENT);
    os_host_close(self->host);
    assert_int_equal(disk_try(self, BLOCK, 0, NULL), CAIRN_INVALID_ARGUMENT);
}

/* ---- Without io_uring ------------------------------------------------------------------------ */

static bool filter_set(struct sock_filter *steps, unsigned short count)
{
    struct sock_fprog program = {.len = count, .filter = steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool io_uring_forbid(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    return filter_set(steps, sizeof steps / sizeof steps[0]);
}

/* As a file system without O_DIRECT answers. */
static bool direct_forbid(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_DIRECT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    return filter_set(steps, sizeof steps / sizeof steps[0]);
}

static int plain_round_trip(const char *path, bool direct)
{
    struct opened self = {0};
    (void)snprintf(self.path, sizeof self.path, "%s", path);
    CHILD_CHECK(disk_try(&self, SEGMENT_BYTES, SEGMENTS, NULL) == CAIRN_OK);
    CHILD_CHECK(strcmp(os_disk_name(self.host), "plain") == 0);
    CHILD_CHECK(direct || !os_disk_is_direct(self.host));
    CHILD_CHECK(prepare(&self.disk, 0) == CAIRN_OK);
    uint8_t *bytes = aligned_alloc(BLOCK, SEGMENT_BYTES);
    memset(bytes, 6, SEGMENT_BYTES);
    CHILD_CHECK(run(&self.disk, HOST_WRITE, 0, 0, bytes, SEGMENT_BYTES) == CAIRN_OK);
    memset(bytes, 0, SEGMENT_BYTES);
    CHILD_CHECK(run(&self.disk, HOST_READ, 0, 0, bytes, SEGMENT_BYTES) == CAIRN_OK);
    CHILD_CHECK(bytes[0] == 6 && bytes[SEGMENT_BYTES - 1] == 6);
    free(bytes);
    os_host_close(self.host);
    return 0;
}

static int without_io_uring(const char *path)
{
    return io_uring_forbid() ? plain_round_trip(path, true) : CHILD_LEFT_OUT;
}

static int without_direct(const char *path)
{
    return direct_forbid() ? plain_round_trip(path, false) : CHILD_LEFT_OUT;
}

static void plain_writes_replace_what_is_forbidden(void **state)
{
    (void)state;
    char path[TEST_PATH_SIZE];
    test_folder_make(path, base);
    bool ring = test_child(without_io_uring, path);
    test_folder_remove(path);
    test_folder_make(path, base);
    bool direct = test_child(without_direct, path);
    test_folder_remove(path);
    if (!ring || !direct) print_message("left out: no seccomp filters\n");
    if (!ring || !direct) skip();
}

static void the_engine_is_the_wanted_one(void **state)
{
    struct opened *self = *state;
    print_message("%s, %s\n", os_disk_name(self->host),
                  os_disk_is_direct(self->host) ? "direct" : "through the page cache");
    if (!wanted_uring) assert_string_equal(os_disk_name(self->host), "plain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_engine_is_the_wanted_one, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(random_requests_agree_with_a_model, setup, teardown),
        cmocka_unit_test_setup_teardown(as_many_as_are_allowed_may_be_in_flight, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_ring_needs_few_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(other_threads_may_read_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(another_thread_may_take_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_close_waits_for_what_is_in_flight, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wait_ends_by_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wake_before_the_wait_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(no_wake_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unfinished_preparation_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(a_close_gives_up_a_preparation, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_limit_counts_as_full, setup, teardown),
        cmocka_unit_test(a_full_disk_is_storage_full),
        cmocka_unit_test_setup_teardown(a_short_segment_is_a_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bad_geometry_is_refused, setup, teardown),
        cmocka_unit_test(plain_writes_replace_what_is_forbidden),
    };
    int failed = 0;
    bool has_memory = access("/dev/shm", W_OK) == 0;
    for (int round = 0; round < (has_memory ? 4 : 2); round++) {
        wanted_uring = round % 2 == 0;
        base = round < 2 ? NULL : "/dev/shm";
        failed += cmocka_run_group_tests_name("os/disk", tests, NULL, NULL);
    }
    return failed;
}
