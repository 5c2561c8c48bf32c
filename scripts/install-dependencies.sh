#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what Cairn needs from Debian's packages, and only what is missing: with everything in
# place it neither needs the network nor more rights than the caller has.
#
#   scripts/install-dependencies.sh [--list] [build|run|test|fuzz|coverage|format]

set -euo pipefail

# The only list of packages. cmake/Dependencies.cmake checks the versions of the libraries.
build=(gcc libc6-dev cmake ninja-build pkg-config
    libsodium-dev libisal-dev liburing-dev libxxhash-dev librust-blake3-dev)
run=("${build[@]}" python3)
test=("${run[@]}" g++ libcmocka-dev b3sum)
fuzz=("${build[@]}" clang libclang-rt-14-dev)
coverage=("${test[@]}" gcovr)
format=(clang-format)

usage() {
    echo "usage: $0 [--list] [build|run|test|fuzz|coverage|format]" >&2
    exit 2
}

list=no
if [ "${1:-}" = --list ]; then
    list=yes
    shift
fi
[ $# -le 1 ] || usage

case "${1:-build}" in
build) wanted=("${build[@]}") ;;
run) wanted=("${run[@]}") ;;
test) wanted=("${test[@]}") ;;
fuzz) wanted=("${fuzz[@]}") ;;
coverage) wanted=("${coverage[@]}") ;;
format) wanted=("${format[@]}") ;;
*) usage ;;
esac

if [ "$list" = yes ]; then
    printf '%s\n' "${wanted[@]}"
    exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is not Debian, so nothing is installed. Cairn needs what these packages hold:" >&2
    echo "  ${wanted[*]}" >&2
    exit 0
fi

missing=()
for package in "${wanted[@]}"; do
    # dpkg-query fails for a package it has never heard of, and knows removed ones too.
    # shellcheck disable=SC2016 # the format is dpkg-query's
    status=$(dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null || true)
    grep -qx installed <<<"$status" || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null; then
    as_root=(sudo env)
else
    echo "Missing packages: ${missing[*]}" >&2
    echo "They cannot be installed: you are not root, and there is no sudo. As root, run:" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

echo "Installing: ${missing[*]}"
apt_get=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes
    -o DPkg::Lock::Timeout=300)
# Lists may be partly out of reach and still name all that is needed; the install decides.
"${apt_get[@]}" update || echo "apt-get update failed; trying with the lists there are." >&2
if ! "${apt_get[@]}" install --no-install-recommends "${missing[@]}"; then
    echo "Could not install: ${missing[*]}" >&2
    echo "As root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
