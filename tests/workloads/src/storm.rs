//! Runs a storm and returns its truth.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::kernel::{PID_MAX, Restored};
use crate::plan::{self, Arrival, Entry, Shape};
use crate::random::Random;
use crate::record::{self, Ended, Records};
use crate::tree::Tree;
use crate::truth::{Image, Inherited, Process, Storm, Truth};

/// The directory, executables and pids among which a storm runs.
#[derive(Clone, Debug)]
pub struct StormSite {
    /// Directory in which to make a temporary one. The path must have no blanks: scripts name their interpreter by it.
    pub dir: PathBuf,
    /// Number of distinct executables.
    pub executables: usize,
    /// `kernel.pid_max` during the storm, so that pids are used again.
    pub pid_max: Option<u32>,
}

/// A storm that has not begun: its files are there, and the processes that are to be older than the storm.
#[derive(Debug)]
pub struct Prepared {
    entries: Vec<Entry>,
    tree: Tree,
    seed: u64,
    pid_reuse: bool,
    records: PathBuf,
    child: Child,
    // The directory is dropped after `child` is gone: nobody is to run from a deleted directory by accident.
    _dir: TempDir,
    _pid_max: Option<Restored>,
}

/// The reason why there is no truth.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum StormError {
    /// A file of the storm could not be made or read.
    #[error("cannot prepare the storm below {dir}")]
    Files { dir: PathBuf, source: io::Error },
    /// The directory's name cannot be used.
    #[error("{dir}: the storm's directory must have a short name without blanks")]
    StormSite { dir: PathBuf },
    /// The launcher ended before the storm did.
    #[error("the launcher gave up ({status}); is this root?")]
    Launcher {
        /// The launcher's exit status in words.
        status: String,
    },
    /// The caller asked to stop.
    #[error("stopped before the storm's end")]
    Stopped,
    /// A record of the launcher makes no sense.
    #[error("{0}")]
    Record(String),
    /// Processes did not run as planned: the truth would be wrong.
    #[error("{failed} processes could not run; the first: {first}")]
    Failed {
        failed: u64,
        /// A description of the first process that failed.
        first: String,
    },
}

impl Prepared {
    /// Makes the files and starts the processes that are to be older than the storm.
    ///
    /// # Errors
    /// See [`StormError`].
    pub fn new(shape: &Shape, place: &StormSite) -> Result<Self, StormError> {
        let files = |source| StormError::Files { dir: place.dir.clone(), source };
        let dir = tempfile::Builder::new().prefix("storm-").tempdir_in(&place.dir).map_err(files)?;
        let root = dir.path().to_str().filter(|path| path.len() < 100 && !path.contains(char::is_whitespace));
        let root = root.ok_or_else(|| StormError::StormSite { dir: place.dir.clone() })?;
        let tree = Tree::plan(root, place.executables);
        tree.make(&mut Random::new(shape.seed ^ 1)).map_err(files)?;
        let entries = plan::draw(shape, &tree);
        let mut text = String::new();
        for entry in &entries {
            entry.fresh_files().try_for_each(|(path, copy)| tree.make_fresh(path, copy)).map_err(files)?;
            entry.write(&mut text);
        }
        let (plan, records) = (dir.path().join("plan"), dir.path().join("records"));
        fs::write(&plan, text).map_err(files)?;
        // A storm that does not lower the limit must not put back one that another storm has lowered meanwhile.
        let pid_max = place.pid_max.map(|_lowered| Restored::remember(PID_MAX)).transpose().map_err(files)?;
        let mut child = Command::new(&tree.launcher)
            .args([&plan, &records])
            .arg(at_once(shape).to_string())
            .arg(place.pid_max.unwrap_or_default().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(files)?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(files)?;
        }
        if line != "ready\n" {
            let status = child.wait().map_err(files)?.to_string();
            return Err(StormError::Launcher { status });
        }
        let pid_reuse = place.pid_max.is_some();
        Ok(Self { entries, tree, seed: shape.seed, pid_reuse, records, child, _dir: dir, _pid_max: pid_max })
    }

