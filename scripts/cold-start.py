#!/usr/bin/env python3
"""Time from the start of the agent to its first sample, by the sample's own timestamp.

scripts/cold-start.py target/release/pipeline [RUNS]      needs root

A process keeps one CPU busy, so that there is something to sample; at 19 samples a second the first is due up to
53 ms after the sampler starts.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


def first_sample(agent: str, directory: pathlib.Path) -> float:
    """Seconds from the start of `agent` to the first sample of its file."""
    path = directory / "profiles.jsonl"
    path.unlink(missing_ok=True)
    config = {
        "receivers": {"ebpf": {}},
        "processors": {"procinfo": {}},
        "exporters": {"file": {"path": str(path), "window": "100ms"}},
        "service": {
            "pipelines": {"profiles": {"receivers": ["ebpf"], "processors": ["procinfo"], "exporters": ["file"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    started = time.time_ns()
    process = subprocess.Popen([agent, "--config", f"yaml:{json.dumps(config)}"], stderr=subprocess.DEVNULL)
    while not (path.exists() and path.stat().st_size > 0):
        if process.poll() is not None:
            sys.exit(f"{agent} has ended with {process.returncode}")
        time.sleep(0.02)
    process.terminate()
    process.wait()
    times = []
    for line in path.read_text().splitlines():
        for resource in json.loads(line)["resourceProfiles"]:
            for scope in resource["scopeProfiles"]:
                for profile in scope["profiles"]:
                    for sample in profile["samples"]:
                        times += [int(at) for at in sample["timestampsUnixNano"]]
    return (min(times) - started) / 1e9


def main() -> None:
    agent, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with tempfile.TemporaryDirectory() as directory:
            seconds = [first_sample(agent, pathlib.Path(directory)) for _ in range(runs)]
    finally:
        busy.kill()
    least, median, most = min(seconds), statistics.median(seconds), max(seconds)
    print(f"first sample after {least:.3f} / {median:.3f} / {most:.3f} s (least / median / most of {runs})")


if __name__ == "__main__":
    main()
