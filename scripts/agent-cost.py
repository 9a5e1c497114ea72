#!/usr/bin/env python3
"""What the agent costs at rest and among short processes, next to `perf record` in the same run.

scripts/agent-cost.py AGENT [AGENT ...] [--seconds 60] [--rounds 2] [--loads idle,storm] [--views] [--threads]
                                                                         needs root, and perf without --views

Each AGENT is a path of a `pipeline` binary, so that an older build can be compared with a newer one. Every profiler runs
alone, in turn, and the whole turn is repeated for each round:

  idle     19 samples a second, nothing started by this script
  quiet    19 samples a second, 3 short processes a second
  storm    99 samples a second, 40 short processes a second
  groups   997 samples a second, 10,000 processes in 500 control groups as Docker lays them out; each has a service name
           of its group in its environment and burns 3 ms a minute, in its turn: half a CPU together. Not among the loads
           unless it is asked for; needs a C compiler and 2 GiB of memory

Printed for each: CPU seconds a minute (of all threads, ended ones included, and of child processes, by the kernel's
CPU clocks in nanoseconds: the ticks of proc(5) are 10 ms, which is a third of what an idle agent takes in 20 s) and the
resident set at the end, both after the first SETTLED seconds. With --threads, also what each thread took. `perf record`
writes its data to /dev/null.

With --views, what the exporters `flamegraph` and `top` cost beside `debug` and `file`: each AGENT runs without them, with
each of them and nobody who looks, and with somebody who does: a page that asks each two seconds what an open page asks,
and a `pipeline top` that prints each second. The first column then names which.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import functools
import json
import os
import pathlib
import signal
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import ContextManager, NamedTuple

# By then the snapshot of what runs is read, and names and unwind rows of what runs are there.
SETTLED = 10.0
# By then the agent knows all processes of a load, on a machine however busy.
PATIENCE = 120.0


class Load(NamedTuple):
    """What runs beside a profiler."""

    name: str
    # Samples a second.
    hertz: int
    # Short processes a second.
    short: int
    # Processes that are there all the time, and the control groups that they are in.
    processes: int = 0
    groups: int = 0


LOADS = [Load("idle", 19, 0), Load("quiet", 19, 3), Load("storm", 99, 40), Load("groups", 997, 0, 10_000, 500)]
LOADS_BY_DEFAULT = "idle,quiet,storm"
# The turns of the processes of a load, which are spread over the period, in microseconds.
TURN, PERIOD = 3_000, 60_000_000
TURNS = pathlib.Path(__file__).parent.parent / "tests/workloads/c/turns.c"
METRICS_PORT = 18888
PAGE_PORT = 18890
# What a page asks for while it is open, and how often: `refresh` and LIVE_EVERY in crates/profile-page/page/js/main.js.
PAGE_ASKS = ["status?last=60&group=executable", "tree?last=60&group=executable", "timeline?group=executable"]
PAGE_EVERY = 2.0


def cpu_seconds(pid: int) -> float:
    """Time that a process and its children have run so far."""
    # The clock of another process: clock_getcpuclockid(3), which Python has only for threads.
    own = time.clock_gettime((~pid << 3) | 2)
    children = pathlib.Path(f"/proc/{pid}").glob("task/*/children")
    return own + sum(cpu_seconds(int(child)) for of_thread in children for child in of_thread.read_text().split())


def thread_seconds(pid: int) -> dict[str, float]:
    """Time that the threads of a process have run so far, by name."""
    seconds: dict[str, float] = collections.Counter()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        run = int((task / "schedstat").read_text().split()[0])
        seconds[(task / "comm").read_text().strip()] += run / 1e9
    return seconds


def resident_mib(pid: int) -> float:
    """Resident set of a process."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def agent_command(agent: str, hertz: int, directory: str, views: tuple[str, ...] = ()) -> list[str]:
    """The default pipeline of config/agent.yaml, with its files in `directory`, other ports, and these of its views."""
    known = subprocess.run([agent, "components"], capture_output=True, text=True, check=True).stdout
    processors = [name for name in ("procinfo", "symbolizer") if name in known]
    settings = {"top": {"endpoint": f"{directory}/top.sock"}, "flamegraph": {"endpoint": f"localhost:{PAGE_PORT}"}}
    exporters = {"debug": {}, "file": {"path": f"{directory}/profiles.jsonl"}, **{view: settings[view] for view in views}}
    config = {
        "receivers": {"ebpf": {"samples_per_second": hertz}},
        "processors": {name: {} for name in processors},
        "exporters": exporters,
        "service": {
            "pipelines": {
                "profiles": {"receivers": ["ebpf"], "processors": processors, "exporters": list(exporters)}
            },
            "telemetry": {"metrics": {"readers": [{"pull": {"exporter": {"prometheus": {"host": "localhost", "port": METRICS_PORT}}}}]}},
        },
    }
    return [agent, "--config", f"yaml:{json.dumps(config)}"]


