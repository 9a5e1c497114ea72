#!/usr/bin/env python3
"""Opens profiles as the tools that they are for do, none of which shares code with the agent, and counts their samples.

tests/reader/formats.py FILE...     prints a JSON object: for each file, how many samples it has, the markers in it, and the losses
                                   that markers have, by reason

| file | opened by |
| --- | --- |
| .pb.gz | `go tool pprof` |
| .folded | the pattern of flamegraph.pl |
| .svg | an XML parser (expat) |
| .json | the Firefox Profiler's own loader from its npm package, FIREFOX_PROFILER names its script; and a check of every table and index, as its documentation of the processed format has them |
| .speedscope.json | speedscope's importer under Node, from its npm package: SPEEDSCOPE names its index.html |
| .jsonl, .otlp | protobuf's own decoder with the official schema, if this Python has it (target/venv has) |
| .html | a base64 and a gzip decoder: the tables inside |

A reader that is not installed counts `null`, and standard error says so. Exit code 1 and the fault if a file is not sound.
"""

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import firefox_profiler

HERE = Path(__file__).resolve().parent
SVG_PARTS = {"svg", "style", "rect", "text", "g", "title", "script"}


class Unsound(Exception):
    """What is wrong with a file."""


def check(is_so, fault):
    if not is_so:
        raise Unsound(fault)


def skipped(reader, missing):
    print(f"SKIPPED: {reader}: {missing}", file=sys.stderr)


def run(*command, **environment):
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    check(result.returncode == 0, f"{command[0]} refuses it: {result.stderr.strip()}")
    return result.stdout


def pprof(path):
    if not shutil.which("go"):
        return skipped("go tool pprof", "no Go, see tests/setup.sh")
    raw = run("go", "tool", "pprof", "-symbolize=none", "-raw", path, PPROF_TMPDIR=str(path.parent))
    kinds, *lines = raw.split("\nSamples:\n", 1)[1].split("\nLocations\n", 1)[0].splitlines()
    at = [kind.split("[")[0] for kind in kinds.split()].index("samples/count")
    numbers = (re.fullmatch(r"\s*(\d+(?:\s+\d+)*): [\d ]*", line) for line in lines)
    counted = sum(int(found[1].split()[at]) for found in numbers if found)
    top = run("go", "tool", "pprof", "-symbolize=none", "-top", "-sample_index=samples", path, PPROF_TMPDIR=str(path.parent))
    total = re.search(r"% of (\d+) total", top)
    check(total and int(total[1]) == counted, f"-raw has {counted} samples, -top says {total and total[1]}")
    return counted


def folded(path):
    counted = 0
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], 1):
        # What flamegraph.pl takes a line for.
        found = re.fullmatch(r"(.*)\s+?(\d+)", line)
        check(found and all(found[1].split(";")), f"line {number}: {line!r}")
        check(not re.search(r"[\x00-\x1f\x7f-\x9f]", line), f"line {number} has a control character: {line!r}")
        counted += int(found[2])
    return counted


def svg(path):
    root = xml.parse(path).getroot()
    for node in root.iter():
        name = node.tag.rsplit("}")[-1]
        check(name in SVG_PARTS and not any("href" in key for key in node.attrib), f"<{name}> {node.attrib}")
    first = next(node.text for node in root.iter() if node.tag.endswith("}title"))
    found = re.match(r"all — (\d+) count, 100\.00%", first)
    check(found, f"the root is {first!r}")
    return int(found[1])


