//! Reading the facts of mapped files.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::time::Duration;

use foldhash::HashMap;
use foreignfile::{Files, Refusal};
use pdata::{BuildId, FileFacts, FileIdentity, MappedFile};
use procfs::ProcSource;

use crate::request::FileRequest;

/// The most files whose facts are remembered.
const MAX_REMEMBERED: usize = 4096;
/// The time limit for reading one file. Some kilobytes are read, so that only a file system that hangs reaches it.
const READ_WITHIN: Duration = Duration::from_secs(20);

/// Outcome of reading a file. Its names are the metric label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The file was read.
    Read,
    /// The file was read, and is no ELF file.
    NotElf,
    /// The same file had been read under another name; or the file is gone, but one with its build ID had been read.
    Remembered,
    /// The file was gone before it was read, with the process that had it mapped.
    Gone,
    /// The file that was found is another, by its identity to the kernel or by its build ID.
    Replaced,
    /// The file could not be read.
    Unreadable,
    /// The file is of a file system that the kernel makes up, or from which nothing is executed.
    Refused,
    /// The file system did not answer.
    Silent,
    /// The file system had not answered before.
    Skipped,
    /// Nobody had the file mapped any more.
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
            Self::Refused => "refused",
            Self::Silent => "silent",
            Self::Skipped => "skipped",
            Self::Unneeded => "unneeded",
        }
    }
}

/// Reads files, and remembers their facts.
#[derive(Debug)]
pub(crate) struct FileReader {
    files: Files,
    remembered: Remembered,
}

impl FileReader {
    pub(crate) fn new(files: Files) -> Self {
        Self { files, remembered: Remembered::default() }
    }

    /// Reads a file and sets its facts.
    pub(crate) fn read(&mut self, source: &ProcSource, request: &FileRequest) -> Outcome {
        let Some(file) = request.file.upgrade() else { return Outcome::Unneeded };
        let outcome = match self.facts(source, request, &file) {
            Ok((facts, outcome)) => {
                // Another reader that was first has read the same facts.
                let _ = file.facts.set(facts);
                outcome
            }
            Err(outcome) => outcome,
        };
        match outcome {
            // Nothing was tried: once the file system answers again, all of its files are to be read.
            Outcome::Skipped => request.reading.withdraw(),
            _ => request.reading.finish(),
        }
        outcome
    }

    /// Ends the process that reads, until it is needed again.
    pub(crate) fn rest(&mut self) {
        self.files.rest();
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
        match self.read_mapped(source, request, file) {
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

    fn read_mapped(
        &mut self,
        source: &ProcSource,
        request: &FileRequest,
        file: &MappedFile,
    ) -> Result<FileFacts, Outcome> {
        let failed = |error: &(dyn Error + 'static)| {
            tracing::debug!(path = %file.path.display(), error, "Cannot read a mapped file.");
            Outcome::Unreadable
        };
        let mapped = (request.process, request.range);
        let opened = source.open_mapped(&mut self.files, mapped, file, READ_WITHIN);
        let mut opened = opened.map_err(|refusal| match refusal {
            Refusal::Gone => Outcome::Gone,
            Refusal::Unwanted => Outcome::Replaced,
            Refusal::MadeUp { .. } | Refusal::NoExec => Outcome::Refused,
            Refusal::Silent => Outcome::Silent,
            Refusal::Skipped => Outcome::Skipped,
            refusal @ (Refusal::NoReader(_) | Refusal::Open(_) | Refusal::TooLong) => failed(&refusal),
        })?;
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::TimedOut => Outcome::Silent,
            _ => failed(&error),
        };
        let facts = procfs::read_facts(&mut opened).map_err(unreadable)?;
        // This is asked last: if the file is the mapped one now, the bytes that were read are those it has had since it
        // was met.
        if !opened.is_unchanged().map_err(unreadable)? {
            return Err(Outcome::Replaced);
        }
        let differs = |expected: BuildId| facts.build_id.is_some_and(|found| found != expected);
        if file.build_id.is_some_and(differs) { Err(Outcome::Replaced) } else { Ok(facts) }
    }
}

/// Facts by the kernel's identities of files, and by build ID; the oldest make room.
#[derive(Debug, Default)]
struct Remembered {
    facts: HashMap<FileIdentity, FileFacts>,
    by_build_id: HashMap<BuildId, FileIdentity>,
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
            // The builder of a file chooses its build ID: the ID stands for the first file that had it.
            self.by_build_id.entry(build_id).or_insert(identity);
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
