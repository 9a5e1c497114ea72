//! Search for a command's file as execvp(3) does it, before anything is started.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use textline::printable;
use thiserror::Error;

/// Directories that are searched if `PATH` is not set, as glibc does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Exit code for a command that cannot be executed, the same as of shells and env(1).
const NOT_EXECUTABLE: u8 = 126;
/// Exit code for a command that does not exist, the same as of shells and env(1).
const NOT_FOUND: u8 = 127;

/// An error for which a command cannot be run.
#[derive(Debug, Error)]
pub(super) enum ProgramError {
    /// No file has the name.
    #[error("there is no command {}", shown(.0))]
    NotFound(OsString),
    /// The file is no program that can run.
    #[error("{} cannot be executed: {fault}", shown(.name))]
    NotExecutable {
        /// The command's name.
        name: OsString,
        /// The fault of the file.
        fault: &'static str,
    },
    /// The kernel refuses to execute the file.
    #[error("{} cannot be executed: {fault}", shown(.name))]
    Refused {
        /// The command's name.
        name: OsString,
        /// The kernel's reason.
        fault: io::Error,
    },
}

impl ProgramError {
    /// An error of execve(2).
    pub(super) fn of(name: &OsStr, fault: io::Error) -> Self {
        if fault.kind() == io::ErrorKind::NotFound {
            return Self::NotFound(name.to_owned());
        }
        Self::Refused { name: name.to_owned(), fault }
    }

    /// The exit code of the error.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::NotFound(_) => NOT_FOUND,
            Self::NotExecutable { .. } | Self::Refused { .. } => NOT_EXECUTABLE,
        }
    }
}

fn shown(name: &OsStr) -> String {
    printable(&name.to_string_lossy()).into_owned()
}

/// Checks that there is a program of this name.
///
/// # Errors
/// [`ProgramError`] if there is none, or none that could be executed.
pub(super) fn check(name: &OsStr, path: Option<&OsStr>) -> Result<(), ProgramError> {
    if name.as_bytes().contains(&b'/') {
        return check_file(name, Path::new(name));
    }
    let mut result = Err(ProgramError::NotFound(name.to_owned()));
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    for directory in path.as_bytes().split(|&byte| byte == b':').filter(|_| !name.is_empty()) {
        let directory = if directory.is_empty() { b"." } else { directory };
        let found = check_file(name, &Path::new(OsStr::from_bytes(directory)).join(name));
        match found {
            Ok(()) => return Ok(()),
            Err(ProgramError::NotFound(_)) => {}
            // Another directory may have one that can be executed.
            Err(refused) => result = Err(refused),
        }
    }
    result
}

fn check_file(name: &OsStr, path: &Path) -> Result<(), ProgramError> {
    let refused = |fault| Err(ProgramError::NotExecutable { name: name.to_owned(), fault });
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => refused("permission denied"),
        Err(_) => Err(ProgramError::NotFound(name.to_owned())),
        Ok(metadata) if metadata.is_dir() => refused("it is a directory"),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => refused("permission denied"),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_looked_for_as_a_shell_does() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        for directory in [&first, &second] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("tool"), "").unwrap();
        }
        fs::create_dir(second.join("folder")).unwrap();
        let path = std::env::join_paths([&first, &second]).unwrap();
        let code = |name: &str| check(name.as_ref(), Some(&path)).map_err(|error| error.code());
        assert_eq!(
            (code("none"), code("tool"), code("folder"), code("")),
            (Err(127), Err(126), Err(126), Err(127))
        );
        fs::set_permissions(second.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(code("tool"), Ok(()), "the first that can be executed");
        let by_path = |name: &str| code(&first.join(name).display().to_string());
        assert_eq!((by_path("tool"), by_path("none")), (Err(126), Err(127)));
        assert_eq!(check("sh".as_ref(), None).map_err(|error| error.code()), Ok(()));
    }

    #[test]
    fn a_name_does_not_steer_the_terminal() {
        let error = check("\u{1b}[2J".as_ref(), None).unwrap_err();
        assert_eq!(error.to_string(), "there is no command \\u{1b}[2J");
    }
}
