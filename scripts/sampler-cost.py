#!/usr/bin/env python3
"""What one sample costs in the kernel, by the depth of its stack, and how long pages of unwind rows take to build.

scripts/sampler-cost.py AGENT [--seconds 20] [--frames 10,50,250] [--hertz 997]
                                                             needs root, cc, and a machine that does nothing else

AGENT is the path of a `pipeline` binary. A program without frame pointers that calls itself runs on each CPU, as deep as
asked for; the agent samples it, and the kernel measures the sampler's run time, for which the agent asks it at this
level of metrics as long as it runs (BPF_ENABLE_STATS, as kernel.bpf_stats_enabled does for good). Printed for each depth: samples, and nanoseconds a sample; then nanoseconds a frame, by the
straight line through all depths that is closest to them; then the times that pages of unwind rows took to build, those
of the agent's start included.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator

PORT = 18889
# By then the agent has read what runs, and the program's rows are there.
SETTLED = 5.0
# `work`, one more `descend` than its number, `main`, two functions of the C library above it, and `_start`.
OTHER_FRAMES = 6
SOURCE = """
__attribute__((noinline)) long work(long rounds) { long sum = 0; for (volatile long i = 0; i < rounds; i++) sum += i; return sum; }
__attribute__((noinline)) long descend(int left) { return left ? descend(left - 1) * 3 + 1 : work(2000000) + 1; }
int main() { for (;;) descend(DEPTH); }
"""
FLAGS = ["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls"]
RUN_SECONDS = "otelcol_receiver_ebpf_program_run_seconds_total"
RUNS = "otelcol_receiver_ebpf_program_runs_total"
PAGES = "otelcol_receiver_ebpf_unwind_page_build_seconds_bucket"


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen]:
    """Runs a program until the end of the block."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def agent_command(agent: str, hertz: int) -> list[str]:
    """The agent with metrics at the level that has the programs' run times."""
    reader = {"pull": {"exporter": {"prometheus": {"host": "localhost", "port": PORT}}}}
    config = {
        "receivers": {"ebpf": {"samples_per_second": hertz}},
        "processors": {"procinfo": {}},
        "exporters": {"file": {"path": "/dev/null"}},
        "service": {
            "pipelines": {"profiles": {"receivers": ["ebpf"], "processors": ["procinfo"], "exporters": ["file"]}},
            "telemetry": {"metrics": {"level": "detailed", "readers": [reader]}},
        },
    }
    return [agent, "--config", f"yaml:{json.dumps(config)}"]


def metrics() -> list[tuple[str, dict[str, str], float]]:
    """Name, labels and value of everything that the agent reports."""
    with urllib.request.urlopen(f"http://localhost:{PORT}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = (re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line) for line in lines)
    parts = (match.groups("") for match in found if match)
    return [(name, dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)) for name, labels, value in parts]


def sampler() -> tuple[float, float]:
    """Seconds and runs of the sampler so far."""
    of_sampler = {name: value for name, labels, value in metrics() if labels.get("program") == "sample_cpu"}
    return of_sampler[RUN_SECONDS], of_sampler[RUNS]


def build(frames: int, folder: str) -> str:
    """A program of that many frames."""
    source, program = pathlib.Path(folder, "deep.c"), f"{folder}/deep{frames}"
    source.write_text(SOURCE)
    subprocess.run(["cc", *FLAGS, f"-DDEPTH={frames - OTHER_FRAMES}", "-o", program, str(source)], check=True)
    return program


def measure(program: str, seconds: float) -> tuple[float, float]:
    """Samples, and nanoseconds of each, while a copy of the program runs on each CPU."""
    with contextlib.ExitStack() as copies:
        for _ in range(os.cpu_count() or 1):
            copies.enter_context(running([program]))
        time.sleep(SETTLED)
        before = sampler()
        time.sleep(seconds)
        after = sampler()
    runs = after[1] - before[1]
    return runs, (after[0] - before[0]) / runs * 1e9


def slope(points: list[tuple[int, float]]) -> float:
    """The slope of the straight line closest to the points."""
    x_mean, y_mean = (sum(values) / len(points) for values in zip(*points))
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / sum((x - x_mean) ** 2 for x, _ in points)


def print_pages() -> None:
    """The share of pages that were built within each time."""
    buckets = [(float(labels["le"]), value) for name, labels, value in metrics() if name == PAGES]
    total = max((value for _, value in buckets), default=0)
    print(f"\n{total:.0f} pages of unwind rows")
    previous = 0.0
    for bound, value in buckets:
        if value > previous:
            print(f"  within {bound * 1e6:.0f} us: {100 * value / total:.2f} %")
        previous = value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", metavar="AGENT")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--frames", default="10,50,250")
    parser.add_argument("--hertz", type=int, default=997)
    arguments = parser.parse_args()
    points = []
    with tempfile.TemporaryDirectory() as folder:
        programs = [(frames, build(frames, folder)) for frames in map(int, arguments.frames.split(","))]
        with running(agent_command(arguments.agent, arguments.hertz)) as agent:
            time.sleep(SETTLED)
            if agent.poll() is not None:
                raise SystemExit(f"the agent has ended with {agent.returncode}")
            print("| frames | samples | ns a sample |\n| ---: | ---: | ---: |")
            for frames, program in programs:
                samples, nanoseconds = measure(program, arguments.seconds)
                points.append((frames, nanoseconds))
                print(f"| {frames} | {samples:.0f} | {nanoseconds:.0f} |", flush=True)
            if len(points) > 1:
                print(f"\n{slope(points):.0f} ns a frame")
            print_pages()


if __name__ == "__main__":
    main()
