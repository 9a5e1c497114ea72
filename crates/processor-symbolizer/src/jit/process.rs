//! The functions of one process, and the times at which its list is read again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use foreignfile::{FilePlace, Found, Refusal};
use pdata::{Line, Lines, ProcessKey, Runtime};
use procfs::{ProcSource, clock, text};
use rustix::fs::FileType;
use symbolize::{JitDump, JitFunctions};

use super::list::{List, ListForm, MAX_LIST, Reading};
use crate::metrics;
use crate::request::{Name, Unnamed};
use crate::runtime;

/// The longest that finding and reading a list may take.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// The shortest and the longest pause between two readings of a list, and the pause as a multiple of the time that a
/// reading takes: on a machine so busy that a reading takes long, new functions still get their names soon.
const READ_EVERY: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const REST_FACTOR: u32 = 20;
/// The longest pause after a reading that has brought nothing or had to begin anew, and the least pause as a multiple
/// of the time that a reading takes: a user can have lists that take long again and again.
const LONGEST_PAUSE_IN_VAIN: Duration = Duration::from_secs(60);
const LEAST_REST_FACTOR: u32 = 4;
/// Time by which a list may be older than its process: the kernel stamps files by a coarser clock.
const CLOCK_SLACK: Duration = Duration::from_millis(100);
/// Time after which a list that is not there is looked for again, and its bound. The time doubles with each search:
/// most processes write no list.
const FIRST_PATIENCE: Duration = Duration::from_millis(100);
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);
/// Outcome, as label of a metric, of a reading that has failed half-way.
const UNREADABLE: &str = "unreadable";
/// Bytes that a process takes beside its functions, and that a name takes beside its text.
const PROCESS: usize = 512;
const NAME: usize = 160;

/// The functions that one process has compiled.
#[derive(Debug)]
pub(super) struct Jit {
    functions: JitFunctions,
    runtime: Runtime,
    /// The user that the process ran as when its list was first looked for.
    pub(super) user: u32,
    /// Names by the first address of their functions.
    lines: HashMap<u64, Arc<Lines>>,
    lines_bytes: usize,
    /// The list and the place up to which it has been read; `None` before it has been found.
    read: Option<List>,
    /// Time before which the list is not read again.
    next: Instant,
    patience: Duration,
    pub(super) used: u64,
    /// Time when the functions were last used.
    pub(super) used_at: Instant,
    /// Bytes that [`Jits`](super::Jits) has counted for this process.
    pub(super) counted: usize,
}

/// The change of a list that has been read on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ListChange {
    /// True if names that were returned before may hold no longer.
    pub(super) replaced: bool,
    /// True if there are functions that were not there before.
    pub(super) gained: bool,
}

