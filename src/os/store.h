/* SPDX-License-Identifier: Apache-2.0 */
/* host_store on Linux: the three small files of the data folder, through the page cache. */
#ifndef CAIRN_OS_STORE_H
#define CAIRN_OS_STORE_H

#include "host/host.h"
#include "os/failure.h"

struct os_store {
    struct os_failure *failure;
    int folder; /* borrowed */
    struct os_store_file {
        int fd; /* -1: not opened yet, or not there */
        /* The name was made durable in this life. An earlier life may have died before that. */
        bool name_durable;
        /* A sync failed. The kernel forgets which pages it lost, so a later sync that succeeds
         * proves nothing, until the file is written anew from nothing. */
        bool sync_failed;
    } files[HOST_FILES];
};

void os_store_open(struct os_store *self, int folder, struct os_failure *failure);
void os_store_close(struct os_store *self);
struct host_store os_store_face(struct os_store *self);

#endif
