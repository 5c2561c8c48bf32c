/* SPDX-License-Identifier: Apache-2.0 */
#include "os/linux.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "os/disk.h"
#include "os/failure.h"
#include "os/folder.h"
#include "os/store.h"
#include "os/system.h"

struct os_host {
    struct os_failure failure;
    struct os_system system;
    struct os_folder folder;
    struct os_store store;
    struct os_disk *disk;
    bool has_folder;
    bool uring;
};

int os_host_open(struct os_host **host, const struct os_options *options, struct host *face,
                 char *message)
{
    *host = NULL;
    *face = (struct host){0};
    struct os_host *self = calloc(1, sizeof *self);
    if (!self) {
        if (message) strcpy(message, "calloc: no memory");
        return CAIRN_NO_MEMORY;
    }
    os_failure_init(&self->failure);
    os_system_open(&self->system, &self->failure);
    self->uring = options->uring;
    if (options->folder) {
        int result =
            os_folder_open(&self->folder, options->folder, options->create, &self->failure);
        if (result != CAIRN_OK) {
            os_failure_copy(&self->failure, message);
            os_failure_destroy(&self->failure);
            free(self);
            return result;
        }
        self->has_folder = true;
        os_store_open(&self->store, self->folder.fd, &self->failure);
        face->store = os_store_face(&self->store);
    }
    face->system = os_system_face(&self->system);
    *host = self;
    return CAIRN_OK;
}

int os_disk_open(struct os_host *host, uint64_t segment_bytes, uint32_t segment_count,
                 struct host *face, char *message)
{
    cairn_assert(host->has_folder && !host->disk);
    struct disk_options options = {.folder = host->folder.fd,
                                   .lock = host->folder.lock,
                                   .segment_bytes = segment_bytes,
                                   .segment_count = segment_count,
                                   .uring = host->uring};
    int result = disk_open(&host->disk, &options, &host->failure);
    if (result == CAIRN_OK) {
        face->disk = disk_face(host->disk);
    } else {
        os_failure_copy(&host->failure, message);
    }
    return result;
}

void os_host_close(struct os_host *host)
{
    if (!host) return;
    cairn_assert(!host->system.started); /* the thread would go on with what is freed here */
    disk_close(host->disk);
    if (host->has_folder) {
        os_store_close(&host->store);
        os_folder_close(&host->folder);
    }
    os_failure_destroy(&host->failure);
    free(host);
}

void os_host_failure(struct os_host *host, char *message)
{
    os_failure_copy(&host->failure, message);
}

const char *os_disk_name(const struct os_host *host)
{
    cairn_assert(host->disk);
    return host->disk->engine->name;
}

bool os_disk_is_direct(const struct os_host *host)
{
    cairn_assert(host->disk);
    return host->disk->files.direct;
}
