//! The file that a recording is written to.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::{Gid, Uid, fchown};
use thiserror::Error;

use super::user::User;

/// Mode of the file: a profile says what its owner's programs do.
const MODE: u32 = 0o600;

/// Where a recording is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Standard output.
    Stdout,
    /// A file, in the place of any that has its name.
    File(PathBuf),
}

/// A recording cannot be written.
#[derive(Debug, Error)]
#[error("cannot write {path}")]
pub(super) struct OutputError {
    path: String,
    source: io::Error,
}

impl Output {
    /// The place that the user names.
    pub(super) fn new(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdout } else { Self::File(path.to_owned()) }
    }

    /// Its name, for people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdout => "standard output".to_owned(),
            Self::File(path) => configtypes::printable(&path.to_string_lossy()).into_owned(),
        }
    }

    /// Looks for what would keep a recording from being written, before there is one.
    ///
    /// # Errors
    /// The reason for which it could not be written.
    pub(super) fn check(&self) -> Result<(), OutputError> {
        let Self::File(path) = self else { return Ok(()) };
        self.failed(check(path))
    }

    /// Writes a recording: the file has all of it or stays as it was.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn write(&self, bytes: &[u8], owner: Option<&User>) -> Result<(), OutputError> {
        self.failed(match self {
            Self::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
            Self::File(path) => replace(path, bytes, owner),
        })
    }

    fn failed<T>(&self, result: io::Result<T>) -> Result<T, OutputError> {
        result.map_err(|source| OutputError { path: self.name(), source })
    }
}

fn check(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        // A device or a pipe would be gone then.
        Ok(metadata) if !metadata.is_file() && !metadata.is_symlink() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ if path.file_name().is_none() => Err(io::ErrorKind::InvalidInput.into()),
        _ => openfile::can_create_in(path.parent().unwrap_or(Path::new("."))),
    }
}

/// Puts a file of `owner` in the place of `path`. A link of that name is replaced, not followed.
fn replace(path: &Path, bytes: &[u8], owner: Option<&User>) -> io::Result<()> {
    check(path)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", process::id()));
    let part = path.with_file_name(name);
    let written = write(&part, bytes, owner).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // Half a recording is of no use.
        let _left = fs::remove_file(&part);
    }
    written
}

fn write(part: &Path, bytes: &[u8], owner: Option<&User>) -> io::Result<()> {
    let mut file = openfile::create(part, MODE)?;
    if let Some(&User { uid, gid, .. }) = owner {
        fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    file.write_all(bytes)?;
    // The name is to be that of the whole even after a failure of the power.
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "kept").unwrap();
        symlink(&target, &link).unwrap();
        let output = Output::new(&link);
        output.check().unwrap();
        output.write(b"new", None).unwrap();
        assert_eq!((fs::read(&target).unwrap(), fs::read(&link).unwrap()), (b"kept".into(), b"new".into()));
        let metadata = fs::symlink_metadata(&link).unwrap();
        assert!(metadata.is_file() && metadata.permissions().mode() & 0o777 == MODE);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn what_cannot_be_written_is_found_before_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for path in [Path::new("/dev/null"), Path::new("/"), dir.path(), &dir.path().join("none/file")] {
            let output = Output::new(path);
            assert!(output.check().is_err() && output.write(b"x", None).is_err(), "{path:?}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(Output::new(Path::new("-")), Output::Stdout);
        Output::new(Path::new("file-of-this-directory")).check().unwrap();
    }

    #[test]
    #[ignore = "needs root: gives a file to another user"]
    fn the_file_belongs_to_the_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let user = User { uid: 65534, gid: 65533, groups: Vec::new(), environment: Vec::new() };
        Output::new(&path).write(b"x", Some(&user)).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (65534, 65533));
    }
}
