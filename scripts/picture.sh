#!/usr/bin/env bash
# Takes docs/images/pipelinez.png: the live page of a real run on this machine. Needs root, a built agent and chromium
# (Debian: apt-get install chromium).
#   scripts/picture.sh [AGENT]     # target/release/pipeline unless said otherwise
set -euo pipefail
cd "$(dirname "$0")/.."
agent=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/pipeline}")
port=15679
dir=$(mktemp -d)
cat >"$dir/agent.yaml" <<YAML
receivers: { ebpf: { samples_per_second: 97 } }
processors: { memory_limiter: {}, procinfo: {} }
exporters:
  debug: {}
  file: { path: $dir/profiles.jsonl }
  prometheus: { endpoint: "localhost:15464" }
  # Nobody listens there: the page shows what a server that is down looks like.
  otlp_grpc: { endpoint: "localhost:15317", tls: { insecure: true } }
extensions: { zpages: { endpoint: "localhost:$port" } }
service:
  extensions: [zpages]
  pipelines:
    profiles:
      receivers: [ebpf]
      processors: [memory_limiter, procinfo]
      exporters: [debug, file, prometheus, otlp_grpc]
  telemetry: { metrics: { level: none } }
YAML
"$agent" --config "$dir/agent.yaml" >"$dir/out" 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; rm -rf "$dir"' EXIT
sleep 20
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$dir/chromium" \
    --window-size=1360,452 --screenshot="$PWD/docs/images/pipelinez.png" \
    "http://localhost:$port/debug/pipelinez" >"$dir/chromium.log" 2>&1 || { cat "$dir/chromium.log" >&2; exit 1; }
ls -l docs/images/pipelinez.png
