#!/usr/bin/env python3
"""Stacks of a program without frame pointers, by the agent and by `perf record`, in one run.

scripts/stack-comparison.py AGENT [--seconds 30] [--hertz 99] [--frames 50]
                                                             needs root, cc, perf, and a machine that does nothing else

AGENT is the path of a `pipeline` binary. A program that calls itself runs on each CPU, while one profiler after the
other samples all CPUs: the agent, `perf record --call-graph dwarf`, which copies 8 KiB of the stack with each sample and
follows it afterwards, and `perf record --call-graph fp`. Printed for each: samples of the program, the share whose stack
is whole (the agent does not call it truncated, perf's ends in `_start`) and the share that has as many frames as the
program, bytes a sample (of the file, by all samples in it), CPU seconds a minute of the profiler, and CPU seconds that
making stacks of the file took afterwards: perf's are followed only then. Time in interrupts is not among that: of the
agent's, see scripts/sampler-cost.py.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

# By then the profiler has started, and the agent has read what runs.
SETTLED = 8.0
# `work`, one more `descend` than its number, `main`, two functions of the C library above it, and `_start`.
OTHER_FRAMES = 6
# No longer than the name of a thread may be.
NAME = "deep-recursion"
SOURCE = """
__attribute__((noinline)) long work(long rounds) { long sum = 0; for (volatile long i = 0; i < rounds; i++) sum += i; return sum; }
__attribute__((noinline)) long descend(int left) { return left ? descend(left - 1) * 3 + 1 : work(2000000) + 1; }
int main() { for (;;) descend(DEPTH); }
"""
FLAGS = ["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls"]


class Stacks(NamedTuple):
    """Stacks of the program, as a profiler has them, and the samples of all programs."""

    samples: int
    whole: int
    exact: int
    of_all: int


class Row(NamedTuple):
    """What one profiler has done."""

    name: str
    stacks: Stacks
    bytes_a_sample: float
    cpu_a_minute: float
    cpu_afterwards: float


def agent_command(agent: str, hertz: int, path: pathlib.Path) -> list[str]:
    """The agent without names of functions, which perf does not look up while it records either."""
    config = {
        "receivers": {"ebpf": {"samples_per_second": hertz}},
        "processors": {"procinfo": {}},
        "exporters": {"file": {"path": str(path), "format": "proto"}},
        "service": {
            "pipelines": {"profiles": {"receivers": ["ebpf"], "processors": ["procinfo"], "exporters": ["file"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    return [agent, "--config", f"yaml:{json.dumps(config)}"]


def perf_command(mode: str, hertz: int, path: pathlib.Path) -> list[str]:
    return ["perf", "record", "-a", "-e", "cpu-clock", "-F", str(hertz), "--call-graph", mode, "-o", str(path)]


@contextlib.contextmanager
def copies(program: str) -> Iterator[None]:
    """Runs the program on each CPU until the end of the block."""
    with contextlib.ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            process = stack.enter_context(subprocess.Popen([program]))
            stack.callback(process.kill)
        yield


def run_for(command: list[str], seconds: float) -> float:
    """Runs a profiler for some time and ends it as Ctrl-C does; returns its CPU time a minute once it has settled."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(SETTLED)
        if process.poll() is not None:
            raise SystemExit(f"{command[0]} has ended with {process.returncode}")
        before, start = cpu_seconds(process.pid), time.monotonic()
        time.sleep(seconds)
        return (cpu_seconds(process.pid) - before) * 60 / (time.monotonic() - start)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def cpu_seconds(pid: int) -> float:
    """Time that a process has run so far."""
    # The clock of another process: clock_getcpuclockid(3), which Python has only for threads.
    return time.clock_gettime((~pid << 3) | 2)


