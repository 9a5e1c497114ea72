#!/usr/bin/env python3
"""The benchmarks of two commits, side by side on this machine.

scripts/bench-compare.py OLD [NEW] [--rounds 3] [--directory DIR] [-- ARGUMENTS]     NEW: HEAD unless given

Builds both in work trees of their own below DIR (kept: the next run builds little), then runs each benchmark program
that both have, old and new in turn, in each round. Printed for each benchmark: the least median time of either, and
their ratio: above 1 the new one is slower. ARGUMENTS go to criterion, such as --measurement-time 1.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys


def run(command: list[str], **options) -> str:
    """What a command prints; it runs behind whatever else wants the CPUs."""
    return subprocess.run(["nice", "-n", "5", *command], check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def build(commit: str, directory: pathlib.Path) -> dict[str, pathlib.Path]:
    """The benchmark programs of a commit, by package and name."""
    if not directory.exists():
        run(["git", "worktree", "add", "--detach", str(directory), commit])
    run(["git", "-C", str(directory), "checkout", "--detach", commit])
    environment = {**os.environ, "CARGO_TARGET_DIR": str(directory / "target")}
    command = ["cargo", "bench", "--workspace", "--benches", "--no-run", "--message-format=json"]
    programs = {}
    for line in run(command, cwd=directory, env=environment).splitlines():
        message = json.loads(line)
        target = message.get("target", {})
        if message.get("executable") and "bench" in target.get("kind", []):
            package = pathlib.Path(message["manifest_path"]).parent.name
            programs[f"{package}/{target['name']}"] = pathlib.Path(message["executable"])
    return programs


def measure(program: pathlib.Path, arguments: list[str], home: pathlib.Path) -> dict[str, float]:
    """Median nanoseconds of each benchmark of a program."""
    shutil.rmtree(home, ignore_errors=True)
    run([str(program), "--bench", *arguments], env={**os.environ, "CRITERION_HOME": str(home)})
    medians = {}
    for estimates in home.glob("**/new/estimates.json"):
        name = json.loads((estimates.parent / "benchmark.json").read_text())["full_id"]
        medians[name] = json.loads(estimates.read_text())["median"]["point_estimate"]
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new", nargs="?", default="HEAD")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=pathlib.Path, default=pathlib.Path("/tmp/bench-compare"))
    # Parted by hand: argparse refuses what stands after `--` once options have stood before it.
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments, criterion = parser.parse_args(sys.argv[1:end]), sys.argv[end + 1 :]
    commits = {side: run(["git", "rev-parse", getattr(arguments, side)]).strip() for side in ("old", "new")}
    programs = {side: build(commit, arguments.directory / side) for side, commit in commits.items()}
    shared = sorted(programs["old"].keys() & programs["new"].keys())
    least: dict[str, dict[str, float]] = {"old": {}, "new": {}}
    for _ in range(arguments.rounds):
        for program in shared:
            for side, known in least.items():
                home = arguments.directory / "criterion"
                for name, median in measure(programs[side][program], criterion, home).items():
                    known[name] = min(median, known.get(name, median))
    print("| benchmark | old, us | new, us | new / old |")
    print("| --- | ---: | ---: | ---: |")
    for name in sorted(least["old"].keys() & least["new"].keys()):
        old, new = least["old"][name] / 1e3, least["new"][name] / 1e3
        print(f"| {name} | {old:.1f} | {new:.1f} | {new / old:.2f} |")


if __name__ == "__main__":
    main()
