//! Functions that processes compile at run time, by the lists that their compilers write: `/tmp/perf-PID.map`, with the
//! pid that the process has in its own pid namespace, below its own root.
//!
//! A list is read while its process lives, when an address is in none of the functions known, and ever again as it
//! grows; it is kept for as long as there is room, since samples of the process may come after its end. Anybody may put
//! something into `/tmp`: a list is read only if it is of a user that the process runs as, and no link.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foreignfile::{Found, Opened, Place};
use pdata::{Line, Lines, ProcessKey, Runtime};
use procfs::{ProcSource, text};
use rustc_hash::FxHashMap;
use symbolize::{PerfMap, PerfMapLines};

use crate::metrics;
use crate::request::{self, Name, Space, Unnamed};
use crate::runtime;

/// Longest that finding and reading a list may take.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// The most bytes of a list, and how many are read at once.
const MAX_LIST: u64 = 256 << 20;
const PIECE: usize = 128 << 10;
/// Bytes before the place where reading goes on that have to be as they were: else the list has been written anew.
const TAIL: usize = 64;
/// Least time between two readings, and how many times longer than one reading it is at least.
const READ_EVERY: Duration = Duration::from_millis(200);
const REST_FACTOR: u32 = 20;
/// Time after which a list that is not there is looked for again. Doubled each time: most processes write none.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);
/// Bytes that a process takes beside its functions, and that a name takes beside its text.
const PROCESS: usize = 512;
const NAME: usize = 160;

/// The functions of all processes.
#[derive(Debug)]
pub(crate) struct Jits {
    source: ProcSource,
    processes: FxHashMap<ProcessKey, Jit>,
    bytes: usize,
    max_bytes: usize,
    /// Counts uses.
    now: u64,
}

/// The functions of a process.
#[derive(Debug)]
struct Jit {
    functions: PerfMap,
    runtime: Runtime,
    /// Names by the first address of their functions.
    lines: FxHashMap<u64, Arc<Lines>>,
    lines_bytes: usize,
    /// How far the list has been read; `None` before it has been found.
    read: Option<Position>,
    /// Before that it is not read again.
    next: Instant,
    patience: Duration,
    used: u64,
}

/// A place in a list.
#[derive(Debug)]
struct Position {
    /// The list, by device and inode.
    file: (u64, u64),
    consumed: u64,
    /// What is before it.
    tail: Vec<u8>,
}

/// What a reading of a list has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    /// True if names that were given before may hold no longer.
    replaced: bool,
    lines: PerfMapLines,
}

impl Jits {
    pub(crate) fn new(source: ProcSource, max_bytes: usize) -> Self {
        Self { source, processes: FxHashMap::default(), bytes: 0, max_bytes, now: 0 }
    }

    /// The names of addresses of a process.
    pub(crate) fn names(
        &mut self,
        reader: &mut foreignfile::Files,
        process: ProcessKey,
        addresses: &[u64],
    ) -> request::Found {
        self.now += 1;
        let max_bytes = self.max_bytes;
        let jit = self.processes.entry(process).or_insert_with(|| {
            self.bytes += PROCESS;
            Jit::new(max_bytes)
        });
        let before = jit.memory();
        jit.used = self.now;
        let is_unknown = |address: &u64| jit.functions.find(*address).is_none();
        let mut replaced = false;
        if addresses.iter().any(is_unknown) && jit.next <= Instant::now() {
            replaced = jit.refresh(&self.source, reader, process);
        }
        let names = addresses.iter().map(|&address| (address, jit.name(address))).collect();
        self.bytes = self.bytes + jit.memory() - before;
        self.make_room(process);
        request::Found { space: Space::Jit(process), replaced, names: Ok(names) }
    }

    /// Drops the processes used longest ago until the others are within bounds.
    fn make_room(&mut self, but: ProcessKey) {
        metrics::jit(self.bytes);
        while self.bytes > self.max_bytes {
            let others =
                self.processes.iter().filter(|(process, _)| **process != but || self.processes.len() == 1);
            let Some((&oldest, _)) = others.min_by_key(|(_, jit)| jit.used) else { return };
            let dropped = self.processes.remove(&oldest);
            self.bytes -= dropped.map_or(0, |jit| jit.memory());
            metrics::evicted("max_memory");
        }
    }
}

