#!/bin/bash
# Runs every test N times (10 unless named) beside one busy loop for each CPU, and prints a table of the rounds: tests
# that need luck, or an idle machine, fail here. Exits with 1 if any round has failed.
#
#   scripts/rounds.sh [N] [ARGUMENTS OF CARGO TEST...]      such as: scripts/rounds.sh 10 -p tests --test suite
#
# Each round's output is kept in target/rounds/. Needs root, and a `make test` before it for what tests need.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${1:-10}
[[ $rounds =~ ^[1-9][0-9]*$ ]] || { echo "usage: scripts/rounds.sh [N] [ARGUMENTS...]" >&2; exit 2; }
shift $(($# > 0 ? 1 : 0))
which=("$@")
[ "$#" -gt 0 ] || which=(--workspace --lib --bins --tests)

out=target/rounds
mkdir -p "$out"
rm -f "$out"/*.log

# Built before the machine is busy, since nobody waits for a compiler in a test.
cargo build --quiet --workspace --bins
cargo test --quiet "${which[@]}" --no-run

# A loop ends by itself once this script is gone, however that ends.
loop() {
    local parent=$1
    exec -a busy-loop bash -c 'while kill -0 '"$parent"' 2>/dev/null; do for ((i = 0; i < 200000; i++)); do :; done; done'
}
loops=()
for ((cpu = 0; cpu < $(nproc); cpu++)); do
    loop $$ &
    loops+=($!)
done
trap 'kill "${loops[@]}" 2>/dev/null || :' EXIT

# The sum of the numbers before WORD in the results of a log, of which there is one for each program of tests.
count() {
    awk -v word="$1;" '/^test result:/ { for (i = 2; i <= NF; i++) if ($i == word) sum += $(i - 1) } END { print sum + 0 }' "$2"
}

failed=0
printf '| round | passed | failed | seconds | failed tests |\n| --- | --- | --- | --- | --- |\n'
for ((round = 1; round <= rounds; round++)); do
    log=$out/$round.log
    began=$SECONDS
    result=0
    cargo test --quiet --no-fail-fast "${which[@]}" -- --include-ignored >"$log" 2>&1 || result=$?
    names=$(sed -n 's/^    \([a-z_0-9:]*\)$/\1/p' "$log" | sort -u | paste -sd' ')
    printf '| %d | %d | %d | %d | %s |\n' "$round" "$(count passed "$log")" "$(count failed "$log")" \
        $((SECONDS - began)) "${names:-$([ "$result" = 0 ] || echo "exit code $result")}"
    [ "$result" = 0 ] || failed=1
done
exit "$failed"
