/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder on a real disk: bursts much larger than a certificate, a batch or the staging ring.
 * What it leaves behind is judged by recovery, which holds every certificate against its facts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cairn.h"
#include "facts/certificate.h"
#include "os/test_folder.h"

#define KEYS 100u

static cairn_engine *open_engine(const char *path)
{
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX];
    cairn_engine *engine;
    struct cairn_options options = {.size = sizeof options, .flags = CAIRN_OPEN_CREATE, .slot = 3};
    options.folder = path;
    options.limits.journal_bytes_max = UINT64_C(512) << 20;
    options.limits.cells_max = 1024;
    options.limits.cell_bytes_max = 1024 * 1024;
    if (cairn_open(&options, &engine, message) != CAIRN_OK) fail_msg("%s", message);
    return engine;
}

/* Admits one fact; waits for room where there is none. */
static uint64_t admit(cairn_engine *engine, uint32_t space, uint32_t number, uint32_t key_size)
{
    char key[CAIRN_KEY_SIZE_MAX];
    memset(key, 'k', sizeof key);
    memcpy(key, &(uint32_t){number % KEYS}, sizeof(uint32_t));
    struct cairn_effect effect = {key, key_size, space, CAIRN_ADD, 0, 1};
    struct cairn_fact fact = {.effects = &effect, .effect_count = 1};
    struct cairn_ticket ticket;
    int result;
    while ((result = cairn_admit(engine, &fact, 1, &ticket, NULL)) == CAIRN_BUSY) {
        assert_int_equal(cairn_wait_room(engine, 60000), CAIRN_OK);
    }
    assert_int_equal(result, CAIRN_OK);
    return ticket.position;
}

static uint64_t sum_of_cells(cairn_engine *engine)
{
    struct cairn_cell cell;
    uint64_t cursor = 0;
    uint64_t sum = 0;
    while (cairn_cell_next(engine, &cursor, &cell) == CAIRN_OK)
        sum += (uint64_t)cell.value.low;
    return sum;
}

/* Full certificates of small and of large facts: each covers exactly the facts before it. */
static void full_certificates_match_their_facts(void **state)
{
    (void)state;
    static const struct {
        uint32_t key_size;
        uint32_t facts;
    } bursts[] = {{8, 40000}, {136, 20000}, {1024, 5000}};
    char path[TEST_PATH_SIZE];
    test_folder_make(path, "/var/tmp");
    uint64_t expected = 0;
    for (size_t i = 0; i < sizeof bursts / sizeof bursts[0]; i++) {
        cairn_engine *engine = open_engine(path);
        uint32_t space;
        uint64_t position = 0;
        assert_int_equal(cairn_space_declare(engine, "burst", CAIRN_GCOUNTER, &space), CAIRN_OK);
        for (uint32_t j = 0; j < bursts[i].facts; j++) {
            position = admit(engine, space, j, bursts[i].key_size);
        }
        assert_int_equal(cairn_wait(engine, position, 60000), CAIRN_OK);
        assert_int_equal(cairn_close(engine), CAIRN_OK);
        expected += bursts[i].facts;

        struct cairn_recovery recovery;
        engine = open_engine(path);
        cairn_recovered(engine, &recovery);
        assert_int_equal(recovery.certificates_bad, 0);
        assert_int_equal(recovery.facts_held, 0);
        assert_int_equal(recovery.facts_applied, expected);
        uint64_t least = expected * 128 / CERTIFICATE_FACTS_SIZE_MAX;
        assert_true(recovery.certificates_verified > least);
        assert_int_equal(sum_of_cells(engine), expected);
        assert_int_equal(cairn_close(engine), CAIRN_OK);
    }
    test_folder_remove(path);
}

/* Processor time of this process, all threads. */
static uint64_t processor_ms(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    uint64_t seconds = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
    uint64_t micros = (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    return seconds * 1000 + micros / 1000;
}

/* In a child: writes fail from here on, while facts are staged that can never be written. */
static int fail_and_rest(const char *path)
{
    cairn_engine *engine = open_engine(path);
    uint32_t space;
    CHILD_CHECK(cairn_space_declare(engine, "burst", CAIRN_GCOUNTER, &space) == CAIRN_OK);
    CHILD_CHECK(cairn_flush(engine, 10000) == CAIRN_OK);
    test_file_limit(1);
    struct cairn_effect effect = {"key", 3, space, CAIRN_ADD, 0, 1};
    struct cairn_fact fact = {.effects = &effect, .effect_count = 1};
    struct cairn_ticket ticket = {0};
    int result;
    do {
        result = cairn_admit(engine, &fact, 1, &ticket, NULL);
        /* A segment may be refused before the write is. */
    } while (result == CAIRN_OK || result == CAIRN_BUSY || result == CAIRN_STORAGE_FULL);
    CHILD_CHECK(result == CAIRN_STORAGE_FAILED);
    CHILD_CHECK(cairn_wait(engine, ticket.position, 10000) == CAIRN_STORAGE_FAILED);
    uint64_t before = processor_ms();
    CHILD_CHECK(usleep(500000) == 0);
    CHILD_CHECK(processor_ms() - before < 100); /* it rests: spinning would take all 500 */
    CHILD_CHECK(cairn_close(engine) == CAIRN_STORAGE_FAILED);
    return 0;
}

static void a_failed_journal_rests(void **state)
{
    (void)state;
    char path[TEST_PATH_SIZE];
    test_folder_make(path, "/var/tmp");
    assert_true(test_child(fail_and_rest, path));
    test_folder_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_certificates_match_their_facts),
        cmocka_unit_test(a_failed_journal_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
