//! Walks by our rows find the frames that gdb finds, address by address, in programs that it has stopped.
//!
//! gdb reads the same tables by code of its own, and has no part of ours. Each program runs in it: until it stops
//! itself deep in what it does, or instruction by instruction.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "a test")]

mod stops;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use stops::{Session, Tables, has_gdb};
use unwind::WalkEnd;

/// A recursion that stops the program at its bottom, below a function whose frame has no fixed size.
const DEEP: &str = "
#include <signal.h>
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) long descend(int left) { if (left) return descend(left - 1) * 3 + 1; return raise(SIGSTOP); }
__attribute__((noinline)) long spread(int size) { volatile char room[size]; memset((char *)room, 1, size); return descend(20) + room[0]; }
";
/// The comparison of a sort, which the C library calls, stops.
const SORT: &str = "
static int calls;
static int compare(const void *a, const void *b) { if (++calls == 30) spread(*(const int *)a + 40); return *(const int *)a - *(const int *)b; }
int main() { int all[64]; for (int i = 0; i < 64; i++) all[i] = i * 7919 % 64; qsort(all, 64, sizeof(*all), compare); return all[0]; }
";
/// A handler on a stack of its own stops; the first instruction of a function is what the signal has interrupted.
const SIGNAL: &str = "
static char other[65536];
static void handle(int number) { spread(number); }
__attribute__((naked, noinline)) long trap(void) { __asm__ volatile(\"ud2; ret\"); }
__attribute__((noinline)) long fall(int left) { return left ? fall(left - 1) + 1 : trap() + 1; }
int main() {
    sigaltstack(&(stack_t){ .ss_sp = other, .ss_size = sizeof(other) }, 0);
    sigaction(SIGILL, &(struct sigaction){ .sa_handler = handle, .sa_flags = SA_ONSTACK }, 0);
    return fall(7);
}
";
/// Frames of all kinds: of a fixed size, of any, with a frame pointer; and calls into the C library that the dynamic
/// linker finds at the first call.
const STEPS: &str = "
static int less(const void *a, const void *b) { return *(const char *)a - *(const char *)b; }
__attribute__((noinline, optimize(\"no-omit-frame-pointer\"))) long framed(long value) { char text[32]; strcpy(text, \"31 \"); return value + strtol(text, 0, 0); }
__attribute__((noinline)) long begin(int size) {
    volatile char room[size]; room[0] = 3;
    char letters[] = \"dcba\"; qsort(letters, 4, 1, less);
    return framed(size) + room[0] + letters[0];
}
int main(int count, char **none) { return begin(count + 40) + begin(count + 9) > 5; }
";
const RUST: &str = "
unsafe extern \"C\" { fn raise(signal: i32) -> i32; }
fn stop() -> i32 { unsafe { raise(19) } }
fn deep(left: u32) -> i32 { if left == 0 { stop() } else { std::hint::black_box(deep(left - 1)) + 1 } }
fn main() {
    let (mut all, mut calls): (Vec<u64>, u32) = ((0..200).map(|n| n * 7919 % 200).collect(), 0);
    all.sort_by(|a, b| { calls += 1; if calls == 300 { std::hint::black_box(deep(9)); } b.cmp(a) });
}
";
const PYTHON: &str = "
import os, signal
calls = []
def key(number):
    calls.append(number)
    if len(calls) == 30: list(map(lambda pid: os.kill(pid, signal.SIGSTOP), [os.getpid()]))
    return number * 7919 % 64
sorted(range(64), key=key)
";
const PERL: &str =
    "my $calls = 0; my @all = sort { kill 'STOP', $$ if ++$calls == 30; $a <=> $b } reverse 1..64;";

/// Builds programs in a folder that goes with it.
struct Builder(tempfile::TempDir);

impl Builder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Builds a program in C with [`DEEP`] at its beginning.
    fn c(&self, name: &str, source: &str, flags: &[&str]) -> PathBuf {
        let flags = ["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls"].iter().chain(flags);
        self.build(name, "c", &format!("#define _GNU_SOURCE\n{DEEP}{source}"), Command::new("cc").args(flags))
    }

    fn script(&self, name: &str, source: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, source).unwrap();
        path
    }

    fn build(&self, name: &str, extension: &str, source: &str, compiler: &mut Command) -> PathBuf {
        let program = self.0.path().join(name);
        let text = self.script(&format!("{name}.{extension}"), source);
        assert!(compiler.arg("-o").arg(&program).arg(&text).status().unwrap().success(), "{name}");
        program
    }
}

/// Compares all stops; returns the fewest and the most frames of one.
fn compare(name: &str, session: &Session) -> (usize, usize) {
    let mut tables = Tables::default();
    for (number, stop) in session.stops.iter().enumerate() {
        let (frames, end) = session.walk(stop, &mut tables);
        assert_eq!(frames, stop.frames, "{name}, stop {number}: ours, which ended with {end:?}, and gdb's");
        assert_eq!(end, Some(WalkEnd::Root), "{name}, stop {number}: {frames:x?}");
    }
    let depths = || session.stops.iter().map(|stop| stop.frames.len());
    (depths().min().unwrap(), depths().max().unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The stacks of seven kinds of programs, each of which stops itself at a known depth at least.
#[test]
fn frames_of_stopped_programs_are_those_that_gdb_finds() {
    if !has_gdb() {
        eprintln!("no gdb with Python: its frames are not compared");
        return;
    }
    let builder = Builder::new();
    let sort = builder.c("sort", SORT, &[]);
    let fixed = builder.c("fixed", SORT, &["-static"]);
    let leaf = builder.c("leaf", SORT, &["-fno-omit-frame-pointer", "-momit-leaf-frame-pointer"]);
    let signal = builder.c("signal", SIGNAL, &[]);
    let rust = builder.build("rust", "rs", RUST, Command::new("rustc").args(["-O", "--edition", "2021"]));
    for (program, least) in [(&sort, 26), (&fixed, 26), (&leaf, 26), (&signal, 34), (&rust, 16)] {
        let (depth, _) = compare(text(program), &Session::stopped(&[text(program)]));
        assert!(depth >= least, "{}: {depth} frames", program.display());
    }
    for (interpreter, source, least) in [("/usr/bin/python3", PYTHON, 12), ("/usr/bin/perl", PERL, 7)] {
        if !Path::new(interpreter).exists() {
            eprintln!("no {interpreter}: its frames are not compared");
            continue;
        }
        let script = builder.script("script", source);
        let (depth, _) = compare(interpreter, &Session::stopped(&[interpreter, text(&script)]));
        assert!(depth >= least, "{interpreter}: {depth} frames");
    }
}

/// At every instruction of some functions, of the linkage tables that lead to the C library, of the dynamic linker that
/// looks a function up, and of the function: in the middle of what begins and ends a frame as well.
#[test]
fn frames_at_every_instruction_are_those_that_gdb_finds() {
    /// The most instructions: a look-up of the dynamic linker's takes a thousand of them.
    const INSTRUCTIONS: usize = 20_000;
    if !has_gdb() {
        eprintln!("no gdb with Python: its frames are not compared");
        return;
    }
    let builder = Builder::new();
    let path = builder.c("steps", STEPS, &["-Wl,-z,lazy", "-fno-builtin"]);
    let session = Session::stepped(&[text(&path)], "begin", INSTRUCTIONS);
    let (least, most) = compare("steps", &session);
    let stops = session.stops.len();
    assert!(stops > 500 && stops <= INSTRUCTIONS, "{stops} instructions");
    // The last stop is in the caller again.
    assert!(least == 4 && most >= 9, "{least} to {most} frames");
}
