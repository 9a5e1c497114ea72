//! Stacks of programs without frame pointers against the running kernel.
//!
//! The truth is the programs' own source: which functions call which, how deep, and the names of their symbols.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pdata::{AddressKind, Backing, Batch, Code, Frame, Sample, StackEnd};
use receiver_ebpf::{Config, UnwindConfig};
use support::{Recorder, run};

/// The number of samples to watch a program for, where nearly all are in `work`: most of a second of CPU time.
const ENOUGH: usize = 400;
/// The longest time in which they may come: a busy machine has little time for the program, and less for the rows.
const AT_MOST: Duration = Duration::from_secs(120);
/// The depth of a recursion in frames.
const DEPTH: usize = 50;

/// A function that calls itself, and works at the bottom for `burn` rounds.
const RECURSION: &str = "
#ifndef ROUNDS
#define ROUNDS 20000
#endif
__attribute__((noinline)) long work(long rounds) { long sum = 0; for (volatile long i = 0; i < rounds; i++) sum += i * i; return sum; }
__attribute__((noinline)) long descend(int left) { return left ? descend(left - 1) * 3 + 1 : work(ROUNDS) + 1; }
";

/// A program made for a test, killed when it is dropped.
struct Program {
    child: Child,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Program {
    /// Compiles and starts a program.
    fn start(source: &str, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("program");
        fs::write(path.with_extension("c"), source).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls"]).args(flags);
        assert!(compiler.arg("-o").arg(&path).arg(path.with_extension("c")).status().unwrap().success());
        let child = Command::new(&path).stdout(Stdio::null()).spawn().unwrap();
        Self { child, path, _directory: directory }
    }

    /// The bytes of the file that a function takes. Each linker puts a segment at another offset.
    fn function(&self, name: &str) -> Range<u64> {
        let symbols = output_of(Command::new("nm").arg("-S").arg(&self.path));
        let fields = symbols.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let found = fields.into_iter().find(|fields| fields.len() == 4 && fields[3] == name).unwrap();
        let [start, size] = [0, 1].map(|at| u64::from_str_radix(found[at], 16).unwrap());
        let segments = output_of(Command::new("readelf").arg("-lW").arg(&self.path));
        // The fields are the offset in the file, the address, the physical address and the bytes in the file.
        let loaded = segments.lines().filter_map(|line| line.trim_start().strip_prefix("LOAD"));
        let offset = loaded.map(|line| line.split_whitespace().collect::<Vec<_>>()).find_map(|fields| {
            let number = |at: usize| u64::from_str_radix(fields[at].trim_start_matches("0x"), 16).unwrap();
            let (offset, address, bytes) = (number(0), number(1), number(3));
            (address..address + bytes).contains(&start).then(|| start - address + offset)
        });
        let offset = offset.unwrap();
        offset..offset + size
    }
}

/// The text that a command prints.
fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The samples of the program at 499 Hz, until `enough` of them are in its function `work` since the last sample that
/// had to wait for rows. After a given time there might be none: other programs delay the rows.
fn watch(unwind: UnwindConfig, program: &Program, enough: usize) -> Vec<Sample> {
    let recorder = Recorder::default();
    let config = Config { samples_per_second: 499, unwind, ..Config::default() };
    let (pid, path, work) = (program.child.id(), program.path.clone(), program.function("work"));
    let seen = recorder.clone();
    run(config, recorder.clone(), move |_control| {
        let is_enough = |batches: &[Batch]| working(samples_of(batches, pid), &work, &path).len() >= enough;
        assert!(seen.is_soon(AT_MOST, is_enough), "{enough} samples do not come within {AT_MOST:?}");
    });
    let batches = recorder.0.lock().unwrap();
    samples_of(&batches, pid).cloned().collect()
}

fn samples_of(batches: &[Batch], pid: u32) -> impl Iterator<Item = &Sample> {
    batches.iter().flat_map(Batch::samples).filter(move |sample| sample.key.process.pid.0 == pid)
}

/// The offset in the program's file that a frame is looked up at, if it is in that.
fn offset(frame: &Frame, path: &Path) -> Option<u64> {
    match &frame.code {
        Code::Mapped(mapping) => match &mapping.backing {
            Backing::File(file) if *file.path == *path => Some(mapping.offset_of(frame.lookup_pc()).0),
            _ => None,
        },
        _ => None,
    }
}

/// User frames of a sample: the offset in the file that each is looked up at, if that is the program's.
fn user_frames<'a>(sample: &'a Sample, path: &Path) -> Vec<(Option<u64>, &'a Frame)> {
    let user = sample.stack.frames.iter().filter(|frame| !frame.code.is_kernel());
    user.map(|frame| (offset(frame, path), frame)).collect()
}

