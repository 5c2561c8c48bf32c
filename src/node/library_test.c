/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public functions on a real folder: options, lock, foreign folders, two lives, exchange
 * between folders, kill -9, the journal's thread beside other threads.
 */
#include <pthread.h>
#include <signal.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "cairn.h"
#include "node/engine.h"
#include "os/test_folder.h"

#define KILLS 5u
#define MIB (UINT64_C(1) << 20)

static char folder[TEST_PATH_SIZE];
static char other_folder[TEST_PATH_SIZE];
static char message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
static uint8_t bundle[CAIRN_BUNDLE_SIZE_MAX];

static int setup(void **state)
{
    (void)state;
    test_folder_make(folder, NULL);
    test_folder_make(other_folder, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_folder_remove(folder);
    test_folder_remove(other_folder);
    return 0;
}

static struct cairn_options options_of(const char *at, uint32_t slot)
{
    struct cairn_options options = {.size = sizeof options,
                                    .folder = at,
                                    .cluster_id = "library test id",
                                    .slot = slot,
                                    .realm = 3,
                                    .flags = CAIRN_OPEN_CREATE};
    options.limits = (struct cairn_limits){.cells_max = 2000,
                                           .staging_bytes = 64 * 1024,
                                           .pending_bytes_max = 2 * MIB,
                                           .pending_bundles_max = 64,
                                           .certificates_max = 8192,
                                           .journal_bytes_max = 64 * MIB,
                                           .segment_bytes = 4 * MIB,
                                           .spaces_max = 16};
    return options;
}

static cairn_engine *open_engine(const struct cairn_options *options)
{
    cairn_engine *engine = NULL;
    int result = cairn_open(options, &engine, message);
    if (result != CAIRN_OK) fail_msg("open: %s", message);
    assert_non_null(engine);
    assert_string_equal(message, "");
    return engine;
}

static void check_refused(const struct cairn_options *options, int code, const char *field)
{
    cairn_engine *engine = (cairn_engine *)(uintptr_t)1;
    memset(message, 'x', sizeof message);
    assert_int_equal(cairn_open(options, &engine, message), code);
    assert_null(engine);
    if (strstr(message, field) == NULL) fail_msg("'%s' does not name '%s'", message, field);
    assert_int_equal(cairn_open(options, &engine, NULL), code);
}

static uint32_t declare(cairn_engine *engine)
{
    uint32_t space = UINT32_MAX;
    assert_int_equal(cairn_space_declare(engine, "sum", CAIRN_PNCOUNTER, &space), CAIRN_OK);
    return space;
}

static struct cairn_ticket add(cairn_engine *engine, uint32_t space, const char *key,
                               int64_t amount)
{
    struct cairn_effect effect = {key, (uint32_t)strlen(key), space, CAIRN_ADD, 0, amount};
    struct cairn_fact fact = {.effects = &effect, .effect_count = 1};
    struct cairn_ticket ticket;
    int result;
    /* A full staging ring is emptied meanwhile. */
    while ((result = cairn_admit(engine, &fact, 1, &ticket, NULL)) == CAIRN_BUSY)
        continue;
    if (result != CAIRN_OK) fail_msg("admit: %s", cairn_error_message(engine));
    return ticket;
}

static int64_t read_key(cairn_engine *engine, uint32_t space, const char *key)
{
    struct cairn_value value;
    assert_int_equal(cairn_read(engine, space, key, strlen(key), &value), CAIRN_OK);
    return value.low;
}

/* ---- Options ------------------------------------------------------------------------------- */

struct bad_limit {
    size_t offset;
    uint64_t value;
    int code;
    const char *field;
};

#define LIMIT(field) offsetof(struct cairn_options, limits.field)

static const struct bad_limit bad_limits[] = {
    {LIMIT(cells_max), (UINT64_C(1) << 31) + 1, CAIRN_TOO_LARGE, "cells_max"},
    {LIMIT(cell_bytes_max), 1, CAIRN_INVALID_ARGUMENT, "cell_bytes_max"},
    {LIMIT(cell_bytes_max), UINT64_MAX, CAIRN_TOO_LARGE, "cell_bytes_max"},
    {LIMIT(idempotency_keys_max), UINT64_MAX, CAIRN_TOO_LARGE, "idempotency_keys_max"},
    {LIMIT(staging_bytes), 1024, CAIRN_INVALID_ARGUMENT, "staging_bytes"},
    {LIMIT(staging_bytes), 96 * 1024, CAIRN_INVALID_ARGUMENT, "staging_bytes"},
    {LIMIT(staging_bytes), UINT64_C(1) << 40, CAIRN_TOO_LARGE, "staging_bytes"},
    {LIMIT(staging_bytes), UINT64_C(32) << 20, CAIRN_TOO_LARGE, "staging_bytes"},
    {LIMIT(pending_bytes_max), 1000, CAIRN_INVALID_ARGUMENT, "pending_bytes_max"},
    {LIMIT(pending_bytes_max), UINT64_MAX, CAIRN_TOO_LARGE, "pending_bytes_max"},
    {LIMIT(pending_bundles_max), UINT64_C(1) << 40, CAIRN_TOO_LARGE, "pending_bundles_max"},
    {LIMIT(certificates_max), 1, CAIRN_INVALID_ARGUMENT, "certificates_max"},
    {LIMIT(certificates_max), UINT64_MAX, CAIRN_TOO_LARGE, "certificates_max"},
    {LIMIT(segment_bytes), MIB, CAIRN_INVALID_ARGUMENT, "segment_bytes"},
    {LIMIT(segment_bytes), 5 * MIB, CAIRN_INVALID_ARGUMENT, "segment_bytes"},
    {LIMIT(segment_bytes), UINT64_C(1) << 40, CAIRN_TOO_LARGE, "segment_bytes"},
    {LIMIT(journal_bytes_max), 8 * MIB, CAIRN_INVALID_ARGUMENT, "journal_bytes_max"},
    {LIMIT(journal_bytes_max), UINT64_MAX, CAIRN_TOO_LARGE, "journal_bytes_max"},
};

static void test_limits(void **state)
{
    (void)state;
    struct cairn_plan plan;
    for (size_t i = 0; i < sizeof bad_limits / sizeof bad_limits[0]; i++) {
        const struct bad_limit *bad = &bad_limits[i];
        struct cairn_options options = options_of(folder, 1);
        memcpy((uint8_t *)&options + bad->offset, &bad->value, sizeof bad->value);
        check_refused(&options, bad->code, bad->field);
        /* Field, limit and remedy; and the plan says the same. */
        assert_non_null(strstr(message, ";"));
        assert_int_equal(cairn_plan(&options, &plan, message), bad->code);
        assert_non_null(strstr(message, bad->field));
    }
    struct cairn_options options = options_of(folder, 1);
    options.limits.spaces_max = 65537;
    check_refused(&options, CAIRN_TOO_LARGE, "spaces_max");
    assert_non_null(strstr(message, "65,536")); /* the limit */
    options = options_of(folder, 1);
    options.limits.members_max = CAIRN_MEMBERS_MAX + 1;
    check_refused(&options, CAIRN_TOO_LARGE, "members_max");
    assert_false(test_file_exists(folder, "member"));
}

static void test_options(void **state)
{
    (void)state;
    struct cairn_options options = options_of(folder, 1);
    cairn_engine *engine;
    assert_int_equal(cairn_open(NULL, &engine, message), CAIRN_INVALID_ARGUMENT);
    options.size--;
    check_refused(&options, CAIRN_INVALID_ARGUMENT, "size of the options");
    options = options_of(folder, 1);
    options.flags |= 1u << 20;
    check_refused(&options, CAIRN_INVALID_ARGUMENT, "flags");
    options = options_of(folder, 1);
    options.durability = 2;
    check_refused(&options, CAIRN_INVALID_ARGUMENT, "durability");
    options = options_of(NULL, 1);
    check_refused(&options, CAIRN_INVALID_ARGUMENT, "folder");
    options = options_of(folder, 1);
    options.durability = CAIRN_DURABILITY_NONE;
    check_refused(&options, CAIRN_INVALID_ARGUMENT, "folder");
    options = options_of(folder, 1);
    options.flags = 0;
    check_refused(&options, CAIRN_NOT_FOUND, "folder");
    options.flags = CAIRN_OPEN_CREATE | CAIRN_OPEN_EXISTING_ID;
    check_refused(&options, CAIRN_NOT_FOUND, "member file");
    options = options_of("/proc/no/such/folder", 1);
    check_refused(&options, CAIRN_STORAGE_FAILED, "folder");
}

static void test_plan(void **state)
{
    (void)state;
    struct cairn_options options = options_of(folder, 1);
    struct cairn_plan plan;
    assert_int_equal(cairn_plan(&options, &plan, message), CAIRN_OK);
    cairn_engine *engine = open_engine(&options);
    assert_int_equal(plan.memory_bytes, engine->memory_bytes + sizeof *engine);
    assert_int_equal(plan.journal_bytes, 64 * MIB);
    assert_true(plan.cells_bytes < plan.memory_bytes && plan.pending_bytes >= 2 * MIB);
    assert_true(plan.bytes_per_cell > 0 && plan.bytes_per_cell <= 160);
    assert_int_equal(cairn_close(engine), CAIRN_OK);
}

/* ---- Folders ------------------------------------------------------------------------------- */

static void test_lock(void **state)
{
    (void)state;
    struct cairn_options options = options_of(folder, 1);
    cairn_engine *engine = open_engine(&options);
    check_refused(&options, CAIRN_LOCKED, folder);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        cairn_engine *second;
        int result = cairn_open(&options, &second, message);
        _exit(result == CAIRN_LOCKED && second == NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(cairn_close(engine), CAIRN_OK);
    assert_int_equal(cairn_close(open_engine(&options)), CAIRN_OK);
    assert_int_equal(cairn_close(NULL), CAIRN_OK);
}

static void test_foreign(void **state)
{
    (void)state;
    struct cairn_options options = options_of(folder, 1);
    uint8_t key[CAIRN_PUBLIC_KEY_SIZE];
    uint8_t again[CAIRN_PUBLIC_KEY_SIZE];
    cairn_engine *engine = open_engine(&options);
    cairn_public_key(engine, key);
    assert_int_equal(cairn_close(engine), CAIRN_OK);
    options.slot = 2;
    check_refused(&options, CAIRN_FOREIGN, "slot");
    options = options_of(folder, 1);
    options.realm++;
    check_refused(&options, CAIRN_FOREIGN, "realm");
    options = options_of(folder, 1);
    options.cluster_id[0] ^= 1;
    check_refused(&options, CAIRN_FOREIGN, "cluster id");
    options.slot = 9;
    options.realm = 9;
    options.flags = CAIRN_OPEN_EXISTING_ID;
    /* The journal's geometry is the folder's, whatever is asked for. */
    options.limits.journal_bytes_max = 128 * MIB;
    options.limits.segment_bytes = 8 * MIB;
    engine = open_engine(&options);
    cairn_public_key(engine, again);
    assert_memory_equal(key, again, sizeof key);
    struct cairn_status status;
    cairn_status(engine, &status);
    assert_int_equal(status.slot, 1);
    assert_int_equal(status.incarnation, 2);
    assert_int_equal(engine->journal_limits.segment_bytes, 4 * MIB);
    assert_int_equal(cairn_close(engine), CAIRN_OK);

    /* Somebody else's folder. */
    test_file_write(other_folder, "letters.txt", 100);
    options = options_of(other_folder, 1);
    check_refused(&options, CAIRN_FOREIGN, "letters.txt");

    /* A member file with a flipped bit, or cut short. */
    char path[TEST_PATH_SIZE];
    test_path(path, folder, "member");
    int file = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_true(file >= 0 && pread(file, &byte, 1, 40) == 1);
    byte ^= 4;
    assert_int_equal(pwrite(file, &byte, 1, 40), 1);
    options = options_of(folder, 1);
    check_refused(&options, CAIRN_CORRUPT, "member file");
    assert_int_equal(ftruncate(file, 100), 0);
    check_refused(&options, CAIRN_CORRUPT, "member file");
    close(file);
}

/* ---- Lives --------------------------------------------------------------------------------- */

static void run_lives(uint32_t flags)
{
    struct cairn_options options = options_of(folder, 1);
    uint8_t digests[2][2][CAIRN_ADDRESS_SIZE] = {0};
    int64_t sum = 0;
    options.flags |= flags;
    for (uint32_t life = 1; life <= 4; life++) {
        cairn_engine *engine = open_engine(&options);
        struct cairn_recovery recovery;
        struct cairn_status status;
        uint32_t space = declare(engine);
        cairn_recovered(engine, &recovery);
        assert_int_equal(recovery.incarnation, life);
        assert_int_equal(recovery.facts_applied + recovery.facts_from_checkpoint, (life - 1) * 500);
        assert_int_equal(recovery.damaged_ranges + recovery.certificates_bad, 0);
        assert_int_equal(cairn_cells_digest(engine, digests[0][0]), CAIRN_OK);
        if (life > 1) assert_memory_equal(digests[0][0], digests[1][0], CAIRN_ADDRESS_SIZE);
        assert_int_equal(cairn_facts_digest(engine, digests[0][1]), CAIRN_OK);
        if (life > 1) assert_memory_equal(digests[0][1], digests[1][1], CAIRN_ADDRESS_SIZE);
        assert_int_equal(read_key(engine, space, "a"), sum);
        struct cairn_ticket ticket;
        for (int64_t i = 0; i < 500; i++) {
            ticket = add(engine, space, "a", i - 100);
            sum += i - 100;
            assert_int_equal(ticket.dot.sequence, i + 1);
        }
        assert_int_equal(cairn_wait(engine, ticket.position, 10000), CAIRN_OK);
        assert_true(cairn_durable(engine) >= ticket.position);
        if (life == 2) assert_int_equal(cairn_checkpoint(engine), CAIRN_OK);
        assert_int_equal(cairn_flush(engine, 10000), CAIRN_OK);
        cairn_status(engine, &status);
        assert_int_equal(status.certified_sequence, 500);
        assert_int_equal(status.last_sequence, 500);
        assert_int_equal(status.facts_applied, life * 500);
        assert_int_equal(status.facts_admitted, 500);
        assert_int_equal(cairn_cells_digest(engine, digests[1][0]), CAIRN_OK);
        assert_int_equal(cairn_facts_digest(engine, digests[1][1]), CAIRN_OK);
        assert_int_equal(cairn_close(engine), CAIRN_OK);
    }
}

static void test_lives_uring(void **state)
{
    (void)state;
    run_lives(0);
}

static void test_lives_plain(void **state)
{
    (void)state;
    run_lives(CAIRN_OPEN_NO_URING);
}

static void test_no_journal(void **state)
{
    (void)state;
    struct cairn_options options = options_of(NULL, 5);
    options.durability = CAIRN_DURABILITY_NONE;
    cairn_engine *engine = open_engine(&options);
    uint32_t space = declare(engine);
    struct cairn_ticket ticket = add(engine, space, "b", 4);
    size_t size;
    uint64_t cursor = 0;
    assert_int_equal(ticket.dot.slot, 5);
    assert_int_equal(read_key(engine, space, "b"), 4);
    assert_int_equal(cairn_wait(engine, ticket.position, 10), CAIRN_UNSUPPORTED);
    assert_int_equal(cairn_flush(engine, 10), CAIRN_UNSUPPORTED);
    assert_int_equal(cairn_checkpoint(engine), CAIRN_UNSUPPORTED);
    assert_int_equal(cairn_export(engine, &cursor, bundle, sizeof bundle, &size),
                     CAIRN_UNSUPPORTED);
    assert_non_null(strstr(cairn_error_message(engine), "export"));
    assert_non_null(strstr(cairn_error_message(engine), "open the engine with a journal"));
    assert_int_equal(cairn_durable(engine), 0);
    assert_int_equal(cairn_close(engine), CAIRN_OK);
}

static void test_refusals(void **state)
{
    (void)state;
    struct cairn_options options = options_of(folder, 1);
    cairn_engine *engine = open_engine(&options);
    uint32_t space = declare(engine);
    struct cairn_effect effect = {"key", CAIRN_KEY_SIZE_MAX + 1, space, CAIRN_ADD, 0, 1};
    struct cairn_fact fact = {.effects = &effect, .effect_count = 1};
    struct cairn_ticket ticket;
    struct cairn_import import;
    size_t size;
    uint64_t cursor = 0;
    (void)add(engine, space, "first", 1); /* waits until enough of the journal is prepared */
    assert_int_equal(cairn_admit(engine, &fact, 1, &ticket, NULL), CAIRN_TOO_LARGE);
    assert_non_null(strstr(cairn_error_message(engine), "key size"));
    assert_non_null(strstr(cairn_error_message(engine), "1,025"));
    assert_non_null(strstr(cairn_error_message(engine), "1,024"));
    assert_non_null(strstr(cairn_error_message(engine), "send less"));
    assert_int_equal(cairn_export(engine, &cursor, bundle, 1000, &size), CAIRN_INVALID_ARGUMENT);
    assert_non_null(strstr(cairn_error_message(engine), "size of the buffer"));
    assert_int_equal(cairn_import(engine, bundle, sizeof bundle + 1, &import), CAIRN_TOO_LARGE);
    assert_int_equal(cairn_import(engine, NULL, 100, &import), CAIRN_TOO_LARGE);
    memset(bundle, 0xff, 1000);
    assert_int_equal(cairn_import(engine, bundle, 1000, &import), CAIRN_NOT_CANONICAL);
    assert_int_equal(cairn_import(engine, bundle, 0, &import), CAIRN_NOT_CANONICAL);
    struct cairn_value value;
    assert_int_equal(cairn_read(engine, 77, "k", 1, &value), CAIRN_UNKNOWN_SPACE);
    assert_int_equal(cairn_read(engine, space, "k", 0, &value), CAIRN_TOO_LARGE);
    assert_int_equal(cairn_space_declare(engine, "sum", CAIRN_GCOUNTER, &space), CAIRN_CONFLICT);
    assert_int_equal(cairn_space_declare(engine, "Sum", CAIRN_GCOUNTER, &space),
                     CAIRN_INVALID_ARGUMENT);
    assert_int_equal(cairn_space_declare(engine, NULL, CAIRN_GCOUNTER, &space),
                     CAIRN_INVALID_ARGUMENT);
    assert_int_equal(cairn_space_find(engine, "none", &space), CAIRN_NOT_FOUND);
    assert_int_equal(cairn_wait(engine, UINT64_MAX, 20), CAIRN_TIMEOUT);
    assert_non_null(strstr(cairn_error_message(engine), "20"));
    assert_int_equal(cairn_close(engine), CAIRN_OK);
}

/* ---- Exchange ------------------------------------------------------------------------------ */

static void exchange(cairn_engine *from, cairn_engine *to)
{
    uint64_t cursor = 0;
    size_t size;
    int result;
    while ((result = cairn_export(from, &cursor, bundle, sizeof bundle, &size)) == CAIRN_OK) {
        struct cairn_import import;
        result = cairn_import(to, bundle, size, &import);
        if (result != CAIRN_OK) fail_msg("import: %s", cairn_error_message(to));
        assert_int_equal(import.waiting, 0);
        /* The same once more counts once. */
        assert_int_equal(cairn_import(to, bundle, size, &import), CAIRN_OK);
        assert_int_equal(import.applied, 0);
        assert_true(import.duplicate > 0);
    }
    assert_int_equal(result, CAIRN_END);
}

static void test_exchange(void **state)
{
    (void)state;
    const struct cairn_options options[2] = {options_of(folder, 1), options_of(other_folder, 2)};
    cairn_engine *engines[2];
    uint8_t digests[2][2][CAIRN_ADDRESS_SIZE];
    uint8_t key[CAIRN_PUBLIC_KEY_SIZE];
    uint32_t spaces[2];
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 2; i++) {
            engines[i] = open_engine(&options[i]);
            spaces[i] = declare(engines[i]);
        }
        for (uint32_t i = 0; i < 2; i++) {
            cairn_public_key(engines[1 - i], key);
            assert_int_equal(cairn_member_add(engines[i], 2 - i, key), CAIRN_OK);
            for (int64_t j = 0; j < 2000; j++) {
                char name[16];
                (void)snprintf(name, sizeof name, "k%d", (int)(j % 50));
                (void)add(engines[i], spaces[i], name, j * (i == 0 ? 1 : -3));
            }
            assert_int_equal(cairn_flush(engines[i], 10000), CAIRN_OK);
        }
        exchange(engines[0], engines[1]);
        exchange(engines[1], engines[0]);
        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(cairn_cells_digest(engines[i], digests[i][0]), CAIRN_OK);
            assert_int_equal(cairn_facts_digest(engines[i], digests[i][1]), CAIRN_OK);
        }
        assert_memory_equal(digests[0], digests[1], sizeof digests[0]);
        assert_int_equal(read_key(engines[0], spaces[0], "k7"),
                         -2 * (int64_t)(round + 1) * (40 * 7 + 50 * 780));
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(cairn_close(engines[i]), CAIRN_OK);
    }
}

