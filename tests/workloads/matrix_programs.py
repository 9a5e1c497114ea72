"""The programs whose stacks `matrix.py` looks at: their sources, and how each is built and started."""

import collections
import os
import shutil
import subprocess
import sys

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
# The last `%s` is where the handler's stack is named, if it has one of its own.
SIGNAL = """
#define _GNU_SOURCE
#include <signal.h>
#include <sys/time.h>
""" + RECURSION + """
static char other[65536];
static void handle(int signal) { descend(5); }
int main() {
    %s
    sigaction(SIGALRM, &(struct sigaction){ .sa_handler = handle, .sa_flags = SA_ONSTACK }, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 1000 }, { 0, 1000 } }, 0);
    for (;;) descend(20);
}
"""
OTHER_STACK = "sigaltstack(&(stack_t){ .ss_sp = other, .ss_size = sizeof(other) }, 0);"
THREADS = "#include <pthread.h>\n" + RECURSION + """
static void *run(void *none) { for (;;) descend(10); return none; }
int main() { pthread_t one; pthread_create(&one, 0, run, 0); run(0); }
"""
# The call is the last instruction of `last`, so that its return address is the first one of the next function, where
# the stack pointer is another one. Built without space between functions.
NO_RETURN = RECURSION + """
__attribute__((noreturn, noinline)) void forever(void) { for (;;) descend(20); }
__attribute__((noinline)) void last(long at) { volatile char room[72]; room[at] = 1; forever(); }
__attribute__((noinline)) long next(int rounds) { return work(rounds) + descend(rounds); }
int main(int count, char **arguments) { if (count > 5) return next(count); last(count); }
"""
# The program's code is copied into anonymous memory, which then takes the file's place: what Node and others do to
# have their code on huge pages.
REMAPPED = """
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
""" + RECURSION + """
extern char __etext;
int main() {
    uintptr_t start = (uintptr_t)main & -4096L, bytes = (((uintptr_t)&__etext + 4095) & -4096L) - start;
    char *copy = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(copy, (void *)start, bytes);
    if (mprotect(copy, bytes, PROT_READ | PROT_EXEC)) return 1;
    if (mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, start) == MAP_FAILED) return 1;
    for (;;) descend(45);
}
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
CGO = "package main\n/*" + RECURSION + """*/
import "C"
func f(n int) C.long { if n > 0 { return f(n-1) + 1 }; return C.descend(5) }
func main() { for { f(10) } }
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
# Little room for new objects and many that stay: the collector's threads have most of the work.
JAVA = """
public class Churn {
    public static void main(String[] arguments) {
        Object[] kept = new Object[200000];
        for (int i = 0; ; i++) kept[i % kept.length] = new Object[] { kept[(i * 31 & 0x7fffffff) % kept.length] };
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
GENERICS = """
use std::collections::BTreeMap;
pub fn count(text: &str) -> BTreeMap<String, Vec<usize>> {
    let mut all: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, word) in text.split_whitespace().enumerate() { all.entry(word.to_lowercase()).or_default().push(at); }
    all
}
"""
NO_TABLES = "-fno-asynchronous-unwind-tables"

# `gated`: nearly all stacks ought to be whole. `threads`: beginnings of the names of the threads that count.
Row = collections.namedtuple("Row", "name command gated threads", defaults=(True, ()))


class Programs:
    """Builds programs in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def rows(self):
        """Every kind of program for which this machine has what it takes."""
        yield from self.in_c()
        yield from self.by_musl()
        yield from self.of_runtimes()
        yield from self.compiled()
        yield from self.compilers()

    def in_c(self):
        leaf = ("-fno-omit-frame-pointer", "-momit-leaf-frame-pointer")
        tight = ("-fomit-frame-pointer", "-falign-functions=1", "-fno-reorder-functions")
        yield Row("C, no frame pointers", lambda: self.c("recursion_c", MAIN))
        yield Row("C, -momit-leaf-frame-pointer", lambda: self.c("leaf", MAIN, *leaf))
        yield Row("qsort's callback", lambda: self.c("callback", QSORT))
        yield Row("static glibc", lambda: self.c("static_c", QSORT, "-static", "-fomit-frame-pointer"))
        yield Row("two threads", lambda: self.c("threads", THREADS))
        yield Row("signals at 1 kHz", lambda: self.c("signals", SIGNAL % ""))
        yield Row("signals at 1 kHz, another stack", lambda: self.c("other_stack", SIGNAL % OTHER_STACK))
        yield Row("vDSO", lambda: self.c("vdso", VDSO))
        yield Row("no return from a last call", lambda: self.c("no_return", NO_RETURN, *tight))
        yield Row("text in anonymous memory", lambda: self.c("remapped", REMAPPED))
        yield Row("no tables, frame pointers", lambda: self.c("frames", MAIN, NO_TABLES, "-fno-omit-frame-pointer"))
        bare = ("no tables, no frame pointers", lambda: self.c("neither", MAIN, NO_TABLES, "-fomit-frame-pointer"))
        yield Row(*bare, gated=False)

    def by_musl(self):
        """The C library has no tables: what it calls is followed up to it, and not through it."""
        if not shutil.which("musl-gcc"):
            return
        static = ("-static", "-fomit-frame-pointer")
        yield Row("static musl", lambda: self.c("static_musl", MAIN, *static, compiler="musl-gcc"))
        yield Row("static musl, two threads", lambda: self.c("threads_musl", THREADS, *static, compiler="musl-gcc"))
        yield Row("dynamic musl", lambda: self.c("dynamic_musl", MAIN, compiler="musl-gcc"))
        sort = ("musl, qsort's callback", lambda: self.c("callback_musl", QSORT, *static, compiler="musl-gcc"))
        yield Row(*sort, gated=False)

    def of_runtimes(self):
        if shutil.which("python3"):
            # Not a shim: what runs is the interpreter itself.
            yield Row("CPython", lambda: [os.path.realpath(sys.executable), self.write("loop.py", PYTHON)])
        if shutil.which("openssl"):
            yield Row("openssl rsa2048", lambda: ["openssl", "speed", "-seconds", "60", "rsa2048"])
        if shutil.which("perl"):
            yield Row("Perl", lambda: ["perl", self.write("loop.pl", PERL)])
        if shutil.which("node"):
            yield Row("Node, no flags", lambda: ["node", self.write("loop.js", NODE)])
        if shutil.which("java"):
            flags = ["-XX:+UseParallelGC", "-Xmn4m", "-Xmx128m"]
            source = self.write("Churn.java", JAVA)
            native = ("GC Thread", "VM Thread", "C1 Comp", "C2 Comp")
            yield Row("Java's own threads", lambda: ["java", *flags, source], threads=native)

    def compiled(self):
        if shutil.which("go"):
            yield Row("Go", lambda: self.go("recursion", GO, "0"))
            yield Row("Go with cgo", lambda: self.go("cgo", CGO, "1"))
        if shutil.which("rustc"):
            yield Row("Rust, release", lambda: self.rust("release"))
            bare = ("-Cpanic=abort", "-Cforce-unwind-tables=no", "-Cforce-frame-pointers=yes")
            yield Row("Rust, panic=abort, no tables", lambda: self.rust("abort", *bare))

    def compilers(self):
        if shutil.which("clang++-19"):
            command = f"clang++-19 -O3 -c -o /dev/null {self.write('templates.cpp', TEMPLATES)}"
            yield Row("clang -O3", lambda: ["sh", "-c", f"while :; do {command}; done"])
        if shutil.which("rustc"):
            # Not rustup's shim, which starts the compiler anew.
            found = subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True)
            command = f"{found.stdout.strip()}/bin/rustc --edition 2021 --crate-type cdylib -O"
            command += f" --out-dir {self.folder} {self.write('generics.rs', GENERICS)}"
            yield Row("rustc -O", lambda: ["sh", "-c", f"while :; do {command}; done"])

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def c(self, name, text, *flags, compiler="cc"):
        source, program = self.write(name + ".c", text), os.path.join(self.folder, name)
        flags = flags or ("-fomit-frame-pointer",)
        command = [compiler, "-O2", "-fno-optimize-sibling-calls", *flags, "-o", program, source, "-lpthread"]
        subprocess.run(command, check=True)
        return [program]

    def rust(self, name, *flags):
        source, program = self.write(name + ".rs", RUST), os.path.join(self.folder, name)
        subprocess.run(["rustc", "-O", "-Cdebuginfo=0", *flags, "-o", program, source], check=True)
        return [program]

    def go(self, name, text, with_c):
        source, program = self.write(name + ".go", text), os.path.join(self.folder, name)
        environment = {**os.environ, "GO111MODULE": "off", "CGO_ENABLED": with_c}
        subprocess.run(["go", "build", "-o", program, source], check=True, env=environment)
        return [program]
