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

/// The bit of a directory's mode by which only owners remove and rename what is in it.
const STICKY: u32 = 0o1000;

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
    metadata.mode() & 0o022 != 0 || !is_own(metadata.uid())
}

/// True for root and the user that the agent runs as.
fn is_own(user: u32) -> bool {
    [0, geteuid().as_raw()].contains(&user)
}

/// Who else can decide what is written in a file's place, as a sentence; `None` if nobody can, or the file's directory
/// cannot be looked at.
#[must_use]
pub fn doubt(path: &Path) -> Option<String> {
    let directory = parent(path);
    let found = |path: &Path| fs::metadata(path).is_ok_and(|metadata| others_can_write(&metadata));
    if found(directory) {
        return Some(format!(
            "others can write to the directory {}, and put a file of theirs in the place of {}: name a directory of \
             this user or root with mode 0755 or less",
            directory.display(),
            path.display()
        ));
    }
    // A device such as /dev/null is everybody's.
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    (is_file && found(path)).then(|| {
        format!("others can write to {}, or own it: remove it, or take their right to write", path.display())
    })
}

/// Checks that nobody else than root and the user that the agent runs as decides what is in a directory, and which
/// directory its path leads to: whoever owns one above could put another, or a link, in its place.
///
/// # Errors
/// `PermissionDenied` names a directory that others can change; otherwise the operating system's error.
pub fn guard(directory: &Path) -> io::Result<()> {
    let directory = fs::canonicalize(directory)?;
    if others_can_write(&fs::metadata(&directory)?) {
        let fault =
            "others can write to it, expected a directory of this user or root with mode 0755 or less";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, fault));
    }
    directory.parent().map_or(Ok(()), guard_above)
}

/// Checks the same as [`guard`] of the directory in which a directory is to be made.
///
/// # Errors
/// Those of [`guard`].
pub fn guard_above(directory: &Path) -> io::Result<()> {
    for directory in fs::canonicalize(directory)?.ancestors() {
        let metadata = fs::metadata(directory)?;
        // In a sticky directory such as /tmp, only an entry's owner can replace it, and the owner of the entry on this
        // path is checked in a step of its own.
        let is_sticky = metadata.mode() & STICKY != 0 && is_own(metadata.uid());
        if others_can_write(&metadata) && !is_sticky {
            let fault = format!(
                "others can write to {}, which it is in, and put another in its place: expected directories of this \
                 user or root with mode 0755 or less",
                directory.display()
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, fault));
        }
    }
    Ok(())
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

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_directory_is_guarded_as_far_as_its_path_leads() {
        let dir = tempfile::tempdir().unwrap();
        let (above, directory) = (dir.path().join("above"), dir.path().join("above/directory"));
        fs::create_dir_all(&directory).unwrap();
        for (mode, is_guarded) in [(0o755, true), (0o777, false), (0o775, false), (0o1777, true)] {
            chmod(&above, mode);
            let (found, found_above) = (guard(&directory), guard_above(&above));
            assert_eq!((found.is_ok(), found_above.is_ok()), (is_guarded, is_guarded), "{mode:o} {found:?}");
        }
        // Not even a sticky directory is one's own, and a link leads to the directory that counts.
        chmod(&directory, 0o1777);
        assert_eq!(guard(&directory).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        chmod(&directory, 0o700);
        chmod(&above, 0o777);
        let link = dir.path().join("link");
        symlink(&directory, &link).unwrap();
        let error = guard(&link).unwrap_err().to_string();
        assert!(error.contains(&*above.canonicalize().unwrap().to_string_lossy()), "{error}");
    }

    #[test]
    fn a_file_is_doubted_if_others_decide_what_is_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert_eq!((doubt(&path), doubt(Path::new("/dev/null"))), (None, None));
        fs::write(&path, "").unwrap();
        chmod(&path, 0o666);
        assert!(doubt(&path).unwrap().starts_with("others can write to"), "the file itself");
        chmod(&path, 0o600);
        assert_eq!(doubt(&path), None);
        chmod(dir.path(), 0o1777);
        assert!(doubt(&path).unwrap().starts_with("others can write to the directory"));
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
