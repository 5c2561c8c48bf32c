#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cairn address prints, byte for byte, what b3sum prints: for sizes around the edges of blocks, chunks
and pieces, for several files, for standard input, and for odd names."""

import os
import shutil
import subprocess
import sys
import tempfile

CAIRN = os.environ.get("CAIRN_BINARY", "build/cairn")
KIB = 1024
MIB = 1024 * KIB
# Blocks have 64 bytes, chunks 1,024, pieces that the command reads 1 MiB.
SIZES = [0, 1, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 4095, 4096, 4097,
         MIB - 1, MIB, MIB + 1, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 3 * MIB + 17]
NAMES = ["plain", "two words", "back\\slash", "line\nend", "\u00e9t\u00e9", b"not \xff utf-8", "-"]


def run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **more)
    return done.returncode, done.stdout


def main():
    if shutil.which("b3sum") is None:
        print("b3sum is missing: install Debian's package b3sum")
        return 77
    failures = []
    checked = 0

    def same(what, *arguments, **more):
        nonlocal checked
        checked += 1
        ours = run([CAIRN, "address", *arguments], **more)
        theirs = run(["b3sum", *arguments], **more)
        if ours != theirs:
            failures.append(f"{what}:\n  cairn {ours}\n  b3sum {theirs}")

    with tempfile.TemporaryDirectory() as folder:
        names = []
        for size in SIZES:
            name = os.path.join(folder, f"size-{size}")
            with open(name, "wb") as file:
                file.write(bytes(i * 37 % 251 for i in range(min(size, 4097))) * (size // 4097 + 1))
                file.truncate(size)
            names.append(name)
            same(f"a file of {size} bytes", name)
            with open(name, "rb") as file:
                data = file.read()
            same(f"{size} bytes on standard input", input=data)
            same(f"{size} bytes as -", "-", input=data)
            with open(name, "rb") as file:
                ours = run([CAIRN, "address"], stdin=file)
            if ours != run(["b3sum"], input=data):
                failures.append(f"{size} bytes from a file as standard input: {ours}")
        same("all files", *names)

        for name in NAMES:
            name = os.path.join(os.fsencode(folder), os.fsencode(name))
            with open(name, "wb") as file:
                file.write(b"abc")
            same(f"the name {name!r}", name)
        same("behind --", "--", names[1])

        # A pipe that gives a little at a time.
        slow = f"for i in 1 2 3 4 5; do head -c 700000 /dev/zero; sleep 0.02; done | '{CAIRN}' address"
        fast = "head -c 3500000 /dev/zero | b3sum"
        checked += 1
        if run(["sh", "-c", slow]) != run(["sh", "-c", fast]):
            failures.append("a slow pipe")

        # What cannot be read is said, and the others are printed.
        code, output = run([CAIRN, "address", os.path.join(folder, "none"), names[0]])
        if code != 4 or output != run(["b3sum", names[0]])[1]:
            failures.append(f"a missing file: {code} {output!r}")
        code, output = run([CAIRN, "address", folder])
        if code != 1 or output:
            failures.append(f"a folder: {code} {output!r}")

    print(*failures, sep="\n")
    print(f"{checked} comparisons with b3sum, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
