#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts a Debian package index, sharing no code with Cairn: the judge of `cairn demo`.

    examples/recount.py [FILE...]

reads the files, by default those in /var/lib/apt/lists, and prints SPACE<TAB>KEY<TAB>VALUE, sorted:

    packages-per-section   number of packages in each section
    installed-size         sum of Installed-Size (KiB) of each maintainer
    dependents             number of packages that name each package in Depends or Pre-Depends

Keys of more than 1,024 bytes are left out, as Cairn has no such keys.
"""

import glob
import os
import re
import subprocess
import sys
from collections import Counter

APT_HELPER = "/usr/lib/apt/apt-helper"
KEY_SIZE_MAX = 1024


def default_files():
    return sorted(path for path in glob.glob("/var/lib/apt/lists/*_Packages*")
                  if re.search(r"_Packages(\.(lz4|gz|xz|bz2|zst|lzma))?$", path))


def text_of(path):
    if os.access(APT_HELPER, os.X_OK):
        return subprocess.run([APT_HELPER, "cat-file", path], check=True,
                              stdout=subprocess.PIPE).stdout
    with open(path, "rb") as file:
        return file.read()


def stanzas(text):
    """Each stanza as a dictionary; a line that begins with a blank goes on with the field before."""
    for stanza in re.split(rb"\n(?:[ \t]*\n)+", text):
        fields = {}
        name = None
        for line in stanza.split(b"\n"):
            if line[:1] in (b" ", b"\t"):
                if name is not None:
                    fields[name] += b" " + line.strip(b" \t\r")
            elif b":" in line:
                name, value = line.split(b":", 1)
                fields[name] = value.strip(b" \t\r")
        if fields:
            yield fields


def names_of(relations):
    """Names in "a (>= 1), b:any | c": without version, architecture and blanks."""
    for term in re.split(rb"[,|]", relations):
        name = re.match(rb"[ \t]*([^ \t(:\[<]*)", term).group(1)
        if name:
            yield name


def main(arguments):
    sections, sizes, dependents = Counter(), Counter(), Counter()
    for path in arguments or default_files():
        for fields in stanzas(text_of(path)):
            if fields.get(b"Section"):
                sections[fields[b"Section"]] += 1
            if fields.get(b"Maintainer") and re.fullmatch(rb"[0-9]+", fields.get(b"Installed-Size", b"")):
                sizes[fields[b"Maintainer"]] += int(fields[b"Installed-Size"])
            relations = fields.get(b"Depends", b"") + b"," + fields.get(b"Pre-Depends", b"")
            dependents.update(set(names_of(relations)))

    spaces = {b"packages-per-section": sections, b"installed-size": sizes, b"dependents": dependents}
    lines = [(space, key, value) for space, cells in spaces.items()
             for key, value in cells.items() if len(key) <= KEY_SIZE_MAX]
    for space, key, value in sorted(lines):
        sys.stdout.buffer.write(b"%s\t%s\t%d\n" % (space, key, value))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
