#!/usr/bin/env python3
"""Takes the pictures of the live page in docs/images: a real run on this machine, of a build, a script and a compressor.

scripts/page-pictures.py [AGENT]     target/release/pipeline unless said otherwise; needs root, cc, make, gzip and chromium

Each picture is of at most 300 KB.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from chromium import Chromium  # noqa: E402
from page import Visit  # noqa: E402

IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 300_000
SECONDS = 45

MAKEFILE = """
all: $(patsubst %,part%.o,$(shell seq 60))
part%.o: part.c
	cc -O2 -DPART=$* -c -o $@ part.c
.PHONY: all
"""
PART = """
#define FUNCTION(n) int f##n(int *a, int m) { for (int i = 0; i < m; i++) a[i & 63] += a[(i * n) & 63] ^ (m << (n & 15)); return a[n]; }
#define TEN(n) FUNCTION(n##0) FUNCTION(n##1) FUNCTION(n##2) FUNCTION(n##3) FUNCTION(n##4) FUNCTION(n##5) FUNCTION(n##6) FUNCTION(n##7)
TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7) TEN(8) TEN(9) TEN(10) TEN(11) TEN(12) TEN(13) TEN(14) TEN(15) TEN(16)
"""
SCRIPT = """
import json, random
rows = [{"key": random.random(), "words": [str(n) for n in range(20)]} for _ in range(4000)]
while True:
    sorted(json.loads(json.dumps(rows)), key=lambda row: row["key"])
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def configuration(port):
    page = {"endpoint": f"localhost:{port}", "retention": "5m"}
    pipeline = {"receivers": ["ebpf"], "processors": ["procinfo", "symbolizer"], "exporters": ["flamegraph"]}
    return {
        "receivers": {"ebpf": {"samples_per_second": 199}},
        "processors": {"procinfo": {}, "symbolizer": {}},
        "exporters": {"flamegraph": page},
        "service": {"pipelines": {"profiles": pipeline}, "telemetry": {"metrics": {"level": "none"}}},
    }


def work(folder):
    """A build that is there for a part of the time, a script, and a compressor that comes and goes."""
    (folder / "Makefile").write_text(MAKEFILE)
    (folder / "part.c").write_text(PART)
    (folder / "script.py").write_text(SCRIPT)
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    script = subprocess.Popen([sys.executable, "script.py"], **quiet)
    try:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            subprocess.run(["make", "-s", "-B", "-j2"], **quiet)
            subprocess.run("head -c 60000000 /dev/urandom | gzip -1", shell=True, **quiet)
            time.sleep(2)
    finally:
        script.kill()
        script.wait()


def press(visit, selector):
    visit.ready(visit.press(selector))


def take(browser, name):
    path = IMAGES / name
    browser.screenshot(path)
    size = path.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{path} has {size} bytes")
    print(f"{path.relative_to(ROOT)}: {size // 1000} KB")


def pictures(address):
    with Chromium(width=1360, height=820) as browser:
        visit = Visit(browser)
        visit.open(address)
        # What is there stays while pictures are taken.
        visit.press("#live")
        browser.run("document.querySelector('#last').value = '0'; document.querySelector('#last').dispatchEvent(new Event('change'))")
        time.sleep(3)
        visit.press("#live")
        visit.ready()
        browser.point(*visit.frame(0.55, 6))
        time.sleep(0.5)
        take(browser, "page-flame.png")
        press(visit, "#tab-processes")
        take(browser, "page-processes.png")
        press(visit, "#tab-flame")
        left, top, width, height = visit.box("#timeline")
        browser.drag(left + width * 0.55, top + height / 2, left + width * 0.9)
        time.sleep(2)
        browser.drag(left + width * 0.1, top + height / 2, left + width * 0.4, shift=True)
        time.sleep(2)
        visit.press("#theme")
        browser.point(*visit.frame(0.5, 3))
        time.sleep(0.5)
        take(browser, "page-compare.png")


def main():
    agent = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "pipeline")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        log = open(Path(folder) / "agent.log", "w", encoding="utf-8")
        running = subprocess.Popen([agent.resolve(), "--config", f"yaml:{json.dumps(configuration(port))}"], cwd=folder, stdout=log, stderr=log)
        try:
            work(Path(folder))
            pictures(f"http://localhost:{port}/")
        finally:
            running.send_signal(signal.SIGINT)
            running.wait()


if __name__ == "__main__":
    main()