impl Jit {
    fn new(max_bytes: usize) -> Self {
        Self {
            functions: PerfMap::new(max_bytes / 2),
            runtime: Runtime::Native,
            lines: FxHashMap::default(),
            lines_bytes: 0,
            read: None,
            next: Instant::now(),
            patience: FIRST_PATIENCE,
            used: 0,
        }
    }

    fn memory(&self) -> usize {
        PROCESS + self.functions.memory() + self.lines_bytes
    }

    fn name(&mut self, address: u64) -> Name {
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

    /// Reads on. True if names that were given before may hold no longer.
    fn refresh(&mut self, source: &ProcSource, reader: &mut foreignfile::Files, process: ProcessKey) -> bool {
        let began = Instant::now();
        let read = self.read(source, reader, process);
        let pause = (REST_FACTOR * began.elapsed()).max(READ_EVERY);
        match read {
            Ok(Reading { replaced, lines }) => {
                metrics::perf_map("read");
                metrics::perf_map_lines(lines);
                (self.patience, self.next) = (FIRST_PATIENCE, Instant::now() + pause);
                if replaced {
                    self.lines.clear();
                    self.lines_bytes = 0;
                }
                replaced
            }
            Err(outcome) => {
                metrics::perf_map(outcome);
                self.next = Instant::now() + self.patience.max(pause);
                self.patience = (2 * self.patience).min(LONGEST_PATIENCE);
                false
            }
        }
    }

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
        if self.read.is_none() {
            self.runtime = runtime_of(&directory);
        }
        let path = PathBuf::from(format!("/tmp/perf-{pid}.map"));
        let place = Place::Seen { process: &directory, path: &path };
        let is_wanted = |found: &Found| users.contains(&found.uid) && found.size <= MAX_LIST;
        let opened = reader.open_data(place, READ_WITHIN, is_wanted).map_err(|refusal| match refusal {
            foreignfile::Refusal::Gone => "missing",
            _ => "refused",
        })?;
        // The pid may be another's by now, and the list with it.
        source.check(process).map_err(|_ended| "gone")?;
        self.take(opened).map_err(|error| {
            tracing::debug!(path = %path.display(), %error, "Cannot read a list of compiled functions.");
            "unreadable"
        })
    }

    /// Takes in what a list has gained.
    fn take(&mut self, mut opened: Opened<'_>) -> std::io::Result<Reading> {
        let found = *opened.found();
        let file = (found.device, found.inode);
        let mut position = match self.read.take() {
            Some(position) if position.goes_on(file, &mut opened) => position,
            before => {
                if before.is_some() {
                    self.functions = PerfMap::new(self.functions.max_memory());
                }
                Position { file, consumed: 0, tail: Vec::new() }
            }
        };
        let mut reading =
            Reading { replaced: position.consumed == 0 && !self.lines.is_empty(), ..Reading::default() };
        let mut text = Vec::new();
        while position.consumed + (text.len() as u64) < found.size.min(MAX_LIST) {
            let before = text.len();
            text.resize(before + PIECE, 0);
            let room = text.get_mut(before..).unwrap_or_default();
            let more = opened.read_at(position.consumed + before as u64, room)?;
            text.truncate(before + more);
            if more == 0 {
                break;
            }
            let lines = self.functions.add(&text);
            position.pass(&text, lines.consumed);
            text.drain(..lines.consumed);
            reading.lines += lines;
        }
        reading.replaced |= reading.lines.overlapping > 0;
        self.read = Some(position);
        Ok(reading)
    }
}

impl Position {
    /// True if a list is the one that has been read, and what has been read is still there.
    fn goes_on(&self, file: (u64, u64), opened: &mut Opened<'_>) -> bool {
        let mut tail = vec![0; self.tail.len()];
        let from = self.consumed - self.tail.len() as u64;
        self.file == file
            && opened.read_at(from, &mut tail).is_ok_and(|read| read == tail.len())
            && tail == self.tail
    }

    /// Goes on behind `consumed` bytes of a text.
    fn pass(&mut self, text: &[u8], consumed: usize) {
        self.consumed += consumed as u64;
        self.tail.extend_from_slice(text.get(..consumed).unwrap_or_default());
        let old = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..old);
    }
}

/// What a process runs, by the name of its executable.
fn runtime_of(directory: &Path) -> Runtime {
    let executable = fs::read_link(directory.join("exe")).unwrap_or_default();
    let name = executable.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    runtime::of_executable(name.strip_suffix(" (deleted)").unwrap_or(name))
}