/// The names of the program's functions that a stack shows, leaf first, equal neighbours as one with their number.
fn names(
    sample: &Sample,
    program: &Program,
    functions: &[(&'static str, Range<u64>)],
) -> Vec<(&'static str, usize)> {
    let mut names: Vec<(&'static str, usize)> = Vec::new();
    for (offset, _) in user_frames(sample, &program.path) {
        let holds = |range: &Range<u64>| offset.is_some_and(|offset| range.contains(&offset));
        let name = functions.iter().find(|(_, range)| holds(range)).map_or("other", |(name, _)| name);
        match names.last_mut() {
            Some((last, count)) if *last == name => *count += 1,
            _ => names.push((name, 1)),
        }
    }
    names
}

/// Samples of which the leaf is in `work`, without those at the beginning, for which tables had to be read first. Some
/// samples at the beginning are whole, as far as there was room for their stacks: so the beginning ends with the last
/// sample that is not.
fn working<'a>(samples: impl Iterator<Item = &'a Sample>, work: &Range<u64>, path: &Path) -> Vec<&'a Sample> {
    let at_work = |sample: &&Sample| {
        let leaf = sample.stack.frames.iter().find(|frame| !frame.code.is_kernel());
        leaf.and_then(|leaf| offset(leaf, path)).is_some_and(|offset| work.contains(&offset))
    };
    let working: Vec<&Sample> = samples.filter(at_work).collect();
    let last_pending = working.iter().rposition(|sample| sample.stack.end == StackEnd::Pending);
    let known = last_pending.map_or(0, |last| last + 1);
    working[known..].to_vec()
}

/// Every stack of a recursion without frame pointers has all its frames, in order, down to the root.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_recursion_without_frame_pointers_is_whole_and_in_order() {
    let source = format!("{RECURSION} int main() {{ for (;;) descend({DEPTH}); }}");
    let program = Program::start(&source, &[]);
    let samples = watch(UnwindConfig::default(), &program, ENOUGH);
    let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
    let found = working(samples.iter(), &functions[0].1, &program.path);
    assert!(found.len() > 200, "{} samples", found.len());
    for sample in &found {
        let names = names(sample, &program, &functions);
        assert_eq!(names[..3], [("work", 1), ("descend", DEPTH + 1), ("main", 1)], "{sample:?}");
        assert_eq!(sample.stack.end, StackEnd::Root, "{sample:?}");
    }
}

