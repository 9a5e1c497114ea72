#!/usr/bin/env bash
# boot.sh VMLINUZ AGENT STORM: boots the kernel on two virtual CPUs with guest.sh as its only program. Prints the console.
# With KERNELS_ONLY=doctor the guest ends after `pipeline doctor`.
# Exit code 0 if the guest came to its end. Needs qemu-system-x86, busybox-static and cpio.
set -euo pipefail
kernel=$1 agent=$2 storm=$3
here=$(dirname "$0")
# A kernel takes 3 s to boot where nothing else runs, and its tests a minute and a half.
limit=${KERNELS_TIMEOUT:-900}

root=$(mktemp -d)
trap 'rm -rf "$root" "$root.cpio"' EXIT
mkdir -p "$root"/{bin,lib,lib64,dev,proc,sys,tmp,run,etc,w}
echo "127.0.0.1 localhost" >"$root/etc/hosts"
cp /bin/busybox "$root/bin/"
# By a path of its own it is a program to exec; by the name of an applet busybox would run it by itself.
cp /bin/busybox "$root/w/true"
cp "$agent" "$root/w/agent"
cp "$storm" "$root/w/storm-run"
cp "$here/guest.sh" "$root/init"
cp "$here/config.yaml" "$root/w/"
chmod +x "$root/init" "$root/w/"*
# The loader and libraries that the two are linked with, where they look for them.
ldd "$agent" "$storm" | grep -o '/[^ ]*' | grep -v ':$' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
(cd "$root" && find . | cpio --quiet -o -H newc) >"$root.cpio"

# Emulated, and both CPUs on one thread of this machine: slower, but without races of the emulator's (QEMU 7.2 has crashed newer kernels at boot).
timeout "$limit" nice -n "${KERNELS_NICE:-10}" qemu-system-x86_64 -M q35 -cpu max -accel tcg,thread=single -smp 2 -m 3000 \
    -nographic -nodefaults -serial stdio -no-reboot -kernel "$kernel" -initrd "$root.cpio" \
    -append "console=ttyS0 panic=-1 quiet nokaslr mitigations=off no_timer_check${KERNELS_ONLY:+ only=$KERNELS_ONLY}" </dev/null | tee "$root/console"
tr -d '\r' <"$root/console" | grep -q '^@@ [0-9.]* end'
