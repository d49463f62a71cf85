#!/usr/bin/env bash
# Every fuzz target for BH_FUZZ_SECONDS (10) on its corpus; a crash fails.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang-14 >/dev/null || { echo "clang-14 is not installed: no fuzzing"; exit 1; }
cmake -S . -B build-fuzz -G Ninja -DCMAKE_C_COMPILER=clang-14 -DBH_FUZZ=ON -DBUILD_TESTING=ON -DBH_UNIT_TESTS=OFF ${BH_CMAKE_FLAGS:-} >/dev/null
cmake --build build-fuzz -j "${BH_JOBS:-$(nproc)}" --target fuzzers
n=0
for target in build-fuzz/fuzz/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    name=$(basename "$target")
    work=$(mktemp -d)
    mkdir -p "tests/fuzz/corpus/$name"
    if ! "$target" -max_total_time="${BH_FUZZ_SECONDS:-10}" -rss_limit_mb=1024 -timeout=10 -print_final_stats=0 \
        -artifact_prefix="$work/" "$work" "tests/fuzz/corpus/$name" >"$work/log" 2>&1; then
        tail -40 "$work/log"
        echo "fuzz: $name failed; the input is in $work"
        exit 1
    fi
    rm -rf "$work"
    n=$((n + 1))
done
[ $n -gt 0 ] || { echo "fuzz: no target was built"; exit 1; }
echo "fuzz: $n targets, none failed"