@contextlib.contextmanager
def nobody(_agent: str, _directory: str) -> Iterator[None]:
    """Looks at nothing."""
    yield


@contextlib.contextmanager
def beside(look: Callable[[threading.Event], int], nothing: str) -> Iterator[None]:
    """Runs `look` on a thread of its own until the end of the block, which its event says; ends the script with the message `nothing` if it then says that it has seen nothing."""
    stop = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        seen = pool.submit(look, stop)
        try:
            yield
        finally:
            stop.set()
    if not seen.result():
        raise SystemExit(nothing)


def page_open(_agent: str, _directory: str) -> ContextManager[None]:
    """Asks what an open page asks."""

    def ask(stop: threading.Event) -> int:
        answered = 0
        while not stop.wait(PAGE_EVERY):
            for question in PAGE_ASKS:
                request = urllib.request.Request(f"http://localhost:{PAGE_PORT}/api/{question}", headers={"Accept-Encoding": "gzip"})
                with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:
                    answered += bool(answer.read())
        return answered

    return beside(ask, "no question of the page was answered")


def top_attached(agent: str, directory: str) -> ContextManager[None]:
    """Has `pipeline top` attached once the agent has its socket."""

    def watch(stop: threading.Event) -> int:
        while not pathlib.Path(f"{directory}/top.sock").exists():
            if stop.wait(0.1):
                return 0
        command = [agent, "top", "--connect", f"{directory}/top.sock", "--plain", "-d", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as top:
            threading.Thread(target=lambda: (stop.wait(), top.terminate()), daemon=True).start()
            return sum(len(line) for line in top.stdout or [])

    return beside(watch, "`top` has printed nothing")


# What is compared by --views: the name, the exporters beside `debug` and `file`, and who looks.
VIEWS = [
    ("without", (), nobody),
    ("top, nobody attached", ("top",), nobody),
    ("top, one attached", ("top",), top_attached),
    ("flamegraph, no page open", ("flamegraph",), nobody),
    ("flamegraph, a page open", ("flamegraph",), page_open),
]


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


def hierarchy() -> pathlib.Path:
    """Directory of the control groups of version 2."""
    roots = (pathlib.Path("/sys/fs/cgroup"), pathlib.Path("/sys/fs/cgroup/unified"))
    for root in roots:
        if (root / "cgroup.controllers").exists():
            return root
    raise SystemExit("no hierarchy of version 2 is mounted at /sys/fs/cgroup")


@contextlib.contextmanager
def crowd(load: Load, directory: str) -> Iterator[None]:
    """Has the processes of a load run in their control groups until the end of the block."""
    if not load.processes:
        yield
        return
    program = f"{directory}/turns"
    subprocess.run(["cc", "-O2", "-static", "-o", program, str(TURNS)], check=True)
    own, above = pathlib.Path("/proc/self/cgroup").read_text(), hierarchy()
    [home] = [line.split(":", 2)[2] for line in own.splitlines() if line.startswith("0::")]
    parent = above / f"agent-cost-{os.getpid()}"
    made, pids = [parent, parent / "docker"], []
    try:
        for group in made:
            group.mkdir()
        for number in range(load.groups):
            made.append(parent / f"docker/{number:064x}")
            made[-1].mkdir()
            # Children begin in the group of their parent, so that each is in its own from its first instruction on.
            (made[-1] / "cgroup.procs").write_text(str(os.getpid()))
            environment = {"OTEL_SERVICE_NAME": f"service-{number}", "PATH": os.environ["PATH"]}
            for process in range(number, load.processes, load.groups):
                start = PERIOD * process // load.processes
                pids.append(os.posix_spawn(program, [program, str(TURN), str(PERIOD), str(start)], environment))
        (above / home.lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))
        yield
    finally:
        (above / home.lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
        for group in reversed(made):
            if group.exists():
                group.rmdir()


def known_processes() -> float:
    """The processes that the agent says it knows; none before it says anything."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://localhost:{METRICS_PORT}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("otelcol_processor_procinfo_known_processes"):
                return float(line.rsplit(" ", 1)[1])
    return 0.0


def wait_until_known(processes: int) -> None:
    """Waits until the agent knows all processes of a load: only then it costs what it costs."""
    deadline = time.monotonic() + PATIENCE
    while (known := known_processes()) < processes:
        if time.monotonic() > deadline:
            raise SystemExit(f"the agent knows {known:.0f} processes after {PATIENCE:.0f} s, expected {processes}")
        time.sleep(1.0)


Measured = tuple[float, float, dict[str, float]]


def measure(command: list[str], load: Load, seconds: float) -> Measured:
    """CPU seconds a minute, MiB resident at the end, and CPU seconds a minute of each thread."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        short_processes(load.short, time.monotonic() + SETTLED)
        if load.processes and command[1] == "--config":
            wait_until_known(load.processes)
        threads, before, start = thread_seconds(process.pid), cpu_seconds(process.pid), time.monotonic()
        short_processes(load.short, start + seconds)
        spent, took = cpu_seconds(process.pid) - before, time.monotonic() - start
        after = thread_seconds(process.pid)
        by_thread = {name: (after[name] - threads.get(name, 0.0)) * 60 / took for name in after}
        return spent * 60 / took, resident_mib(process.pid), by_thread
    finally:
        process.terminate()
        process.wait()


def runs(arguments: argparse.Namespace, hertz: int, directory: str) -> Iterator[tuple[str, list[str], Callable[[], ContextManager[None]]]]:
    """What is measured for each load: a name, a command, and who looks meanwhile."""
    for agent in arguments.agents:
        for name, views, look in VIEWS if arguments.views else VIEWS[:1]:
            label = f"{agent}: {name}" if arguments.views else agent
            yield label, agent_command(agent, hertz, directory, views), functools.partial(look, agent, directory)
    if not arguments.views:
        yield "perf record", perf_command(hertz), functools.partial(nobody, "", "")


def print_threads(results: dict[tuple[str, str], list[Measured]]) -> None:
    """The median of each thread that takes more than nothing, the dearest first."""
    for (load, profiler), measured in results.items():
        names = {name for _, _, threads in measured for name in threads}
        median = {name: statistics.median(threads.get(name, 0.0) for *_, threads in measured) for name in names}
        dearest = sorted(median.items(), key=lambda item: -item[1])
        print(f"{load}, {profiler}: " + ", ".join(f"{name} {cpu:.4f}" for name, cpu in dearest if cpu > 0.0005))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agents", nargs="+", metavar="AGENT")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--loads", default=LOADS_BY_DEFAULT)
    parser.add_argument("--views", action="store_true")
    parser.add_argument("--threads", action="store_true")
    arguments = parser.parse_args()
    results: dict[tuple[str, str], list[Measured]] = {}
    loads = [load for load in LOADS if load.name in arguments.loads.split(",")]
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(arguments.rounds):
            for load in loads:
                for name, command, look in runs(arguments, load.hertz, directory):
                    # Anew for each, so that no profiler finds turns where another has left them.
                    with crowd(load, directory), look():
                        measured = measure(command, load, arguments.seconds)
                    results.setdefault((load.name, name), []).append(measured)
    print("| load | profiler | CPU s a minute: least / median | RSS MiB |")
    print("| --- | --- | ---: | ---: |")
    for (load, profiler), measured in results.items():
        spent = [cpu for cpu, _, _ in measured]
        resident = statistics.median(rss for _, rss, _ in measured)
        print(f"| {load} | {profiler} | {min(spent):.3f} / {statistics.median(spent):.3f} | {resident:.1f} |")
    if arguments.threads:
        print_threads(results)


if __name__ == "__main__":
    main()
