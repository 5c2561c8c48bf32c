#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The command as a person uses it: two folders that exchange facts by files, every error with its
# exit code, what is printed where.

set -uo pipefail

cairn=${CAIRN_BINARY:-build/cairn}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

checks=0
failures=0

failed() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$*"
    sed 's/^/  stdout: /' out
    sed 's/^/  stderr: /' err
}

# run EXIT-CODE ARGUMENT...: runs the command; its output is in the files out and err.
run() {
    local wanted=$1 code=0
    shift
    checks=$((checks + 1))
    "$cairn" "$@" >out 2>err || code=$?
    [ "$code" -eq "$wanted" ] || failed "exit code $code instead of $wanted: cairn $*"
    if [ "$wanted" -ne 0 ] && [ "$wanted" -ne 8 ] && [ -s out ]; then
        failed "an error wrote to standard output: cairn $*"
    fi
    if [ "$wanted" -ne 0 ] && [ ! -s err ]; then
        failed "an error without a word: cairn $*"
    fi
}

printed() { # TEXT: is it in the output?
    checks=$((checks + 1))
    grep -qF -- "$1" out || failed "standard output lacks: $1"
}

said() { # TEXT: is it in the words?
    checks=$((checks + 1))
    grep -qF -- "$1" err || failed "standard error lacks: $1"
}

is() { # TEXT: is it the whole output?
    checks=$((checks + 1))
    [ "$(cat out)" = "$1" ] || failed "standard output is not: $1"
}

json() { # EXPRESSION of python over the object d; prints its value
    python3 -c 'import json, sys; d = json.load(open("out")); print(eval(sys.argv[1]))' "$1"
}

# --- Help and usage -------------------------------------------------------------------------------

run 0 --version
printed 'cairn 0.'
run 0 --help
printed 'Examples'
run 0 help
printed 'fact add'
run 0 help exit-codes
printed 'verification failed'
printed 'idempotency_mismatch'
run 0 help fact
printed 'fact export'
run 0 fact --help
printed 'fact export'
run 2 fact
run 0 fact add --help
printed '--idempotency-key'
run 0 help demo
run 2 help nothing
run 2
run 2 --nonsense
run 2 inspekt one
said "did you mean 'cairn inspect'?"
run 2 fact add --dta one
said 'did you mean --data?'
run 2 fact add --data one --space visits --key k
said '--amount is missing'
run 2 init --data one --slot nine
said '--slot'
said '4,294,967,294'
checks=$((checks + 1))
NO_COLOR=1 "$cairn" help >out
if grep -q $'\x1b' out; then failed 'colours although NO_COLOR is set'; fi

# --- A folder ------------------------------------------------------------------------------------

run 4 digest --data one
run 0 init --data one --slot 1 --cluster 00112233445566778899aabbccddeeff
printed 'cluster  00112233445566778899aabbccddeeff'
one_key=$(awk '$1 == "key" { print $2 }' out)
run 5 init --data one
said 'already'
run 0 init --data two --slot 2 --cluster 00112233445566778899aabbccddeeff --json
two_key=$(json 'd["key"]')
[ "$(json 'd["slot"], d["realm"], len(d["key"])')" = '(2, 0, 64)' ] || failed 'init --json'
run 0 init --data other --slot 3
mkdir foreign && touch foreign/file
run 5 init --data foreign

run 0 space declare --data one visits --type gcounter
run 0 space declare --data one visits --type gcounter
run 5 space declare --data one visits --type pncounter
run 2 space declare --data one 'No Name' --type gcounter
run 2 space declare --data one visits --type counter
run 0 space declare --data one stock --type pncounter
run 0 space list --data one --json
[ "$(json '[(s["name"], s["type"]) for s in d["spaces"]]')" = \
    "[('visits', 'gcounter'), ('stock', 'pncounter')]" ] || failed 'space list --json'

run 0 fact add --data one --space visits --key /home --amount 3
grep -qxE '1\.[0-9]+\.1  [0-9]+' out || failed 'a ticket is SLOT.INCARNATION.SEQUENCE and a position'
first=$(awk '{ print $1 }' out)
run 0 fact add --data one --space visits --key /home --amount 4 --after "$first" --json
[ "$(json 'd["slot"], d["durable"]')" = '(1, True)' ] || failed 'fact add --json'
run 0 fact read --data one --space visits --key /home
is 7
run 0 fact read --data one --space visits --key /none
is 0
run 5 fact add --data one --space visits --key /home --amount -1
said 'grow-only'
run 4 fact add --data one --space nothing --key k --amount 1
said "cairn space declare"
run 5 fact add --data one --space visits --key k --amount 1 --after 9.1.1
run 2 fact add --data one --space visits --key k --amount 1 --after 9.1
run 2 fact add --data one --space visits --key "$(printf 'k%.0s' {1..1025})" --amount 1
said '1024'