impl Jit {
    /// A process of which nothing is known; its functions may take `max_bytes` bytes.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            functions: JitFunctions::new(max_bytes),
            runtime: Runtime::Native,
            user: u32::MAX,
            lines: HashMap::default(),
            lines_bytes: 0,
            read: None,
            next: Instant::now(),
            patience: FIRST_PATIENCE,
            used: 0,
            used_at: Instant::now(),
            counted: 0,
        }
    }

    pub(super) fn memory(&self) -> usize {
        PROCESS + self.functions.memory() + self.lines_bytes
    }

    /// True if the list is held open.
    pub(super) fn is_open(&self) -> bool {
        self.read.as_ref().is_some_and(|list| list.held.is_some())
    }

    pub(super) fn close(&mut self) {
        if let Some(list) = &mut self.read {
            list.held = None;
        }
    }

    /// True if it is time to read the list on.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// True if the process has gone while its list is held open. The list's rest is read at the next request for names,
    /// whether that is due or not: those samples are the last, and nobody needs names that come later.
    pub(super) fn has_rest(&self, source: &ProcSource, process: ProcessKey) -> bool {
        self.is_open() && source.check(process).is_err()
    }

    /// Reads the list on if it is time to, or if one of the addresses may be in its rest.
    pub(super) fn read_on(
        &mut self,
        source: &ProcSource,
        reader: &mut foreignfile::Files,
        process: ProcessKey,
        addresses: &[u64],
    ) -> ListChange {
        let is_unnamed = |address: &u64| self.functions.find(*address).is_none();
        let is_now =
            self.is_due(Instant::now()) || addresses.iter().any(is_unnamed) && self.has_rest(source, process);
        if is_now { self.refresh(source, reader, process) } else { ListChange::default() }
    }

    /// The name of an address, as far as the list has been read.
    pub(super) fn name(&mut self, address: u64) -> Name {
        let found = self.functions.find(address).ok_or(Unnamed::NoFile)?;
        if let Some(known) = self.lines.get(&found.start) {
            return Ok(Arc::clone(known));
        }
        let function = runtime::function(found.name, self.runtime);
        let lines = Arc::new(Lines(Box::new([Line { function: Arc::new(function), line: 0 }])));
        self.lines_bytes += NAME + 2 * found.name.len();
        self.lines.insert(found.start, Arc::clone(&lines));
        Ok(lines)
    }

    fn refresh(
        &mut self,
        source: &ProcSource,
        reader: &mut foreignfile::Files,
        process: ProcessKey,
    ) -> ListChange {
        let began = Instant::now();
        let read = self.read(source, reader, process).or_else(|outcome| {
            // A process may have ended while its list was read.
            let is_gone = outcome == "gone" || outcome == UNREADABLE && source.check(process).is_err();
            match &mut self.read {
                Some(list) if is_gone => list.read_rest(&mut self.functions).map_err(|_error| outcome),
                _ => Err(outcome),
            }
        });
        let was_in_vain = read.is_err() || read.is_ok_and(|reading| reading.anew);
        let pause = pause_after(began.elapsed(), was_in_vain);
        let change = match read {
            Ok(Reading { replaced, added, anew: _, more: _ }) => {
                metrics::jit_list("read");
                metrics::jit_functions(added);
                (self.patience, self.next) = (FIRST_PATIENCE, Instant::now() + pause);
                ListChange { replaced, gained: added.taken > 0 }
            }
            Err(outcome) => {
                metrics::jit_list(outcome);
                self.next = Instant::now() + self.patience.max(pause);
                self.patience = (2 * self.patience).min(LONGEST_PATIENCE);
                ListChange { replaced: outcome == UNREADABLE, gained: false }
            }
        };
        if change.replaced {
            self.lines.clear();
            self.lines_bytes = 0;
        }
        change
    }

    /// Reads the list of a process that lives; else returns the reason why it is not read, as label of a metric.
    fn read(
        &mut self,
        source: &ProcSource,
        reader: &mut foreignfile::Files,
        process: ProcessKey,
    ) -> Result<Reading, &'static str> {
        let directory = source.process(process);
        let status = fs::read(directory.join("status")).map_err(|_gone| "gone")?;
        let (Some(users), Some(pid)) = (text::users(&status), text::innermost_pid(&status)) else {
            return Err("gone");
        };
        let runtime = runtime_of(&directory);
        let path = PathBuf::from(format!("/tmp/perf-{pid}.map"));
        let place = FilePlace::Seen { process: &directory, path: &path };
        let is_wanted = |found: &Found| users.contains(&found.uid) && found.size <= MAX_LIST;
        let is_usable = |found: &Found| {
            let is_list = FileType::from_raw_mode(found.mode).is_file() && found.size > 0;
            is_list && is_wanted(found) && !is_left_over(found, process)
        };
        // Anybody can put a file of that name into `/tmp`: only a usable list is a reason to look for no dump.
        let dump = match reader.look(place) {
            Ok(found) if is_usable(&found) => None,
            _ => dump_of(source, reader, (process, &directory), pid),
        };
        let (place, form) = match &dump {
            Some((link, device)) => (
                FilePlace::Link { link, process: &directory, device: *device },
                ListForm::Dump(JitDump::default()),
            ),
            None => (place, ListForm::Lines),
        };
        let opened = reader.open_data(place, READ_WITHIN, is_wanted);
        // The pid may be another's by now, and the list with it.
        source.check(process).map_err(|_ended| "gone")?;
        self.runtime = runtime;
        self.user = users[0];
        let mut opened = opened.map_err(|refusal| match refusal {
            Refusal::Gone => "missing",
            _ => "refused",
        })?;
        // A dump is mapped by the process itself.
        if matches!(form, ListForm::Lines) && is_left_over(opened.found(), process) {
            return Err("stale");
        }
        List::read(&mut self.read, (&mut opened, form), &mut self.functions).map_err(|error| {
            tracing::debug!(path = %path.display(), %error, "Cannot read a list of compiled functions.");
            UNREADABLE
        })
    }
}

/// The link to the jitdump of a process and the device that the dump is on; `None` if the process has none: whoever
/// writes one maps it, and may execute the mapping, which is a mark for others.
fn dump_of(
    source: &ProcSource,
    reader: &mut foreignfile::Files,
    (process, directory): (ProcessKey, &Path),
    pid: u32,
) -> Option<(PathBuf, Option<(u32, u32)>)> {
    let found = procfs::executable_mapping(reader, directory, &format!("jit-{pid}.dump")).ok()??;
    Some((source.mapped(process, found.range), Some(found.device)))
}

/// Time for which a list is not read after a reading that took `took`.
fn pause_after(took: Duration, was_in_vain: bool) -> Duration {
    let longest =
        if was_in_vain { LONGEST_PAUSE_IN_VAIN } else { LONGEST_PAUSE.max(LEAST_REST_FACTOR * took) };
    (REST_FACTOR * took).clamp(READ_EVERY, longest)
}

/// True if a list was last written before its process started: another process, which had the same pid, has left it.
fn is_left_over(found: &Found, process: ProcessKey) -> bool {
    let (seconds, nanoseconds) = found.modified;
    let modified = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let started = clock::offset().unix_from_boot(process.start_time).as_nanos();
    modified + (CLOCK_SLACK.as_nanos() as i128) < i128::from(started)
}

/// The runtime of a process, by the name of its executable.
fn runtime_of(directory: &Path) -> Runtime {
    let executable = fs::read_link(directory.join("exe")).unwrap_or_default();
    let name = executable.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    runtime::of_executable(name.strip_suffix(" (deleted)").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_a_reading_takes_the_longer_is_the_pause() {
        let (short, long, longest) =
            (Duration::from_millis(1), Duration::from_millis(200), Duration::from_secs(5));
        assert_eq!(
            [short, long, longest].map(|took| pause_after(took, false).as_millis()),
            [200, 2000, 20_000]
        );
        assert_eq!(
            [short, long, longest].map(|took| pause_after(took, true).as_millis()),
            [200, 4000, 60_000]
        );
    }
}
