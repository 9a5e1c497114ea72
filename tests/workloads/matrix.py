#!/usr/bin/env python3
"""How whole stacks are, program by program, and whether each return address in them follows a call.

    matrix.py AGENT [--seconds 5] [--hz 199] [--only NAME,...]

Starts the agent and then one kind of program after the other, those that this machine has. Needs root. Prints a table;
exit code 1 if a program that ought to be has less than 99.5 % whole stacks, or any return address that follows no
call. The first seconds of each program do not count: its tables are read then.
"""

import argparse
import collections
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

RECURSION = """
__attribute__((noinline)) long work(long rounds) {
    long sum = 0;
    for (volatile long i = 0; i < rounds; i++) sum += i;
    return sum;
}
__attribute__((noinline)) long descend(int left) { return left ? descend(left - 1) * 3 + 1 : work(20000) + 1; }
"""
MAIN = RECURSION + "int main() { for (;;) descend(45); }"
QSORT = """
#include <stdlib.h>
static long spin;
static int compare(const void *a, const void *b) {
    for (volatile int i = 0; i < 50; i++) spin++;
    return *(int *)a - *(int *)b;
}
int main() {
    static int all[4096];
    for (;;) {
        for (int i = 0; i < 4096; i++) all[i] = rand();
        qsort(all, 4096, 4, compare);
    }
}
"""
VDSO = "#include <time.h>\nint main() { struct timespec t; for (;;) clock_gettime(CLOCK_MONOTONIC, &t); }"
SIGNAL = """
#define _GNU_SOURCE
#include <signal.h>
#include <sys/time.h>
""" + RECURSION + """
static char other[65536];
static void handle(int signal) { descend(5); }
int main() {
    sigaltstack(&(stack_t){ .ss_sp = other, .ss_size = sizeof(other) }, 0);
    sigaction(SIGALRM, &(struct sigaction){ .sa_handler = handle, .sa_flags = SA_ONSTACK }, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 1000 }, { 0, 1000 } }, 0);
    for (;;) descend(20);
}
"""
THREADS = "#include <pthread.h>\n" + RECURSION + """
static void *run(void *none) { for (;;) descend(10); return none; }
int main() { pthread_t one; pthread_create(&one, 0, run, 0); run(0); }
"""
PYTHON = """
import json
def f(n): return n if n < 2 else f(n - 1) + f(n - 2)
while True:
    f(18); json.loads(json.dumps(list(range(2000))))
"""
PERL = """
while (1) {
    my %h; $h{$_ % 977} .= $_ for 1..20000;
    my @s = sort { $a <=> $b } keys %h; join(',', @s) =~ /(\\d+,)+/;
}
"""
NODE = """
function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) }
for (;;) { f(20); JSON.parse(JSON.stringify([...Array(2000).keys()])) }
"""
GO = """package main
func f(n int) int { if n < 2 { return n }; return f(n-1) + f(n-2) }
func main() { for { f(30) } }
"""
RUST = """
fn f(n: u64) -> u64 { if n < 2 { n } else { std::hint::black_box(f(n - 1)) + std::hint::black_box(f(n - 2)) } }
fn main() {
    loop {
        let mut all: Vec<u64> = (0..2000).map(|n| n * 7919 % 1000 + f(5)).collect();
        all.sort_by(|a, b| b.cmp(a));
        std::hint::black_box(&all);
    }
}
"""
TEMPLATES = """
#include <map>
#include <regex>
#include <string>
#include <vector>
int main() { std::regex r("a+b"); std::map<std::string, std::vector<int>> m; return m.size(); }
"""


