#!/bin/sh
# The agent in storms of short-lived processes. Needs root. Prints tables; exit code 1 if a gate fails.
#
#   storm.sh short      a quarter of a minute: what `make test` can afford
#   storm.sh            the whole of it: both frequencies, pids used again, the agent stopped for 2 s, an
#                       exporter stalled for 30 s, one that fails
#   storm.sh isolation  how late one exporter is while another is stalled for a minute
#   storm.sh slowdown   a closed loop with and without the agent, and with perf
#   storm.sh crowd      among 500 and among 10,000 live processes
#   storm.sh hostile    while an unprivileged user does the worst: each tool for 15 s, and all at once for 5 minutes;
#                       `hostile short` is all at once for 8 s
set -eu
cd "$(dirname "$0")/../.."
cargo build --quiet --release --package pipeline --package workloads
bin=${CARGO_TARGET_DIR:-target}/release
run() { "$bin/storm-run" --agent "$bin/pipeline" "$@"; }

case ${1-full} in
short) run table --hz 997 --seconds 6 ;;
full)
    failed=0
    run table --hz 99,997 --seconds 60 || failed=1
    run table --hz 997 --seconds 30 --rate 70 --pid-max 1200 || failed=1
    run table --hz 997 --seconds 20 --sigstop 2 || failed=1
    run table --hz 997 --seconds 15 --exporter-stall 30 || failed=1
    run table --hz 997 --seconds 15 --exporter-fails || failed=1
    run isolation || failed=1
    exit $failed
    ;;
slowdown) run slowdown ;;
crowd) run crowd --bpf-stats ;;
isolation) run isolation ;;
hostile)
    case ${2-full} in
    short) run hostile --each 0 --together 8 --programs 1000 --rate 10 ;;
    *) run hostile ;;
    esac
    ;;
*)
    echo "usage: $0 [short|full|isolation|slowdown|crowd|hostile [short]]" >&2
    exit 2
    ;;
esac
