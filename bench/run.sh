#!/bin/sh
# All benches in one go: bench/run.sh [BUILD] [options that compare.py and transfer.py both know].  Needs root; a release
# build is the one to measure.  First what a call costs beside a bare socket, then the whole beside the others.
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
if [ -x "$build/bin/rpc_bench" ]; then
    echo "== rpc_bench"
    "$build/bin/rpc_bench"
fi
for bench in compare transfer; do
    echo "== $bench.py"
    python3 "$here/$bench.py" --build "$build" "$@"
done
