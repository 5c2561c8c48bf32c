/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/prng.h"
#include "crypto/crc32c.h"

/* Bit by bit, as the polynomial says. */
static uint32_t direct_crc(const uint8_t *bytes, size_t size)
{
    uint32_t state = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        state ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            state = state >> 1 ^ (state & 1 ? UINT32_C(0x82f63b78) : 0);
        }
    }
    return ~state;
}

static void known_values(void **state)
{
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(0xabcdef01, "", 0), 0xabcdef01);
    memset(bytes, 0, sizeof bytes); /* RFC 3720, appendix B.4 */
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46dd794e);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x113fdb5c);
}

static void every_size_and_alignment_agrees_with_the_definition(void **state)
{
    (void)state;
    uint8_t bytes[700];
    struct prng prng;
    prng_init(&prng, 61);
    prng_fill(&prng, bytes, sizeof bytes);
    for (size_t size = 0; size <= 640; size++) {
        for (size_t offset = 0; offset < 16; offset += 1 + size / 64) {
            assert_int_equal(crc32c(0, bytes + offset, size), direct_crc(bytes + offset, size));
        }
    }
}

static void parts_chain_at_every_cut(void **state)
{
    (void)state;
    uint8_t bytes[300];
    struct prng prng;
    prng_init(&prng, 62);
    prng_fill(&prng, bytes, sizeof bytes);
    for (size_t size = 0; size <= sizeof bytes; size += 13) {
        uint32_t whole = crc32c(0, bytes, size);
        for (size_t cut = 0; cut <= size; cut++) {
            assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, size - cut), whole);
        }
    }
}

/* All bursts of up to 32 bits are found: here every single and double flip nearby. */
static void flips_are_found(void **state)
{
    (void)state;
    uint8_t bytes[64] = {0};
    uint32_t whole = crc32c(0, bytes, sizeof bytes);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(crc32c(0, bytes, sizeof bytes), whole);
        for (size_t other = bit + 1; other < bit + 32 && other < sizeof bytes * 8; other++) {
            bytes[other / 8] ^= (uint8_t)(1u << other % 8);
            assert_int_not_equal(crc32c(0, bytes, sizeof bytes), whole);
            bytes[other / 8] ^= (uint8_t)(1u << other % 8);
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

#define PAGE_SIZE ((size_t)4096)
#define PERIOD (4099 * PAGE_SIZE) /* no power of two, so that a step to a wrong place is seen */
#define BIG_SIZE (((size_t)1 << 32) + PERIOD / 2 + 5)
#define BIG_MAPPING ((BIG_SIZE / PERIOD + 1) * PERIOD)

/* The same pages again and again, so that 4 GiB of address space take 16 MiB of memory. */
static uint8_t *map_repeatedly(int file)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    uint8_t *bytes = mmap(NULL, BIG_MAPPING, PROT_NONE, flags, -1, 0);
    if (bytes == MAP_FAILED) return NULL;
    for (size_t at = 0; at < BIG_MAPPING; at += PERIOD) {
        void *part =
            mmap(bytes + at, PERIOD, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
        assert_ptr_equal(part, bytes + at);
    }
    return bytes;
}

/* The library takes the size as an int. */
static void sizes_beyond_32_bits(void **state)
{
    (void)state;
    int file = memfd_create("crc32c_test", 0);
    if (file < 0 || ftruncate(file, (off_t)PERIOD) != 0) skip();
    uint8_t *bytes = map_repeatedly(file);
    if (!bytes) skip();
    struct prng prng;
    prng_init(&prng, 63);
    prng_fill(&prng, bytes, PERIOD);
    uint32_t expected = 0;
    for (size_t done = 0; done < BIG_SIZE; done += PERIOD) {
        size_t now = BIG_SIZE - done < PERIOD ? BIG_SIZE - done : PERIOD;
        expected = crc32c(expected, bytes, now);
    }
    assert_int_equal(crc32c(0, bytes, BIG_SIZE), expected);
    munmap(bytes, BIG_MAPPING);
    close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(every_size_and_alignment_agrees_with_the_definition),
        cmocka_unit_test(parts_chain_at_every_cut),
        cmocka_unit_test(flips_are_found),
        cmocka_unit_test(sizes_beyond_32_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