/* ---- Kill ---------------------------------------------------------------------------------- */

/* In the child: facts for ever, and each durable sequence to the parent. */
static _Noreturn void admit_for_ever(int out, uint32_t flags)
{
    struct cairn_options options = options_of(folder, 1);
    cairn_engine *engine;
    uint32_t space;
    options.flags |= flags;
    if (cairn_open(&options, &engine, message) != CAIRN_OK) _exit(1);
    if (cairn_space_declare(engine, "sum", CAIRN_PNCOUNTER, &space) != CAIRN_OK) _exit(2);
    for (;;) {
        struct cairn_effect effect = {"n", 1, space, CAIRN_ADD, 0, 1};
        struct cairn_fact facts[16];
        struct cairn_ticket tickets[16];
        size_t admitted;
        for (uint32_t i = 0; i < 16; i++) {
            facts[i] = (struct cairn_fact){.effects = &effect, .effect_count = 1};
        }
        int result = cairn_admit(engine, facts, 16, tickets, &admitted);
        if (result != CAIRN_OK && result != CAIRN_BUSY) _exit(3);
        if (admitted == 0) continue;
        if (cairn_wait(engine, tickets[admitted - 1].position, 10000) != CAIRN_OK) _exit(4);
        uint64_t sequence = tickets[admitted - 1].dot.sequence;
        if (write(out, &sequence, sizeof sequence) != sizeof sequence) _exit(5);
    }
}

