//! The output of a recording: a file, or standard output.

use std::io::{self, Write as _};
use std::path::Path;

use openfile::Destination;
use thiserror::Error;

use super::user::User;

/// Mode of the file: a profile shows what its owner's programs do.
const MODE: u32 = 0o600;
/// The name of standard output in messages.
const STDOUT: &str = "standard output";

/// The output of a recording.
#[derive(Debug)]
pub(super) enum Output {
    /// Standard output.
    Stdout,
    /// A file, which replaces any other of its name.
    File {
        /// The file's name in messages.
        name: String,
        /// The file's directory and name, which recorded programs cannot exchange for another.
        place: Destination,
    },
}

/// An error for which a recording cannot be written.
#[derive(Debug, Error)]
#[error("cannot write {path}")]
pub(super) struct OutputError {
    path: String,
    source: io::Error,
}

impl Output {
    /// Opens the output that the user names, after checking that a recording can be written there.
    ///
    /// # Errors
    /// [`OutputError`] for the fault that was found.
    pub(super) fn open(path: &Path) -> Result<Self, OutputError> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let place = Destination::open(path).map_err(|source| OutputError { path: name(path), source })?;
        Ok(Self::File { name: name(path), place })
    }

    /// The output's name in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdout => STDOUT.to_owned(),
            Self::File { name, .. } => name.clone(),
        }
    }

    /// Writes a recording: the file gets all of it or stays as it was.
    ///
    /// # Errors
    /// The operating system's error.
    pub(super) fn write(&self, bytes: &[u8], owner: Option<&User>) -> Result<(), OutputError> {
        let owner = owner.map(|&User { uid, gid, .. }| (uid, gid));
        let written = match self {
            Self::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
            Self::File { place, .. } => place.write(bytes, MODE, owner),
        };
        written.map_err(|source| OutputError { path: self.name(), source })
    }
}

/// The name of an output in messages.
pub(super) fn name(path: &Path) -> String {
    if path == Path::new("-") {
        return STDOUT.to_owned();
    }
    textline::printable(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn what_cannot_be_written_is_found_before_there_is_a_recording() {
        let error = Output::open(Path::new("/dev/null")).unwrap_err();
        assert_eq!(error.to_string(), "cannot write /dev/null");
        assert_eq!(Output::open(Path::new("-")).unwrap().name(), "standard output");
    }

    #[test]
    #[ignore = "needs root: gives a file to another user"]
    fn the_file_belongs_to_the_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let user = User { uid: 65534, gid: 65533, groups: Vec::new(), environment: Vec::new() };
        Output::open(&path).unwrap().write(b"x", Some(&user)).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (65534, 65533));
    }
}
