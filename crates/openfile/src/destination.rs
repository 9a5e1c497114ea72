//! Files that are written as a whole, or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, fchown, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::{ATTEMPTS, can_create_at, parent};

/// The destination of a file: a name in a directory that stays the same even if somebody moves it, or puts a link in
/// its place, before the file is written.
#[derive(Debug)]
pub struct Destination {
    directory: OwnedFd,
    name: OsString,
}

impl Destination {
    /// Checks that a file can be written, and changes nothing. A file or a link of the name may be there, which is
    /// replaced and not followed; a device or a pipe may not, since a write would remove it.
    ///
    /// # Errors
    /// The operating system's error; `InvalidInput` for the name of something that is no regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(not_regular)?.to_owned();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, parent(path), flags, Mode::empty())?;
        let destination = Self { directory, name };
        destination.check()?;
        can_create_at(&destination.directory, Path::new("."))?;
        Ok(destination)
    }

    /// Writes a file with this mode, of `owner` (user and group) if one is named. Another file of the name stays as it
    /// was unless all bytes are written.
    ///
    /// # Errors
    /// Errors of [`open`](Self::open).
    pub fn write(&self, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
        self.check()?;
        let mut part = OsString::from(".");
        part.push(&self.name);
        part.push(format!(".{}.part", process::id()));
        let written = self.create(&part, mode).and_then(|file| fill(file, bytes, owner));
        let renamed =
            written.and_then(|()| Ok(renameat(&self.directory, &part, &self.directory, &self.name)?));
        renamed.inspect_err(|_error| {
            // Half a file is of no use, and the first error is the one to report.
            let _left = unlinkat(&self.directory, &part, AtFlags::empty());
        })
    }

    fn check(&self) -> io::Result<()> {
        match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile | FileType::Symlink => Ok(()),
                _ => Err(not_regular()),
            },
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a file in the place of any file of that name, such as one that was left half written.
    fn create(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || openat(&self.directory, name, flags, Mode::from_raw_mode(mode));
        for _attempt in 1..ATTEMPTS {
            match unlinkat(&self.directory, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            match open() {
                Err(Errno::EXIST) => {}
                opened => return Ok(opened?.into()),
            }
        }
        Ok(open()?.into())
    }
}

fn fill(mut file: File, bytes: &[u8], owner: Option<(u32, u32)>) -> io::Result<()> {
    if let Some((user, group)) = owner {
        fchown(&file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    }
    file.write_all(bytes)?;
    // Even after a power failure, the name is to be that of a whole file.
    file.sync_data()
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "kept").unwrap();
        symlink(&target, &link).unwrap();
        Destination::open(&link).unwrap().write(b"new", 0o600, None).unwrap();
        assert_eq!((fs::read(&target).unwrap(), fs::read(&link).unwrap()), (b"kept".into(), b"new".into()));
        let metadata = fs::symlink_metadata(&link).unwrap();
        assert!(metadata.is_file() && metadata.permissions().mode() & 0o777 == 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    /// A directory that somebody replaces by a link meanwhile gets no file: the file is in the directory that was
    /// opened.
    #[test]
    fn a_directory_that_is_replaced_is_not_looked_up_again() {
        let dir = tempfile::tempdir().unwrap();
        let [named, moved, other] = ["named", "moved", "other"].map(|name| dir.path().join(name));
        fs::create_dir(&named).unwrap();
        fs::create_dir(&other).unwrap();
        let destination = Destination::open(&named.join("file")).unwrap();
        fs::rename(&named, &moved).unwrap();
        symlink(&other, &named).unwrap();
        destination.write(b"x", 0o600, None).unwrap();
        assert_eq!(fs::read(moved.join("file")).unwrap(), b"x");
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_written_is_found_before_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for path in [Path::new("/dev/null"), Path::new("/"), dir.path(), &dir.path().join("none/file")] {
            Destination::open(path).unwrap_err();
        }
        let late = dir.path().join("late");
        let destination = Destination::open(&late).unwrap();
        fs::create_dir(&late).unwrap();
        destination.write(b"x", 0o600, None).unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        Destination::open(Path::new("file-of-this-directory")).unwrap();
    }
}
