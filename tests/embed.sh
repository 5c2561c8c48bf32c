#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The embedding example of the README: it compiles against the public header and libcairn.so alone,
# counts over three runs, and the README quotes it word for word.

set -euo pipefail

: "${CAIRN_LIBRARY:?the path of libcairn.so}" "${CAIRN_SOURCE:?the source folder}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

flags=(-std=c11 -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror "-I$CAIRN_SOURCE/include")
[ -z "${CAIRN_SANITIZE:-}" ] || flags+=("-fsanitize=$CAIRN_SANITIZE")
library=$(dirname "$CAIRN_LIBRARY")
"${CAIRN_COMPILER:-cc}" "${flags[@]}" "$CAIRN_SOURCE/examples/embed.c" \
    -o "$folder/embed" "-L$library" -lcairn "-Wl,-rpath,$library"

failures=0
for run in 1 2 3; do
    found=$("$folder/embed" "$folder/data")
    expected="run number $run, fact 1.$run.1"
    if [ "$found" != "$expected" ]; then
        echo "expected: $expected"
        echo "found:    $found"
        failures=$((failures + 1))
    fi
done

# What stands between the fences of the README's block of C is the file from `int main` on.
sed -n '/^int main/,$p' "$CAIRN_SOURCE/examples/embed.c" >"$folder/example"
sed -n '/^```c$/,/^```$/p' "$CAIRN_SOURCE/README.md" | sed '/^```/d' >"$folder/quoted"
if ! diff -u "$folder/example" "$folder/quoted"; then
    echo "README.md quotes something else than examples/embed.c"
    failures=$((failures + 1))
fi

[ "$failures" -eq 0 ]