# The same request again gets the same dot, and counts once.
again=(--data one --space stock --key bolts --amount -12 --idempotency-key "$(printf '%032d' 7)")
run 0 fact add "${again[@]}" --json
dot=$(json 'd["dot"]')
run 0 fact add "${again[@]}" --json
[ "$(json 'd["dot"]')" = "$dot" ] || failed 'the same idempotency key got another dot'
run 5 fact add --data one --space stock --key bolts --amount -13 --idempotency-key "$(printf '%032d' 7)"
run 0 fact read --data one --space stock --key bolts
is -12

# Odd keys come out safe and unharmed.
printf 'stock\t\033[1m\\"\303\251\t5\nstock\t\377\t-170\n' >odd
run 0 fact load --data one --quiet odd
run 0 fact read --data one --space stock
printed '\x1b[1m\x5c"é'
printed '\xff'
run 0 fact read --data one --space stock --json
[ "$(json 'ascii(sorted((c["value"], c["key"], c.get("key_hex", "")) for c in d["cells"]))')" = \
    "[('-12', 'bolts', ''), ('-170', '\\ufffd', 'ff'), ('5', '\\x1b[1m\\\\\"\\xe9', '')]" ] ||
    failed 'fact read --json'

# --- Loading -------------------------------------------------------------------------------------

for i in $(seq 2000); do printf 'visits\tpage-%d\t%d\n' $((i % 100)) "$i"; done >lines
run 0 fact load --data one --acknowledge lines
[ "$(cat out)" = "$(seq 2000)" ] || failed 'every line is acknowledged once, in order'
run 0 fact read --data one --space visits --json
[ "$(json 'sum(int(c["value"]) for c in d["cells"])')" = $((2000 * 2001 / 2 + 7)) ] ||
    failed 'the sum of what was loaded'
# Who waits for an acknowledgement before it sends more gets it.
checks=$((checks + 1))
coproc load { "$cairn" fact load --data one --acknowledge - 2>err; }
for i in 1 2 3; do
    printf 'stock\tslow\t1\n' >&"${load[1]}"
    read -r -t 60 line <&"${load[0]}" || line=none
    [ "$line" = "$i" ] || failed "line $i was acknowledged as $line"
done
load_input=${load[1]}
load_process=${load_PID?}
exec {load_input}>&-
wait "$load_process" || failed 'loading from a pipe'
printf 'visits\ta\t1\nvisits\tb\n' >bad
run 2 fact load --data one --quiet bad
said 'bad: line 2'
run 0 fact read --data one --space visits --key a
is 1
printf 'visits\ta\t-1\n' >bad
run 5 fact load --data one --quiet bad
printf 'none\ta\t1\n' >bad
run 4 fact load --data one --quiet bad
run 4 fact load --data one none

# A journal that is smaller than what is loaded goes around, behind its checkpoints.
run 0 init --data small --segment-bytes 4MiB --journal-bytes 64MiB
run 0 space declare --data small visits --type gcounter
seq 200000 | awk '{ printf "visits\tpage-%d\t1\n", $1 % 5000 }' >lines
for _ in 1 2 3 4; do run 0 fact load --data small --quiet lines; done
run 0 fact read --data small --space visits --json
[ "$(json 'len(d["cells"]), set(c["value"] for c in d["cells"])')" = "(5000, {'160'})" ] ||
    failed 'cells of a journal that went around'
run 0 inspect small --json
[ "$(json 'd["journal"]["from"] > 0 and d["journal"]["tail"] > 64 << 20')" = True ] ||
    failed 'this journal did not go around'
run 0 fact export --data small small.bundles
said 'facts are in the checkpoint only, and are not exported'

# --- Exchange by files ---------------------------------------------------------------------------

run 0 fact export --data one one.bundles
said 'bundles exported'
run 4 fact import --data two one.bundles # no such member
said 'public key'
run 0 member add --data two --slot 1 --key "$one_key"
run 0 member add --data two --slot 1 --key "$one_key"
run 5 member add --data two --slot 1 --key "$two_key"
run 2 member add --data two --slot 1 --key 00
run 4 fact import --data two one.bundles # the spaces are not declared
run 0 space declare --data two stock --type pncounter
run 0 space declare --data two visits --type gcounter
run 0 fact import --data two one.bundles
run 0 digest --data one
one_digest=$(cat out)
run 0 digest --data two
is "$one_digest"
run 0 fact import --data two one.bundles # counts once
run 0 digest --data two
is "$one_digest"

# Back, through a pipe, with a dependency on what was seen.
run 0 fact add --data two --space stock --key bolts --amount 100 --after "$dot"
run 0 member add --data one --slot 2 --key "$two_key"
checks=$((checks + 1))
"$cairn" fact export --data two - 2>err | "$cairn" fact import --data one - >out 2>>err ||
    failed 'export and import through a pipe'
run 0 fact read --data one --space stock --key bolts
is 88
run 0 digest --data one --json
one_digest=$(json 'd["cells_digest"], d["facts_digest"]')
run 0 digest --data two --json
[ "$(json 'd["cells_digest"], d["facts_digest"]')" = "$one_digest" ] || failed 'digests --json'

