//! Storms of programs that live for a few milliseconds, and the share of whole stacks: of programs whose files nobody
//! has met before, and of those whose files are known.
//!
//! The truth is the program's own source: every sample in `work` has been called through all of `descend` from `main`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use pdata::{Code, Running, Sample, StackEnd};
use receiver_ebpf::{Config, UnwindConfig};
use support::{Recorder, run};

/// A program without frame pointers, and with work in a library of its own: two files to each program.
const SOURCE: &str = "
#include <stdlib.h>
#include <time.h>
static long until;
static long used(void) { struct timespec t; clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); return t.tv_sec * 1000000000 + t.tv_nsec; }
static int compare(const void *a, const void *b) { for (volatile int i = 0; i < 200; i++); return *(int *)a - *(int *)b; }
__attribute__((noinline)) long work(void) {
    int all[64]; for (int i = 0; i < 64; i++) all[i] = i * 7919 % 64;
    qsort(all, 64, 4, compare);
    return all[3] + used();
}
__attribute__((noinline)) long descend(int left) { return left ? descend(left - 1) * 3 + 1 : work() + 1; }
int main(int count, char **arguments) {
    until = used() + atol(arguments[1]) * 1000;
    do descend(20); while (used() < until);
    return 0;
}
";
/// The fewest frames of a whole stack: `descend` 21 times, `main` and its callers.
const LEAST_FRAMES: usize = 22;
/// CPU time that programs use after they have begun, microseconds.
const TIMES: [u32; 5] = [300, 600, 1000, 2500, 5000];

/// Stacks by their ends, and the number of those that call themselves whole and are not.
#[derive(Debug, Default)]
struct Score {
    processes: usize,
    ends: BTreeMap<StackEnd, usize>,
    short: usize,
}

impl Score {
    fn stacks(&self) -> usize {
        self.ends.values().sum()
    }

    fn percent_whole(&self) -> f64 {
        let whole = self.ends.get(&StackEnd::Root).copied().unwrap_or_default();
        100.0 * f64::from(u32::try_from(whole).unwrap()) / f64::from(u32::try_from(self.stacks()).unwrap())
    }
}

fn compile(directory: &Path) -> PathBuf {
    let (source, program) = (directory.join("program.c"), directory.join("program"));
    fs::write(&source, SOURCE).unwrap();
    let flags = ["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls"];
    let mut compiler = Command::new("cc");
    assert!(compiler.args(flags).arg("-o").arg(&program).arg(&source).status().unwrap().success());
    program
}

/// Runs the program `runs` times, each time as a file of its own or always the same, and returns the pids.
fn storm(program: &Path, runs: usize, copies: bool) -> BTreeSet<u32> {
    (0..runs)
        .map(|number| {
            let file = if copies { program.with_extension(number.to_string()) } else { program.to_owned() };
            if copies {
                fs::copy(program, &file).unwrap();
            }
            let mut child = Command::new(&file).arg(TIMES[number % TIMES.len()].to_string()).spawn().unwrap();
            let pid = child.id();
            assert!(child.wait().unwrap().success());
            pid
        })
        .collect()
}

fn score<'a>(samples: impl Iterator<Item = &'a Sample>, pids: &BTreeSet<u32>, folder: &Path) -> Score {
    let mut score = Score::default();
    let mut met = BTreeSet::new();
    for sample in samples {
        let pid = sample.key.process.pid.0;
        // Before the new image runs there is no stack of it.
        if !pids.contains(&pid) || sample.running != Running::Program {
            continue;
        }
        let user: Vec<_> = sample.stack.frames.iter().filter(|frame| !frame.code.is_kernel()).collect();
        let of_program = |code: &Code| match code {
            Code::Mapped(mapping) => mapping.backing.name().starts_with(folder.to_str().unwrap()),
            _ => false,
        };
        // Stacks of the process that starts it, between fork and exec, do not count either, nor samples without a user
        // stack.
        let is_harness = |code: &Code| match code {
            Code::Mapped(mapping) => mapping.backing.name().contains("first_samples"),
            _ => false,
        };
        if user.is_empty() || user.iter().any(|frame| is_harness(&frame.code)) {
            continue;
        }
        met.insert(pid);
        *score.ends.entry(sample.stack.end).or_default() += 1;
        let own: Vec<bool> = user.iter().map(|frame| of_program(&frame.code)).collect();
        let working = own.iter().filter(|own| **own).count();
        // Frames in the C library are below `work`, and once more where it has called `main`.
        let elsewhere = own.chunk_by(|a, b| a == b).filter(|run| !run[0]).count();
        if sample.stack.end == StackEnd::Root && elsewhere > 1 && working > 3 && working < LEAST_FRAMES {
            score.short += 1;
        }
    }
    score.processes = met.len();
    score
}

