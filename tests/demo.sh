#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The demonstration on the sample, with two seeds; that it finds what is wrong; that it cleans up.

set -uo pipefail

cairn=${CAIRN_BINARY:-build/cairn}
source=${CAIRN_SOURCE:-$(cd "$(dirname "$0")/.." && pwd)}
case $cairn in /*) ;; *) cairn=$PWD/$cairn ;; esac
export CAIRN_EXAMPLES=$source/examples
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export TMPDIR=$folder/tmp
mkdir tmp

checks=0
failures=0

failed() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$*"
    sed 's/^/  stdout: /' out
    sed 's/^/  stderr: /' err
}

run() { # EXIT-CODE ARGUMENT...
    local wanted=$1 code=0
    shift
    checks=$((checks + 1))
    "$cairn" "$@" >out 2>err || code=$?
    [ "$code" -eq "$wanted" ] || failed "exit code $code instead of $wanted: cairn $*"
}

nothing_is_left() {
    checks=$((checks + 1))
    [ -z "$(ls -A tmp)" ] || failed "left behind: $(ls -A tmp)"
}

members_are_left() {
    python3 - "$folder" <<'PYTHON'
import glob, os, sys
for name in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        with open(name, "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        continue
    if words[1:2] == [b"demo-member"] and os.fsencode(sys.argv[1]) in b" ".join(words):
        sys.exit(0)
sys.exit(1)
PYTHON
}

# --- Two seeds ------------------------------------------------------------------------------------

for seed in 1 2; do
    run 0 demo --sample --seed "$seed" --json
    nothing_is_left
    checks=$((checks + 1))
    python3 - "$seed" <<'PYTHON' || failed "what the demonstration reports"
import json, sys
d = json.load(open("out"))
assert d["schema"] == "cairn.demo/1" and d["seed"] == int(sys.argv[1]) and d["sample"]
assert d["packages"] == 423 and d["facts"] > 2000
assert d["facts"] == sum(m["facts"] for m in d["members"])
assert d["cells_checked"] == sum(m["cells"] for m in d["members"]) > 3000
for m in d["members"]:
    assert 0.3 * m["facts"] - 1 <= m["killed_at"] <= 0.7 * m["facts"], m
    assert m["killed_at"] <= m["recovered"] <= m["facts"], m
    assert m["repeated"] == min(m["recovered"], 1000), m
    assert m["bundles_imported"] > 0 and m["facts_imported"] > 0, m
PYTHON
done
run 0 demo embedded --sample --seed 3
grep -q 'equal to an independent count' out || failed 'the table'
grep -q 'seed 3' err || failed 'the seed is printed'
[ "$(grep -c SIGKILL err)" -eq 3 ] || failed 'the three kills are printed'
nothing_is_left
run 0 demo --sample --quiet
[ ! -s err ] || failed 'quiet'

# --- A folder that stays --------------------------------------------------------------------------

run 0 demo --sample --data here --keep
digest=$("$cairn" digest --data here/member-1)
for slot in 2 3; do
    checks=$((checks + 1))
    [ "$("$cairn" digest --data here/member-$slot)" = "$digest" ] || failed 'the digests differ'
done
run 5 demo --sample --data here
checks=$((checks + 1))
[ "$("$cairn" digest --data here/member-1)" = "$digest" ] || failed 'a refused run changed the folder'
run 0 inspect here/member-1
mkdir with-files && touch with-files/mine
run 0 demo --sample --data with-files
[ "$(ls with-files)" = mine ] || failed 'what was in the folder before is not what is in it now'

# --- The judge judges -----------------------------------------------------------------------------

mkdir -p wrong/data
cp "$source/examples/data/Packages" wrong/data/
counts_wrong() { # PYTHON, over `lines`
    cat >wrong/recount.py <<PYTHON
import subprocess, sys
out = subprocess.run([sys.executable, "$source/examples/recount.py", *sys.argv[1:]], check=True,
                     stdout=subprocess.PIPE).stdout
lines = out.splitlines(keepends=True)
$1
sys.stdout.buffer.write(b"".join(lines))
PYTHON
    CAIRN_EXAMPLES=$PWD/wrong run 1 demo --sample --quiet
    nothing_is_left
}
counts_wrong 'lines[7] = lines[7][:-1] + b"0\n"'
grep -q "cell [0-9]*, recount [0-9]*0$" err || failed 'a wrong value is named'
counts_wrong 'del lines[9]'
grep -q "recount none$" err || failed 'a cell too many is named'
counts_wrong 'lines.append(b"zzz\tkey\t1\n")'
grep -q "cell none, recount 1$" err || failed 'a missing cell is named'
counts_wrong 'lines = [b"nonsense\n"]'
counts_wrong 'sys.exit(3)'
rm wrong/recount.py
CAIRN_EXAMPLES=$PWD/wrong run 4 demo --sample
CAIRN_EXAMPLES=$PWD/none run 4 demo --sample
nothing_is_left

# --- Interrupted at any moment --------------------------------------------------------------------

for delay in 0.02 0.1 0.2 0.4 0.8; do
    "$cairn" demo --sample >out 2>err &
    demo=$!
    sleep "$delay"
    kill -INT "$demo" 2>/dev/null
    code=0
    wait "$demo" || code=$?
    checks=$((checks + 1))
    # It may have been faster than the interrupt.
    case $code in 0 | 130) ;; *) failed "interrupted after $delay s: exit code $code" ;; esac
    nothing_is_left
    checks=$((checks + 1))
    if members_are_left; then failed 'a member is left'; fi
done

echo "$checks checks, $failures failures"
[ "$failures" -eq 0 ]
