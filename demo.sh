#!/usr/bin/env bash
# The main job of Bulkhead in one command: builds it, starts an engine in a temporary folder, makes an
# image out of Debian's busybox-static without any network, loads it, runs it, commits a change, saves
# and loads the result, builds a Dockerfile, pushes to a registry on loopback and pulls from it, shows the
# rooms, cleans up.  Needs root on Debian 12; installs what is missing.
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
registry=
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
    if [ -n "$registry" ] && kill -0 "$registry" 2>/dev/null; then
        kill "$registry"
        wait "$registry" 2>/dev/null || true
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

echo; echo "== build from a Dockerfile; the second build finds everything in the cache"
mkdir "$root/site"
echo "<h1>built here</h1>" >"$root/site/index.html"
cat >"$root/site/Dockerfile" <<'END'
FROM demo/busybox:1 AS make
RUN mkdir /out && date -u -d @0 +%Y > /out/year
FROM demo/busybox:1
COPY --from=make /out/year /srv/
COPY index.html /srv/
CMD ["cat", "/srv/year", "/srv/index.html"]
END
cat "$root/site/Dockerfile"
show build -t demo/site:1 "$root/site"
show build -q -t demo/site:1 "$root/site"
show run --rm demo/site:1

if command -v docker-registry >/dev/null; then
    echo; echo "== push to a registry on this machine, and pull from it"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    cat >"$root/registry.yml" <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $root/registry}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$port"}
END
    docker-registry serve "$root/registry.yml" >"$root/registry.log" 2>&1 &
    registry=$!
    for _ in $(seq 50); do
        if (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null; then break; fi
        sleep 0.1
    done
    show tag demo/site:1 "127.0.0.1:$port/demo/site:1"
    show push "127.0.0.1:$port/demo/site:1"
    show tags "127.0.0.1:$port/demo/site"
    show rmi "127.0.0.1:$port/demo/site:1" demo/site:1
    show pull "127.0.0.1:$port/demo/site:1"
    show run --rm "127.0.0.1:$port/demo/site:1"
fi

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
