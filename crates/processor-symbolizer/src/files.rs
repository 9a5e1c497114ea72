//! Files that are held open, by the kernel's identities of them, and their symbol tables.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytesource::OpenFile;
use foldhash::HashMap;
use foreignfile::{Opened, Quarantine, Retries};
use pdata::{FileIdentity, MappedFile};
use procfs::{ProcSource, identity_of};
use symbolize::{Demangle, Limits, SymbolFile};

use crate::fair::{Holding, Leaving, User};
use crate::fetching::{Fetching, Wanted};
use crate::line_job::LineSource;
use crate::request::{NamesByAddress, Unnamed};
use crate::sight::{Sight, open, owner_of};
use crate::sighted::{SightedFile, SightedFiles};
use crate::symbols::Symbols;
use crate::{debug_files, metrics};

mod fetched;

/// The most files that are remembered because they could not be opened, or have made room.
const MAX_REMEMBERED: usize = 16_384;
/// Time after which a file that could not be opened is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Settings for reading files, and bounds on those that are held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileSettings {
    pub(crate) max_bytes: usize,
    pub(crate) max_open: usize,
    pub(crate) demangle: Demangle,
    /// True if lines from debug information are wanted, beside symbols.
    pub(crate) lines: bool,
}

/// The files that are held.
#[derive(Debug)]
pub(crate) struct Files {
    source: ProcSource,
    reader: foreignfile::Files,
    settings: FileSettings,
    held: HashMap<FileIdentity, Held>,
    bytes: usize,
    /// Count of uses.
    now: u64,
    /// Files that could not be opened, with the reasons.
    failed: Retries<FileIdentity, Unnamed>,
    /// Files that were held and have made room.
    evicted: HashMap<FileIdentity, ()>,
    /// Files that have been opened, and whose tables are still to be read.
    sighted: SightedFiles,
    fetching: Fetching,
}

/// A file that is held.
#[derive(Debug)]
struct Held {
    /// The open file; `None` if its file system may ask others when the file is read or closed: it is opened for each
    /// reading then.
    file: Option<Arc<OpenFile>>,
    symbols: Symbols,
    used: u64,
    /// The user whose program the file was first read for: files of other users do not make room for it.
    user: User,
    /// The debug file that the file lacks, if servers can be asked for it.
    wanted: Option<Wanted>,
}

/// A file whose tables have been read for the first time.
#[derive(Debug)]
struct FirstReading {
    /// The open file, if it may be held.
    file: Option<Arc<OpenFile>>,
    symbols: Symbols,
    /// The outcome, as label of a metric.
    outcome: &'static str,
    /// The user who owns the file, if that can be found out.
    owner: Option<u32>,
    /// Files that may have the symbols which the file was stripped of; `None` if they have not been looked for.
    debug: Option<Vec<OpenFile>>,
}

impl Held {
    /// Number of this file and its debug file that are open.
    fn open_files(&self) -> usize {
        usize::from(self.file.is_some()) + usize::from(self.symbols.has_debug_file())
    }
}

impl Files {
    pub(crate) fn new(source: ProcSource, settings: FileSettings) -> Self {
        Self {
            source,
            reader: foreignfile::Files::new(Quarantine::of_this_process()),
            settings,
            held: HashMap::default(),
            bytes: 0,
            now: 0,
            failed: Retries::new(RETRY, MAX_REMEMBERED),
            evicted: HashMap::default(),
            sighted: SightedFiles::new(settings.max_open, settings.lines),
            fetching: Fetching::default(),
        }
    }

    /// True if the names of a file, or the reason why it has none, are known without reading its tables. Otherwise the
    /// file is open afterwards, with its debug file, if they can be.
    pub(crate) fn is_known_or_opened(&mut self, sight: Sight<'_>) -> bool {
        let identity = sight.file.identity;
        if self.held.contains_key(&identity) || self.failed.too_early(&identity).is_some() {
            return true;
        }
        self.sighted.open(&self.source, &mut self.reader, sight);
        self.make_room(identity);
        false
    }

    /// The names of bytes of a file, by their offsets.
    ///
    /// # Errors
    /// The reason why none of them can be named.
    pub(crate) fn names(&mut self, sight: Sight<'_>, offsets: &[u64]) -> Result<NamesByAddress, Unnamed> {
        let names = self.names_so_far(sight, offsets)?;
        Ok(self.late_if_awaited(sight.file.identity, names))
    }

