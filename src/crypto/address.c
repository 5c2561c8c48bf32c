/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two ways around the library's front door, both with its own compression functions:
 *
 *   - its derive-key mode hashes the context string each time; the key that this gives is a
 *     constant of the kind, so address_init() computes it once;
 *   - an input of one chunk (1,024 bytes) has no tree: its hash is the chain of its blocks, the
 *     last one flagged as root. That is done here without the 1.9 KB state of a hasher.
 *
 * Source: BLAKE3 paper, sections 2.1-2.4 and 5.1; blake3_impl.h of the official C.
 */
#include "crypto/address.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include <blake3_impl.h>

#include "base/assert.h"

#define KEY_WORDS 8u

_Static_assert(ADDRESS_SIZE == BLAKE3_OUT_LEN, "an address is one BLAKE3 output");
_Static_assert(sizeof(struct address_stream) >= sizeof(blake3_hasher), "a stream holds a hasher");
_Static_assert(_Alignof(struct address_stream) >= _Alignof(blake3_hasher), "at its alignment");

static uint32_t kind_keys[ADDRESS_KINDS][KEY_WORDS];
static _Atomic bool kind_keys_ready;

void address_init(void)
{
    static const char *const contexts[ADDRESS_KINDS] = {
#define ADDRESS_KIND_CONTEXT(name, context) context,
        ADDRESS_KIND_MAP(ADDRESS_KIND_CONTEXT)
#undef ADDRESS_KIND_CONTEXT
    };
    /* A later call must write nothing: other threads hash. */
    if (atomic_load_explicit(&kind_keys_ready, memory_order_acquire)) return;
    for (size_t kind = 0; kind < ADDRESS_KINDS; kind++) {
        /* Hashing the context also settles the library's own lazy choice of processor code. */
        blake3_hasher hasher;
        blake3_hasher_init_derive_key(&hasher, contexts[kind]);
        memcpy(kind_keys[kind], hasher.key, sizeof kind_keys[kind]);
    }
    atomic_store_explicit(&kind_keys_ready, true, memory_order_release);
}

static const uint32_t *kind_key(enum address_kind kind)
{
    cairn_assert((size_t)kind < ADDRESS_KINDS);
    cairn_assert(atomic_load_explicit(&kind_keys_ready, memory_order_acquire));
    return kind_keys[kind];
}

/* The root hash of at most one chunk. */
static void chunk_hash(const uint32_t key[KEY_WORDS], uint8_t flags, const uint8_t *bytes,
                       size_t size, uint8_t address[ADDRESS_SIZE])
{
    uint32_t chain[KEY_WORDS];
    memcpy(chain, key, sizeof chain);
    uint8_t start = CHUNK_START;
    for (; size > BLAKE3_BLOCK_LEN; bytes += BLAKE3_BLOCK_LEN, size -= BLAKE3_BLOCK_LEN) {
        blake3_compress_in_place(chain, bytes, BLAKE3_BLOCK_LEN, 0, flags | start);
        start = 0;
    }
    uint8_t padded[BLAKE3_BLOCK_LEN];
    if (size < BLAKE3_BLOCK_LEN) {
        memset(padded, 0, sizeof padded);
        if (size > 0) memcpy(padded, bytes, size);
        bytes = padded;
    }
    blake3_compress_in_place(chain, bytes, (uint8_t)size, 0, flags | start | CHUNK_END | ROOT);
    memcpy(address, chain, ADDRESS_SIZE); /* words are little-endian, and so is the machine */
}

static blake3_hasher *stream_hasher(struct address_stream *stream)
{
    return (blake3_hasher *)(void *)stream->opaque;
}

void address_stream_init(struct address_stream *self, enum address_kind kind)
{
    /* As blake3_hasher_init_derive_key(), with the context hashed already. */
    blake3_hasher *hasher = stream_hasher(self);
    blake3_hasher_init_keyed(hasher, (const uint8_t *)kind_key(kind));
    hasher->chunk.flags = DERIVE_KEY_MATERIAL;
}

void address_stream_init_plain(struct address_stream *self)
{
    blake3_hasher_init(stream_hasher(self));
}

void address_stream_add(struct address_stream *self, const void *bytes, size_t size)
{
    blake3_hasher_update(stream_hasher(self), bytes, size);
}

void address_stream_end(const struct address_stream *self, uint8_t address[ADDRESS_SIZE])
{
    blake3_hasher_finalize((const blake3_hasher *)(const void *)self->opaque, address,
                           ADDRESS_SIZE);
}

void address_of_bytes(const void *bytes, size_t size, uint8_t address[ADDRESS_SIZE])
{
    if (size <= BLAKE3_CHUNK_LEN) {
        chunk_hash(IV, 0, bytes, size, address);
        return;
    }
    struct address_stream stream;
    address_stream_init_plain(&stream);
    address_stream_add(&stream, bytes, size);
    address_stream_end(&stream, address);
}

void address_of_record(enum address_kind kind, const void *bytes, size_t size,
                       uint8_t address[ADDRESS_SIZE])
{
    if (size <= BLAKE3_CHUNK_LEN) {
        chunk_hash(kind_key(kind), DERIVE_KEY_MATERIAL, bytes, size, address);
        return;
    }
    struct address_stream stream;
    address_stream_init(&stream, kind);
    address_stream_add(&stream, bytes, size);
    address_stream_end(&stream, address);
}

void address_of_many(enum address_kind kind, const uint8_t *const *records, size_t count,
                     size_t size, uint8_t *addresses)
{
    cairn_assert(size % BLAKE3_BLOCK_LEN == 0);
    if (size > 0 && size <= BLAKE3_CHUNK_LEN) {
        blake3_hash_many(records, count, size / BLAKE3_BLOCK_LEN, kind_key(kind), 0, false,
                         DERIVE_KEY_MATERIAL, CHUNK_START, CHUNK_END | ROOT, addresses);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        address_of_record(kind, records[i], size, addresses + i * ADDRESS_SIZE);
    }
}
