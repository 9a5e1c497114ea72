//! Files whose line tables are held, and lookups of lines in them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytesource::ByteSource;
use foldhash::{HashMap, HashSet};
use foreignfile::{Quarantine, Retries};
use pdata::{FileIdentity, Function, Line, Lines};
use procfs::ProcSource;
use symbolize::{DebugParts, Demangle, Limits, LineTables, SourceLine, SymbolError, demangle};

use crate::debug_parts::{NoParts, PartFiles};
use crate::fair::{Holding, Leaving, User};
use crate::files::{is_as_met, unchanged};
use crate::line_job::{LineJob, LineSettings, LineSource, NamedAddress, TURN};
use crate::metrics;
use crate::request::NamesByAddress;
use crate::sight::{Sight, open, owner_of};

/// Number of addresses that are looked up between two looks at the clock.
const AT_ONCE: usize = 16;
/// Bytes that a function takes beside its texts.
const FUNCTION: usize = 160;
/// The most functions of a file that are kept to be shared by lines.
const MAX_SHARED: usize = 16_384;
/// The most files that are remembered because they have no usable lines, and the time for which they are.
const MAX_REMEMBERED: usize = 4096;
const RETRY: Duration = Duration::from_secs(600);
/// No user. A file that a server has sent is the agent's own, but names no file of the agent's user as a part of it:
/// only what root has installed below the directory of debug files.
const NOBODY: u32 = u32::MAX;

/// Looks up lines, in files that are at hand or are opened for the lookup.
#[derive(Debug)]
pub(crate) struct LineFiles {
    source: ProcSource,
    reader: foreignfile::Files,
    cache: LineCache,
}

/// The files whose line tables are held.
#[derive(Debug)]
struct LineCache {
    settings: LineSettings,
    held: HashMap<FileIdentity, LineFile>,
    /// Files without usable lines.
    failed: Retries<FileIdentity, ()>,
    bytes: usize,
    /// Count of uses.
    now: u64,
}

/// The line tables of a file, and the functions in its lines.
#[derive(Debug)]
struct LineFile {
    tables: LineTables,
    functions: HashSet<Arc<Function>>,
    functions_bytes: usize,
    used: u64,
    user: User,
    /// Bytes that the cache has counted for this file.
    counted: usize,
}

impl LineFiles {
    pub(crate) fn new(source: ProcSource, settings: LineSettings) -> Self {
        let failed = Retries::new(RETRY, MAX_REMEMBERED);
        let cache = LineCache { settings, held: HashMap::default(), failed, bytes: 0, now: 0 };
        Self { source, reader: foreignfile::Files::new(Quarantine::of_this_process()), cache }
    }

    /// Ends the process that reads, until it is needed again.
    pub(crate) fn rest(&mut self) {
        self.reader.rest();
    }

    /// The lines of a job's addresses. An address that has none, or not within [`TURN`], keeps its name.
    pub(crate) fn lines(&mut self, job: LineJob) -> NamesByAddress {
        let named = |addresses: &[NamedAddress]| -> NamesByAddress {
            addresses.iter().map(|each| (each.offset, Ok(Arc::clone(&each.name)))).collect()
        };
        if self.cache.failed.too_early(&job.file.identity).is_some() {
            return named(&job.addresses);
        }
        self.found(&job, Instant::now() + TURN).unwrap_or_else(|| named(&job.addresses))
    }

    /// The lines of a job's addresses; `None` if the file of the job has none or cannot be read.
    fn found(&mut self, job: &LineJob, until: Instant) -> Option<NamesByAddress> {
        match &job.source {
            LineSource::Own(Some(file)) => {
                let owner = owner_of(file)?;
                let mut parts =
                    PartFiles { source: &self.source, reader: &mut self.reader, job, owner, until };
                let found = self.cache.look_up((&**file, &mut parts), job, until);
                // This is asked last: if the file is the mapped one now, the bytes that were read are those it has had
                // since it was met.
                found.filter(|_| is_as_met(file.file(), &job.file))
            }
            LineSource::Debug(file) | LineSource::Fetched(file) => {
                let owner = match job.source {
                    LineSource::Fetched(_) => NOBODY,
                    _ => owner_of(file)?,
                };
                let mut parts =
                    PartFiles { source: &self.source, reader: &mut self.reader, job, owner, until };
                self.cache.look_up((&**file, &mut parts), job, until)
            }
            LineSource::Own(None) => {
                let &LineJob { ref file, process, range, user, .. } = job;
                let opened = open(&self.source, &mut self.reader, Sight { file, process, range, user });
                opened.ok().and_then(|opened| {
                    let opened = opened.into_bytes();
                    let found = self.cache.look_up((&opened, &mut NoParts { until }), job, until);
                    found.filter(|_| unchanged(opened.into_inner()).is_ok())
                })
            }
        }
    }
}

