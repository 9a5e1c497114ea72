#!/usr/bin/env python3
"""Checks that the table of ARCHITECTURE.md has each crate, and the crates of this workspace that it knows."""

import json
import pathlib
import re
import subprocess
import sys

ROW = re.compile(r"^\| (`crates/[^|]*) \| [^|]* \| ([^|]*) \|$")
# The binary knows every crate that is a component, and says so.
EXEMPT = {"pipeline"}


def known_by_crate():
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--no-deps", "--format-version", "1"]))
    packages = [p for p in metadata["packages"] if "/crates/" in p["manifest_path"]]
    names = {package["name"] for package in packages}
    return {
        package["name"]: {d["name"] for d in package["dependencies"] if d["name"] in names and d["kind"] is None}
        for package in packages
    }


def rows(text):
    """Yields the crates of a row, where `exporter-debug`, `-file` are two, and the crates it says they know."""
    for line in text.splitlines():
        if match := ROW.match(line):
            crates = re.findall(r"`(?:crates/)?([\w-]+)`", match[1])
            kind = crates[0].split("-")[0]
            yield [kind + name if name.startswith("-") else name for name in crates], set(
                re.findall(r"`([\w-]+)`", match[2])
            )


def main():
    known, faults, seen = known_by_crate(), [], set()
    for crates, listed in rows(pathlib.Path("ARCHITECTURE.md").read_text(encoding="utf-8")):
        seen.update(crates)
        if unknown := set(crates) - set(known):
            faults.append(f"there is no crate {', '.join(sorted(unknown))}")
            continue
        actual = set().union(*(known[crate] for crate in crates))
        if actual != listed and not EXEMPT & set(crates):
            faults.append(f"{', '.join(crates)}: knows {', '.join(sorted(actual)) or 'nothing'}")
    faults += [f"{crate}: is missing" for crate in sorted(set(known) - seen)]
    for fault in faults:
        print(f"ARCHITECTURE.md: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
