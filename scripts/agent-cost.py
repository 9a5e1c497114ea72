#!/usr/bin/env python3
"""What the agent costs at rest and among short processes, next to `perf record` in the same run.

scripts/agent-cost.py AGENT [AGENT ...] [--seconds 60] [--rounds 2]      needs root and perf

Each AGENT is a path of a `pipeline` binary, so that an older build can be compared with a newer one. Every profiler runs
alone, in turn, and the whole turn is repeated for each round:

  idle     19 samples a second, nothing started by this script
  quiet    19 samples a second, 3 short processes a second
  storm    99 samples a second, 40 short processes a second

Printed for each: CPU seconds a minute (utime and stime of all threads, proc(5), after the first two seconds) and the
resident set at the end. `perf record` writes its data to /dev/null.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

SETTLED = 2.0
TICKS = os.sysconf("SC_CLK_TCK")
# Name, samples a second, short processes a second.
LOADS = [("idle", 19, 0), ("quiet", 19, 3), ("storm", 99, 40)]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(pid: int) -> float:
    """Resident set of a process."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def agent_command(agent: str, hertz: int, directory: str) -> list[str]:
    """The default pipeline of config/agent.yaml, with its file in `directory` and no fixed port."""
    config = {
        "receivers": {"ebpf": {"samples_per_second": hertz}},
        "processors": {"procinfo": {}},
        "exporters": {"debug": {}, "file": {"path": f"{directory}/profiles.jsonl"}},
        "service": {
            "pipelines": {
                "profiles": {"receivers": ["ebpf"], "processors": ["procinfo"], "exporters": ["debug", "file"]}
            },
            "telemetry": {"metrics": {"readers": [{"pull": {"exporter": {"prometheus": {"host": "localhost", "port": 18888}}}}]}},
        },
    }
    return [agent, "--config", f"yaml:{json.dumps(config)}"]


def perf_command(hertz: int) -> list[str]:
    """What most people type instead."""
    return ["perf", "record", "-a", "-g", "-e", "cpu-clock", "-F", str(hertz), "-o", "/dev/null"]


def short_processes(rate: int, until: float) -> None:
    """Starts `rate` short processes a second until the given monotonic time."""
    while (now := time.monotonic()) < until:
        if rate:
            subprocess.run(["/bin/true"], check=True)
            time.sleep(max(0.0, now + 1 / rate - time.monotonic()))
        else:
            time.sleep(until - now)


def measure(command: list[str], rate: int, seconds: float) -> tuple[float, float]:
    """CPU seconds a minute, and MiB resident at the end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        short_processes(rate, time.monotonic() + SETTLED)
        before, start = cpu_seconds(process.pid), time.monotonic()
        short_processes(rate, start + seconds)
        spent, took = cpu_seconds(process.pid) - before, time.monotonic() - start
        return spent * 60 / took, resident_mib(process.pid)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agents", nargs="+", metavar="AGENT")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    results: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(arguments.rounds):
            for load, hertz, rate in LOADS:
                for agent in arguments.agents:
                    measured = measure(agent_command(agent, hertz, directory), rate, arguments.seconds)
                    results.setdefault((load, agent), []).append(measured)
                measured = measure(perf_command(hertz), rate, arguments.seconds)
                results.setdefault((load, "perf record"), []).append(measured)
    print("| load | profiler | CPU s a minute: least / median | RSS MiB |")
    print("| --- | --- | ---: | ---: |")
    for (load, profiler), measured in results.items():
        spent = [cpu for cpu, _ in measured]
        resident = statistics.median(rss for _, rss in measured)
        print(f"| {load} | {profiler} | {min(spent):.3f} / {statistics.median(spent):.3f} | {resident:.1f} |")


if __name__ == "__main__":
    main()
