/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spaces: named collections of cells with a declared type.
 *
 * A declaration is immutable, and its id is a hash of it, so two different declarations never meet
 * under one id (docs/formats.md, "Space declaration"):
 *
 *   0 u8 version = 1   1 u8 type   2 u16 type version = 1   4 u32 realm   8 u8 name size   9 name
 *
 * Handles are indexes in the order of declaration at this member; they are not in any format.
 */
#ifndef CAIRN_FACTS_SPACE_H
#define CAIRN_FACTS_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attributes.h"
#include "base/bytes.h"
#include "base/result.h"
#include "cairn.h"

#define SPACE_VERSION 1u
#define SPACE_TYPE_VERSION 1u
#define SPACE_HEADER_SIZE 9u
#define SPACE_DECLARATION_SIZE_MAX (SPACE_HEADER_SIZE + CAIRN_SPACE_NAME_SIZE_MAX)
#define SPACE_NONE UINT32_MAX

/*
 * Types: constant, number, name. To add a type: a line here, its rows in space_check_effect() and
 * realm_apply_effects() and admit_plain(), its section in docs/formats.md.
 */
#define SPACE_TYPE_MAP(X)                                                                          \
    X(GCOUNTER, 1, "gcounter")                                                                     \
    X(PNCOUNTER, 2, "pncounter")

struct space {
    uint8_t id[CAIRN_SPACE_ID_SIZE];
    uint32_t type; /* enum cairn_type */
    uint32_t realm;
    char name[CAIRN_SPACE_NAME_SIZE_MAX + 8]; /* terminated */
};

struct spaces {
    struct space *table;
    uint32_t *index; /* open addressing by the first bytes of the id: handle + 1, 0 is empty */
    uint32_t index_size;
    uint32_t count;
    uint32_t maximum;
};

void spaces_init(struct spaces *self, uint32_t maximum, struct arena *arena);

/* Fills id and fields from a name and type. INVALID_ARGUMENT: name or type. */
CHECKED int space_make(struct space *space, uint32_t realm, const char *name, uint32_t type,
                       struct refusal *refusal);

/* Writes the declaration; returns its size, at most SPACE_DECLARATION_SIZE_MAX. */
uint32_t space_encode(const struct space *space, uint8_t *bytes);
/* NOT_CANONICAL: not the bytes of a declaration. */
CHECKED int space_decode(struct space *space, const uint8_t *bytes, uint32_t size);

/* The handle of an id, or SPACE_NONE. */
uint32_t spaces_find(const struct spaces *self, const uint8_t id[CAIRN_SPACE_ID_SIZE]);
/* The handle of a name in the realm, or SPACE_NONE. */
uint32_t spaces_find_name(const struct spaces *self, uint32_t realm, const char *name);
/* Adds a space that is not there. Precondition: there is room. Returns its handle. */
uint32_t spaces_add(struct spaces *self, const struct space *space);
bool spaces_are_full(const struct spaces *self);

const char *space_type_name(uint32_t type);
/* 0: no such type. */
uint32_t space_type_of_name(const char *name);

/* May the type take this operation with this amount? OK, WRONG_TYPE or NEGATIVE. */
HOT_INLINE int space_check_effect(uint32_t type, uint32_t operation, int64_t amount)
{
    if (UNLIKELY(operation != CAIRN_ADD)) return CAIRN_WRONG_TYPE;
    if (UNLIKELY(type == CAIRN_GCOUNTER && amount < 0)) return CAIRN_NEGATIVE;
    return CAIRN_OK;
}

#endif
