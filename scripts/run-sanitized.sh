#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs a command of a sanitized build: scripts/run-sanitized.sh asan|tsan COMMAND...
#
# ThreadSanitizer of gcc 12 and clang 14 knows only the address layouts of kernels that randomise
# 28 bits of mmap addresses; newer kernels randomise up to 32, and it stops with "unexpected memory
# mapping". Without randomisation it always works, so it is switched off where that is allowed.

set -euo pipefail

[ $# -ge 2 ] || {
    echo "usage: $0 asan|tsan COMMAND..." >&2
    exit 2
}
preset=$1
shift

if [ "$preset" = tsan ] && setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null; then
    exec setarch "$(uname -m)" --addr-no-randomize "$@"
fi
exec "$@"