class Matrix:
    def __init__(self, folder):
        self.folder = folder

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def c(self, name, text, *flags):
        source, program = self.write(name + ".c", text), os.path.join(self.folder, name)
        flags = flags or ("-fomit-frame-pointer",)
        command = ["cc", "-O2", "-fno-optimize-sibling-calls", *flags, "-o", program, source, "-lpthread"]
        subprocess.run(command, check=True)
        return [program]

    def rust(self):
        source, program = self.write("release.rs", RUST), os.path.join(self.folder, "release")
        subprocess.run(["rustc", "-O", "-Cdebuginfo=0", "-o", program, source], check=True)
        return [program]

    def go(self):
        source, program = self.write("recursion.go", GO), os.path.join(self.folder, "recursion")
        subprocess.run(["go", "build", "-o", program, source], check=True, env={**os.environ, "GO111MODULE": "off"})
        return [program]

    def rows(self):
        """Name, what makes the command, and whether nearly all stacks ought to be whole."""
        no_tables = "-fno-asynchronous-unwind-tables"
        yield "C, no frame pointers", lambda: self.c("recursion_c", MAIN), True
        leaf = ("-fno-omit-frame-pointer", "-momit-leaf-frame-pointer")
        yield "C, -momit-leaf-frame-pointer", lambda: self.c("leaf", MAIN, *leaf), True
        yield "qsort's callback", lambda: self.c("callback", QSORT), True
        yield "static glibc", lambda: self.c("static_c", QSORT, "-static", "-fomit-frame-pointer"), True
        yield "two threads", lambda: self.c("threads", THREADS), True
        yield "signals at 1 kHz, another stack", lambda: self.c("signals", SIGNAL), True
        yield "vDSO", lambda: self.c("vdso", VDSO), True
        yield "no tables, frame pointers", lambda: self.c("frames", MAIN, no_tables, "-fno-omit-frame-pointer"), False
        yield "no tables, no frame pointers", lambda: self.c("neither", MAIN, no_tables, "-fomit-frame-pointer"), False
        if shutil.which("python3"):
            # Not a shim: what runs is the interpreter itself.
            yield "CPython", lambda: [os.path.realpath(sys.executable), self.write("loop.py", PYTHON)], True
        if shutil.which("openssl"):
            yield "openssl rsa2048", lambda: ["openssl", "speed", "-seconds", "60", "rsa2048"], True
        if shutil.which("perl"):
            yield "Perl", lambda: ["perl", self.write("loop.pl", PERL)], True
        if shutil.which("node"):
            yield "Node, no flags", lambda: ["node", self.write("loop.js", NODE)], True
        if shutil.which("go"):
            yield "Go", self.go, True
        if shutil.which("rustc"):
            yield "Rust, release", self.rust, True
        if shutil.which("clang++-19"):
            source = self.write("templates.cpp", TEMPLATES)
            compile = f"while :; do clang++-19 -O3 -c -o /dev/null {source}; done"
            yield "clang -O3", lambda: ["sh", "-c", compile], True


def follows_call(code):
    """Whether the last of these bytes ends a call: e8 with 4 bytes, or ff /2 in any length."""
    if len(code) < 8:
        return True
    if code[-5] == 0xE8:
        return True
    return any(code[-n] == 0xFF and code[-n + 1] & 0x38 == 0x10 for n in range(2, 8))


# The trampoline of a signal handler: mov $15, %rax; syscall.
SIGRETURN = b"\x48\xc7\xc0\x0f\0\0\0\x0f\x05"


def is_made_up(before, at):
    """Return addresses that nobody's call has left: of a signal handler, and the second byte of Go's goexit (a nop and
    a call), where a goroutine ends."""
    return at == SIGRETURN or (before[-1:] == b"\x90" and at[:1] == b"\xe8")