def output_of(command: list[str]) -> tuple[str, float]:
    """What a command prints, and the CPU time that it took."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout
    text = process.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} has ended with {process.returncode}")
    return text, usage.ru_utime + usage.ru_stime


def of_agent(agent: str, path: pathlib.Path, frames: int) -> tuple[Stacks, float]:
    """The stacks of the agent's file, as folded lines."""
    folded = path.with_suffix(".folded")
    _, cpu = output_of([agent, "convert", str(path), str(folded)])
    samples = whole = exact = of_all = 0
    for line in folded.read_text().splitlines():
        stack, count = line.rsplit(" ", 1)
        of_all += int(count)
        if NAME not in stack:
            continue
        is_whole = "[truncated]" not in stack
        samples += int(count)
        whole += int(count) * is_whole
        exact += int(count) * (is_whole and user_frames(stack.split(";")) == frames)
    return Stacks(samples, whole, exact, of_all), cpu


def user_frames(fields: list[str]) -> int:
    """Frames of a folded stack: the program's own and the C library's, without what stands before and the kernel's."""
    return sum("+0x" in field and not field.startswith("[") for field in fields)


def of_perf(path: pathlib.Path, frames: int) -> tuple[Stacks, float]:
    """The stacks of perf's file, as it prints them: a line of the sample, one of each frame, and an empty one."""
    all_samples, _ = output_of(["perf", "script", "-i", str(path), "-F", "comm"])
    of_program = ["--comms", NAME, "--no-inline", "-F", "comm,ip,sym,dso"]
    text, cpu = output_of(["perf", "script", "-i", str(path), *of_program])
    samples = whole = exact = 0
    for block in filter(None, text.split("\n\n")):
        _comm, *stack = block.strip("\n").splitlines()
        user = [line for line in stack if "[kernel" not in line and "[guest" not in line]
        is_whole = bool(user) and user[-1].split()[1:2] == ["_start"]
        samples += 1
        whole += is_whole
        exact += is_whole and len(user) == frames
    return Stacks(samples, whole, exact, len(all_samples.split("\n")) - 1), cpu


def build(frames: int, folder: str) -> str:
    source, program = pathlib.Path(folder, "deep.c"), f"{folder}/{NAME}"
    source.write_text(SOURCE)
    subprocess.run(["cc", *FLAGS, f"-DDEPTH={frames - OTHER_FRAMES}", "-o", program, str(source)], check=True)
    return program


def measure(arguments: argparse.Namespace, folder: str) -> Iterator[Row]:
    program = build(arguments.frames, folder)
    path = pathlib.Path(folder, "agent.binpb")
    with copies(program):
        cpu = run_for(agent_command(arguments.agent, arguments.hertz, path), arguments.seconds)
    stacks, afterwards = of_agent(arguments.agent, path, arguments.frames)
    yield Row("pipeline", stacks, path.stat().st_size / stacks.of_all, cpu, afterwards)
    for mode in ["dwarf", "fp"]:
        path = pathlib.Path(folder, f"perf-{mode}.data")
        with copies(program):
            cpu = run_for(perf_command(mode, arguments.hertz, path), arguments.seconds)
        stacks, afterwards = of_perf(path, arguments.frames)
        yield Row(f"perf record --call-graph {mode}", stacks, path.stat().st_size / stacks.of_all, cpu, afterwards)
        path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", metavar="AGENT")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--hertz", type=int, default=99)
    parser.add_argument("--frames", type=int, default=50)
    arguments = parser.parse_args()
    print("| profiler | samples | whole % | all frames % | bytes a sample | CPU s a minute | CPU s afterwards |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for name, stacks, size, cpu, afterwards in measure(arguments, folder):
            whole, exact = (100 * count / max(stacks.samples, 1) for count in (stacks.whole, stacks.exact))
            print(f"| {name} | {stacks.samples} | {whole:.2f} | {exact:.2f} | {size:.0f} | {cpu:.2f} | {afterwards:.2f} |", flush=True)


if __name__ == "__main__":
    main()
