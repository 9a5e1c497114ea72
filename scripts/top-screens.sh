#!/usr/bin/env bash
# Prints what `pipeline top` shows of a real run on this machine, in terminals of 80x24 and 200x60, as text. Needs root, a
# built agent and tmux (Debian: apt-get install tmux). docs/running.md has two of these screens.
#   scripts/top-screens.sh [AGENT]     # target/release/pipeline unless said otherwise
set -euo pipefail
cd "$(dirname "$0")/.."
agent=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/pipeline}")
dir=$(mktemp -d)
socket=$dir/top.sock
tmux() { command tmux -L "pipeline-top-$$" "$@"; }
cat >"$dir/agent.yaml" <<YAML
receivers: { ebpf: { samples_per_second: 97 } }
processors: { procinfo: {}, symbolizer: {} }
exporters: { top: { endpoint: $socket }, file: { path: $dir/profiles.jsonl } }
service:
  pipelines: { profiles: { receivers: [ebpf], processors: [procinfo, symbolizer], exporters: [top, file] } }
  telemetry: { metrics: { level: none } }
YAML
"$agent" --config "$dir/agent.yaml" >"$dir/log" 2>&1 &
pid=$!
trap 'tmux kill-server 2>/dev/null || true; kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; rm -rf "$dir"' EXIT
for _ in $(seq 100); do [ ! -S "$socket" ] || break; sleep 0.2; done

# Waits until the terminal $1 shows $2.
shows() { for _ in $(seq 150); do ! tmux capture-pane -p -t "$1" | grep -q "$2" || return 0; sleep 0.2; done; return 1; }

for size in 80x24 200x60; do
    tmux new-session -d -s "$size" -x "${size%x*}" -y "${size#*x}" "$agent top --connect $socket"
    shows "$size" "last 5 s"
    for view in 1:EXECUTABLE 2:FUNCTION 3:PROCESS 4:everything 5:STAGE; do
        tmux send-keys -t "$size" "${view%:*}"
        shows "$size" "${view#*:}"
        echo "--- $size, key ${view%:*}"
        tmux capture-pane -p -t "$size"
    done
    tmux send-keys -t "$size" q
done
