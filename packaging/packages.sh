# Sourced by demo.sh and check.sh: Debian packages by purpose, and how missing ones are installed.
BUILD_PACKAGES="cmake ninja-build gcc libc6-dev pkg-config libprotobuf-c-dev protobuf-c-compiler libnng-dev
libsqlite3-dev libcurl4-openssl-dev liblzma-dev libbz2-dev libssl-dev libjansson-dev libseccomp-dev libcap-ng-dev
zlib1g-dev libzstd-dev libisal-dev uthash-dev libcmocka-dev scdoc"
RUN_PACKAGES="busybox-static"
DEMO_PACKAGES="mmdebstrap python3 docker-registry"
TEST_PACKAGES="git python3 cppcheck busybox-static clang-14 clang-format-14 libclang-rt-14-dev llvm-14 skopeo umoci crun runc
mmdebstrap erofs-utils strace attr acl xz-utils bzip2 zstd python3-protobuf protobuf-compiler file docker-registry openssl"

# install_missing PACKAGE... : only what is not there, and only as root.
install_missing() {
    local missing=() p
    for p in "$@"; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "missing packages: ${missing[*]}" >&2
        echo "install them first: sudo apt-get install ${missing[*]}" >&2
        return 1
    fi
    echo "installing: ${missing[*]}"
    apt-get update -q >/dev/null
    # No service may start by itself on the machine of somebody who wants a test run.
    local policy=/usr/sbin/policy-rc.d made=0
    if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; made=1; fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
    [ $made = 0 ] || rm -f $policy
}

# configure DIR CMAKE-ARGUMENT... : with Ninja, unless the folder was configured with another generator before.
configure() {
    local dir=$1 generator=(-G Ninja)
    shift
    [ ! -e "$dir/CMakeCache.txt" ] || generator=()
    cmake -S . -B "$dir" "${generator[@]}" "$@" >/dev/null
}
