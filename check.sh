#!/usr/bin/env bash
# Build Bulkhead with sanitizers and run every test.  All that a fresh Debian 12 needs is installed
# here.  ./check.sh [ctest arguments]; BH_JOBS sets the parallelism, BH_CHECK_QUICK=1 leaves the
# long ones out.  Long forms: BH_FUZZ_SECONDS, BH_CRASH_STEP=1, BULKHEAD_TEST_KILLS, BULKHEAD_TEST_PEERS=all.
set -euo pipefail
cd "$(dirname "$0")"
. packaging/packages.sh
jobs=${BH_JOBS:-$(nproc)}

install_missing $BUILD_PACKAGES $TEST_PACKAGES

# A compiler cache, where there is one, makes the second run short.
BH_CMAKE_FLAGS=
command -v ccache >/dev/null && BH_CMAKE_FLAGS=-DCMAKE_C_COMPILER_LAUNCHER=ccache
export BH_CMAKE_FLAGS

say() { printf '\n== %s\n' "$*"; }

say "format"
if command -v clang-format-14 >/dev/null; then
    git ls-files '*.c' '*.h' 2>/dev/null | xargs -r clang-format-14 --dry-run --Werror
fi

say "static analysis"
git ls-files 'lib/*.c' 'supervisor/*.c' 'svc-*.c' 'client/*.c' |
    xargs cppcheck --enable=warning,performance,portability --suppressions-list=packaging/cppcheck.supp --std=c11 -q \
        -j "$jobs" -Ilib -Iclient/include --error-exitcode=1

say "build with ASan and UBSan"
configure build-asan -DCMAKE_BUILD_TYPE=Debug "-DBH_SANITIZE=address;undefined" $BH_CMAKE_FLAGS
cmake --build build-asan -j "$jobs"

say "build as released"
configure build -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=ON -DBH_UNIT_TESTS=OFF $BH_CMAKE_FLAGS
cmake --build build -j "$jobs"

say "tests with sanitizers: unit, table, the live parts of launch"
export UBSAN_OPTIONS=print_stacktrace=1
ctest --test-dir build-asan --output-on-failure -L 'unit|table|live' -j "$jobs" "$@"

say "tests as released: rooms, integration, conformance"
ctest --test-dir build --output-on-failure -L 'rooms|integration|conformance|shouldfail' -j "$jobs" "$@"

if [ "${BH_CHECK_QUICK:-0}" != 1 ]; then
    say "fuzz, a short time each"
    packaging/fuzz-smoke.sh
fi
say "all passed"
