#!/usr/bin/env python3
"""Acceptance of `pipeline record` on five real commands: the samples are the CPU time of the tree, as wait4(2) counts it.

tests/workloads/record.py [--rate HZ] [--binary PATH] [--only NAME]     needs root, cc, cargo, python3 and go

Each command runs below a small parent that waits for it by wait4, adds its own CPU time, and ends with an exit code that
the recording must have, too. A recording has CPU time x rate samples; the known losses of the machine during it are
allowed to be missing, and 5 % beside them. A command has to be long enough for that: five standard deviations of chance
must be less than 5 %, else the command is refused as too short.
What was recorded is then converted to every format, and each is opened by the tool that it is for
(tests/reader/formats.py, with its variable SPEEDSCOPE): all must have the same samples.
"""

import argparse
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "reader"))

from formats import READERS, opened  # noqa: E402

ALLOWED = 0.05
# Standard deviations that the allowed part must be at least: chance exceeds five once in two million times.
DEVIATIONS = 5
EXIT_CODE = 42
RUSAGE = "RECORD_ACCEPTANCE_RUSAGE"

GO = """package main

import (
	"crypto/sha256"
	"sync"
)

func main() {
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			block := make([]byte, 4096)
			// As much work on a busy machine as on any other.
			for n := 0; n < 500000; n++ {
				sum := sha256.Sum256(block)
				copy(block, sum[:])
			}
		}()
	}
	group.Wait()
}
"""
PYTHON = """
import json, multiprocessing, random
def work(seed):
    random.seed(seed)
    rows = [{"key": random.random(), "words": [str(n) for n in range(20)]} for _ in range(6000)]
    return sum(len(json.dumps(sorted(json.loads(json.dumps(rows)), key=lambda row: row["key"]))) for _ in range(4))
with multiprocessing.Pool(3) as pool:
    print(sum(pool.map(work, range(6))))
"""
SHELL = "for i in $(seq 2400); do echo $i | sed s/1/2/ | md5sum | cut -c1-4; done | sort | uniq -c | sort -n | tail -3"


def c_source():
    """Functions enough to keep a compiler busy for a while."""
    body = "for (int i = 0; i < n; i++) {{ a[i & 63] += a[(i * {0}) & 63] ^ (n << ({0} & 15)); if (a[i & 63] % {0} == 7) n -= {0} & 3; }}"
    functions = (f"int f{n}(int *a, int n) {{ {body.format(n)} return n + a[{n % 64}]; }}\n" for n in range(3, 600))
    return "".join(functions)


def commands(folder):
    """The five commands, by name."""
    (folder / "big.c").write_text(c_source())
    (folder / "work.py").write_text(PYTHON)
    go = folder / "go"
    go.mkdir()
    (go / "main.go").write_text(GO)
    (go / "go.mod").write_text("module burn\ngo 1.21\n")
    subprocess.run(["go", "build", "-o", folder / "burn-go", "."], cwd=go, check=True)
    crate = folder / "crate"
    (crate / "src").mkdir(parents=True)
    (crate / "Cargo.toml").write_text('[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n')
    lines = (f"    total += (0..{n}u64).map(|x| (x * {n}).to_string()).filter(|t| t.len() % 3 == 1).count();\n" for n in range(2, 300))
    (crate / "src/main.rs").write_text("fn main() {\n    let mut total = 0;\n" + "".join(lines) + '    println!("{total}");\n}\n')
    # None of the settings that this shell has for building the agent.
    plain = ["env", "-u", "RUSTFLAGS", "-u", "CARGO_TARGET_DIR"]
    return {
        "C compiler": ["cc", "-O2", "-c", folder / "big.c", "-o", folder / "big.o"],
        "cargo build": [*plain, "cargo", "build", "--quiet", "--release", "--offline", "--manifest-path", crate / "Cargo.toml"],
        "Python": [sys.executable, folder / "work.py"],
        "shell pipeline": ["sh", "-c", SHELL],
        "Go, threads": [folder / "burn-go"],
    }


