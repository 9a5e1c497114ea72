//! The sight of a file: the process and the mapping in which it was met, and by which it is opened.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use bytesource::OpenFile;
use foreignfile::{Opened, Refusal};
use pdata::{MappedFile, Pc, ProcessKey};
use procfs::ProcSource;

use crate::fair::User;
use crate::request::Unnamed;

/// The longest that reading the tables of a file may take.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// A file as a process has it mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) file: &'a MappedFile,
    pub(crate) process: ProcessKey,
    pub(crate) range: (Pc, Pc),
    /// The user who runs the process.
    pub(crate) user: User,
}

/// Opens the file of a mapping, checked to be the one that the kernel met.
pub(crate) fn open<'a>(
    source: &ProcSource,
    reader: &'a mut foreignfile::Files,
    sight: Sight<'_>,
) -> Result<Opened<'a>, Unnamed> {
    let mapped = (sight.process, sight.range);
    source.open_mapped(reader, mapped, sight.file, READ_WITHIN).map_err(|refusal| match refusal {
        Refusal::Gone | Refusal::Unwanted => Unnamed::Gone,
        refusal => {
            tracing::debug!(path = %sight.file.path.display(), %refusal, "Cannot open a file for its symbols.");
            Unnamed::Unreadable
        }
    })
}

/// The user who owns an open file.
pub(crate) fn owner_of(file: &OpenFile) -> Option<u32> {
    Some(file.file().metadata().ok()?.uid())
}
