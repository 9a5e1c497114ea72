#!/usr/bin/env bash
# Boots the oldest kernel and the newest in QEMU, and has `pipeline doctor` load the BPF programs there: what one kernel's
# verifier takes, another's refuses. Needs release builds of `pipeline` and `workloads`.
#
# Prints a line for each kernel; exit code 1 if one refuses. A kernel that cannot be had, or does not boot in time, is
# SKIPPED with the reason: that says nothing of the agent.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=scripts/kernels
work=${CARGO_TARGET_DIR:-target}/kernels
bin=${CARGO_TARGET_DIR:-target}/release

skip() { echo "SKIPPED: BPF programs on $1: $2"; }

scripts/setup.sh kernels || { skip "other kernels" "QEMU cannot be installed, see above"; exit 0; }
mkdir -p "$work"
objcopy --strip-debug "$bin/pipeline" "$work/agent"

# Both at once: an emulated machine runs on one CPU.
loads() {
    local kernel console
    kernel=$("$here/fetch.sh" "$work" "$1" 2>"$work/$2.fetch") || { skip "the $2 kernel" "$(tail -1 "$work/$2.fetch")"; return; }
    console=$work/$2.console
    KERNELS_ONLY=doctor KERNELS_TIMEOUT=300 KERNELS_NICE=0 "$here/boot.sh" "$kernel" "$work/agent" "$bin/storm-run" \
        >"$console" 2>&1 || true
    local doctor name
    name=$(basename "$kernel" .vmlinuz)
    doctor=$(tr -d '\r' <"$console" | sed -n 's/^@@ [0-9.]* doctor //p' | tail -1)
    case $doctor in
    ok) echo "BPF programs load on $name" ;;
    '')
        # A kernel that came up and stopped before the answer has crashed, if there was time for an answer.
        if tr -d '\r' <"$console" | grep -qE '^\[? *[0-9.]*\]? *(Kernel panic|BUG:|Oops)'; then
            echo "BPF programs on $name: the kernel has crashed, see $console"
            return 1
        fi
        skip "$name" "no answer within 300 s, see $console"
        ;;
    *) echo "BPF programs on $name: $doctor"; return 1 ;;
    esac
}

# The lists of packages are fetched once.
"$here/fetch.sh" "$work" '6\.1\..*-cloud' >/dev/null 2>&1 || true
loads '6\.1\..*-cloud' oldest & oldest=$!
loads '[7-9]\..*-cloud' newest & newest=$!
failed=0
wait $oldest || failed=1
wait $newest || failed=1
exit $failed