    fn names_so_far(&mut self, sight: Sight<'_>, offsets: &[u64]) -> Result<NamesByAddress, Unnamed> {
        let identity = sight.file.identity;
        if self.held.contains_key(&identity) {
            let names = self.names_of_held(sight, offsets);
            return names
                .inspect_err(|_why| self.drop_held(identity))
                .map_err(|why| self.fail(identity, why));
        }
        if let Some(why) = self.failed.too_early(&identity) {
            return Err(*why);
        }
        let began = Instant::now();
        match self.open(sight, offsets) {
            Ok((held, names, outcome)) => {
                metrics::table(outcome, began.elapsed());
                self.failed.succeeded(&identity);
                self.evicted.remove(&identity);
                self.bytes += held.symbols.bytes;
                self.held.insert(identity, held);
                self.make_room(identity);
                Ok(names)
            }
            Err(why) => {
                let evicted = why == Unnamed::Gone && self.evicted.contains_key(&identity);
                let why = if evicted { Unnamed::Evicted } else { why };
                metrics::table(why.as_str(), began.elapsed());
                Err(self.fail(identity, why))
            }
        }
    }

    /// The file to read lines of a held file from; `None` if there is no debug information.
    pub(crate) fn line_source(&self, identity: FileIdentity) -> Option<LineSource> {
        let held = self.held.get(&identity)?;
        if held.symbols.tables.as_ref()?.outline().has_debug_info() {
            return Some(LineSource::Own(held.file.clone()));
        }
        held.symbols.debug_information()
    }

    /// The address, in the terms of a held file's own symbols, of a byte of the file.
    pub(crate) fn address_of(&self, identity: FileIdentity, offset: u64) -> Option<u64> {
        self.held.get(&identity)?.symbols.tables.as_ref()?.address_of(offset)
    }

    /// The client of the process that reads.
    pub(crate) fn reader(&mut self) -> &mut foreignfile::Files {
        &mut self.reader
    }

    /// Ends the process that reads, until it is needed again.
    pub(crate) fn rest(&mut self) {
        self.reader.rest();
    }

    fn names_of_held(&mut self, sight: Sight<'_>, offsets: &[u64]) -> Result<NamesByAddress, Unnamed> {
        self.now += 1;
        let demangle = self.settings.demangle;
        let held = self.held.get_mut(&sight.file.identity).ok_or(Unnamed::Unreadable)?;
        held.used = self.now;
        let before = held.symbols.bytes;
        let names = match &held.file {
            Some(file) => {
                let names = held.symbols.names(&**file, offsets, demangle);
                // This is asked last: if the file is the mapped one now, the bytes that were read are those it has had
                // since it was met.
                if is_as_met(file.file(), sight.file) { Ok(names) } else { Err(Unnamed::Gone) }
            }
            None => {
                let opened = open(&self.source, &mut self.reader, sight)?.into_bytes();
                let names = held.symbols.names(&opened, offsets, demangle);
                unchanged(opened.into_inner()).map(|()| names)
            }
        };
        self.bytes = self.bytes + held.symbols.bytes - before;
        self.make_room(sight.file.identity);
        names
    }

    /// Opens a file, reads its tables, and names the bytes at `offsets`.
    fn open(
        &mut self,
        sight: Sight<'_>,
        offsets: &[u64],
    ) -> Result<(Held, NamesByAddress, &'static str), Unnamed> {
        let FirstReading { file, mut symbols, outcome, owner, debug } = self.read(sight)?;
        let (completed, wanted) = self.complete((sight, owner), &mut symbols, debug);
        let demangle = self.settings.demangle;
        let names = match &file {
            Some(file) => {
                let names = symbols.names(&**file, offsets, demangle);
                if !is_as_met(file.file(), sight.file) {
                    return Err(Unnamed::Gone);
                }
                names
            }
            None => self.reopened_names(sight, &mut symbols, offsets)?,
        };
        self.now += 1;
        let outcome = if completed { "debug_file" } else { outcome };
        Ok((Held { file, symbols, used: self.now, user: sight.user, wanted }, names, outcome))
    }

    /// Reads the tables of a file, which is opened unless it has been at first sight.
    fn read(&mut self, sight: Sight<'_>) -> Result<FirstReading, Unnamed> {
        let limits = Limits { memory: self.settings.max_bytes };
        if let Some(SightedFile { file, debug, .. }) = self.sighted.take(sight.file.identity) {
            let (symbols, outcome) = Symbols::read(&file, limits, sight.file)?;
            let owner = owner_of(&file);
            return Ok(FirstReading { file: Some(Arc::new(file)), symbols, outcome, owner, debug });
        }
        let opened = open(&self.source, &mut self.reader, sight)?;
        let owner = Some(opened.found().uid);
        let shared = opened.shared().and_then(|file| OpenFile::new(file.try_clone().ok()?).ok());
        let (symbols, outcome) = match &shared {
            Some(file) => Symbols::read(file, limits, sight.file)?,
            None => {
                let source = opened.into_bytes();
                let read = Symbols::read(&source, limits, sight.file)?;
                unchanged(source.into_inner())?;
                read
            }
        };
        Ok(FirstReading { file: shared.map(Arc::new), symbols, outcome, owner, debug: None })
    }