    /// Lets the storm loose and waits for its end. `stop` ends it early. Sleepers live on until the `Prepared` is
    /// dropped.
    ///
    /// # Errors
    /// See [`StormError`].
    pub fn run(&mut self, stop: &Arc<AtomicBool>) -> Result<Truth, StormError> {
        let files = |path: &Path| {
            let dir = path.to_owned();
            move |source| StormError::Files { dir, source }
        };
        if let Some(input) = &mut self.child.stdin {
            input.write_all(b"go\n").map_err(files(&self.records))?;
        }
        // The launcher gives the file its name when it is complete.
        while !self.records.exists() {
            let ended = self.child.try_wait().map_err(files(&self.records))?;
            // The file is looked for again: it may have been completed since.
            if let Some(status) = ended.filter(|_| !self.records.exists()) {
                return Err(StormError::Launcher { status: status.to_string() });
            }
            if stop.load(Ordering::Relaxed) {
                return Err(StormError::Stopped);
            }
            thread::sleep(Duration::from_millis(20));
        }
        let text = fs::read_to_string(&self.records).map_err(files(&self.records))?;
        let records = record::parse(&text).map_err(StormError::Record)?;
        truth(self, &records)
    }
}

impl Drop for Prepared {
    /// Ends the processes that still run, so that the directory can go: the launcher kills its processes on SIGTERM.
    fn drop(&mut self) {
        if let (Ok(None), Some(pid)) = (self.child.try_wait(), Pid::from_raw(self.child.id().cast_signed())) {
            let _gone = kill_process(pid, Signal::TERM);
            let _gone = self.child.wait();
        }
    }
}

const fn at_once(shape: &Shape) -> usize {
    match shape.arrival {
        Arrival::Open { .. } => 0,
        Arrival::Closed { at_once, .. } => at_once,
    }
}

fn truth(storm: &Prepared, records: &Records) -> Result<Truth, StormError> {
    let launcher = records.launcher;
    let unfit = |ended: &&Ended| {
        let images = storm.entries.get(ended.line).map_or(0, |entry| entry.images.len());
        let complete = ended.first || ended.marks.len() == images;
        ended.status != 0 || !complete || ended.marks.iter().any(|mark| mark.leave == 0)
    };
    let bad: Vec<_> = records.processes.iter().filter(unfit).collect();
    if let Some(first) = bad.first() {
        let failed = launcher.failed + bad.len() as u64;
        return Err(StormError::Failed { failed, first: format!("{first:?}") });
    }
    if launcher.failed > 0 {
        return Err(StormError::Failed { failed: launcher.failed, first: "fork failed".to_owned() });
    }
    let inherited = Inherited { path: storm.tree.launcher.clone(), comm: "launch".to_owned() };
    let mut processes = Vec::with_capacity(records.processes.len() + 1);
    processes.push(Process {
        mode: "launcher".to_owned(),
        variant: None,
        pid: launcher.pid,
        born: launcher.begin,
        exec_at: None,
        counted_from: launcher.begin,
        reaped: launcher.end,
        cpu_ns: launcher.cpu_ns,
        inherited: inherited.clone(),
        images: Vec::new(),
        rename: None,
    });
    // The first process of an older double fork has ended by then.
    let in_storm = |ended: &&Ended| ended.reaped >= records.begin.monotonic;
    for ended in records.processes.iter().filter(in_storm) {
        let entry = storm.entries.get(ended.line);
        let entry =
            entry.ok_or_else(|| StormError::Record(format!("the plan has no line {}", ended.line)))?;
        processes.push(process(entry, ended, inherited.clone()));
    }
    let header =
        Storm { seed: storm.seed, pid_reuse: storm.pid_reuse, begin: records.begin, end: records.end };
    Ok(Truth { storm: header, processes })
}

fn process(entry: &Entry, ended: &Ended, inherited: Inherited) -> Process {
    let waited = ended.go_at > 0;
    let images = entry.images.iter().zip(&ended.marks).map(|(expected, mark)| Image {
        path: expected.path.clone(),
        own_path: expected.own_path.clone(),
        states: expected.states.clone(),
        script: expected.script.clone(),
        comm: mark.comm.clone(),
        enter: mark.enter,
        leave: mark.leave,
        cpu_ns: mark.cpu_leave.saturating_sub(mark.cpu_enter),
        observed: (!mark.observed.is_empty()).then(|| mark.observed.clone()),
    });
    Process {
        mode: if entry.older { "older".to_owned() } else { entry.mode.name() },
        variant: entry.older.then(|| entry.mode.name()),
        pid: ended.pid,
        born: ended.born,
        exec_at: (ended.exec_at > 0).then_some(ended.exec_at),
        counted_from: if waited { ended.go_at } else { ended.born },
        reaped: ended.reaped,
        cpu_ns: ended.cpu_ns.saturating_sub(ended.cpu_at_go),
        inherited,
        images: images.collect(),
        rename: ended.rename.clone(),
    }
}
