//! Reading the facts of mapped files.

use std::collections::VecDeque;

use pdata::{BuildId, FileFacts, MappedFile};
use rustc_hash::FxHashMap;

use super::FileRequest;
use crate::elf;
use crate::files::Location;
use crate::procfs::open::open_file;
use crate::procfs::source::{ProcError, ProcSource, kernel_inode};

/// Files whose facts are remembered at most, by build ID.
const MAX_REMEMBERED: usize = 4096;

/// How reading a file went. The names are the metric label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Read.
    Read,
    /// Read, and no ELF file.
    NotElf,
    /// Gone, but a file with the same build ID had been read.
    Remembered,
    /// Gone before it was read, with the process that had it mapped.
    Gone,
    /// What was found is another file by its build ID.
    Replaced,
    /// Could not be read.
    Unreadable,
    /// Nobody had it mapped any more.
    Unneeded,
}

impl Outcome {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::NotElf => "not_elf",
            Self::Remembered => "remembered",
            Self::Gone => "gone",
            Self::Replaced => "replaced",
            Self::Unreadable => "unreadable",
            Self::Unneeded => "unneeded",
        }
    }
}

/// Reads files, and remembers what it read.
#[derive(Debug, Default)]
pub(crate) struct FileReader {
    remembered: Remembered,
}

impl FileReader {
    /// Reads a file and sets its facts.
    pub(crate) fn read(&mut self, source: &ProcSource, request: &FileRequest) -> Outcome {
        let Some(file) = request.file.upgrade() else { return Outcome::Unneeded };
        let outcome = match self.facts(source, request, &file) {
            Ok((facts, outcome)) => {
                // Whoever was first has read the same.
                let _ = file.facts.set(facts);
                outcome
            }
            Err(outcome) => outcome,
        };
        request.reading.finish();
        outcome
    }

    fn facts(
        &mut self,
        source: &ProcSource,
        request: &FileRequest,
        file: &MappedFile,
    ) -> Result<(FileFacts, Outcome), Outcome> {
        let read = read_through_process(source, request, file)
            .or_else(|lost| read_ourselves(file, lost))
            .or_else(|lost| read_executed(request, file, lost));
        match read {
            Ok(facts) => {
                self.remembered.push(&facts);
                let outcome = if facts.segments.is_empty() { Outcome::NotElf } else { Outcome::Read };
                Ok((facts, outcome))
            }
            // A copy will do: it differs in nothing but, if it has been stripped, its hash.
            Err(lost) => match file.build_id.and_then(|id| self.remembered.get(id)) {
                Some(facts) => Ok((facts.clone(), Outcome::Remembered)),
                None => Err(lost),
            },
        }
    }
}

/// Through the eyes of the process: the mapped file itself, or else what has its name there.
fn read_through_process(
    source: &ProcSource,
    request: &FileRequest,
    file: &MappedFile,
) -> Result<FileFacts, Outcome> {
    let mapped = match request.range {
        Some(range) => read(source.open_mapped(request.process, range, &file.path), file),
        None => Err(Outcome::Gone),
    };
    mapped.or_else(|lost| {
        // What has the name of a deleted file can be known by a build ID only.
        if request.deleted && file.build_id.is_none() {
            return Err(lost);
        }
        read(source.open_as_seen(request.process, &file.path), file)
    })
}

/// Through our own: a process that has ended leaves its files behind, and the build ID proves that
/// the name means the same file to us.
fn read_ourselves(file: &MappedFile, lost: Outcome) -> Result<FileFacts, Outcome> {
    if file.build_id.is_none() {
        return Err(lost);
    }
    read(open_file(&file.path), file).map_err(|found| if lost == Outcome::Gone { found } else { lost })
}

/// Where the exec's own record says it is: the build ID proves it, or else the inode.
fn read_executed(request: &FileRequest, file: &MappedFile, lost: Outcome) -> Result<FileFacts, Outcome> {
    let Some(Location { path, inode }) = request.reading.executed.get() else { return Err(lost) };
    let opened = open_file(path).and_then(|opened| {
        let proven = file.build_id.is_some() || kernel_inode(&opened)? == *inode;
        if proven { Ok(opened) } else { Err(ProcError::Gone) }
    });
    read(opened, file).map_err(|found| if lost == Outcome::Gone { found } else { lost })
}

fn read(opened: Result<std::fs::File, ProcError>, file: &MappedFile) -> Result<FileFacts, Outcome> {
    let mut opened = opened.map_err(|error| match error {
        ProcError::Gone | ProcError::Ended => Outcome::Gone,
        ProcError::Parse(_) | ProcError::Read(_) => Outcome::Unreadable,
    })?;
    let facts = elf::read_facts(&mut opened).map_err(|error| {
        tracing::debug!(path = %file.path.display(), %error, "cannot read a mapped file");
        Outcome::Unreadable
    })?;
    let same = file.build_id.is_none_or(|expected| facts.build_id == Some(expected));
    if same { Ok(facts) } else { Err(Outcome::Replaced) }
}

/// Facts by build ID; the oldest make room.
#[derive(Debug, Default)]
struct Remembered {
    by_build_id: FxHashMap<BuildId, FileFacts>,
    order: VecDeque<BuildId>,
}

impl Remembered {
    fn get(&self, build_id: BuildId) -> Option<&FileFacts> {
        self.by_build_id.get(&build_id)
    }

    fn push(&mut self, facts: &FileFacts) {
        let Some(build_id) = facts.build_id else { return };
        if self.by_build_id.insert(build_id, facts.clone()).is_none() {
            self.order.push_back(build_id);
        }
        if self.order.len() > MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_build_id.remove(&oldest);
        }
    }
}