class Reader:
    """Scores the profiles of the agent."""

    def __init__(self):
        self.files, self.restorers = {}, {}

    def bytes_before(self, path, offset):
        if path not in self.files:
            try:
                with open(path, "rb") as file:
                    self.files[path] = file.read()
            except OSError:
                self.files[path] = b""
        return self.files[path][max(0, offset - 8):offset], self.files[path][offset:offset + 9]

    def score(self, lines, spans):
        """By name of a span, which is (pids, from, until): stacks, whole ones, return addresses, and those after no
        call."""
        scores = collections.defaultdict(collections.Counter)
        for line in lines:
            request = json.loads(line)
            tables = request["dictionary"]
            for resource in request["resourceProfiles"]:
                for scope in resource["scopeProfiles"]:
                    for profile in scope["profiles"]:
                        for sample in profile.get("samples", []):
                            self.sample(resource, sample, tables, spans, scores)
        return scores

    def sample(self, resource, sample, tables, spans, scores):
        attribute = lambda entry: entry["key"] if "key" in entry else tables["stringTable"][entry["keyStrindex"]]
        known = {attribute(entry): entry["value"] for entry in resource["resource"]["attributes"]}
        pid = int(known.get("process.pid", {}).get("intValue", 0))
        name = None
        for span, (pids, begin, end) in spans.items():
            if pid in pids:
                name = (span, begin, end)
        if name is None:
            return
        span, begin, end = name
        times = [int(at) for at in sample.get("timestampsUnixNano", [])]
        count = sum(begin <= at <= end for at in times)
        if not count:
            return
        said = {}
        for index in sample.get("attributeIndices", []):
            entry = tables["attributeTable"][index]
            value = entry["value"]
            said[attribute(entry)] = self.text(value, tables)
        score = scores[span]
        frames = self.user_frames(sample, tables)
        if not frames:
            return
        score["stacks"] += count
        score["frames"] += count * len(frames)
        cut = said.get("profile.stack.truncated")
        score["whole"] += 0 if cut else count
        if cut:
            score["cut " + cut] += count
        after_signal = True  # the leaf
        for path, offset in frames:
            if path and not after_signal:
                before, at = self.bytes_before(path, offset + 1)
                score["returns"] += count
                if not follows_call(before) and not is_made_up(before, at):
                    score["bad"] += count
                    score[f"bad at {path}+{offset:#x}"] += count
            after_signal = False
            if path and self.bytes_before(path, offset + 1)[1] == SIGRETURN:
                after_signal = True

    def text(self, value, tables):
        return value.get("stringValue") or tables["stringTable"][value.get("stringValueStrindex", 0)]

    def user_frames(self, sample, tables):
        stack = tables["stackTable"][sample.get("stackIndex", 0)]
        frames = []
        for index in stack.get("locationIndices", []):
            location = tables["locationTable"][index]
            kinds = [tables["attributeTable"][number]["value"] for number in location.get("attributeIndices", [])]
            if any(self.text(kind, tables) == "kernel" for kind in kinds):
                continue
            mapping = tables["mappingTable"][location.get("mappingIndex", 0)]
            path = tables["stringTable"][mapping.get("filenameStrindex", 0)]
            start, offset = int(mapping.get("memoryStart", 0)), int(mapping.get("fileOffset", 0))
            is_file = path.startswith("/") and not path.startswith("//")
            frames.append((path if is_file else "", int(location.get("address", 0)) - start + offset))
        return frames


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


def run(options, folder, spans, wanted):
    """Runs the programs; notes of each whose samples count, and from when to when."""
    time.sleep(3)
    for name, command, whole in Matrix(folder).rows():
        if not any(part in name for part in options.only.split(",")):
            continue
        output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        child = subprocess.Popen(command(), start_new_session=True, **output)
        family = Family(child.pid)
        try:
            family.look_for(options.warm_up)
            begin = time.time_ns()
            family.look_for(options.seconds)
            spans[name], wanted[name] = (family.pids, begin, time.time_ns()), whole
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


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
        spans, wanted = {}, {}
        try:
            run(options, folder, spans, wanted)
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
        whole = 100 * score["whole"] / stacks
        cuts = ", ".join(f"{key[4:]} {100 * n / stacks:.2f} %" for key, n in score.items() if key.startswith("cut "))
        row = [name, score["stacks"], f"{score['frames'] / stacks:.1f}", f"{whole:.2f}"]
        row += [score["returns"], score["bad"], cuts]
        print("|", " | ".join(map(str, row)), "|")
        for key, n in score.most_common():
            if key.startswith("bad at "):
                print(f"  {n} {key}", file=sys.stderr)
        failed |= wanted[name] and (whole < 99.5 or score["bad"] > 0 or not score["stacks"])
    sys.exit(failed)


if __name__ == "__main__":
    main()
