//! Programs made for a test, and their samples.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pdata::{Backing, Batch, Code, Frame, Sample, StackEnd};
use receiver_ebpf::{Config, UnwindConfig};

use crate::support::{Recorder, run};

/// The longest time in which the samples of a test may come: a busy machine has little time for the program, and less
/// for the rows.
const AT_MOST: Duration = Duration::from_secs(120);

/// A function that calls itself, and works at the bottom for `burn` rounds.
pub(crate) const RECURSION: &str = "
#ifndef ROUNDS
#define ROUNDS 20000
#endif
__attribute__((noinline)) long work(long rounds) { long sum = 0; for (volatile long i = 0; i < rounds; i++) sum += i * i; return sum; }
__attribute__((noinline)) long descend(int left) { return left ? descend(left - 1) * 3 + 1 : work(ROUNDS) + 1; }
";

/// A program made for a test, killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Program {
    /// Compiles and starts a program.
    pub(crate) fn start(source: &str, flags: &[&str]) -> Self {
        Self::start_by("cc", source, flags)
    }

    /// Compiles a program by this compiler, and starts it.
    pub(crate) fn start_by(compiler: &str, source: &str, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("program");
        fs::write(path.with_extension("c"), source).unwrap();
        let mut compiler = Command::new(compiler);
        compiler.args(["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls"]).args(flags);
        assert!(compiler.arg("-o").arg(&path).arg(path.with_extension("c")).status().unwrap().success());
        let child = Command::new(&path).stdout(Stdio::null()).spawn().unwrap();
        Self { child, path, _directory: directory }
    }

    /// The bytes of the file that a function takes. Each linker puts a segment at another offset.
    pub(crate) fn function(&self, name: &str) -> Range<u64> {
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
pub(crate) fn watch(unwind: UnwindConfig, program: &Program, enough: usize) -> Vec<Sample> {
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
pub(crate) fn user_frames<'a>(sample: &'a Sample, path: &Path) -> Vec<(Option<u64>, &'a Frame)> {
    let user = sample.stack.frames.iter().filter(|frame| !frame.code.is_kernel());
    user.map(|frame| (offset(frame, path), frame)).collect()
}

/// The names of the program's functions that a stack shows, leaf first, equal neighbours as one with their number.
pub(crate) fn names(
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
pub(crate) fn working<'a>(
    samples: impl Iterator<Item = &'a Sample>,
    work: &Range<u64>,
    path: &Path,
) -> Vec<&'a Sample> {
    let at_work = |sample: &&Sample| {
        let leaf = sample.stack.frames.iter().find(|frame| !frame.code.is_kernel());
        leaf.and_then(|leaf| offset(leaf, path)).is_some_and(|offset| work.contains(&offset))
    };
    let working: Vec<&Sample> = samples.filter(at_work).collect();
    let last_pending = working.iter().rposition(|sample| sample.stack.end == StackEnd::Pending);
    let known = last_pending.map_or(0, |last| last + 1);
    working[known..].to_vec()
}
