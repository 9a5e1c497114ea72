#!/bin/sh
# Installs what building (`setup.sh build`), checking (`setup.sh lint`), testing (`setup.sh test`) or other kernels
# (`setup.sh kernels`) need beside cargo, on Debian.
# Does nothing, and says nothing, if all of it is there.
set -eu
what=${1:-build}
cd "$(dirname "$0")/.."

fail() {
    echo "scripts/setup.sh: $1" >&2
    exit 1
}

# True if clang can compile the BPF object: as crates/receiver-ebpf/build.rs finds out.
clang_is_new_enough() {
    for clang in ${CLANG:-clang-19 clang}; do
        version=$("$clang" -dumpversion 2>/dev/null | cut -d. -f1) || continue
        [ "${version:-0}" -ge 16 ] && return 0
    done
    return 1
}

packages=
clang_is_new_enough || packages="$packages clang-19"
[ -e /usr/include/bpf/bpf_helpers.h ] || packages="$packages libbpf-dev"
[ -e /usr/include/linux/bpf.h ] || packages="$packages linux-libc-dev"
command -v "${CC:-cc}" >/dev/null || packages="$packages gcc"
[ -e /usr/include/stdio.h ] || packages="$packages libc6-dev"
command -v python3 >/dev/null || packages="$packages python3"
if [ "$what" = lint ]; then
    command -v clang-format-19 >/dev/null || packages="$packages clang-format-19"
fi
if [ "$what" = test ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages="$packages python3-venv"
    command -v runc >/dev/null || packages="$packages runc"
    command -v busybox >/dev/null || packages="$packages busybox"
    # Tests that compare stacks with gdb's say so and end where there is none.
    if ! command -v gdb >/dev/null && apt-cache show gdb >/dev/null 2>&1; then
        packages="$packages gdb"
    fi
    # So do tests of programs with musl.
    if ! command -v musl-gcc >/dev/null && apt-cache show musl-tools >/dev/null 2>&1; then
        packages="$packages musl-tools"
    fi
    # So do tests of the page.
    if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null && apt-cache show chromium >/dev/null 2>&1; then
        packages="$packages chromium"
    fi
    # So do tests of functions that Node.js and Java compile.
    if ! command -v node >/dev/null && apt-cache show nodejs >/dev/null 2>&1; then
        packages="$packages nodejs"
    fi
    if ! command -v jcmd >/dev/null && apt-cache show default-jdk-headless >/dev/null 2>&1; then
        packages="$packages default-jdk-headless"
    fi
fi
if [ "$what" = kernels ]; then
    command -v qemu-system-x86_64 >/dev/null || packages="$packages qemu-system-x86 seabios ipxe-qemu"
    [ -e /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || packages="$packages busybox-static"
    command -v cpio >/dev/null || packages="$packages cpio"
    command -v objcopy >/dev/null || packages="$packages binutils"
fi

if [ -n "$packages" ]; then
    command -v apt-get >/dev/null || fail "missing, and there is no apt-get to install them:$packages"
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "not root, and no sudo to run: apt-get install$packages"
        sudo=sudo
    fi
    echo "installing$packages"
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get -qq update
    # shellcheck disable=SC2086 # one word a package
    $sudo apt-get -qq install --no-install-recommends -y $packages >/dev/null
fi

command -v cargo >/dev/null || fail "no cargo: install Rust 1.88 or newer"
if [ "$what" = test ]; then
    tests/setup.sh
fi
