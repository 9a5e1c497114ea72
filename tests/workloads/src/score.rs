//! Compares a profiler's samples with the truth.

use std::collections::{BTreeMap, HashSet};

use crate::profiles::{Profiles, Sample};
use crate::timeline::{self, Timeline, View};
use crate::truth::{Process, Truth};

/// Samples of each kind of fault that are printed in detail.
const EXAMPLES: usize = 3;

/// Counts of one row of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Processes.
    pub processes: u64,
    /// Processes with at least one sample.
    pub seen: u64,
    /// Samples that there should be: CPU time x frequency.
    pub expected: f64,
    /// Samples that there are.
    pub samples: u64,
    /// Samples with an absolute path.
    pub full: u64,
    /// Samples with a path that the process ran at that instant.
    pub right: u64,
    /// Samples with another path.
    pub wrong: u64,
    /// Samples with the thread's name of that instant.
    pub comm_right: u64,
    /// Samples with the state that the file was in.
    pub state_right: u64,
    /// Samples with the path as the process sees it, or none if it is the same.
    pub own_right: u64,
    /// Samples with the script's path, or none if there is no script.
    pub script_right: u64,
    /// Samples taken while an exec was in progress, so that either image is right.
    pub in_exec: u64,
}

/// The result of the comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Tallies by mode, in alphabetical order.
    pub modes: BTreeMap<String, Tally>,
    /// The tally of all modes.
    pub all: Tally,
    /// Tallies by CPU time of the process.
    pub lifetimes: BTreeMap<Lifetime, Tally>,
    /// Samples that name an executable of the storm, but no process of the storm ran then under that pid.
    pub strays: u64,
    /// Samples that are there twice: same thread, CPU and time.
    pub duplicates: u64,
    /// Samples that the profiler reports as lost, of the whole machine.
    pub lost: u64,
    /// Other losses by reason, as the profiler reports them.
    pub reasons: BTreeMap<String, u64>,
    /// True if pids were used again.
    pub pid_reuse: bool,
    /// Some of the samples at fault, described in detail.
    pub examples: Vec<String>,
}

/// CPU time of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifetime {
    /// CPU time of less than 1 ms.
    Under1Ms,
    /// CPU time of less than 4 ms.
    Under4Ms,
    /// CPU time of less than 20 ms.
    Under20Ms,
    /// CPU time of 20 ms or more.
    Longer,
}

impl Lifetime {
    const fn of(process: &Process) -> Self {
        match process.cpu_ns / 1_000_000 {
            0 => Self::Under1Ms,
            1..4 => Self::Under4Ms,
            4..20 => Self::Under20Ms,
            _ => Self::Longer,
        }
    }

    /// The name of the row.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Under1Ms => "under 1 ms",
            Self::Under4Ms => "1-4 ms",
            Self::Under20Ms => "4-20 ms",
            Self::Longer => "over 20 ms",
        }
    }
}

/// Compares samples taken at `hz` with the truth.
#[must_use]
pub fn score(truth: &Truth, profiles: &Profiles, hz: f64) -> Score {
    let timeline = Timeline::new(truth);
    let mut score = Score { lost: profiles.lost(), pid_reuse: truth.storm.pid_reuse, ..Score::default() };
    for (reason, count) in profiles.windows.values().flat_map(|window| &window.reasons) {
        *score.reasons.entry(reason.clone()).or_default() += count;
    }
    for process in &truth.processes {
        for tally in score.tallies(process) {
            tally.processes += 1;
            tally.expected += process.cpu_ns as f64 / 1e9 * hz;
        }
    }
    let storm_dir = storm_dir(truth);
    let mut distinct = HashSet::new();
    let mut seen = HashSet::new();
    for sample in &profiles.samples {
        if !distinct.insert((sample.tid, sample.cpu, sample.at)) {
            score.duplicates += 1;
        }
        let at = truth.monotonic(sample.at);
        match sample.resource.pid.and_then(|pid| timeline.find(pid, at)) {
            Some(process) if at >= process.counted_from => {
                let first = seen.insert((process.pid, process.born));
                score.add(process, sample, at, first);
            }
            // The process is older than the profiler: its work before the storm does not count.
            Some(_) => {}
            None if in_storm(truth, at) && names_storm(sample, storm_dir) => score.add_stray(sample, at),
            None => {}
        }
    }
    score
}

