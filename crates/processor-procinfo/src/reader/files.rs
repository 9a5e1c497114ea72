//! Reading the facts of mapped files.

use std::collections::VecDeque;
use std::fs::File;

use pdata::{BuildId, FileFacts, FileIdentity, MappedFile};
use procfs::{ProcError, ProcSource, is_file, open_file};
use rustc_hash::FxHashMap;

use crate::request::FileRequest;

/// Files whose facts are remembered at most.
const MAX_REMEMBERED: usize = 4096;

/// How reading a file went. The names are the metric label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The file was read.
    Read,
    /// Read, and no ELF file.
    NotElf,
    /// The same file had been read under another name; or it is gone, but one with its build ID had been read.
    Remembered,
    /// Gone before it was read, with the process that had it mapped.
    Gone,
    /// What was found is another file, by what the kernel knows it by or by its build ID.
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
        if let Some(facts) = self.remembered.by_identity(file.identity) {
            return Ok((facts.clone(), Outcome::Remembered));
        }
        let seen = file.own_path.as_ref().unwrap_or(&file.path);
        // The mapped file itself; or what has its name, to the process and to us, if the kernel knows it by the same.
        let read = read(source.open_mapped(request.process, request.range), file)
            .or_else(|lost| or_first(read(source.open_as_seen(request.process, seen), file), lost))
            .or_else(|lost| or_first(read(open_file(&file.path), file), lost));
        match read {
            Ok(facts) => {
                self.remembered.push(file.identity, &facts);
                let outcome = if facts.segments.is_empty() { Outcome::NotElf } else { Outcome::Read };
                Ok((facts, outcome))
            }
            // A copy will do: it differs in nothing but, if it has been stripped, its hash.
            Err(lost) => match file.build_id.and_then(|id| self.remembered.by_build_id(id)) {
                Some(facts) => Ok((facts.clone(), Outcome::Remembered)),
                None => Err(lost),
            },
        }
    }
}

/// Of two failures the one that says more.
fn or_first(read: Result<FileFacts, Outcome>, lost: Outcome) -> Result<FileFacts, Outcome> {
    read.map_err(|found| if lost == Outcome::Gone { found } else { lost })
}

fn read(opened: Result<File, ProcError>, file: &MappedFile) -> Result<FileFacts, Outcome> {
    let mut opened = opened.map_err(|error| match error {
        ProcError::Gone | ProcError::Ended => Outcome::Gone,
        ProcError::Parse(_) | ProcError::Read(_) => Outcome::Unreadable,
    })?;
    let unreadable = |error: std::io::Error| {
        tracing::debug!(path = %file.path.display(), %error, "Cannot read a mapped file.");
        Outcome::Unreadable
    };
    let facts = procfs::read_facts(&mut opened).map_err(unreadable)?;
    // Asked last: if it is the file now, what was read is what it has had since it was met.
    if !is_file(&opened, file).map_err(unreadable)? {
        return Err(Outcome::Replaced);
    }
    let differs = |expected: BuildId| facts.build_id.is_some_and(|found| found != expected);
    if file.build_id.is_some_and(differs) { Err(Outcome::Replaced) } else { Ok(facts) }
}

/// Facts by what the kernel knows files by, and by build ID; the oldest make room.
#[derive(Debug, Default)]
struct Remembered {
    facts: FxHashMap<FileIdentity, FileFacts>,
    by_build_id: FxHashMap<BuildId, FileIdentity>,
    order: VecDeque<FileIdentity>,
}

impl Remembered {
    fn by_identity(&self, identity: FileIdentity) -> Option<&FileFacts> {
        self.facts.get(&identity)
    }

    fn by_build_id(&self, build_id: BuildId) -> Option<&FileFacts> {
        self.by_identity(*self.by_build_id.get(&build_id)?)
    }

    fn push(&mut self, identity: FileIdentity, facts: &FileFacts) {
        if self.facts.insert(identity, facts.clone()).is_none() {
            self.order.push_back(identity);
        }
        if let Some(build_id) = facts.build_id {
            self.by_build_id.insert(build_id, identity);
        }
        if self.order.len() > MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
            && let Some(FileFacts { build_id: Some(build_id), .. }) = self.facts.remove(&oldest)
            && self.by_build_id.get(&build_id) == Some(&oldest)
        {
            self.by_build_id.remove(&build_id);
        }
    }
}
