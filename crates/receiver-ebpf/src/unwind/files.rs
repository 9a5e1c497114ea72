//! The files that rows are built of: opened as whoever has them mapped sees them, never by name alone.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use pdata::{FileIdentity, MappedFile, Pc, ProcessKey};
use procfs::{ProcError, ProcSource, is_file, open_file};
use rustc_hash::FxHashMap;
use unwind::{ByteSource, PageRows, RuleTable, UnwindError, UnwindFile};

use crate::identify::Identifier;

/// Files of which something is kept at most.
const MAX_KNOWN: usize = 128;
/// Bytes that this takes at most, in all: one file without a search table can take 16 MiB.
const MAX_BYTES: usize = 32 << 20;

/// A file that a walk has met, and where it was mapped.
#[derive(Clone, Debug)]
pub(crate) struct MetFile {
    /// What identifies it.
    pub(crate) identity: FileIdentity,
    /// `None` if it has no name to open it by, nor content of interest: shared memory without a file.
    pub(crate) file: Option<Arc<MappedFile>>,
    /// Who had it mapped.
    pub(crate) process: ProcessKey,
    /// First address of the mapping, and the one after it.
    pub(crate) range: (Pc, Pc),
}

/// Why a file or a page of it could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It is not there any more, nor is who had it mapped.
    #[error("gone")]
    Gone,
    /// What is there is another file.
    #[error("replaced")]
    Replaced,
    /// It cannot be opened or read.
    #[error("unreadable")]
    Unreadable(#[source] io::Error),
    /// It has no tables, or none that can be read.
    #[error("no tables")]
    NoTables(#[source] UnwindError),
}

impl FileError {
    /// The label of the metric.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Replaced => "replaced",
            Self::Unreadable(_) => "unreadable",
            Self::NoTables(_) => "no_tables",
        }
    }
}

impl From<UnwindError> for FileError {
    fn from(error: UnwindError) -> Self {
        match error {
            UnwindError::Read(source) => Self::Unreadable(source),
            other => Self::NoTables(other),
        }
    }
}

/// The bytes of an open file.
#[derive(Debug)]
struct FileBytes {
    file: File,
    size: u64,
}

impl ByteSource for FileBytes {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

/// What is kept of a file between pages.
#[derive(Debug)]
struct KnownFile {
    tables: UnwindFile,
    used: u64,
}

/// Files that are read. None stays open for longer than a few pages take: an open file keeps its file system from being
/// unmounted.
#[derive(Debug)]
pub(crate) struct Files {
    source: ProcSource,
    /// Knows files by what the kernel knows them by; without, what `stat` shows has to do.
    identifier: Option<Arc<Identifier>>,
    known: FxHashMap<FileIdentity, KnownFile>,
    /// The file that was read last.
    open: Option<(FileIdentity, FileBytes)>,
    /// Counts uses.
    now: u64,
}

impl Files {
    /// None known, to be found through this `/proc`.
    pub(crate) fn new(source: ProcSource, identifier: Option<Arc<Identifier>>) -> Self {
        Self { source, identifier, known: FxHashMap::default(), open: None, now: 0 }
    }

    /// How many pages the file has.
    pub(crate) fn pages(&mut self, met: &MetFile) -> Result<u64, FileError> {
        let bytes = self.open(met)?;
        let pages = self.tables(met.identity, &bytes).map(|tables| tables.pages());
        self.open = Some((met.identity, bytes));
        pages
    }

    /// The rows of a page, whose rules are added to `rules`.
    pub(crate) fn page(
        &mut self,
        met: &MetFile,
        page: u64,
        rules: &mut RuleTable,
    ) -> Result<PageRows, FileError> {
        let bytes = self.open(met)?;
        let rows = self.tables(met.identity, &bytes).and_then(|tables| {
            let rows = tables.page(&bytes, page, rules);
            tables.shrink();
            Ok(rows?)
        });
        // Asked last: if it is the file now, what was read is what it has had since it was met.
        let same = met.file.as_ref().is_some_and(|file| self.is_file(&bytes.file, file).unwrap_or(false));
        if !same {
            self.forget(met.identity);
            return Err(FileError::Replaced);
        }
        self.open = Some((met.identity, bytes));
        rows
    }

    /// Forgets what is known of a file.
    pub(crate) fn forget(&mut self, file: FileIdentity) {
        self.known.remove(&file);
        self.close();
    }

    /// Closes what is open.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    fn open(&mut self, met: &MetFile) -> Result<FileBytes, FileError> {
        match self.open.take() {
            Some((identity, bytes)) if identity == met.identity => Ok(bytes),
            _ => {
                let file = self.find(met)?;
                let size = file.metadata().map_err(FileError::Unreadable)?.len();
                Ok(FileBytes { file, size })
            }
        }
    }

    fn tables(&mut self, identity: FileIdentity, bytes: &FileBytes) -> Result<&mut UnwindFile, FileError> {
        self.now += 1;
        if !self.known.contains_key(&identity) {
            self.make_room();
            self.known.insert(identity, KnownFile { tables: UnwindFile::open(bytes)?, used: 0 });
        }
        let known = self.known.get_mut(&identity).ok_or(FileError::Gone)?;
        known.used = self.now;
        Ok(&mut known.tables)
    }

    /// The mapped file itself; or what has its name, to the process and to us, if the kernel knows it by the same.
    fn find(&self, met: &MetFile) -> Result<File, FileError> {
        let Some(file) = &met.file else { return Err(FileError::Gone) };
        let seen = file.own_path.as_ref().unwrap_or(&file.path);
        self.check(self.source.open_mapped(met.process, met.range), file)
            .or_else(|lost| or_first(self.check(self.source.open_as_seen(met.process, seen), file), lost))
            .or_else(|lost| or_first(self.check(open_file(&file.path), file), lost))
    }

    fn check(&self, opened: Result<File, ProcError>, file: &MappedFile) -> Result<File, FileError> {
        let opened = opened.map_err(|error| match error {
            ProcError::Gone | ProcError::Ended => FileError::Gone,
            ProcError::Parse(error) => FileError::Unreadable(io::Error::other(error)),
            ProcError::Read(source) => FileError::Unreadable(source),
        })?;
        match self.is_file(&opened, file) {
            Ok(true) => Ok(opened),
            Ok(false) => Err(FileError::Replaced),
            Err(source) => Err(FileError::Unreadable(source)),
        }
    }

    fn is_file(&self, opened: &File, file: &MappedFile) -> io::Result<bool> {
        let known = self.identifier.as_ref().and_then(|identifier| identifier.is(opened, file.identity));
        known.map_or_else(|| is_file(opened, file), Ok)
    }

    fn make_room(&mut self) {
        let bytes = |known: &FxHashMap<_, KnownFile>| {
            known.values().map(|known| known.tables.memory()).sum::<usize>()
        };
        while self.known.len() >= MAX_KNOWN || bytes(&self.known) > MAX_BYTES {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used).map(|(file, _)| *file);
            let Some(oldest) = oldest else { return };
            self.known.remove(&oldest);
        }
    }
}

/// Of two failures the one that says more.
fn or_first(next: Result<File, FileError>, lost: FileError) -> Result<File, FileError> {
    next.map_err(|next| if matches!(lost, FileError::Gone) { next } else { lost })
}