# Bad bundles change nothing.
run 8 fact import --data two odd
said 'byte'
head -c 1000 one.bundles >shorter.bundles
run 8 fact import --data two shorter.bundles
python3 - <<'PYTHON'
data = bytearray(open("one.bundles", "rb").read())
data[4 + 500] ^= 1
open("flipped", "wb").write(data)
PYTHON
run 8 fact import --data two flipped
run 0 init --data three --slot 3 # another cluster
run 0 fact export --data three empty
run 0 fact import --data two empty
run 0 member add --data three --slot 1 --key "$one_key"
run 0 space declare --data three stock --type pncounter
run 0 space declare --data three visits --type gcounter
run 5 fact import --data three one.bundles
# A bundle that waits for others is not kept, and that is said.
python3 - <<'PYTHON'
import struct
data = open("one.bundles", "rb").read()
bundles = []
while data:
    size, = struct.unpack("<I", data[:4])
    bundles.append(data[:4 + size])
    data = data[4 + size:]
assert len(bundles) > 2
open("last", "wb").write(bundles[-1])
open("backwards", "wb").write(b"".join(reversed(bundles)))
PYTHON
run 0 init --data four --slot 4 --cluster 00112233445566778899aabbccddeeff
run 0 member add --data four --slot 1 --key "$one_key"
run 0 space declare --data four visits --type gcounter
run 0 space declare --data four stock --type pncounter
run 5 fact import --data four last
said 'wait for facts such as'
run 0 fact import --data four backwards
run 0 fact read --data four --space stock --key bolts
is -12
run 0 digest --data two --json
[ "$(json 'd["cells_digest"], d["facts_digest"]')" = "$one_digest" ] ||
    failed 'bad bundles changed something'

# --- Limits and locks ----------------------------------------------------------------------------

run 0 limits
printed 'beside its key'
run 0 limits --cells 10000000 --json
[ "$(json 'd["memory_bytes"] > 1e9 and d["bytes_per_cell"] <= 160')" = True ] || failed 'limits --json'
run 2 limits --cells 99999999999
run 2 limits --staging-bytes 65537
run 2 limits --journal-bytes 1MiB

checks=$((checks + 1))
mkfifo gate
"$cairn" fact load --data one --acknowledge - <gate >out 2>err &
exec 3>gate
printf 'visits\tx\t1\n' >&3
for _ in $(seq 600); do
    [ -s out ] && break
    sleep 0.1
done
run 6 digest --data one
said 'open'
exec 3>&-
wait $! || failed 'the loader that held the lock'
run 0 digest --data one

# --- Output that cannot be written ---------------------------------------------------------------

if [ -w /dev/full ]; then
    checks=$((checks + 1))
    "$cairn" fact read --data one --space visits >/dev/full 2>err
    [ $? -eq 6 ] || failed 'a full disk behind standard output'
fi

# --- Inspection ----------------------------------------------------------------------------------

run 0 inspect one
printed 'damage      none'
run 0 inspect one --json --records
[ "$(json 'd["damaged"], d["member"]["slot"], sum(k["records"] for k in d["kinds"]) == len(d["records"])')" = \
    '(False, 1, True)' ] || failed 'inspect --json'
[ "$(json 'sum(o["facts"] for o in d["origins"])')" -gt 2000 ] || failed 'inspect counts facts'
run 4 inspect none
run 4 inspect foreign
checks=$((checks + 1))
seed=$(od -An -v -tx1 -j80 -N32 one/member | tr -d ' \n')
"$cairn" inspect one --records >out
"$cairn" inspect one --records --json >>out
if grep -qi "$seed" out; then failed 'inspect shows the secret key'; fi

# Damage in the middle is reported with its range; without a member file the rest is still read.
cp -r two damaged
python3 - <<'PYTHON'
with open("damaged/journal/0000", "r+b") as file:
    file.seek(8192 + 100)
    byte = file.read(1)
    file.seek(8192 + 100)
    file.write(bytes([byte[0] ^ 1]))
PYTHON
run 8 inspect damaged
printed 'positions 8,192 to'
run 8 inspect damaged --json
[ "$(json 'd["damaged"], d["damage"][0]["from"]')" = '(True, 8192)' ] || failed 'inspect of damage'
rm damaged/member
run 8 inspect damaged
printed 'missing'
printed 'guessed'
truncate -s 100 damaged/journal/0000
run 8 inspect damaged
run 8 inspect damaged --json
rm -r damaged/journal
echo nonsense >damaged/member
run 8 inspect damaged

# --- Descriptors and files that are not ours ---------------------------------------------------------

run 0 init --data descriptors --slot 5
run 0 space declare --data descriptors stock --type pncounter
cp descriptors/member member.before
# A message must not go into a file that got a standard descriptor's number.
"$cairn" fact read --data descriptors --space nosuch <&- >&- 2>&- || true
"$cairn" fact export --data descriptors - <&- >&- 2>&- || true
checks=$((checks + 1))
cmp -s descriptors/member member.before || failed 'the member file was written to'
run 0 fact read --data descriptors --space stock
mkfifo pipe
run 2 fact export --data descriptors pipe
said 'no regular file'
checks=$((checks + 1))
[ -p pipe ] || failed 'export replaced a pipe'
ln -s member.before link
run 2 fact export --data descriptors link

echo "$checks checks, $failures failures"
[ "$failures" -eq 0 ]
