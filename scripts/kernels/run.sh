#!/usr/bin/env bash
# Runs the agent on other kernels: boots each in QEMU (by emulation, so anywhere) and prints a row of docs/compatibility.md's table for it.
#
#   run.sh                    the oldest, the long-term ones (also with PREEMPT_RT) and the newest kernel that Debian has
#   run.sh PATTERN...         kernels whose package matches, such as '7\.3\..*-cloud'; the newest of each pattern
#
# Exit code 1 if any kernel fails. The console of each is kept in target/kernels/.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=scripts/kernels
work=${CARGO_TARGET_DIR:-target}/kernels
bin=${CARGO_TARGET_DIR:-target}/release
patterns=("$@")
[ $# -gt 0 ] || patterns=('6\.1\..*-cloud' '6\.12\..*-cloud' '6\.12\..*-rt' '[7-9]\..*-cloud')

# What runs in the guest, without what only a debugger reads: all of it lies in memory there.
mkdir -p "$work"
objcopy --strip-debug "$bin/pipeline" "$work/agent"
objcopy --strip-debug "$bin/storm-run" "$work/storm-run"

failed=0
echo "| kernel | doctor | CPU off and on | softirqs | late events | hooks skipped | storms at 99 Hz: paths, coverage |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
for pattern in "${patterns[@]}"; do
    kernel=$("$here/fetch.sh" "$work" "$pattern")
    console=$work/$(basename "$kernel" .vmlinuz).console
    "$here/boot.sh" "$kernel" "$work/agent" "$work/storm-run" >"$console" 2>&1 || true
    # Lines of the guest: "@@ seconds what value...".
    told() { tr -d '\r' <"$console" | sed -n "s/^@@ [0-9.]* $1 //p" | tail -1; }
    row="$(told kernel) | $(told doctor) | $(told hotplug) | $(told softirq) | $(told late) | $(told skipped) | $(told storm)"
    echo "| $row |"
    if ! tr -d '\r' <"$console" | grep -q '^@@ [0-9.]* end' || grep -qE '\| (\||failed)' <<<"| $row |"; then
        failed=1
        echo "$pattern failed: see $console" >&2
    fi
done
exit $failed