/// A frame that a signal interrupts is at an instruction, not a return address, and its callers follow; also on an
/// alternate stack.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_stack_goes_on_below_a_signal_handler() {
    for (name, stack) in [
        ("the same", ""),
        ("another", "sigaltstack(&(stack_t){ .ss_sp = other, .ss_size = sizeof(other) }, 0);"),
    ] {
        let source = format!(
            "#define _GNU_SOURCE
            #include <signal.h>
            #include <sys/time.h>
            {RECURSION}
            static char other[65536];
            static volatile int ready;
            static void handle(int signal) {{ if (ready) descend(5); }}
            __attribute__((noinline)) long interrupted(void) {{ ready = 1; long sum = 0; for (;;) {{ sum += sum * 3 + 1; __asm__ volatile(\"\" : \"+r\"(sum)); }} return sum; }}
            int main() {{
                {stack}
                sigaction(SIGALRM, &(struct sigaction){{ .sa_handler = handle, .sa_flags = SA_ONSTACK }}, 0);
                setitimer(ITIMER_REAL, &(struct itimerval){{ {{ 0, 1000 }}, {{ 0, 1000 }} }}, 0);
                return interrupted() + 1;
            }}"
        );
        let program = Program::start(&source, &["-DROUNDS=200000"]);
        let samples = watch(UnwindConfig::default(), &program, 60);
        let functions =
            ["work", "descend", "handle", "interrupted", "main"].map(|name| (name, program.function(name)));
        let found = working(samples.iter(), &functions[0].1, &program.path);
        assert!(found.len() > 30, "{} samples on {name} stack", found.len());
        for sample in &found {
            let names = names(sample, &program, &functions);
            let expected =
                [("work", 1), ("descend", 6), ("handle", 1), ("other", 1), ("interrupted", 1), ("main", 1)];
            assert_eq!(
                names.get(..6),
                Some(&expected[..]),
                "on {name} stack: {names:?} {:?} {sample:?}",
                sample.stack.end
            );
            assert_eq!(sample.stack.end, StackEnd::Root, "{sample:?}");
            let exact = user_frames(sample, &program.path)
                .iter()
                .filter(|(_, frame)| frame.kind == AddressKind::Exact)
                .count();
            assert_eq!(exact, 2, "the leaf and what the signal interrupted: {sample:?}");
        }
    }
}

/// Code without tables but with frame pointers is followed by those; a function called from there that has neither says
/// so.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn code_without_tables_is_followed_by_frame_pointers() {
    let source = format!("{RECURSION} int main() {{ for (;;) descend({DEPTH}); }}");
    let flags =
        ["-fno-asynchronous-unwind-tables", "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"];
    let program = Program::start(&source, &flags);
    let samples = watch(UnwindConfig::default(), &program, ENOUGH);
    let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
    let found = working(samples.iter(), &functions[0].1, &program.path);
    assert!(found.len() > 200, "{} samples", found.len());
    let whole = found.iter().filter(|sample| {
        names(sample, &program, &functions).starts_with(&[("work", 1), ("descend", DEPTH + 1), ("main", 1)])
    });
    // At the first and last instructions of a function the frame pointer is still, or again, the caller's.
    let whole = whole.count();
    assert!(whole * 10 > found.len() * 9, "{whole} of {} are whole", found.len());
}

/// A stack without tables or frame pointers ends with the last frame that was certain, and is marked.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_stack_without_tables_or_frame_pointers_is_marked_as_cut_short() {
    // The frame pointer is a number like any other there.
    let source = format!(
        "{RECURSION} __attribute__((noinline)) long spoil(int depth) {{
            register long odd __asm__(\"rbp\") = 7; __asm__ volatile(\"\" : \"+r\"(odd));
            long sum = descend(depth); __asm__ volatile(\"\" : \"+r\"(odd)); return sum + odd; }}
        int main() {{ for (;;) spoil({DEPTH}); }}"
    );
    let program = Program::start(&source, &["-fno-asynchronous-unwind-tables"]);
    let samples = watch(UnwindConfig::default(), &program, ENOUGH);
    let work = program.function("work");
    let found = working(samples.iter(), &work, &program.path);
    assert!(found.len() > 200, "{} samples", found.len());
    for sample in &found {
        assert_eq!(sample.stack.end, StackEnd::NoUnwindInfo, "{sample:?}");
        assert_eq!(sample.stack.end.cut(), Some("no_unwind_info"));
    }
}

/// A stack deeper than the configured limit has the frames next to the leaf, and is marked; at the largest bound it is
/// whole.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_stack_deeper_than_the_limit_is_cut_at_the_limit() {
    for (max_frames, depth) in [(100, 400), (1024, 1000)] {
        let source = format!("{RECURSION} int main() {{ for (;;) descend({depth}); }}");
        let program = Program::start(&source, &[]);
        let unwind = UnwindConfig { max_frames, ..UnwindConfig::default() };
        let samples = watch(unwind, &program, 200);
        let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
        let found = working(samples.iter(), &functions[0].1, &program.path);
        assert!(found.len() > 100, "{} samples", found.len());
        for sample in &found {
            let (user, names) =
                (user_frames(sample, &program.path).len(), names(sample, &program, &functions));
            if max_frames == 1024 {
                assert_eq!(names[..3], [("work", 1), ("descend", depth + 1), ("main", 1)]);
                assert_eq!(sample.stack.end, StackEnd::Root);
            } else {
                assert_eq!((user, &names[..]), (100, &[("work", 1), ("descend", 99)][..]));
                assert_eq!(sample.stack.end, StackEnd::DepthLimit);
            }
        }
    }
}

/// With unwinding switched off, stacks follow frame pointers, and do not say how they end.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn without_unwinding_stacks_follow_frame_pointers() {
    let source = format!("{RECURSION} int main() {{ for (;;) descend({DEPTH}); }}");
    let program = Program::start(&source, &["-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"]);
    let unwind = UnwindConfig { enabled: false, ..UnwindConfig::default() };
    let samples = watch(unwind, &program, ENOUGH);
    let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
    let found = working(samples.iter(), &functions[0].1, &program.path);
    assert!(found.len() > 200, "{} samples", found.len());
    assert!(found.iter().all(|sample| sample.stack.end == StackEnd::NotReported));
    let deep =
        found.iter().filter(|sample| names(sample, &program, &functions).contains(&("descend", DEPTH + 1)));
    let deep = deep.count();
    assert!(deep * 10 > found.len() * 9, "{deep} of {} are whole", found.len());
}
