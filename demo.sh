#!/usr/bin/env bash
# The main job of Bulkhead in one command: builds it, starts an engine in a temporary folder, makes an
# image out of Debian's busybox-static without any network, loads it, runs it, commits a change, saves
# and loads the result, shows the rooms, cleans up.  Needs root on Debian 12; installs what is missing.
set -euo pipefail
cd "$(dirname "$0")"
. packaging/packages.sh

if [ "$(id -u)" != 0 ]; then
    echo "demo.sh: an engine is started by root for now; run: sudo ./demo.sh" >&2
    exit 1
fi
# shellcheck disable=SC2086
install_missing $BUILD_PACKAGES $RUN_PACKAGES $DEMO_PACKAGES
command -v crun >/dev/null || command -v runc >/dev/null || install_missing crun runc

echo "== build"
configure build -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBH_UNIT_TESTS=OFF
cmake --build build -j "$(nproc)"

root=$(mktemp -d /tmp/bulkhead-demo.XXXXXX)
chmod 755 "$root"
engine=
bh() { build/bin/bulkhead --host "ipc://$root/run" "$@"; }
show() { printf '\n$ bulkhead %s\n' "$*"; bh "$@"; }
finish() {
    status=$?
    if [ -n "$engine" ] && kill -0 "$engine" 2>/dev/null; then
        # shellcheck disable=SC2046
        bh rm -f $(bh ps -aq) >/dev/null 2>&1 || true
        kill -TERM "$engine"
        wait "$engine" || true
    fi
    rm -rf "$root"
    [ $status = 0 ] && echo "== demo: done, nothing left behind" || echo "== demo: FAILED"
    exit $status
}
trap finish EXIT

echo "== start an engine in $root"
mkfifo "$root/ready"
build/bin/bulkheadd --root "$root" >"$root/ready" 2>"$root/log" &
engine=$!
if ! read -r -t 20 line <"$root/ready" || [ "$line" != ready ]; then
    echo "the engine did not start:"; cat "$root/log"; exit 1
fi

echo "== make an image of busybox-static, as docker would save it"
packaging/busybox-image.py "$root/busybox.tar" demo/busybox:1

show version
show load -i "$root/busybox.tar"
show images
show run --rm demo/busybox:1 echo "hello from a container"
show run --name edit demo/busybox:1 sh -c 'echo kept > /etc/note; rm /etc/motd'
show diff edit
show commit -m "a note" -a "Demo" edit demo/edited:1
show history demo/edited:1
show save -o "$root/edited.tar" demo/edited:1
show rm edit
show rmi demo/edited:1
show load -i "$root/edited.tar"
show run --rm demo/edited:1 cat /etc/note
show run -d --name web demo/busybox:1 sh -c 'while :; do echo alive; sleep 1; done'
sleep 1.2
show exec web ps
show logs --tail 1 web
show ps
show stop -t 1 web
show rm web

if command -v mmdebstrap >/dev/null && [ "${BH_DEMO_DEBIAN:-1}" = 1 ]; then
    echo; echo "== a Debian base, made by mmdebstrap from Debian's packages"
    if mmdebstrap --quiet --variant=minbase bookworm "$root/debian.tar" 2>"$root/mmdebstrap.log"; then
        show import --change 'CMD ["/bin/bash"]' "$root/debian.tar" demo/debian:12
        show run --rm demo/debian:12 cat /etc/debian_version
    else
        echo "(skipped: mmdebstrap could not reach Debian's packages)"
    fi
fi

show images
show system df
show system check
show system rooms
