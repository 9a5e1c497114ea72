//! Files that are opened at first sight, and held until their tables are read.

use std::time::Duration;

use bytesource::OpenFile;
use foldhash::HashMap;
use pdata::FileIdentity;
use procfs::ProcSource;
use symbolize::Outline;

use crate::debug_files;
use crate::fair::User;
use crate::sight::{Sight, open, owner_of};

/// The most files that are open while their tables are still to be read, their debug files included; half of them at
/// most for one user.
const MAX_OPENED: usize = 256;
/// The longest that debug files are looked for at first sight, where all users' files wait: those that were not found
/// by then are looked for again when the tables are read, by turns of the users.
const DEBUG_FILES_WITHIN: Duration = Duration::from_secs(1);

/// A file that has been opened at first sight.
#[derive(Debug)]
pub(crate) struct SightedFile {
    user: User,
    pub(crate) file: OpenFile,
    /// Files that may have the symbols which the file was stripped of; `None` if they have not been looked for.
    pub(crate) debug: Option<Vec<OpenFile>>,
}

impl SightedFile {
    /// Number of files that are open.
    fn open_files(&self) -> usize {
        1 + self.debug.as_ref().map_or(0, Vec::len)
    }
}

/// Files that have been opened, and whose tables are still to be read.
#[derive(Debug)]
pub(crate) struct SightedFiles {
    files: HashMap<FileIdentity, SightedFile>,
    most: usize,
    /// True if lines from debug information are wanted, beside symbols.
    lines: bool,
}

impl SightedFiles {
    /// Holds so many files at most; `lines` is true if debug information is wanted.
    pub(crate) fn new(most: usize, lines: bool) -> Self {
        Self { files: HashMap::default(), most: most.min(MAX_OPENED), lines }
    }

    /// Opens a file, with the debug file that it needs, if there is room and it can be opened.
    pub(crate) fn open(&mut self, source: &ProcSource, reader: &mut foreignfile::Files, sight: Sight<'_>) {
        let (identity, room) = (sight.file.identity, self.room(sight.user));
        if room == 0 || self.files.contains_key(&identity) {
            return;
        }
        let opened = open(source, reader, sight).ok();
        let file = opened.and_then(|opened| OpenFile::new(opened.shared()?.try_clone().ok()?).ok());
        let Some(file) = file else { return };
        let stripped = Outline::read(&file).ok().filter(|found| debug_files::is_wanted(found, self.lines));
        let debug = stripped.zip(owner_of(&file)).and_then(|(stripped, owner)| {
            debug_files::open(source, reader, sight, (&stripped, owner), DEBUG_FILES_WITHIN)
        });
        // Files for which there is no room are looked for again, when the tables are read.
        let debug = debug.filter(|debug| debug.len() < room);
        self.files.insert(identity, SightedFile { user: sight.user, file, debug });
    }

    /// Hands out a file.
    pub(crate) fn take(&mut self, identity: FileIdentity) -> Option<SightedFile> {
        self.files.remove(&identity)
    }

    /// Number of files that are open.
    pub(crate) fn open_files(&self) -> usize {
        self.files.values().map(SightedFile::open_files).sum()
    }

    /// Number of files that may be opened for a user.
    fn room(&self, user: User) -> usize {
        let of_user = self.files.values().filter(|file| file.user == user);
        let of_user: usize = of_user.map(SightedFile::open_files).sum();
        let left = self.most.saturating_sub(self.open_files());
        left.min(self.most.div_ceil(2).saturating_sub(of_user))
    }
}
