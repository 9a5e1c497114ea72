#!/bin/sh
# Makes what the integration tests need beside cargo: a Collector (tests/collector/otelcol), a Python environment
# with an independent OTLP decoder (target/venv), Prometheus (target/prometheus), axe-core, which looks for what keeps
# people from using a page (target/axe), speedscope, which is to open our files in a browser and under Node
# (target/speedscope), and the Firefox Profiler's loader (target/firefox-profiler). The licence of axe-core and of the last
# is MPL-2.0, so they are fetched and not kept here. Does nothing if all are current.
set -eu
target="${CARGO_TARGET_DIR:-$(dirname "$0")/../target}"
mkdir -p "$target"
target="$(cd "$target" && pwd)"
venv="$target/venv"
prometheus="$target/prometheus"
cd "$(dirname "$0")"

fail() {
    echo "tests/setup.sh: $1" >&2
    exit 1
}

# build PROGRAM PACKAGE: builds a program of the module in collector/, unless it is newer than all that goes into it.
build() {
    if [ -x "collector/$1" ] && [ -z "$(find "collector/$2" collector/go.* -maxdepth 1 \
        \( -name '*.go' -o -name 'go.*' \) -newer "collector/$1")" ]; then
        return
    fi
    command -v go >/dev/null || fail "no Go: install Go 1.26 (or 1.21 and later, which fetches it)"
    echo "building tests/collector/$1 (one to two minutes the first time)"
    (cd collector && GOFLAGS=-mod=mod go build -o "$1" "./$2" && touch "$1")
}

build otelcol .
build pdata-reader pdatareader

if ! [ -x "$venv/bin/python" ] || ! cmp -s reader/requirements.txt "$venv/requirements.txt"; then
    echo "making $venv"
    python3 -m venv --clear "$venv" || fail "python3 has no venv: apt-get install python3-venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r reader/requirements.txt
    # Written last: without it the environment counts as not made.
    cp reader/requirements.txt "$venv/requirements.txt"
fi

# Debian's package is unpacked and not installed: no service starts, and nothing of the system changes.
if ! [ -x "$prometheus/promtool" ]; then
    echo "unpacking Prometheus to $prometheus"
    command -v apt-get >/dev/null || fail "no apt-get: put prometheus and promtool into $prometheus"
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    # Made aside and put into place as a whole: another run may be doing the same.
    aside="$(mktemp -d "$prometheus.XXXXXX")"
    trap 'rm -rf "$aside"' EXIT
    download() {
        (cd "$aside" && apt-get -qq -o APT::Sandbox::User=root download prometheus)
    }
    # Without lists of packages, or with old ones, there is nothing to download: as on a new machine.
    download 2>/dev/null || { $sudo apt-get -qq update && download; } || fail "cannot download Debian's prometheus"
    dpkg-deb --fsys-tarfile "$aside"/prometheus_*.deb | tar -x -C "$aside" ./usr/bin
    mv -T "$aside/usr/bin" "$prometheus" 2>/dev/null || [ -x "$prometheus/promtool" ]
fi

# fetch NAME VERSION DIRECTORY: unpacks a package of npm to target/DIRECTORY, where there is npm.
fetch() {
    if [ -e "$target/$3/package.json" ]; then
        return
    fi
    aside="$(mktemp -d "$target/$3.XXXXXX")"
    if (cd "$aside" && npm pack --silent "$1@$2" && tar -xzf ./*.tgz) >/dev/null 2>&1; then
        mv -T "$aside/package" "$target/$3" 2>/dev/null || true
    else
        echo "no $1: the tests that use it leave that part out (it takes npm)"
    fi
    rm -rf "$aside"
}

fetch axe-core 4.14.1 axe
fetch speedscope 1.25.0 speedscope
fetch @firefox-devtools/profiler-cli 0.10.0 firefox-profiler
