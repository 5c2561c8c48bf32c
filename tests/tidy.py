#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What every source file of the tree keeps to:

  T1  the first line is the SPDX licence identifier (in scripts, after #!);
  T2  lines of C have at most 100 columns;
  T3  no tab, no space at the end of a line, one newline at the end of the file;
  T4  every room of src/ has a README.md;
  T5  no file of src/ has more than 1000 lines;
  T6  no alloca; variable-length arrays are left to the compiler (-Wvla -Werror in the build).

    tests/tidy.py [FOLDER]     checks a tree, by default the one this file is in
    tests/tidy.py --selftest   checks that planted violations are found
"""

import os
import re
import sys
import tempfile

COLUMNS_MAX = 100
LINES_MAX = 1000
FOLDERS = ["src", "include", "tests", "examples", "bench", "scripts"]
LICENCE = "SPDX-License-Identifier: Apache-2.0"
ALLOCA = re.compile(r"\b(?:__builtin_)?alloca(?:_with_align)?\s*\(|<alloca\.h>")


def check_file(name, text):
    """Violations of one file, as (line, message)."""
    lines = text.split("\n")
    is_c = name.endswith((".c", ".h"))

    first = 1 if not is_c and lines[0].startswith("#!") else 0
    spdx = lines[first] if first < len(lines) else ""
    wanted = f"/* {LICENCE} */" if is_c else f"# {LICENCE}"
    if spdx != wanted and not (is_c and spdx == f"// {LICENCE}"):
        yield first + 1, f"T1: the line must be: {wanted}"

    for number, line in enumerate(lines, 1):
        if is_c and len(line) > COLUMNS_MAX:
            yield number, f"T2: {len(line)} columns"
        if "\t" in line:
            yield number, "T3: a tab"
        if line != line.rstrip():
            yield number, "T3: a space at the end of the line"
        if is_c and ALLOCA.search(line):
            yield number, "T6: alloca"
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield len(lines), "T3: the file must end with one newline"
    if name.startswith("src/") and text.count("\n") > LINES_MAX:
        yield LINES_MAX + 1, f"T5: {text.count(chr(10))} lines"


def check_tree(root):
    """Violations of a tree, as lines for a person. The number of files checked comes first."""
    found = []
    count = 0
    for top in FOLDERS:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(set(folders) - {"corpus", "data", "__pycache__"})
            for name in sorted(names):
                if not name.endswith((".c", ".h", ".sh", ".py")):
                    continue
                path = os.path.join(folder, name)
                inside = os.path.relpath(path, root).replace(os.sep, "/")
                count += 1
                try:
                    with open(path, encoding="utf-8", newline="") as file:
                        text = file.read()
                except UnicodeDecodeError:
                    found.append(f"{inside}:1: T3: not UTF-8")
                    continue
                found += [f"{inside}:{line}: {what}" for line, what in check_file(inside, text)]
    source = os.path.join(root, "src")
    for room in sorted(os.listdir(source)) if os.path.isdir(source) else []:
        folder = os.path.join(source, room)
        if os.path.isdir(folder) and not os.path.exists(os.path.join(folder, "README.md")):
            found.append(f"src/{room}/:1: T4: a room needs a README.md")
    return count, found


# --- The check of the check -----------------------------------------------------------------------

SPDX_C = f"/* {LICENCE} */\n"
SPDX_SCRIPT = f"#!/bin/sh\n# {LICENCE}\n"
LAWFUL = {
    "include/cairn.h": f"// {LICENCE}\nint x;\n",
    "src/base/README.md": "base\n",
    "src/base/long.c": SPDX_C + "int x;\n" * (LINES_MAX - 1),
    "src/base/wide.h": SPDX_C + "/* " + "\u00e9" * (COLUMNS_MAX - 6) + " */\n",
    "tests/a.sh": SPDX_SCRIPT,
    "tests/corpus/base_bytes/x.c": "\t \n\n",
}

# File, text, the line and rule that must be reported.
VIOLATIONS = [
    ("src/base/bad.c", "int x;\n", 1, "T1"),
    ("src/base/bad.c", "\n" + SPDX_C, 1, "T1"),
    ("tests/bad.py", "#!/usr/bin/env python3\nx = 1\n", 2, "T1"),
    ("src/base/bad.h", SPDX_C + "x" * (COLUMNS_MAX + 1) + "\n", 2, "T2"),
    ("src/base/bad.c", SPDX_C + "\tint x;\n", 2, "T3"),
    ("src/base/bad.c", SPDX_C + "int x; \n", 2, "T3"),
    ("src/base/bad.c", SPDX_C + "int x;\r\n", 2, "T3"),
    ("src/base/bad.c", SPDX_C + "int x;", 2, "T3"),
    ("src/base/bad.c", SPDX_C + "int x;\n\n", 4, "T3"),
    ("src/crypto/bad.c", SPDX_C, 1, "T4"),
    ("src/base/bad_test.c", SPDX_C + "int x;\n" * LINES_MAX, LINES_MAX + 1, "T5"),
    ("src/base/bad.c", SPDX_C + "void *p = alloca (3);\n", 2, "T6"),
]


def write_tree(root, files):
    for name, text in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
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
            place = "src/crypto/" if rule == "T4" else name
            if len(found) != 1 or not found[0].startswith(f"{place}:{line}: {rule}: "):
                failures += 1
                print(f"{name} with {text[:200]!r}: expected {rule} in line {line}, found {found}")
    print(f"{len(VIOLATIONS) + 1 - failures} of {len(VIOLATIONS) + 1} planted trees judged rightly")
    return 1 if failures else 0


def main(arguments):
    if arguments == ["--selftest"]:
        return selftest()
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    root = arguments[0] if arguments else here
    count, found = check_tree(root)
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{count} files, {len(found)} untidy places")
    if count == 0:
        print("there is nothing to check: is this the right folder?")
        return 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
