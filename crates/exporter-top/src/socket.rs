//! The socket: made so that no other user can replace it, and removed with the agent.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, chmodat, chownat, fchmod, mkdirat, openat, renameat,
    statat, unlinkat,
};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};

use crate::config::Config;
use crate::error::SocketError;

/// Mode of the directory, if the agent makes it.
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);
/// Mode of the socket: only its owner may connect.
const MODE: Mode = Mode::from_raw_mode(0o600);
/// Mode of the socket if a group may connect, too.
const GROUP_MODE: Mode = Mode::from_raw_mode(0o660);
/// Most connections that wait to be accepted.
const BACKLOG: i32 = 16;

/// A listening socket, which is removed from its directory when this is dropped.
#[derive(Debug)]
pub(crate) struct Socket {
    directory: Directory,
    name: OsString,
    /// Device and inode of the socket, by which it is distinguished from one that has replaced it.
    inode: (u64, u64),
}

/// The directory of a socket, which only root or the agent's user can change.
#[derive(Debug)]
struct Directory(OwnedFd);

impl Socket {
    /// Makes the socket of a configuration; `group` is the number of its group. A socket that an ended agent has left
    /// is replaced.
    ///
    /// # Errors
    /// [`SocketError`] if the directory is not safe, the socket is in use, or the system refuses it.
    pub(crate) fn make(config: &Config, group: Option<u32>) -> Result<(Self, UnixListener), SocketError> {
        Directory::make(config)?;
        let (directory, name, path) = Self::find(config)?;
        let make = |source: io::Error| SocketError::Make { path: path.clone(), source };
        // Made under another name until it is complete and listens, so that no client can connect to half a socket.
        let new = new_name(&name);
        let made = bind_in(&directory, &new, group).and_then(|listener| {
            let stat = directory.stat(&new)?.ok_or(io::ErrorKind::NotFound)?;
            renameat(&directory.0, &new, &directory.0, &name)?;
            Ok((listener, (stat.st_dev, stat.st_ino)))
        });
        if made.is_err() {
            let _none = unlinkat(&directory.0, &new, AtFlags::empty());
        }
        let (listener, inode) = made.map_err(make)?;
        Ok((Self { directory, name, inode }, listener))
    }

