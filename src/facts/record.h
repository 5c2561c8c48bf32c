/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of records that the facts lane stages and journals (docs/formats.md, "Records").
 */
#ifndef CAIRN_FACTS_RECORD_H
#define CAIRN_FACTS_RECORD_H

#define RECORD_KIND_MAP(X)                                                                         \
    X(OPEN, 1, "open")               /* a new incarnation of this member begins */                 \
    X(CLOSE, 2, "close")             /* the engine was closed with everything durable */           \
    X(SPACE, 3, "space")             /* a declaration */                                           \
    X(MEMBER, 4, "member")           /* slot and public key */                                     \
    X(FACT, 5, "fact")               /* one canonical fact, in the order of application */         \
    X(CERTIFICATE, 6, "certificate") /* behind the last of its facts */

enum record_kind {
#define RECORD_KIND_ENUM(name, number, text) RECORD_##name = number,
    RECORD_KIND_MAP(RECORD_KIND_ENUM)
#undef RECORD_KIND_ENUM
};

#define RECORD_OPEN_SIZE 64u   /* u32 slot, u32 incarnation, u64 wall ms, 16 cluster id, 32 link */
#define RECORD_MEMBER_SIZE 40u /* u32 slot, u32 zero, 32 public key */

#endif
