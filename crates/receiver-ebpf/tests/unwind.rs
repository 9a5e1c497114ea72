//! Stacks of programs without frame pointers against the running kernel.
//!
//! The truth is the programs' own source: which functions call which, how deep, and the names of their symbols.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pdata::{AddressKind, Backing, Batch, Code, Frame, Sample, StackEnd};
use receiver_ebpf::{Config, UnwindConfig};
use support::{Recorder, run};

/// CPU time for which a program is watched: some 500 samples.
const CPU: Duration = Duration::from_secs(1);
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

    /// The bytes of the file that a function takes: an address is an offset in the first segment of code, as link
    /// editors lay out a program this small.
    fn function(&self, name: &str) -> Range<u64> {
        let symbols = Command::new("nm").arg("-S").arg(&self.path).output().unwrap();
        let symbols = String::from_utf8(symbols.stdout).unwrap();
        let fields = symbols.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let found = fields.into_iter().find(|fields| fields.len() == 4 && fields[3] == name).unwrap();
        let [start, size] = [0, 1].map(|at| u64::from_str_radix(found[at], 16).unwrap());
        start..start + size
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The samples of the program at 499 Hz, until it has used `cpu` of a CPU since the rows of its file were there, or, if
/// stacks are not unwound, since it was first seen.
fn watch(unwind: UnwindConfig, program: &Program, cpu: Duration) -> Vec<Sample> {
    let recorder = Recorder::default();
    let config = Config { samples_per_second: 499, unwind, ..Config::default() };
    let (pid, path, seen) = (program.child.id(), program.path.clone(), recorder.clone());
    let has_rows = move |batches: &[Batch]| {
        batches.iter().flat_map(Batch::samples).any(|sample| {
            let leaf = user_frames(sample, &path).first().and_then(|(offset, _)| *offset);
            leaf.is_some() && sample.stack.end != StackEnd::Pending
        })
    };
    run(config, recorder.clone(), move |_control| {
        seen.wait_until("the rows of the program", has_rows);
        let (begun, until) = (Instant::now(), cpu_time(pid) + cpu);
        while cpu_time(pid) < until {
            assert!(begun.elapsed() < Duration::from_secs(120), "the program does not get on");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let batches = recorder.0.lock().unwrap();
    let samples = batches.iter().flat_map(Batch::samples);
    samples.filter(|sample| sample.key.process.pid.0 == pid).cloned().collect()
}

/// CPU time of a process so far, in steps of 10 ms.
fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    Duration::from_millis(
        [11, 12].map(|at: usize| fields[at].parse::<u64>().unwrap()).iter().sum::<u64>() * 10,
    )
}

/// User frames of a sample: the offset in the file that each is looked up at, if that is the program's.
fn user_frames<'a>(sample: &'a Sample, path: &'a Path) -> Vec<(Option<u64>, &'a Frame)> {
    let user = sample.stack.frames.iter().filter(|frame| !frame.code.is_kernel());
    user.map(|frame| match &frame.code {
        Code::Mapped(mapping) => match &mapping.backing {
            Backing::File(file) if *file.path == *path => {
                (Some(mapping.offset_of(frame.lookup_pc()).0), frame)
            }
            _ => (None, frame),
        },
        _ => (None, frame),
    })
    .collect()
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
fn working<'a>(samples: &'a [Sample], work: &Range<u64>, path: &Path) -> Vec<&'a Sample> {
    let leaf = |sample: &Sample| user_frames(sample, path).first().and_then(|(offset, _)| *offset);
    let at_work = |sample: &&Sample| leaf(sample).is_some_and(|leaf| work.contains(&leaf));
    let working: Vec<&Sample> = samples.iter().filter(at_work).collect();
    let last_pending = working.iter().rposition(|sample| sample.stack.end == StackEnd::Pending);
    let known = last_pending.map_or(0, |last| last + 1);
    eprintln!("{known} of {} samples before the last that had to wait for tables", working.len());
    working[known..].to_vec()
}

/// Every stack of a recursion without frame pointers has all its frames, in order, down to the root.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_recursion_without_frame_pointers_is_whole_and_in_order() {
    let source = format!("{RECURSION} int main() {{ for (;;) descend({DEPTH}); }}");
    let program = Program::start(&source, &[]);
    let samples = watch(UnwindConfig::default(), &program, CPU);
    let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
    let found = working(&samples, &functions[0].1, &program.path);
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
            static void handle(int signal) {{ descend(5); }}
            __attribute__((noinline)) long interrupted(void) {{ long sum = 0; for (;;) {{ sum += sum * 3 + 1; __asm__ volatile(\"\" : \"+r\"(sum)); }} return sum; }}
            int main() {{
                {stack}
                sigaction(SIGALRM, &(struct sigaction){{ .sa_handler = handle, .sa_flags = SA_ONSTACK }}, 0);
                setitimer(ITIMER_REAL, &(struct itimerval){{ {{ 0, 1000 }}, {{ 0, 1000 }} }}, 0);
                return interrupted() + 1;
            }}"
        );
        let program = Program::start(&source, &["-DROUNDS=200000"]);
        let samples = watch(UnwindConfig::default(), &program, CPU);
        let functions =
            ["work", "descend", "handle", "interrupted", "main"].map(|name| (name, program.function(name)));
        let found = working(&samples, &functions[0].1, &program.path);
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
    let samples = watch(UnwindConfig::default(), &program, CPU);
    let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
    let found = working(&samples, &functions[0].1, &program.path);
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
    let samples = watch(UnwindConfig::default(), &program, CPU);
    let work = program.function("work");
    let found = working(&samples, &work, &program.path);
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
        let samples = watch(unwind, &program, CPU);
        let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
        let found = working(&samples, &functions[0].1, &program.path);
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
    let samples = watch(unwind, &program, CPU);
    let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
    let found = working(&samples, &functions[0].1, &program.path);
    assert!(found.len() > 200, "{} samples", found.len());
    assert!(found.iter().all(|sample| sample.stack.end == StackEnd::NotReported));
    let deep =
        found.iter().filter(|sample| names(sample, &program, &functions).contains(&("descend", DEPTH + 1)));
    let deep = deep.count();
    assert!(deep * 10 > found.len() * 9, "{deep} of {} are whole", found.len());
}