    /// Checks for faults for which the socket could not be made, and makes nothing.
    ///
    /// # Errors
    /// The same as of [`make`](Self::make), as far as they can be found without making the socket.
    pub(crate) fn check(config: &Config) -> Result<(), SocketError> {
        if Directory::would_be_made(config)? {
            return Ok(());
        }
        // A socket that an agent listens on is in the way only for as long as that agent runs.
        match Self::find(config) {
            Ok(_) | Err(SocketError::InUse { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn find(config: &Config) -> Result<(Directory, OsString, PathBuf), SocketError> {
        let directory = Directory::open(config)?;
        let (name, path) = (config.endpoint.file_name().unwrap_or_default(), config.endpoint.clone());
        let found =
            directory.stat(name).map_err(|source| SocketError::Make { path: path.clone(), source })?;
        match found {
            Some(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Socket => {
                Err(SocketError::NoSocket { path })
            }
            // A socket without a process behind it refuses.
            Some(_) if UnixStream::connect(directory.path_of(name)).is_ok() => {
                Err(SocketError::InUse { path })
            }
            _ => Ok((directory, name.to_owned(), path)),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let found = self.directory.stat(&self.name).ok().flatten();
        // Another socket may have taken this one's place.
        if found.is_some_and(|stat| (stat.st_dev, stat.st_ino) == self.inode) {
            let _gone = unlinkat(&self.directory.0, &self.name, AtFlags::empty());
        }
    }
}

impl Directory {
    /// Makes the directory if it is missing.
    fn make(config: &Config) -> Result<(), SocketError> {
        match mkdirat(CWD, config.directory(), DIRECTORY_MODE) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(refused(config)(error.into())),
        }
    }

    /// True if the directory is missing and could be made.
    fn would_be_made(config: &Config) -> Result<bool, SocketError> {
        let path = config.directory();
        match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {
                openfile::can_create_in(path.parent().unwrap_or(path)).map_err(refused(config))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn open(config: &Config) -> Result<Self, SocketError> {
        let (path, refused) = (config.directory(), refused(config));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = openat(CWD, path, flags, Mode::empty()).map_err(|error| refused(error.into()))?;
        let file = File::from(directory);
        if openfile::others_can_write(&file.metadata().map_err(&refused)?) {
            return Err(SocketError::Writable { directory: path.to_owned() });
        }
        Ok(Self(file.into()))
    }

    /// The file of this name, links not followed; `None` if there is none.
    fn stat(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A path that leads to this directory, even if the directory has been renamed.
    fn path_of(&self, name: &OsStr) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd())).join(name)
    }
}

/// Makes the error of the operating system one of the directory.
fn refused(config: &Config) -> impl Fn(io::Error) -> SocketError {
    move |source| SocketError::Directory { directory: config.directory().to_owned(), source }
}

/// The temporary name under which a socket is made.
fn new_name(name: &OsStr) -> OsString {
    let mut new = OsString::from(".");
    new.push(name);
    new.push(format!(".{}", process::id()));
    new
}

fn bind_in(directory: &Directory, name: &OsStr, group: Option<u32>) -> io::Result<UnixListener> {
    let _left_by_one_that_had_our_number = unlinkat(&directory.0, name, AtFlags::empty());
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The mode of a socket that is not bound yet is the mode that its file gets.
    fchmod(&socket, MODE)?;
    bind(&socket, &SocketAddrUnix::new(directory.path_of(name))?)?;
    if let Some(group) = group {
        chownat(&directory.0, name, None, Some(Gid::from_raw(group)), AtFlags::SYMLINK_NOFOLLOW)?;
        // Only root can write to the directory, so the name is still the socket's.
        chmodat(&directory.0, name, GROUP_MODE, AtFlags::empty())?;
    }
    listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::Path;

    use super::*;

    fn config(path: &Path) -> Config {
        Config { endpoint: path.to_owned(), group: None }
    }

    fn entries(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn it_is_its_owners_alone_and_goes_with_the_agent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/top.sock");
        let config = config(&path);
        Socket::check(&config).unwrap();
        assert_eq!(entries(dir.path()), 0, "looking makes nothing");
        let (socket, _listener) = Socket::make(&config, None).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(entries(path.parent().unwrap()), 1, "nothing else is left");
        UnixStream::connect(&path).unwrap();
        let error = Socket::make(&config, None).unwrap_err();
        assert!(matches!(error, SocketError::InUse { .. }), "{error}");
        Socket::check(&config).unwrap();
        drop(socket);
        assert_eq!(entries(path.parent().unwrap()), 0);
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_replaced_and_that_of_another_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("top.sock");
        drop(UnixListener::bind(&path).unwrap());
        let old = fs::symlink_metadata(&path).unwrap().ino();
        let (first, listener) = Socket::make(&config(&path), None).unwrap();
        assert_ne!(fs::symlink_metadata(&path).unwrap().ino(), old);
        // The first agent has died without removing its socket.
        drop(listener);
        let (_second, _listener) = Socket::make(&config(&path), None).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn neither_a_link_nor_a_file_nor_a_directory_of_others_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link, file) =
            (dir.path().join("target"), dir.path().join("link"), dir.path().join("file"));
        fs::create_dir(&target).unwrap();
        symlink(&target, &link).unwrap();
        let error = Socket::make(&config(&link.join("top.sock")), None).unwrap_err();
        assert!(matches!(error, SocketError::Directory { .. }), "{error}");
        let error = Socket::make(&config(&link), None).unwrap_err();
        assert!(matches!(error, SocketError::NoSocket { .. }), "{error}");
        fs::write(&file, "kept").unwrap();
        let error = Socket::make(&config(&file), None).unwrap_err();
        assert!(matches!(error, SocketError::NoSocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        assert_eq!(entries(&target), 0);
        fs::set_permissions(&target, fs::Permissions::from_mode(0o1777)).unwrap();
        let error = Socket::make(&config(&target.join("top.sock")), None).unwrap_err();
        assert!(matches!(error, SocketError::Writable { .. }), "{error}");
        let missing = config(&dir.path().join("a/b/top.sock"));
        for error in [Socket::make(&missing, None).unwrap_err(), Socket::check(&missing).unwrap_err()] {
            assert!(matches!(error, SocketError::Directory { .. }), "{error}");
        }
    }

    #[test]
    #[ignore = "needs root: gives a socket to a group"]
    fn a_group_may_connect_if_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("top.sock");
        let (_socket, _listener) = Socket::make(&config(&path), Some(12_345)).unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert_eq!((metadata.gid(), metadata.permissions().mode() & 0o7777), (12_345, 0o660));
    }
}
