/* SPDX-License-Identifier: Apache-2.0 */
/* Engines of the benchmark, through the public interface alone. */
#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/bytes.h"
#include "cli/bench.h"
#include "cli/say.h"

#define SEGMENT_BYTES (UINT64_C(16) << 20)

uint64_t bench_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- Failures -------------------------------------------------------------------------------- */

int bench_failed(const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    say("bench: %s", text);
    return EXIT_CODE_FAILURE;
}

int bench_refused(cairn_engine *engine, int result, const char *what)
{
    return bench_failed("%s: %s: %s", what, cairn_result_name(result),
                        engine != NULL ? cairn_error_message(engine) : cairn_result_text(result));
}

/* ---- Folders --------------------------------------------------------------------------------- */

int bench_folder_make(struct bench *self, char path[BENCH_PATH_SIZE])
{
    int size = snprintf(path, BENCH_PATH_SIZE, "%s/%u", self->folder, self->folders_made++);
    if (size < 0 || (size_t)size >= BENCH_PATH_SIZE) return bench_failed("--data is too long");
    if (mkdir(path, 0700) == 0) return 0;
    return bench_failed("making %s: %s", path, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void bench_folder_remove(const char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        (void)say_errno("removing", path);
}

/* ---- Engines --------------------------------------------------------------------------------- */

void bench_options(struct cairn_options *options, const char *folder, uint32_t slot)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->folder = folder;
    memcpy(options->cluster_id, "cairn benchmark", CAIRN_CLUSTER_ID_SIZE);
    options->slot = slot;
    options->durability = folder != NULL ? CAIRN_DURABILITY_JOURNAL : CAIRN_DURABILITY_NONE;
    options->flags = folder != NULL ? CAIRN_OPEN_CREATE : 0;
}

void bench_options_journal(struct cairn_options *options, uint64_t bytes)
{
    uint64_t whole = round_up(bytes, SEGMENT_BYTES);
    uint64_t spare = 4 * SEGMENT_BYTES; /* so that nothing is refused near the end */
    options->limits.segment_bytes = SEGMENT_BYTES;
    /* A quarter of the ring is more than all: no checkpoint comes by itself. */
    options->limits.journal_bytes_max = 4 * (whole + 2 * spare);
    options->prepare_bytes = whole + spare;
}

int bench_open(const struct cairn_options *options, cairn_engine **engine)
{
    char message[CAIRN_ERROR_MESSAGE_SIZE_MAX] = "";
    int result = cairn_open(options, engine, message);
    if (result == CAIRN_OK) return 0;
    return bench_failed("cairn_open: %s: %s", cairn_result_name(result), message);
}

int bench_close(cairn_engine *engine)
{
    int result = cairn_close(engine);
    if (result == CAIRN_OK) return 0;
    return bench_refused(NULL, result, "cairn_close");
}

/* ---- The library ----------------------------------------------------------------------------- */

int bench_library_path(char path[BENCH_PATH_SIZE])
{
    static int (*const functions[])(cairn_engine *, const struct cairn_fact *, size_t,
                                    struct cairn_ticket *, size_t *) = {cairn_admit};
    Dl_info library;
    Dl_info command;
    void *admit;
    void *own;
    int (*const own_function)(char *) = bench_library_path;
    memcpy(&admit, functions, sizeof admit);
    memcpy(&own, &own_function, sizeof own);
    if (dladdr(admit, &library) == 0 || dladdr(own, &command) == 0 ||
        library.dli_fbase == command.dli_fbase || strstr(library.dli_fname, ".so") == NULL) {
        return bench_failed("cairn_admit is not libcairn.so's; build the command as CMake does");
    }
    if (snprintf(path, BENCH_PATH_SIZE, "%s", library.dli_fname) >= (int)BENCH_PATH_SIZE)
        return bench_failed("the library's path is too long");
    return 0;
}
