#!/bin/sh
# All benches in one go: bench/run.sh [BUILD] [options of compare.py].  Needs root; a release build is the one to
# measure.  First what a call costs beside a bare socket, then the whole beside docker and podman.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$here/../build
case ${1:-} in
"" | -*) ;;
*)
    build=$1
    shift
    ;;
esac
build=$(cd "$build" && pwd)
for bench in rpc_bench layer_bench; do
    if [ -x "$build/bin/$bench" ]; then
        echo "== $bench"
        "$build/bin/$bench"
    fi
done
for bench in compare transfer build; do
    if [ -e "$here/$bench.py" ]; then
        echo "== $bench.py"
        python3 "$here/$bench.py" --build "$build" "$@"
    fi
done
