//! The files that rows are built of: opened as the processes that have them mapped see them, never by name alone.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use foreignfile::{LocalFile, Opened, Quarantine, Refusal};
use pdata::{FileIdentity, MappedFile, Pc, ProcessKey, Uid};
use procfs::ProcSource;
use unwind::{ByteSource, PageRows, RuleTable, UnwindError, UnwindFile};

use super::owner::Owner;
use super::tables::FileFacts;

/// The most files whose tables are kept.
const MAX_KNOWN: usize = 128;
/// The most bytes of kept tables, in all: one file without a search table can take 16 MiB.
const MAX_BYTES: usize = 32 << 20;
/// The most files that stay open, and the time for which they do while there is more to read of any.
const MAX_OPEN: usize = 16;
const OPEN_FOR: Duration = Duration::from_secs(1);
/// The longest time that reading a file's tables, or a page of them, may take: megabytes, for a file without a search
/// table.
const READ_WITHIN: Duration = Duration::from_secs(20);

/// A file that a walk has met, and the process and range in which it was mapped.
#[derive(Clone, Debug)]
pub(crate) struct MetFile {
    /// The file's identity.
    pub(crate) identity: FileIdentity,
    /// The file's description; `None` if it has no name to open it by, nor content of interest: shared memory without a
    /// file.
    pub(crate) file: Option<Arc<MappedFile>>,
    /// The process that had the file mapped.
    pub(crate) process: ProcessKey,
    /// First address of the mapping, and the one after it.
    pub(crate) range: (Pc, Pc),
}

/// The reason why a file or a page of it could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The file is not there any more, nor is the process that had it mapped.
    #[error("gone")]
    Gone,
    /// Another file is in the file's place.
    #[error("replaced")]
    Replaced,
    /// The file cannot be opened or read.
    #[error("unreadable")]
    Unreadable(#[source] io::Error),
    /// The file has no tables, or none that can be read.
    #[error("no tables")]
    NoTables(#[source] UnwindError),
}

impl FileError {
    /// The metric's label for the error.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Replaced => "replaced",
            Self::Unreadable(_) => "unreadable",
            Self::NoTables(_) => "no_tables",
        }
    }
}

impl From<Refusal> for FileError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Gone => Self::Gone,
            Refusal::Unwanted => Self::Replaced,
            refusal => Self::Unreadable(io::Error::other(refusal)),
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

/// A page that has been read, and the time that it took.
#[derive(Debug)]
pub(crate) struct BuiltPage {
    pub(crate) rows: Result<PageRows, FileError>,
    pub(crate) took: Duration,
}

/// The tables that are kept of a file between pages.
#[derive(Debug)]
struct KnownFile {
    tables: UnwindFile,
    used: u64,
}

/// The files that are read. None stays open for long: an open file keeps its file system from being unmounted.
#[derive(Debug)]
pub(crate) struct Files {
    source: ProcSource,
    reader: foreignfile::Files,
    known: KnownFiles,
    /// Files that were lately read: finding one again takes longer than a page of it.
    open: VecDeque<OpenFile>,
}

impl Drop for Files {
    fn drop(&mut self) {
        self.source.close_kept_files();
    }
}

/// A file that stays open for the moment.
#[derive(Debug)]
struct OpenFile {
    identity: FileIdentity,
    file: LocalFile,
    since: Instant,
}

impl Files {
    /// No files yet, to be found through this `/proc`.
    pub(crate) fn new(source: ProcSource) -> Self {
        let reader = foreignfile::Files::new(Quarantine::of_this_process());
        Self { source, reader, known: KnownFiles::default(), open: VecDeque::new() }
    }

    /// The number of the file's pages, and its owner.
    pub(crate) fn facts(&mut self, met: &MetFile) -> Result<FileFacts, FileError> {
        let build_id = met.file.as_ref().and_then(|file| file.build_id);
        let mount_namespace = self.source.mount_namespace(met.process);
        let is_machines = mount_namespace
            .is_some_and(|namespace| self.source.machines_mount_namespaces().contains(&namespace));
        self.read(met, |tables, user, _bytes| {
            let is_anybody = user.is_none_or(|user| user == Uid(0));
            let mount_namespace = mount_namespace.filter(|_| is_anybody);
            let owner = Owner { user, mount_namespace, is_root: is_machines && user == Some(Uid(0)) };
            Ok(FileFacts { build_id, owner, pages: tables.pages() })
        })
    }

    /// Reads the rows of some pages, whose rules are added to `rules`; each page comes with the time that it has taken.
    ///
    /// # Errors
    /// [`FileError`] if the file cannot be read, and none of the pages is known.
    pub(crate) fn rows(
        &mut self,
        met: &MetFile,
        pages: &[u64],
        rules: &mut RuleTable,
    ) -> Result<Vec<BuiltPage>, FileError> {
        self.read(met, |tables, _user, bytes| {
            let built = pages.iter().map(|&page| {
                let start = Instant::now();
                let rows = tables.page(bytes, page, rules).map_err(FileError::from);
                BuiltPage { rows, took: start.elapsed() }
            });
            Ok(built.collect())
        })
    }

