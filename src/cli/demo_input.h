/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Debian package index as input of the demonstration: files of stanzas (deb822), read through
 * apt-helper, since apt may keep them compressed.
 */
#ifndef CAIRN_CLI_DEMO_INPUT_H
#define CAIRN_CLI_DEMO_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/lines.h"

#define PACKAGE_FILES_MAX 64u

struct package_files {
    uint32_t count;
    bool is_sample;
    char *paths[PACKAGE_FILES_MAX]; /* sorted */
};

/*
 * The files of this machine; where there are none, or with `sample`, that of examples/data. Returns
 * an exit code.
 */
int package_files_find(struct package_files *self, bool sample);
void package_files_free(struct package_files *self);
/* Writes the path of a file in examples/, which lies beside the binary or at CAIRN_EXAMPLES. */
bool examples_path(const char *name, char *path, size_t size);

struct package_term {
    const char *name;
    size_t size;
};

/* What the demonstration takes from a stanza. Texts that are not there are empty. */
struct package {
    uint64_t index; /* in its file */
    const char *section;
    const char *maintainer;
    bool has_installed_size;
    int64_t installed_size;
    const struct package_term *terms; /* names in Depends and Pre-Depends: sorted, each once */
    size_t term_count;
};

enum package_field {
    FIELD_SECTION,
    FIELD_MAINTAINER,
    FIELD_INSTALLED_SIZE,
    FIELD_DEPENDS,
    FIELD_PRE_DEPENDS,
    PACKAGE_FIELDS,
    FIELD_OTHER = PACKAGE_FIELDS,
};

struct field_text {
    char *bytes;
    size_t size;
    size_t capacity;
};

struct package_reader {
    const char *path;
    pid_t helper; /* 0: the file is read as it is */
    int fd;
    struct line_reader lines;
    struct field_text fields[PACKAGE_FIELDS];
    struct package_term *terms;
    size_t terms_capacity;
    uint64_t next_index;
};

/* Returns an exit code. */
int package_reader_open(struct package_reader *self, const char *path);
/* *package is valid until the next call. */
enum line_result package_reader_next(struct package_reader *self, struct package *package);
/* Returns an exit code; `was_read`: to the end, so that a failure of the helper counts. */
int package_reader_close(struct package_reader *self, bool was_read);

#endif