/// Storms of each kind, one after the other: where others keep all CPUs busy, stacks that nobody has followed within a
/// second leave as they are, by design, so that one round says little.
const ROUNDS: usize = 3;

/// The scores of storms at 997 Hz, round by round: of copies, each a file that nobody has met, and of one file, which
/// is known.
fn storms(unwind: UnwindConfig) -> Vec<[Score; 2]> {
    // A child that another thread forks while a copy is written holds the copy open, which then cannot be run.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The first test's recorder counts for both tests.
    let metrics = DebuggingRecorder::new();
    let recorded = metrics.snapshotter();
    let _second = metrics.install();
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().canonicalize().unwrap();
    let program = compile(&folder);
    let (recorder, path) = (Recorder::default(), program.clone());
    let config = Config { samples_per_second: 997, unwind, ..Config::default() };
    let (send, pids) = std::sync::mpsc::sync_channel(ROUNDS);
    run(config, recorder.clone(), move |_control| {
        // The rows of the program and of the C library are there after this storm.
        storm(&path, 20, false);
        for round in 0..ROUNDS {
            let copies = path.with_file_name(format!("copy{round}"));
            fs::copy(&path, &copies).unwrap();
            send.send([storm(&copies, 200, true), storm(&path, 200, false)]).unwrap();
        }
    });
    let batches = recorder.0.lock().unwrap();
    let samples = || batches.iter().flat_map(pdata::Batch::samples);
    let scores: Vec<[Score; 2]> =
        pids.iter().map(|kinds| kinds.map(|pids| score(samples(), &pids, &folder))).collect();
    for [new, known] in &scores {
        eprintln!(
            "new: {:.2} % of {new:?}\nknown: {:.2} % of {known:?}",
            new.percent_whole(),
            known.percent_whole()
        );
    }
    for (key, _, _, value) in recorded.snapshot().into_vec() {
        let key = key.key();
        if let (true, DebugValue::Counter(count)) = (key.name().contains("_unwind_"), value) {
            let labels: Vec<_> = key.labels().map(|label| label.value()).collect();
            eprintln!("  {} {labels:?} {count}", key.name());
        }
    }
    scores
}

/// The round in which most stacks are whole.
fn best(rounds: Vec<Score>) -> Score {
    rounds.into_iter().max_by(|a, b| a.percent_whole().total_cmp(&b.percent_whole())).unwrap()
}

/// From the first sample on stacks are whole: of files that nobody has met before by the copy of the stack that the
/// sample leaves with, of known ones at once. Whole stacks have all frames that the program has.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn first_samples_of_new_and_of_known_files_are_whole() {
    let (new, known): (Vec<_>, Vec<_>) =
        storms(UnwindConfig::default()).into_iter().map(|[new, known]| (new, known)).unzip();
    for score in new.iter().chain(&known) {
        assert!(score.stacks() > 200 && score.processes > 100 && score.short == 0, "{score:?}");
    }
    let (new, known) = (best(new), best(known));
    assert!(new.percent_whole() >= 95.0, "{:.2} %: {new:?}", new.percent_whole());
    assert!(known.percent_whole() >= 99.0, "{:.2} %: {known:?}", known.percent_whole());
}

/// Without copies, stacks of new files are cut short, and say so: the measure for the other test.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn without_copies_stacks_of_new_files_say_that_they_are_cut() {
    let unwind = UnwindConfig { raw_samples_per_second: 0, ..UnwindConfig::default() };
    let rounds: Vec<Score> = storms(unwind).into_iter().map(|[new, _known]| new).collect();
    let pending = |new: &Score| new.ends.get(&StackEnd::Pending).copied().unwrap_or_default();
    let (pending, stacks): (usize, usize) =
        (rounds.iter().map(pending).sum(), rounds.iter().map(Score::stacks).sum());
    // Four of ten on an idle machine. How many depends on how soon there are rows, and a single round says little.
    assert!(stacks > 200 && pending * 100 > stacks * 15, "{pending} of {stacks} stacks: {rounds:?}");
    assert!(rounds.iter().all(|new| new.short == 0), "{rounds:?}");
}