impl LineCache {
    fn look_up(
        &mut self,
        (source, parts): (&dyn ByteSource, &mut dyn DebugParts),
        job: &LineJob,
        until: Instant,
    ) -> Option<NamesByAddress> {
        let identity = job.file.identity;
        self.now += 1;
        if !self.held.contains_key(&identity) {
            let tables = self.read(source, identity)?;
            let (functions, user, counted) = (HashSet::default(), job.user, 0);
            let file = LineFile { tables, functions, functions_bytes: 0, used: 0, user, counted };
            self.held.insert(identity, file);
        }
        let file = self.held.get_mut(&identity)?;
        file.used = self.now;
        let names = file.names((source, parts), &job.addresses, self.settings.demangle, until);
        let counted = size_of::<LineFile>() + file.tables.memory() + file.functions_bytes;
        self.bytes = self.bytes + counted - std::mem::replace(&mut file.counted, counted);
        self.make_room(identity);
        Some(names)
    }

    /// Reads the index of a file's units; `None` if no unit can be used.
    fn read(&mut self, source: &dyn ByteSource, identity: FileIdentity) -> Option<LineTables> {
        // No file takes more than half, so that there is room for a second.
        let limits = Limits { memory: self.settings.max_bytes / 2 };
        let (tables, outcome) = match LineTables::open(source, limits) {
            Ok(Some(tables)) => (Some(tables), "read"),
            Ok(None) => (None, "without"),
            Err(SymbolError::TooLarge { .. }) => (None, "too_large"),
            Err(SymbolError::Read(_)) => (None, "unreadable"),
            Err(SymbolError::Malformed { .. } | SymbolError::OtherFormat) => (None, "refused"),
        };
        metrics::line_table(outcome);
        if tables.is_none() {
            self.failed.failed(identity, ());
        }
        tables
    }

    /// Drops files until the others are within bounds: of the user whose files take the most, the one used longest ago.
    fn make_room(&mut self, but: FileIdentity) {
        while self.bytes > self.settings.max_bytes {
            let is_alone = self.held.len() == 1;
            let held = self.held.iter().map(|(&key, file)| {
                let stays = key == but && !is_alone;
                Holding { key, user: file.user, weight: file.counted, used: file.used, stays }
            });
            let Some(leaves) = Leaving::of(held).next() else { break };
            self.bytes -= self.held.remove(&leaves).map_or(0, |file| file.counted);
            metrics::evicted("lines");
        }
        metrics::lines_memory(self.bytes);
    }
}

impl LineFile {
    fn names(
        &mut self,
        (source, parts): (&dyn ByteSource, &mut dyn DebugParts),
        addresses: &[NamedAddress],
        how: Demangle,
        until: Instant,
    ) -> NamesByAddress {
        let (mut names, mut counts) = (NamesByAddress::new(), metrics::LineTally::default());
        for some in addresses.chunks(AT_ONCE) {
            if Instant::now() >= until {
                counts.late += some.len() as u64;
                names.extend(some.iter().map(|each| (each.offset, Ok(Arc::clone(&each.name)))));
                continue;
            }
            let wanted: Vec<u64> = some.iter().map(|each| each.address).collect();
            for (each, lines) in some.iter().zip(self.tables.lines(source, parts, &wanted)) {
                let name = match lines {
                    Ok(lines) if !lines.is_empty() => {
                        counts.found += 1;
                        self.with_name(lines, &each.name, how)
                    }
                    Ok(_none) => {
                        counts.missing += 1;
                        Arc::clone(&each.name)
                    }
                    Err(SymbolError::Read(error)) if error.kind() == io::ErrorKind::TimedOut => {
                        counts.late += 1;
                        Arc::clone(&each.name)
                    }
                    Err(_error) => {
                        counts.refused += 1;
                        Arc::clone(&each.name)
                    }
                };
                names.push((each.offset, Ok(name)));
            }
        }
        self.tables.forget_partial();
        counts.publish();
        names
    }

    /// Lines whose last function has the name that its address has already: that of its symbol, with any suffix of the
    /// compiler.
    fn with_name(&mut self, lines: Vec<SourceLine>, name: &Lines, how: Demangle) -> Arc<Lines> {
        let last = lines.len().saturating_sub(1);
        let own = name.0.last().map(|line| &*line.function);
        let mut out = Vec::with_capacity(lines.len());
        for (index, found) in lines.into_iter().enumerate() {
            let SourceLine { function, file, line, start_line } = found;
            let file = file.map(Box::from);
            let function = match own {
                Some(own) if index == last => Function { file, start_line, ..own.clone() },
                // The function was inlined, and its name is in debug information that is elsewhere.
                _ if function.is_empty() => continue,
                _ => named(function, how, file, start_line),
            };
            out.push(Line { function: self.shared(function), line });
        }
        Arc::new(Lines(out.into()))
    }

    fn shared(&mut self, function: Function) -> Arc<Function> {
        if let Some(known) = self.functions.get(&function) {
            return Arc::clone(known);
        }
        let function = Arc::new(function);
        if self.functions.len() < MAX_SHARED {
            self.functions_bytes += FUNCTION + function.footprint();
            self.functions.insert(Arc::clone(&function));
        }
        function
    }
}

fn named(name: String, how: Demangle, file: Option<Box<str>>, start_line: u32) -> Function {
    let demangled = demangle(&name, how);
    let (name, system_name) = match demangled {
        Some(demangled) => (demangled, Some(name.into())),
        None => (name, None),
    };
    Function { name: name.into(), system_name, file, start_line, ..Function::default() }
}