    /// The names of bytes of a file that is opened for each reading.
    fn reopened_names(
        &mut self,
        sight: Sight<'_>,
        symbols: &mut Symbols,
        offsets: &[u64],
    ) -> Result<NamesByAddress, Unnamed> {
        let opened = open(&self.source, &mut self.reader, sight)?.into_bytes();
        let names = symbols.names(&opened, offsets, self.settings.demangle);
        unchanged(opened.into_inner()).map(|()| names)
    }

    /// Adds the symbols of a debug file to those of a stripped file; true if there is one. `debug` are files that may
    /// be it, if they have been looked for. If none is, also returns the state of the one that servers are asked for.
    fn complete(
        &mut self,
        (sight, owner): (Sight<'_>, Option<u32>),
        symbols: &mut Symbols,
        debug: Option<Vec<OpenFile>>,
    ) -> (bool, Option<Wanted>) {
        let (limits, lines) = (Limits { memory: self.settings.max_bytes }, self.settings.lines);
        let is_wanted = |tables: &&SymbolFile| debug_files::is_wanted(tables.outline(), lines);
        let Some(tables) = symbols.tables.as_ref().filter(is_wanted) else { return (false, None) };
        let stripped = tables.outline();
        let installed = match debug {
            Some(files) => debug_files::read(files, stripped, limits),
            None => owner.and_then(|owner| {
                debug_files::find(&self.source, &mut self.reader, sight, (stripped, owner), limits)
            }),
        };
        let (debug, wanted) = match installed {
            Some(debug) => (Some(debug), None),
            None => self.fetching.look(tables, lines, (sight.user, limits)),
        };
        let found = debug.is_some();
        if let Some(debug) = debug {
            symbols.complete(debug);
        }
        (found, wanted)
    }

    fn fail(&mut self, identity: FileIdentity, why: Unnamed) -> Unnamed {
        self.sighted.take(identity);
        self.failed.failed(identity, why);
        why
    }

    fn drop_held(&mut self, identity: FileIdentity) {
        if let Some(held) = self.held.remove(&identity) {
            self.bytes -= held.symbols.bytes;
            if held.is_awaiting() {
                self.fetching.forgotten(identity);
            }
        }
    }

    /// Drops files until the others are within bounds: of the user who holds the most, the one used longest ago. `but`
    /// stays unless it alone is too large.
    fn make_room(&mut self, but: FileIdentity) {
        loop {
            let (limit, weigh): (_, fn(&Held) -> usize) = match () {
                () if self.open_files() > self.settings.max_open => ("max_open_files", Held::open_files),
                () if self.bytes > self.settings.max_bytes => ("max_memory", |held| held.symbols.bytes),
                () => break,
            };
            let is_alone = self.held.len() == 1;
            let held = self.held.iter().map(|(&key, held)| {
                let stays = (key == but && !is_alone) || weigh(held) == 0;
                Holding { key, user: held.user, weight: weigh(held), used: held.used, stays }
            });
            let Some(leaves) = Leaving::of(held).next() else { break };
            self.drop_held(leaves);
            metrics::evicted(limit);
            if self.evicted.len() >= MAX_REMEMBERED {
                self.evicted.clear();
            }
            self.evicted.insert(leaves, ());
        }
        metrics::tables(self.bytes, self.open_files());
    }

    /// Number of files that are open.
    pub(crate) fn open_files(&self) -> usize {
        self.sighted.open_files() + self.held.values().map(Held::open_files).sum::<usize>()
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.held.len(), self.bytes)
    }
}

/// Checks that a file which has been read has not changed since it was found.
pub(crate) fn unchanged(mut opened: Opened<'_>) -> Result<(), Unnamed> {
    match opened.is_unchanged() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Unnamed::Gone),
        Err(_error) => Err(Unnamed::Unreadable),
    }
}

/// True if an open file, which was checked when it was opened, has not been written to since the kernel met it.
pub(crate) fn is_as_met(opened: &File, met: &MappedFile) -> bool {
    let Ok(found) = opened.metadata() else { return false };
    let seen = identity_of(&found);
    (seen.inode, seen.modified, found.len()) == (met.identity.inode, met.identity.modified, met.size)
}