def below(command):
    """The parent of a command: waits for it, and writes down the CPU time of both."""
    pid = os.fork()
    if pid == 0:
        os.execvp(command[0], command)
    _pid, status, used = os.wait4(pid, 0)
    own = resource.getrusage(resource.RUSAGE_SELF)
    both = used, own
    figures = {
        "cpu": sum(of.ru_utime + of.ru_stime for of in both),
        # Each time slice ends by a switch to another thread.
        "slices": sum(of.ru_nvcsw + of.ru_nivcsw for of in both),
    }
    Path(os.environ[RUSAGE]).write_text(json.dumps(figures))
    return os.waitstatus_to_exitcode(status) or EXIT_CODE


def in_every_format(binary, recording):
    """Samples of a recording, which are the same in every format. Raises `Unsound` for a file that its tool refuses."""
    counted = {}
    for end in READERS:
        file = recording.with_suffix(end)
        if file != recording:
            subprocess.run([binary, "convert", recording, file], check=True)
        counted[end], *_markers = opened(file)
    # Readers that are not installed have said so.
    numbers = {number for number in counted.values() if number is not None}
    if len(numbers) != 1:
        raise SystemExit(f"formats do not agree: {counted}")
    return numbers.pop()


def chance(samples, slices):
    """One standard deviation, at most, of the number of samples that hit so many time slices.

    A slice of p periods of the timer is hit by floor(p) samples or by one more: a variance of 1/4 at most, and of p at
    most. Slices that follow each other on a CPU are off by less together, which is left out.
    """
    return math.sqrt(min(slices / 4, samples))


def record(binary, rate, name, command, folder):
    """Records a command; returns a row of the table, and whether it is as it should be."""
    rusage, file = folder / "rusage.json", folder / "recorded.otlp"
    environment = {**os.environ, RUSAGE: str(rusage)}
    inner = [sys.executable, __file__, "--below", *map(str, command)]
    start = time.monotonic()
    result = subprocess.run(
        [binary, "record", "-F", str(rate), "-o", file, "--", *inner],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )
    took = time.monotonic() - start
    if result.returncode != EXIT_CODE:
        raise SystemExit(f"{name}: exit code {result.returncode}\n{result.stderr}")
    used = json.loads(rusage.read_text())
    cpu = used["cpu"]
    lost = int(re.search(r"Samples lost on this machine: ([\d,]+)", result.stderr)[1].replace(",", ""))
    found, expected = in_every_format(binary, file), cpu * rate
    error, deviation = found / expected - 1, chance(expected, used["slices"]) / expected
    if deviation * DEVIATIONS > ALLOWED:
        raise SystemExit(f"{name}: too short: {used['slices']} slices in {cpu:.2f} s are {deviation:.1%} of chance")
    good = -(ALLOWED + lost / expected) <= error <= ALLOWED
    verdict = "ok" if abs(error) <= ALLOWED else "ok with the known losses" if good else "FAILED"
    return f"| {name} | {took:.1f} s | {cpu:.2f} s | {expected:.0f} | {found} | {error:+.1%} | {deviation:.1%} | {lost} | {verdict} |", good


def main():
    if sys.argv[1:2] == ["--below"]:
        sys.exit(below(sys.argv[2:]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=997)
    parser.add_argument("--binary", default=str(ROOT / "target/release/pipeline"))
    parser.add_argument("--only")
    arguments = parser.parse_args()
    print("| command | took | CPU time (wait4) | expected | samples | error | of chance (1 σ) | lost on the machine | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    all_good = True
    with tempfile.TemporaryDirectory() as folder:
        for name, command in commands(Path(folder)).items():
            if arguments.only in (None, name):
                row, good = record(arguments.binary, arguments.rate, name, command, Path(folder))
                all_good &= good
                print(row, flush=True)
    sys.exit(not all_good)


if __name__ == "__main__":
    main()
