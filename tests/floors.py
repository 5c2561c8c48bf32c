#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The floors of the house, as ARCHITECTURE states them:

  F1  a room includes only itself and the rooms above it in the list (base first);
  F2  os/ and sim/ never include each other;
  F3  only os/, api/ and cli/ include system headers; the others have the freestanding and purely
      computing headers of C, crypto/ the libraries it is the face of, node/ two more;
  F4  a core calls nothing that allocates, prints, reads a clock or draws chance;
  F5  include/cairn.h includes nothing of Cairn, and anyone may include it.

Tests and fuzz targets (*_test.c, *_fuzz.c, and what they share, test_*.h) may include anything.

    tests/floors.py [FOLDER]     checks a tree, by default the one this file is in
    tests/floors.py --selftest   checks that planted violations are found
"""

import os
import re
import sys
import tempfile

# The list of DESIGN and ARCHITECTURE. A room is added here and in CMakeLists.txt.
ROOMS = """base crypto host lattice receipt journal wire facts vsr bft ordered assertions objects
           os sim node api cli""".split()
CORES = {"journal", "facts", "vsr", "bft", "ordered", "assertions", "objects"}
NEVER_TOGETHER = {frozenset(("os", "sim"))}
SYSTEM_ROOMS = {"os", "api", "cli"}

# Headers that need no system: types, constants, memory and string functions, intrinsics.
PLAIN_HEADERS = set("""stdint.h stddef.h stdbool.h string.h stdarg.h limits.h stdalign.h
                       stdatomic.h inttypes.h assert.h immintrin.h""".split())
# What single rooms may include beyond that; patterns match whole names.
MORE_HEADERS = {
    "crypto": r"sodium\.h|isa-l\.h|isa-l/crc\.h|blake3\.h|blake3_impl\.h|xxhash\.h|openssl/\w+\.h",
    "node": r"stdio\.h|stdlib\.h",  # snprintf; the one allocation at open
}
# Names that a core must not call.
FORBIDDEN_CALLS = set("""malloc calloc realloc reallocarray free aligned_alloc posix_memalign alloca
                         strdup strndup printf fprintf vprintf vfprintf puts putchar
                         time clock clock_gettime gettimeofday
                         rand random srand rand_r drand48 getrandom getentropy""".split())

INCLUDE = re.compile(r"^[ \t]*#[ \t]*include(?:_next)?[ \t]*(.*)$", re.MULTILINE)
# A call by its plain name: a field of a table of functions (host->free(...)) is not one.
CALL = re.compile(r"(?<![\w.])(?<!->)([A-Za-z_]\w*)\s*\(")
# Comments, strings and characters, in the order in which a compiler would meet them.
NOT_CODE = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def blank(match):
    """Spaces in place of a match, with its line ends, so that line numbers stay right."""
    return re.sub(r"[^\n]", " ", match.group())


def without_comments(text):
    return NOT_CODE.sub(lambda match: blank(match) if match.group()[0] == "/" else match.group(), text)


def check_file(path, room, text, rooms):
    """Violations of one file, as (line, message). `room` is None for the public header."""
    text = without_comments(text)
    place = f"{room}/" if room else "the public header"

    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        target = match.group(1).strip()
        quoted = re.fullmatch(r'"([^"]+)"', target)
        angled = re.fullmatch(r"<([^>]+)>", target)
        if not quoted and not angled:
            yield line, f"F1: {target}: an include must name its file"
            continue
        name = (quoted or angled).group(1)
        if name == "cairn.h":
            continue
        other = name.split("/")[0] if "/" in name else None
        more = MORE_HEADERS.get(room, "")
        if other in rooms:
            if room is None:
                yield line, f"F5: the public header includes {name}"
            elif frozenset((room, other)) in NEVER_TOGETHER:
                yield line, f"F2: {place} includes {name}"
            elif rooms.index(other) > rooms.index(room):
                yield line, f"F1: {place} includes {name}, which is in a room below it"
        elif name in PLAIN_HEADERS or (more and re.fullmatch(more, name)):
            continue
        elif quoted:
            yield line, f'F1: {place} includes "{name}"; write "room/file.h", or <file.h> of a system'
        elif room not in SYSTEM_ROOMS:
            yield line, f"F3: {place} includes the system header <{name}>"

    if room in CORES:
        code = NOT_CODE.sub(blank, text)
        for match in CALL.finditer(code):
            if match.group(1) in FORBIDDEN_CALLS:
                line = code.count("\n", 0, match.start()) + 1
                yield line, f"F4: the core {place} calls {match.group(1)}()"


def check_tree(root):
    """Violations of a tree, as lines for a person. The number of files checked comes first."""
    found = []
    count = 0
    source = os.path.join(root, "src")
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            if not name.endswith((".c", ".h")) or name.endswith(("_test.c", "_fuzz.c")):
                continue
            if name.startswith("test_") and name.endswith(".h"):
                continue
            path = os.path.join(folder, name)
            inside = os.path.relpath(path, source)
            room = inside.split(os.sep)[0]
            count += 1
            if room not in ROOMS:
                found.append(f"src/{inside}:1: F1: {room}/ is not a room of the house")
                continue
            with open(path, encoding="utf-8") as file:
                text = file.read()
            found += [f"src/{inside}:{line}: {what}"
                      for line, what in check_file(path, room, text, ROOMS)]
    header = os.path.join(root, "include", "cairn.h")
    if os.path.exists(header):
        count += 1
        with open(header, encoding="utf-8") as file:
            found += [f"include/cairn.h:{line}: {what}"
                      for line, what in check_file(header, None, file.read(), ROOMS)]
    return count, found


# --- The check of the check -----------------------------------------------------------------------

LAWFUL = {
    "include/cairn.h": "#include <stddef.h>\n#include <stdint.h>\n",
    "src/base/bytes.h": '#include <stdint.h>\n#include "base/result.h"\n#include "cairn.h"\n',
    "src/crypto/hash.c": '#include <blake3_impl.h>\n#include <sodium.h>\n#include "base/bytes.h"\n',
    "src/facts/realm.c": '#include <cairn.h>\n#include "facts/realm.h"\n#include "journal/log.h"\n'
                         "/* malloc(1) in a comment */\n"
                         'static const char *text = "free(x) /* in a string";\n'
                         "// #include <stdio.h>\n"
                         "void f(void) { timer(1); host->free(x); self.time(2); no_malloc(3); }\n",
    "src/facts/realm_test.c": '#include <stdio.h>\n#include "sim/disk.h"\nvoid g(void) { free(0); }\n',
    "src/facts/realm_fuzz.c": "#include <stdlib.h>\n",
    "src/os/disk.c": '#include <liburing.h>\n#include <unistd.h>\n#include "host/host.h"\n',
    "src/sim/disk.c": '#include "host/host.h"\n#include "facts/realm.h"\n',
    "src/node/engine.c": '#include <stdio.h>\n#include <stdlib.h>\n#include "os/disk.h"\n',
    "src/cli/main.c": '#include <getopt.h>\n#include "node/engine.h"\n#include "cairn.h"\n',
}

# File, text, the line and rule that must be reported.
VIOLATIONS = [
    ("src/facts/bad.c", '#include "base/bytes.h"\n#include <stdio.h>\n', 2, "F3"),
    ("src/journal/bad.h", "  #  include <time.h>\n", 1, "F3"),
    ("src/base/bad.c", "#include <stdio.h>\n", 1, "F3"),
    ("src/sim/bad.c", "#include <stdlib.h>\n", 1, "F3"),
    ("src/node/bad.c", "#include <unistd.h>\n", 1, "F3"),
    ("src/facts/bad.c", "#include <sodium.h>\n", 1, "F3"),
    ("src/base/bad.c", '#include "crypto/hash.h"\n', 1, "F1"),
    ("src/journal/bad.c", '/* a\n b */\n#include "facts/realm.h"\n', 3, "F1"),
    ("src/journal/bad.c", "#include <facts/realm.h>\n", 1, "F1"),
    ("src/os/bad.c", '#include "node/engine.h"\n', 1, "F1"),
    ("src/facts/bad.c", '#include "../node/engine.h"\n', 1, "F1"),
    ("src/facts/bad.c", '#include "realm.h"\n', 1, "F1"),
    ("src/facts/bad.c", "#include HEADER\n", 1, "F1"),
    ("src/attic/bad.c", "int x;\n", 1, "F1"),
    ("src/os/bad.c", '#include "sim/disk.h"\n', 1, "F2"),
    ("src/sim/bad.c", '#include "os/disk.h"\n', 1, "F2"),
    ("src/facts/bad.c", "void f(void)\n{\n    p = malloc(1);\n}\n", 3, "F4"),
    ("src/journal/bad.c", "int f(void) { return rand (); }\n", 1, "F4"),
    ("src/facts/bad.h", 'int q = "\\"" ? (int)time(0) : 0;\n', 1, "F4"),
    ("include/cairn.h", '#include "base/bytes.h"\n', 1, "F5"),
    ("include/cairn.h", "#include <sys/types.h>\n", 1, "F3"),
]


def write_tree(root, files):
    for name, text in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def selftest():
    failures = 0
    with tempfile.TemporaryDirectory() as root:
        write_tree(root, LAWFUL)
        _, found = check_tree(root)
        if found:
            failures += 1
            print("a lawful tree is refused:", *found, sep="\n  ")
    for name, text, line, rule in VIOLATIONS:
        with tempfile.TemporaryDirectory() as root:
            write_tree(root, {**LAWFUL, name: text})
            _, found = check_tree(root)
            if len(found) != 1 or not found[0].startswith(f"{name}:{line}: {rule}: "):
                failures += 1
                print(f"{name} with {text!r}: expected {rule} in line {line}, found {found}")
    print(f"{len(VIOLATIONS) + 1 - failures} of {len(VIOLATIONS) + 1} planted trees judged rightly")
    return 1 if failures else 0


def main(arguments):
    if arguments == ["--selftest"]:
        return selftest()
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    root = arguments[0] if arguments else here
    count, found = check_tree(root)
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{count} files, {len(found)} violations of the floors")
    if count == 0:
        print("there is nothing to check: is this the right folder?")
        return 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