static void test_kill(void **state)
{
    (void)state;
    struct prng prng;
    uint64_t total = 0;
    const char *sanitize = getenv("CAIRN_SANITIZE");
    /* ThreadSanitizer refuses threads in a child of a process that had some. */
    uint32_t kills = sanitize != NULL && strcmp(sanitize, "thread") == 0 ? 0 : KILLS;
    prng_init(&prng, 9);
    for (uint32_t i = 0; i < kills; i++) {
        int ends[2];
        uint64_t durable = 0;
        uint64_t sequence;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) admit_for_ever(ends[1], i % 2 == 0 ? 0 : CAIRN_OPEN_NO_URING);
        close(ends[1]);
        uint64_t wanted = 100 + prng_below(&prng, 2000);
        while (durable < wanted &&
               read(ends[0], &sequence, sizeof sequence) == (ssize_t)sizeof sequence) {
            durable = sequence;
        }
        assert_true(durable >= wanted);
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(ends[0], &sequence, sizeof sequence) == (ssize_t)sizeof sequence) {
            durable = sequence;
        }
        close(ends[0]);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

        struct cairn_options options = options_of(folder, 1);
        cairn_engine *engine = open_engine(&options);
        struct cairn_status after;
        cairn_status(engine, &after);
        assert_true(after.facts_applied >= total + durable);
        assert_int_equal(read_key(engine, declare(engine), "n"), after.facts_applied);
        total = after.facts_applied;
        assert_int_equal(cairn_close(engine), CAIRN_OK);
    }
}

