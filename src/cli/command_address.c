/* SPDX-License-Identifier: Apache-2.0 */
/* cairn address: the BLAKE3 hash of files, in the form of b3sum. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/memory.h"
#include "cli/say.h"
#include "cli/text.h"
#include "crypto/address.h"

#define PIECE_SIZE (1024u * 1024u)

/* Reads until the buffer is full or the input ends. Returns the size, or -1. */
static ssize_t read_piece(int fd, uint8_t *piece)
{
    size_t size = 0;
    while (size < PIECE_SIZE) {
        ssize_t count = read(fd, piece + size, PIECE_SIZE - size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return -1;
        if (count == 0) break;
        size += (size_t)count;
    }
    return (ssize_t)size;
}

/* What fits in one piece takes the short way. */
static int address_of_fd(int fd, uint8_t *piece, uint8_t address[CAIRN_ADDRESS_SIZE])
{
    ssize_t size = read_piece(fd, piece);
    if (size >= 0 && size < (ssize_t)PIECE_SIZE) {
        cairn_address(piece, (size_t)size, address);
        return 0;
    }
    struct address_stream stream;
    address_stream_init_plain(&stream);
    for (; size > 0; size = read_piece(fd, piece))
        address_stream_add(&stream, piece, (size_t)size);
    if (size < 0) return -1;
    address_stream_end(&stream, address);
    return 0;
}

/* b3sum escapes '\' and line ends, and shows what is not UTF-8 as U+FFFD. */
static void print_name(const char *name)
{
    const uint8_t *at = (const uint8_t *)name;
    size_t left = strlen(name);
    while (left > 0) {
        size_t length = utf8_length(at, left);
        if (length == 0) {
            fputs("\xef\xbf\xbd", stdout);
            length = 1;
        } else if (*at == '\\') {
            fputs("\\\\", stdout);
        } else if (*at == '\n') {
            fputs("\\n", stdout);
        } else {
            fwrite(at, 1, length, stdout);
        }
        at += length;
        left -= length;
    }
}

static int print_address(const char *name, uint8_t *piece)
{
    uint8_t address[CAIRN_ADDRESS_SIZE];
    char text[2 * CAIRN_ADDRESS_SIZE + 1];
    bool is_input = strcmp(name, "-") == 0;
    int fd = is_input ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return say_errno("reading", name);
    int code = 0;
    if (address_of_fd(fd, piece, address) != 0) code = say_errno("reading", name);
    if (!is_input) close(fd);
    if (code != 0) return code;

    bytes_to_hex(address, sizeof address, text);
    printf("%s%s  ", strpbrk(name, "\\\n") != NULL ? "\\" : "", text);
    print_name(name);
    putchar('\n');
    return 0;
}

int command_address(struct command_line *line)
{
    uint8_t *piece = memory_take(PIECE_SIZE);
    int code = 0;
    if (line->argument_count == 0) code = print_address("-", piece);
    for (uint32_t i = 0; i < line->argument_count; i++) {
        int file_code = print_address(line->arguments[i], piece);
        if (file_code != 0) code = file_code; /* the others are still printed */
    }
    free(piece);
    return code;
}
