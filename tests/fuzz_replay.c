/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files instead of a fuzzer: every argument is a file, or a folder whose
 * files are taken in the order of their names. So each build replays the kept corpus, with any
 * compiler, and a crash that a fuzzer reported is repeated with one command.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *count, char ***arguments);

static unsigned long inputs_run;

static void fail(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", path, what, strerror(errno));
    exit(2);
}

static void run_file(const char *path, size_t size)
{
    /* Exactly as large as the input, so that a sanitizer sees a read past its end. */
    uint8_t *data = malloc(size);
    if (data == NULL && size != 0) fail(path, "cannot hold it in memory");
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail(path, "cannot open");
    if (fread(data, 1, size, file) != size) fail(path, "cannot read");
    fclose(file);
    /* Said before the run, so that the last line names the culprit of a crash. */
    printf("%s (%zu bytes)\n", path, size);
    fflush(stdout);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    inputs_run++;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) fail(path, "cannot find");
    if (!S_ISDIR(status.st_mode)) {
        run_file(path, (size_t)status.st_size);
        return;
    }
    struct dirent **entries;
    int count = scandir(path, &entries, is_visible, alphasort);
    if (count < 0) fail(path, "cannot list");
    for (int i = 0; i < count; i++) {
        char inner[4096];
        int length = snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        if (length < 0 || (size_t)length >= sizeof inner) {
            errno = ENAMETOOLONG;
            fail(path, "cannot name its files");
        }
        run_path(inner);
        free(entries[i]);
    }
    free(entries);
}

int main(int count, char **arguments)
{
    if (count < 2) {
        fprintf(stderr, "usage: %s FILE-OR-FOLDER...\n", arguments[0]);
        return 2;
    }
    if (LLVMFuzzerInitialize != NULL) (void)LLVMFuzzerInitialize(&count, &arguments);
    for (int i = 1; i < count; i++)
        run_path(arguments[i]);
    printf("%lu inputs replayed\n", inputs_run);
    return inputs_run == 0;
}