/* ---- Threads ------------------------------------------------------------------------------- */

struct watcher {
    cairn_engine *engine;
    _Atomic bool stops;
    uint64_t looks;
    uint64_t last;
    bool went_back;
};

static void *watch(void *argument)
{
    struct watcher *self = argument;
    while (!atomic_load(&self->stops)) {
        uint64_t durable = cairn_durable(self->engine);
        self->went_back |= durable < self->last;
        self->last = durable;
        self->looks++;
    }
    return NULL;
}

/* One thread owns the engine, one watches, one writes: what a race detector is to judge. */
static void test_threads(void **state)
{
    (void)state;
    struct cairn_options options = options_of(folder, 1);
    cairn_engine *engine = open_engine(&options);
    uint32_t space = declare(engine);
    struct watcher watcher = {.engine = engine};
    pthread_t thread;
    struct cairn_ticket ticket = {0};
    uint64_t cursor = 0;
    uint64_t bundles = 0;
    assert_int_equal(pthread_create(&thread, NULL, watch, &watcher), 0);
    for (int64_t i = 0; i < 20000; i++) {
        size_t size;
        ticket = add(engine, space, "t", 1);
        if (i % 1000 == 0) assert_int_equal(cairn_wait(engine, ticket.position, 10000), CAIRN_OK);
        if (i % 4000 == 0) assert_int_equal(cairn_flush(engine, 10000), CAIRN_OK);
        if (i % 7000 == 0) assert_int_equal(cairn_checkpoint(engine), CAIRN_OK);
        if (i % 500 != 0) continue;
        int result = cairn_export(engine, &cursor, bundle, sizeof bundle, &size);
        assert_true(result == CAIRN_OK || result == CAIRN_END);
        bundles += result == CAIRN_OK;
    }
    assert_int_equal(cairn_flush(engine, 10000), CAIRN_OK);
    assert_true(cairn_durable(engine) >= ticket.position);
    atomic_store(&watcher.stops, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(watcher.went_back);
    assert_true(watcher.looks > 0 && bundles > 0);
    assert_int_equal(read_key(engine, space, "t"), 20000);
    assert_int_equal(cairn_close(engine), CAIRN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lives_uring, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lives_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exchange, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
