#!/usr/bin/env bash
# Every fuzz target for BH_FUZZ_SECONDS (5) on its corpus, as many at once as there are processors; a
# crash fails, and its input is kept.  The same seed each time, so that what is checked before a landing does
# not change by chance; BH_FUZZ_SEED=0 takes another at every run: for the long ones.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = one ]; then
    target=$2
    name=$(basename "$target")
    work=$(mktemp -d)
    mkdir -p "$work/corpus" "tests/fuzz/corpus/$name"
    if ! "$target" -seed="${BH_FUZZ_SEED:-1}" -max_total_time="${BH_FUZZ_SECONDS:-5}" -rss_limit_mb=1024 -timeout=10 \
        -artifact_prefix="$work/" "$work/corpus" "tests/fuzz/corpus/$name" >"$work/log" 2>&1; then
        tail -40 "$work/log"
        echo "fuzz: $name failed; the input is in $work"
        exit 1
    fi
    echo "fuzz: $name $(grep -oE 'stat::number_of_executed_units: +[0-9]+|Done [0-9]+ runs' "$work/log" | tail -1)"
    rm -rf "$work"
    exit 0
fi
. packaging/packages.sh
command -v clang-14 >/dev/null || { echo "clang-14 is not installed: no fuzzing"; exit 1; }
# shellcheck disable=SC2086
configure build-fuzz -DCMAKE_C_COMPILER=clang-14 -DBH_FUZZ=ON -DBUILD_TESTING=ON -DBH_UNIT_TESTS=OFF \
    ${BH_CMAKE_FLAGS:-}
cmake --build build-fuzz -j "${BH_JOBS:-$(nproc)}" --target fuzzers
targets=$(find build-fuzz/fuzz -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x | sort)
[ -n "$targets" ] || { echo "fuzz: no target was built"; exit 1; }
echo "$targets" | xargs -P "${BH_JOBS:-$(nproc)}" -n 1 "$0" one
echo "fuzz: $(echo "$targets" | wc -l) targets, none failed"