    /// Forgets the tables of a file.
    pub(crate) fn forget(&mut self, file: FileIdentity) {
        self.known.files.remove(&file);
        self.open.retain(|open| open.identity != file);
    }

    /// Closes the files that have been open for some time, or, with `all`, all that are open for the unwinder alone.
    /// Returns true if some stay open.
    pub(crate) fn close(&mut self, all: bool) -> bool {
        let known = &mut self.known;
        self.open.retain(|open| {
            let stays = !all && open.since.elapsed() < OPEN_FOR;
            if !stays {
                known.shrink(open.identity);
            }
            stays
        });
        self.source.close_old_files() > 0 || !self.open.is_empty()
    }

    /// Ends the process that reads, until it is needed again.
    pub(crate) fn rest(&mut self) {
        self.reader.rest();
    }

    fn read<T>(
        &mut self,
        met: &MetFile,
        read: impl FnOnce(&mut UnwindFile, Option<Uid>, &dyn ByteSource) -> Result<T, UnwindError>,
    ) -> Result<T, FileError> {
        let Some(file) = &met.file else { return Err(FileError::Gone) };
        if let Some(at) = self.open.iter().position(|open| open.identity == met.identity) {
            return self.read_local(at, read);
        }
        let opened =
            self.source.open_mapped(&mut self.reader, (met.process, met.range), file, READ_WITHIN)?;
        // The file is kept open for its names, too, which are wanted once its samples have been put in order: it may be
        // gone by then.
        self.source.keep(file, &opened);
        let file = match opened.into_local() {
            Ok(file) => file,
            Err(opened) => return self.known.read_foreign(met.identity, *opened, read),
        };
        if self.open.len() >= MAX_OPEN
            && let Some(oldest) = self.open.pop_front()
        {
            self.known.shrink(oldest.identity);
        }
        self.open.push_back(OpenFile { identity: met.identity, file, since: Instant::now() });
        self.read_local(self.open.len() - 1, read)
    }

    /// Reads one of the open files.
    fn read_local<T>(
        &mut self,
        at: usize,
        read: impl FnOnce(&mut UnwindFile, Option<Uid>, &dyn ByteSource) -> Result<T, UnwindError>,
    ) -> Result<T, FileError> {
        let Some(OpenFile { identity, file, .. }) = self.open.get_mut(at) else {
            return Err(FileError::Gone);
        };
        let identity = *identity;
        file.read_until(Instant::now() + READ_WITHIN);
        let user = Uid(file.found().uid);
        let done = self.known.tables(identity, file).and_then(|tables| Ok(read(tables, Some(user), file)?));
        // The file is verified last: if it is the one that was met now, the bytes read are those that it has had since.
        let is_met = self.source.verify_file(file.file(), identity).is_ok();
        if !is_met || !file.is_unchanged().map_err(FileError::Unreadable)? {
            self.forget(identity);
            return Err(FileError::Replaced);
        }
        done
    }
}

/// The tables that are kept of files, by the files' identities.
#[derive(Debug, Default)]
struct KnownFiles {
    files: HashMap<FileIdentity, KnownFile>,
    /// The number of uses so far, by which the last use of each file is noted.
    now: u64,
}

impl KnownFiles {
    /// Reads a file that the reader's process has open, and whose owner nobody vouches for.
    fn read_foreign<T>(
        &mut self,
        identity: FileIdentity,
        opened: Opened<'_>,
        read: impl FnOnce(&mut UnwindFile, Option<Uid>, &dyn ByteSource) -> Result<T, UnwindError>,
    ) -> Result<T, FileError> {
        let bytes = opened.into_bytes();
        let done = self.tables(identity, &bytes).and_then(|tables| {
            let done = read(tables, None, &bytes)?;
            tables.shrink();
            Ok(done)
        });
        // Checked last, as in [`Files::read_local`].
        if !bytes.into_inner().is_unchanged().map_err(FileError::Unreadable)? {
            self.files.remove(&identity);
            return Err(FileError::Replaced);
        }
        done
    }

    /// Frees memory that only makes the next page of a file faster.
    fn shrink(&mut self, identity: FileIdentity) {
        if let Some(known) = self.files.get_mut(&identity) {
            known.tables.shrink();
        }
    }

    fn tables(
        &mut self,
        identity: FileIdentity,
        bytes: &dyn ByteSource,
    ) -> Result<&mut UnwindFile, FileError> {
        self.now += 1;
        if !self.files.contains_key(&identity) {
            self.make_room();
            self.files.insert(identity, KnownFile { tables: UnwindFile::open(bytes)?, used: 0 });
        }
        let known = self.files.get_mut(&identity).ok_or(FileError::Gone)?;
        known.used = self.now;
        Ok(&mut known.tables)
    }

    fn make_room(&mut self) {
        let bytes =
            |known: &HashMap<_, KnownFile>| known.values().map(|known| known.tables.memory()).sum::<usize>();
        while self.files.len() >= MAX_KNOWN || bytes(&self.files) > MAX_BYTES {
            let oldest = self.files.iter().min_by_key(|(_, known)| known.used).map(|(file, _)| *file);
            let Some(oldest) = oldest else { return };
            self.files.remove(&oldest);
        }
    }
}