impl Score {
    fn tallies(&mut self, process: &Process) -> [&mut Tally; 3] {
        [
            &mut self.all,
            self.modes.entry(process.mode.clone()).or_default(),
            self.lifetimes.entry(Lifetime::of(process)).or_default(),
        ]
    }

    fn add(&mut self, process: &Process, sample: &Sample, at: u64, first: bool) {
        let views = timeline::views(process, at);
        let verdict = Verdict::of(sample, &views, process.counted_from > process.born);
        for tally in self.tallies(process) {
            tally.seen += u64::from(first);
            tally.samples += 1;
            tally.full += u64::from(verdict.full);
            tally.right += u64::from(verdict.right);
            tally.wrong += u64::from(verdict.full && !verdict.right);
            tally.comm_right += u64::from(verdict.comm);
            tally.state_right += u64::from(verdict.state);
            tally.own_right += u64::from(verdict.own);
            tally.script_right += u64::from(verdict.script);
            tally.in_exec += u64::from(views.len() > 1);
        }
        if let Some(fault) = verdict.fault() {
            self.tell(&format!("{}: {fault}", process.mode), || describe(process, sample, at, &views));
        }
    }

    fn add_stray(&mut self, sample: &Sample, at: u64) {
        self.strays += 1;
        self.tell("stray", || format!("pid {:?} at {at}: {:?}", sample.resource.pid, sample.resource.path));
    }

    fn tell(&mut self, fault: &str, describe: impl FnOnce() -> String) {
        if self.examples.iter().filter(|example| example.starts_with(fault)).count() < EXAMPLES {
            self.examples.push(format!("{fault}: {}", describe()));
        }
    }
}

/// The verdict on each attribute of one sample.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    full: bool,
    right: bool,
    comm: bool,
    state: bool,
    own: bool,
    script: bool,
}

impl Verdict {
    fn of(sample: &Sample, views: &[View<'_>], older: bool) -> Self {
        let resource = &sample.resource;
        let path = resource.path.as_deref().filter(|path| path.starts_with('/'));
        let same: Vec<&View<'_>> = views.iter().filter(|view| Some(view.path) == path).collect();
        let state = resource.state.as_deref().unwrap_or("linked");
        let script = resource.script.as_deref();
        Self {
            full: path.is_some(),
            right: !same.is_empty(),
            comm: views
                .iter()
                .any(|view| view.comms.iter().any(|comm| sample.comm.as_deref() == Some(*comm))),
            state: same.iter().any(|view| view.states.iter().any(|allowed| allowed.as_str() == state)),
            own: same.iter().any(|view| view.own_path == resource.own_path.as_deref()),
            // A profiler that comes later cannot know the script: no link points to it.
            script: same.iter().any(|view| view.script == script || (older && script.is_none())),
        }
    }

    fn fault(self) -> Option<&'static str> {
        let faults = [
            (self.full, "no path"),
            (self.right, "wrong path"),
            (self.comm, "wrong name"),
            (self.state, "wrong state"),
            (self.own, "wrong own path"),
            (self.script, "wrong script"),
        ];
        faults.into_iter().find_map(|(right, fault)| (!right).then_some(fault))
    }
}

fn describe(process: &Process, sample: &Sample, at: u64, views: &[View<'_>]) -> String {
    let since = |from: u64| (i128::from(at) - i128::from(from)) / 1_000;
    let images: Vec<String> = process
        .images
        .iter()
        .map(|image| format!("{} at {}..{}", image.path, since(image.enter), since(image.leave)))
        .collect();
    format!(
        "pid {} ({}) tid {}, {} us after its birth, {} before its end; got {:?}, comm {:?}; allowed {:?}; images (us \
         since enter and leave) {images:?}",
        process.pid,
        process.variant.as_deref().unwrap_or("-"),
        sample.tid,
        since(process.born),
        -since(process.reaped),
        sample.resource,
        sample.comm,
        views,
    )
}

/// Directory of the storm's files, from the launcher's path.
fn storm_dir(truth: &Truth) -> &str {
    let launcher = truth.processes.first().map_or("", |process| process.inherited.path.as_str());
    launcher.rfind('/').and_then(|slash| launcher.get(..=slash)).unwrap_or_default()
}

const fn in_storm(truth: &Truth, at: u64) -> bool {
    truth.storm.begin.monotonic <= at && at <= truth.storm.end.monotonic
}

fn names_storm(sample: &Sample, dir: &str) -> bool {
    !dir.is_empty() && sample.resource.path.as_ref().is_some_and(|path| path.starts_with(dir))
}
