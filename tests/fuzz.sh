#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzz target for some time, then shows that each would find a bug.
#
#   tests/fuzz.sh [seconds for each target, 600]
#
# Inputs that reach new code are added to tests/corpus/<target>/, no more than needed; with
# CAIRN_FUZZ_KEEP=0 they are thrown away. A target passes if nothing crashed. Its planted twin
# (see cmake/Fuzz.cmake) passes if it crashed within 60 s. JOBS targets run at a time.
# Failing inputs are left in build-fuzz/artifacts/<target>/.

set -euo pipefail

seconds=${1:-600}
jobs=${JOBS:-$(nproc)}
keep=${CAIRN_FUZZ_KEEP:-1}
planted_seconds=60
case "$seconds" in
'' | *[!0-9]* | 0) echo "usage: $0 [seconds for each target]" >&2 && exit 2 ;;
esac

cd "$(dirname "$0")/.."
build="build-fuzz"
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_stack_use_after_return=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

cmake --preset fuzz
cmake --build "$build" --parallel "$jobs" --target fuzz_targets

results=$build/results
rm -rf "$results" "$build/artifacts"
mkdir -p "$results"

# The last value that libFuzzer printed for a statistic.
statistic() { # log, name
    sed -n "s/^stat::$2: *//p" "$1" | tail -n 1
}

# Whether libFuzzer wrote down an input that crashed, hung or exhausted memory.
found_something() { # artifacts
    [ -n "$(find "$1" -type f -print -quit)" ]
}

run_target() { # name
    local name=$1 log=$results/$1.log artifacts=$build/artifacts/$1
    local fresh=$build/corpus/$1 kept=tests/corpus/$1 verdict=ok status=0
    local seeds=()
    rm -rf "$fresh"
    mkdir -p "$fresh" "$artifacts"
    [ ! -d "$kept" ] || seeds=("$kept")
    "$build/fuzz/${name}_fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$artifacts/" "$fresh" "${seeds[@]}" \
        >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ] || found_something "$artifacts"; then
        verdict=FAILED
    elif [ "$keep" != 0 ]; then
        mkdir -p "$kept"
        "$build/fuzz/${name}_fuzz" -merge=1 -timeout=20 "$kept" "$fresh" \
            >"$results/$name.merge.log" 2>&1 || verdict=FAILED
    fi
    local count=0
    [ ! -d "$kept" ] || count=$(find "$kept" -type f | wc -l)
    printf '%-32s %12s %10s %8s  %s\n' "$name" \
        "$(statistic "$log" number_of_executed_units)" \
        "$(statistic "$log" average_exec_per_sec)" "$count" "$verdict" >"$results/$name.line"
}

run_planted() { # name
    local name=$1 log=$results/$1.planted.log artifacts=$build/artifacts/$1.planted
    local fresh=$build/corpus/$1.planted kept=tests/corpus/$1 verdict start
    local seeds=()
    rm -rf "$fresh"
    mkdir -p "$fresh" "$artifacts"
    [ ! -d "$kept" ] || seeds=("$kept")
    start=$EPOCHREALTIME
    "$build/fuzz/${name}_fuzz_planted" -max_total_time="$planted_seconds" -timeout=20 \
        -rss_limit_mb=2048 -artifact_prefix="$artifacts/" "$fresh" "${seeds[@]}" \
        >"$log" 2>&1 || true
    if [ -n "$(find "$artifacts" -name 'crash-*' -print -quit)" ]; then
        verdict="found"
    else
        verdict="FAILED: not found in $planted_seconds s"
    fi
    printf '%-32s %12.1f  %s\n' "$name" \
        "$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')" \
        "$verdict" >"$results/$name.planted.line"
}

# Runs a function on each name, some at a time.
in_parallel() { # function, names
    local function=$1 name
    shift
    for name in "$@"; do
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
            wait -n || true
        done
        "$function" "$name" &
    done
    wait
}

targets=()
with_planted=()
while read -r name planted; do
    targets+=("$name")
    [ "$planted" != planted ] || with_planted+=("$name")
done <"$build/fuzz-targets.txt"
[ "${#targets[@]}" -gt 0 ] || {
    echo "There are no fuzz targets." >&2
    echo "0 passed, 1 failed"
    exit 1
}

passed=0
failed=0
show() { # line file, what it is about
    if [ ! -s "$1" ]; then
        printf '%-32s FAILED: it did not run\n' "$2"
    else
        cat "$1"
    fi
    if [ -s "$1" ] && ! grep -q FAILED "$1"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "  logs: $results/$2.*log, inputs: $build/artifacts/$2*"
        tail -n 25 "$results/$2.log" 2>/dev/null | sed 's/^/  | /'
    fi
}

echo "${#targets[@]} targets, $seconds s each, $jobs at a time"
in_parallel run_target "${targets[@]}"
printf '\n%-32s %12s %10s %8s  %s\n' target runs runs/s corpus result
for name in "${targets[@]}"; do
    show "$results/$name.line" "$name"
done

in_parallel run_planted "${with_planted[@]}"
printf '\n%-32s %12s  %s\n' 'planted bug in' seconds result
for name in "${targets[@]}"; do
    if grep -qx "$name planted" "$build/fuzz-targets.txt"; then
        show "$results/$name.planted.line" "$name"
    else
        printf '%-32s %12s  FAILED: no bug is planted for it\n' "$name" -
        failed=$((failed + 1))
    fi
done

echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
