//! Opens the files that the agent writes, among files of others: it often runs as root, and somebody who can write to
//! the directory of a file could make the agent write to another file by a symbolic link.
//!
//! No open waits for another process: a pipe without a reader is an error (`ENXIO`), and no read or write of an opened
//! file blocks. What a file system may hold up is done [within](within) a bound.

mod destination;
mod patience;

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, openat};
use rustix::io::Errno;
use rustix::process::geteuid;

pub use destination::Destination;
pub use patience::{ANSWERS_WITHIN, within};

/// Attempts to create a file in the place of one that somebody creates again and again.
const ATTEMPTS: usize = 3;

/// Opens a file. A symbolic link is followed only in a directory that nobody else [can write to](others_can_write):
/// there it is the owner's wish.
///
/// # Errors
/// The operating system's error; `PermissionDenied` for a symbolic link that is not followed.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let opened = options.custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK)).open(path);
    match opened {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            if others_can_write(&fs::metadata(parent(path))?) {
                let fault = "it is a symbolic link in a directory that others can write to";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, fault));
            }
            options.custom_flags(flags(OFlags::NONBLOCK)).open(path)
        }
        opened => opened,
    }
}

/// Creates a file to write to, in the place of any file of that name, of which neither the contents nor the owner nor
/// the mode are kept.
///
/// # Errors
/// The operating system's error.
pub fn create(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    for _attempt in 1..ATTEMPTS {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened,
        }
    }
    options.open(path)
}

/// Finds out whether a file can be created in `directory`, and changes nothing there.
///
/// # Errors
/// The operating system's error, if no file can be created.
pub fn can_create_in(directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    can_create_at(CWD, directory)
}

/// Finds out the same as [`can_create_in`], for a directory below another.
fn can_create_at(above: impl AsFd, directory: &Path) -> io::Result<()> {
    match openat(&above, directory, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR) {
        Ok(_nameless) => Ok(()),
        // The file system cannot hold files without a name.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            Ok(accessat(&above, directory, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// True if others than root and the user that the agent runs as can change a directory or file of this metadata.
#[must_use]
pub fn others_can_write(metadata: &Metadata) -> bool {
    let own = geteuid().as_raw();
    metadata.mode() & 0o022 != 0 || ![0, own].contains(&metadata.uid())
}

/// The directory that a path is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn append(path: &Path) -> io::Result<File> {
        open(OpenOptions::new().append(true).create(true), path)
    }

    #[test]
    fn a_link_is_followed_only_where_nobody_else_could_have_made_it() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        symlink(&target, &link).unwrap();
        append(&link).unwrap();
        assert!(target.exists());
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(append(&link).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        append(&target).unwrap();
    }

    #[test]
    fn what_is_created_replaces_a_link_and_a_file_of_another_mode() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "kept").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o666)).unwrap();
        symlink(&target, &link).unwrap();
        create(&link, 0o600).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
        create(&target, 0o600).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn looking_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let before = fs::metadata(dir.path()).unwrap().modified().unwrap();
        can_create_in(dir.path()).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().modified().unwrap(), before);
        assert_eq!(can_create_in(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(can_create_in(&file).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn a_pipe_without_a_reader_does_not_wait_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!(append(&pipe).unwrap_err().raw_os_error(), Some(Errno::NXIO.raw_os_error()));
    }
}
