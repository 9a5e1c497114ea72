#!/bin/sh
# Makes what the integration tests need beside cargo: a Collector (tests/collector/otelcol) and a
# Python environment with an independent OTLP decoder (target/venv). Does nothing if both are current.
set -eu
target="${CARGO_TARGET_DIR:-$(dirname "$0")/../target}"
mkdir -p "$target"
venv="$(cd "$target" && pwd)/venv"
cd "$(dirname "$0")"

fail() {
    echo "tests/setup.sh: $1" >&2
    exit 1
}

collector_is_current() {
    [ -x collector/otelcol ] && [ -z "$(find collector -name '*.go' -newer collector/otelcol -o \
        -name 'go.*' -newer collector/otelcol)" ]
}

if ! collector_is_current; then
    command -v go >/dev/null || fail "no Go: install Go 1.26 (or 1.21 and later, which fetches it)"
    echo "building tests/collector/otelcol (one to two minutes the first time)"
    (cd collector && GOFLAGS=-mod=mod go build -o otelcol . && touch otelcol)
fi

if ! [ -x "$venv/bin/python" ] || ! cmp -s reader/requirements.txt "$venv/requirements.txt"; then
    echo "making $venv"
    python3 -m venv --clear "$venv" || fail "python3 has no venv: apt-get install python3-venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r reader/requirements.txt
    # Written last: without it the environment counts as not made.
    cp reader/requirements.txt "$venv/requirements.txt"
fi