class Firefox:
    """A profile in the processed format of the Firefox Profiler."""

    TABLES = ("frameTable", "funcTable", "resourceTable", "stackTable", "samples", "markers")

    def __init__(self, text):
        self.file = json.loads(text)
        self.markers = {}
        self.lost = {}

    def within(self, column, length, what):
        for number in column:
            is_none = number is None or number == -1
            check(is_none or (isinstance(number, int) and 0 <= number < length), f"{what} is {number} of {length}")

    def table(self, thread, key):
        """A table, whose columns are all as long as it says."""
        table = thread[key]
        for name, column in table.items():
            if isinstance(column, list):
                check(len(column) == table["length"], f"{key}.{name} has {len(column)} of {table['length']} entries")
        return table

    def thread(self, thread):
        frames, functions, resources, stacks, samples, markers = (self.table(thread, key) for key in self.TABLES)
        strings, meta = thread["stringArray"], self.file["meta"]
        check(all(isinstance(text, str) for text in strings), "a string is none")
        self.within(frames["func"], functions["length"], "frameTable.func")
        self.within(frames["category"], len(meta["categories"]), "frameTable.category")
        self.within(functions["name"], len(strings), "funcTable.name")
        self.within(functions["fileName"], len(strings), "funcTable.fileName")
        self.within(functions["resource"], resources["length"], "funcTable.resource")
        self.within(resources["lib"], len(self.file["libs"]), "resourceTable.lib")
        self.within(resources["name"], len(strings), "resourceTable.name")
        self.within(stacks["frame"], frames["length"], "stackTable.frame")
        for number, prefix in enumerate(stacks["prefix"]):
            self.within([prefix], number, "stackTable.prefix")
        self.within(samples["stack"], stacks["length"], "samples.stack")
        self.within(markers["name"], len(strings), "markers.name")
        check(all(delta >= 0 for delta in samples["timeDeltas"][1:]), "samples are not in order of time")
        kinds = {kind["name"] for kind in meta["markerSchema"]}
        for name, data in zip(markers["name"], markers["data"]):
            check(data["type"] in kinds, f"there is no schema of markers of type {data['type']}")
            self.markers[strings[name]] = self.markers.get(strings[name], 0) + 1
            if data["type"] == "Loss":
                self.lost[data["reason"]] = self.lost.get(data["reason"], 0) + data["count"]
        return int(sum(samples["weight"])) if samples["weightType"] == "samples" else 0

    def count(self):
        threads = self.file["threads"]
        known = {(thread["pid"], thread["tid"]) for thread in threads}
        check(len(known) == len(threads), "two threads have one number")
        return sum(self.thread(thread) for thread in threads)


def firefox(path):
    profile = Firefox(path.read_text(encoding="utf-8"))
    counted = profile.count()
    program = os.environ.get("FIREFOX_PROFILER")
    if not program or not Path(program).exists():
        skipped("the Firefox Profiler", "no FIREFOX_PROFILER, see tests/setup.sh (it takes npm)")
    elif not shutil.which("node"):
        skipped("the Firefox Profiler", "no Node")
    else:
        try:
            found = firefox_profiler.counted(program, path)
        except firefox_profiler.Refused as fault:
            raise Unsound(f"the Firefox Profiler refuses it: {fault}") from fault
        check(found == counted, f"the Firefox Profiler finds {found} samples, its tables have {counted}")
    return counted, profile.markers, profile.lost


def speedscope(path):
    release = os.environ.get("SPEEDSCOPE")
    if not release or not Path(release).exists():
        return skipped("speedscope's importer", "no SPEEDSCOPE, see tests/setup.sh (it takes npm)")
    if not shutil.which("node"):
        return skipped("speedscope's importer", "no Node")
    profiles = {one["name"]: one for one in json.loads(run("node", HERE / "speedscope.js", Path(release).parent, path))}
    one = profiles["samples"]
    check(one["own"] == one["total"], f"frames have {one['own']} of {one['total']} samples themselves")
    return one["total"]


def otlp(path):
    try:
        from read import ExportProfilesServiceRequest as Request, from_json, from_protobuf
    except ImportError:
        return skipped("OTLP", "this Python has no opentelemetry-proto, target/venv has")
    text = path.read_bytes()
    if text.startswith(b"{"):
        requests = from_json(text)
    else:
        requests = [Request.FromString(text)] if path.suffix == ".otlp" else from_protobuf(text)
    counted = 0
    for request in requests:
        texts = request.dictionary.string_table
        profiles = (profile for resource in request.resource_profiles for scope in resource.scope_profiles for profile in scope.profiles)
        for profile in profiles:
            if texts[profile.sample_type.type_strindex] == "samples":
                counted += sum(len(sample.timestamps_unix_nano) or sum(sample.values) for sample in profile.samples)
    return counted


def html(path):
    found = re.search(r'id="model">([A-Za-z0-9+/=\s]*)<', path.read_text(encoding="utf-8"))
    check(found, "there are no tables in it")
    tables = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return sum(tables["weights"][number][2] for number in tables["sample_weights"])


# The longer name of two that end alike comes first.
READERS = {".speedscope.json": speedscope, ".json": firefox, ".jsonl": otlp, ".otlp": otlp, ".pb.gz": pprof, ".folded": folded, ".svg": svg, ".html": html}


def opened(path):
    """Samples of a file, `None` without its reader, its markers by name, and the losses that they have by reason."""
    reader = next(reader for end, reader in READERS.items() if path.name.endswith(end))
    result = reader(path)
    return result if isinstance(result, tuple) else (result, {}, {})


def main():
    found = {}
    for path in map(Path, sys.argv[1:]):
        try:
            samples, markers, lost = opened(path)
        except (Unsound, ValueError, KeyError, IndexError, xml.ParseError) as fault:
            sys.exit(f"{path}: {type(fault).__name__}: {fault}")
        found[path.name] = {"samples": samples, "markers": markers, "lost": lost}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
