#!/bin/sh
# The tests that load BPF programs and make namespaces; with a reason if they cannot run here.
set -eu
cd "$(dirname "$0")/.."

skip() {
    echo "SKIPPED: tests that need the kernel: $1"
    exit 0
}

[ "$(id -u)" = 0 ] || skip "not root; run them with: sudo --preserve-env=PATH make test"
[ -e /sys/kernel/btf/vmlinux ] || skip "this kernel has no BTF (/sys/kernel/btf/vmlinux)"

cargo test --workspace --lib --bins --tests -- --ignored
tests/workloads/storm.sh short
tests/workloads/storm.sh hostile short
scripts/kernels/loads.sh
