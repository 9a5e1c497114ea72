//! Opening a file to append to, and mending its end.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::format::Records;
use crate::tail::{Tail, folded, json, of_frames, of_lines};

/// Mode of a new file. Profiles name the programs that a host runs; like the Collector's file exporter, ours writes for
/// the owner alone.
const MODE: u32 = 0o600;

/// A file that is open, and its identity.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    /// Bytes that the file holds.
    pub(crate) length: u64,
    /// Device and inode of the file.
    identity: (u64, u64),
    /// True if the file is neither a pipe nor a device.
    regular: bool,
}

impl Opened {
    /// True of a file that keeps the bytes that are written to it.
    pub(crate) fn is_regular(&self) -> bool {
        self.regular
    }

    /// Asks the disk to keep the bytes that have been written.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(fault) = sync_fault::get() {
            return Err(fault.into());
        }
        self.file.sync_data()
    }

    /// True if the path names another file by now, or none: somebody has moved or deleted ours.
    pub(crate) fn is_replaced(&self, path: &Path) -> bool {
        fs::metadata(path).map_or(true, |found| (found.dev(), found.ino()) != self.identity)
    }
}

/// Opens a file to append to. Its records are kept if `keep` is set, up to the last whole one.
///
/// # Errors
/// The system's error; `InvalidData` if the file is to be kept and is of another format.
pub(crate) fn open(path: &Path, keep: bool, records: Records, config: &Config) -> io::Result<Opened> {
    create_directory(path, config)?;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE);
    // The file is read to see whether its last record is whole; a pipe that can only be written has none.
    let readable = keep.then(|| openfile::open(options.clone().read(true), path).ok()).flatten();
    let mut file = readable.map_or_else(|| openfile::open(&mut options, path), Ok)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        if keep {
            mend(&mut file, path, records)?;
        } else {
            file.set_len(0)?;
        }
    }
    let length = file.metadata()?.len();
    Ok(Opened { file, length, identity: (metadata.dev(), metadata.ino()), regular: metadata.is_file() })
}

/// Finds out whether a file that exists can be appended to and, if its records are to be kept, is of this format.
pub(crate) fn check(path: &Path, keep: bool, records: Records) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    // A pipe may have no reader yet.
    if metadata.file_type().is_fifo() {
        return Ok(());
    }
    openfile::open(OpenOptions::new().append(true), path)?;
    if keep && metadata.is_file() && tail(&File::open(path)?, records)? == Tail::Foreign {
        return Err(foreign());
    }
    Ok(())
}

/// Finds out whether a file can be created beside `path`, or its directory where that is wanted and it does not exist.
pub(crate) fn check_directory(path: &Path, config: &Config) -> io::Result<()> {
    let mut directory = parent(path);
    while config.create_directory && !directory.try_exists()? {
        directory = parent(directory);
    }
    openfile::can_create_in(directory)
}

/// The directory that a path is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn mend(file: &mut File, path: &Path, records: Records) -> io::Result<()> {
    match tail(file, records)? {
        Tail::Whole => Ok(()),
        Tail::Unended => file.write_all(b"\n"),
        Tail::Torn(whole) => {
            let bytes = file.metadata()?.len().saturating_sub(whole);
            tracing::warn!(path = %path.display(), bytes, "Cutting off what a crash has left of a record.");
            file.set_len(whole)
        }
        Tail::Foreign => Err(foreign()),
    }
}

fn tail(file: &File, records: Records) -> io::Result<Tail> {
    match records {
        Records::JsonLines => of_lines(file, json),
        Records::Folded => of_lines(file, folded),
        Records::Frames(..) => of_frames(file),
        Records::Pprof => Ok(Tail::Whole),
    }
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no records of this format")
}

/// Writes a file that has all its bytes or does not exist, by way of a file with a name of its own.
pub(crate) fn write_whole(part: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let mut file = openfile::create(part, MODE)?;
    let written = file.write_all(bytes).and_then(|()| if sync { file.sync_all() } else { Ok(()) });
    written.inspect_err(|_error| {
        // The first error is the one to report; the next window overwrites the file that is left.
        let _left = fs::remove_file(part);
    })
}

/// Path of the file that is written before it gets its name: always the same beside the same file, so that a file that
/// a crash leaves is overwritten.
pub(crate) fn part(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}

/// Puts the names in a file's directory on disk.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

/// Creates the directory of a file if the configuration wants that.
pub(crate) fn create_directory(path: &Path, config: &Config) -> io::Result<()> {
    if !config.create_directory {
        return Ok(());
    }
    // Validated before the exporter is made.
    let mode = config.directory_mode().unwrap_or(0o755);
    DirBuilder::new().recursive(true).mode(mode).create(parent(path))
}

/// A disk that keeps no bytes, for the tests of one thread.
#[cfg(test)]
pub(crate) mod sync_fault {
    use std::cell::Cell;
    use std::io::ErrorKind;

    thread_local! {
        static FAULT: Cell<Option<ErrorKind>> = const { Cell::new(None) };
    }

    pub(crate) fn get() -> Option<ErrorKind> {
        FAULT.get()
    }

    pub(crate) fn set(fault: Option<ErrorKind>) {
        FAULT.set(fault);
    }
}
