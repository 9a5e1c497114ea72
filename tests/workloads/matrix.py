#!/usr/bin/env python3
"""How whole stacks are, program by program, and whether each return address in them follows a call.

    matrix.py AGENT [--seconds 5] [--hz 199] [--only NAME,...]

Starts the agent and then one kind of program after the other, those that this machine has. Needs root. Prints a table;
exit code 1 if a program that ought to be has less than 99.5 % whole stacks by more than chance allows, or any return
address that follows no call. Standard error has where such stacks end, and such addresses. The first seconds of each
program do not count: its tables are read then.
"""

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import time

from matrix_programs import Programs
from matrix_score import Reader

# The least share of whole stacks, in percent.
LEAST_WHOLE = 99.5


class Family:
    """A process and all that descends from it, as far as anybody has looked in time."""

    def __init__(self, root):
        self.pids = {root}

    def look(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", errors="replace") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent in self.pids:
                self.pids.add(int(pid))

    def look_for(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(0.02)


def run(options, folder, spans, gated):
    """Runs the programs; notes of each whose samples count, and from when to when."""
    time.sleep(3)
    for row in Programs(folder).rows():
        if not any(part in row.name for part in options.only.split(",")):
            continue
        output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        child = subprocess.Popen(row.command(), start_new_session=True, **output)
        family = Family(child.pid)
        try:
            family.look_for(options.warm_up)
            begin = time.time_ns()
            family.look_for(options.seconds)
            if child.poll() is not None:
                sys.exit(f"{row.name}: the program has ended with {child.returncode}")
            spans[row.name], gated[row.name] = (family.pids, begin, time.time_ns(), row.threads), row.gated
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def is_too_short(stacks, whole):
    """True if so many stacks are cut short that chance does not explain it: three standard deviations above the most
    that may be."""
    share = 1 - LEAST_WHOLE / 100
    return stacks - whole > stacks * share + 3 * math.sqrt(stacks * share * (1 - share))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("agent")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--warm-up", type=float, default=4)
    parser.add_argument("--hz", type=int, default=199)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        profiles = os.path.join(folder, "profiles.jsonl")
        config = os.path.join(folder, "agent.yaml")
        with open(config, "w") as file:
            file.write(f"""
receivers: {{ebpf: {{samples_per_second: {options.hz}}}}}
processors: {{procinfo: {{}}}}
exporters: {{file: {{path: {profiles}}}}}
service:
  pipelines: {{profiles: {{receivers: [ebpf], processors: [procinfo], exporters: [file]}}}}
  telemetry: {{metrics: {{level: none}}}}
""")
        agent = subprocess.Popen([options.agent, "--config", config], stderr=subprocess.DEVNULL)
        spans, gated = {}, {}
        try:
            run(options, folder, spans, gated)
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait()
        with open(profiles) as lines:
            scores = Reader().score(lines, spans)
    print("| program | stacks | frames a stack | whole % | return addresses | after no call | cut short by |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    failed = False
    for name in spans:
        score = scores[name]
        stacks = max(score["stacks"], 1)
        share = 100 * score["whole"] / stacks
        reasons = [key for key in score if key.startswith("cut ") and not key.startswith("cut at ")]
        cuts = ", ".join(f"{key[4:]} {100 * score[key] / stacks:.2f} %" for key in reasons)
        row = [name, score["stacks"], f"{score['frames'] / stacks:.1f}", f"{share:.2f}"]
        row += [score["returns"], score["bad"], cuts]
        print("|", " | ".join(map(str, row)), "|")
        for key, n in score.most_common():
            if key.startswith("bad at ") or (gated[name] and key.startswith("cut at ")):
                print(f"  {n} {key}", file=sys.stderr)
        is_short = is_too_short(score["stacks"], score["whole"])
        failed |= gated[name] and (is_short or score["bad"] > 0 or not score["stacks"])
    sys.exit(failed)


if __name__ == "__main__":
    main()
