/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn 2020): addresses of bytes, and of records by
 * kind in the derive-key mode. A face of the official C and assembly.
 */
#ifndef CAIRN_CRYPTO_ADDRESS_H
#define CAIRN_CRYPTO_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

#define ADDRESS_SIZE 32u

/* Kinds of records; each is hashed with the context "cairn v1 <kind>". */
#define ADDRESS_KIND_MAP(X)                                                                        \
    X(FACT, "cairn v1 fact")                                                                       \
    X(NODE, "cairn v1 merkle node")                                                                \
    X(CERTIFICATE, "cairn v1 certificate")                                                         \
    X(TICK, "cairn v1 certificate tick")                                                           \
    X(SPACE, "cairn v1 space")                                                                     \
    X(CELL, "cairn v1 cell")                                                                       \
    X(CELLS, "cairn v1 cells")                                                                     \
    X(FACTS, "cairn v1 facts")                                                                     \
    X(CHECKPOINT, "cairn v1 checkpoint")

enum address_kind {
#define ADDRESS_KIND_ENUM(name, context) ADDRESS_##name,
    ADDRESS_KIND_MAP(ADDRESS_KIND_ENUM)
#undef ADDRESS_KIND_ENUM
        ADDRESS_KINDS
};

/* Prepares contexts and processor dispatch. Call once before threads start; again is fine. */
void address_init(void);

/* Plain BLAKE3-256: what b3sum prints. */
void address_of_bytes(const void *bytes, size_t size, uint8_t address[ADDRESS_SIZE]);

/* BLAKE3-256 in the derive-key mode of the kind. */
void address_of_record(enum address_kind kind, const void *bytes, size_t size,
                       uint8_t address[ADDRESS_SIZE]);

/*
 * The same for many records at once, several in each pass of the processor's widest registers:
 * `count` records of `size` bytes each, size a multiple of 64. Records of up to 1,024 bytes (one
 * chunk) go through together; larger ones one by one. Output: count * 32 bytes in order.
 */
void address_of_many(enum address_kind kind, const uint8_t *const *records, size_t count,
                     size_t size, uint8_t *addresses);

/*
 * Streaming, for what does not lie in one piece. 1,912 bytes of state inside; bytes, because only
 * these may alias the library's own structure.
 */
struct address_stream {
    _Alignas(8) uint8_t opaque[1984];
};
void address_stream_init(struct address_stream *self, enum address_kind kind);
void address_stream_init_plain(struct address_stream *self);
void address_stream_add(struct address_stream *self, const void *bytes, size_t size);
void address_stream_end(const struct address_stream *self, uint8_t address[ADDRESS_SIZE]);

#endif
