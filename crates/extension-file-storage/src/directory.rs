//! A directory that this process alone uses, and whose files each have one user.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::clock::Clock;
use crate::config::Config;
use crate::error::OpenError;
use crate::fault::step;

/// Name of the file that is locked while the directory is in use.
const LOCK_FILE: &str = "lock";
/// Pause between attempts to get the lock.
const AGAIN: Duration = Duration::from_millis(20);

/// The directories of this process: a storage that is configured anew takes over from the one before it.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Directory>>>> = Mutex::new(None);

/// A directory that is locked for as long as it is in use.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    clock: Clock,
    /// The lock's file; dropping it releases the lock.
    _lock: File,
    /// Names of files in use.
    taken: Mutex<BTreeSet<String>>,
    freed: Condvar,
}

impl Directory {
    /// Finds or makes the directory, and locks it.
    pub(crate) fn open(config: &Config) -> Result<Arc<Self>, OpenError> {
        create(config)?;
        let path = config.directory.clone();
        let path = fs::canonicalize(&path).map_err(|source| OpenError::Unwritable { path, source })?;
        openfile::guard(&path).map_err(|source| OpenError::Unwritable { path: path.clone(), source })?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        open.retain(|_, directory| directory.strong_count() > 0);
        if let Some(directory) = open.get(&path).and_then(Weak::upgrade) {
            return Ok(directory);
        }
        let lock = lock(&path, config.timeout)?;
        let directory = Arc::new(Self {
            clock: Clock::open(&path),
            path: path.clone(),
            _lock: lock,
            taken: Mutex::default(),
            freed: Condvar::new(),
        });
        open.insert(path, Arc::downgrade(&directory));
        Ok(directory)
    }

    /// Waits until nobody else uses the file called `name`, and takes it.
    pub(crate) fn take(self: &Arc<Self>, name: &str) -> Taken {
        let mut taken = self.taken();
        while !taken.insert(name.to_owned()) {
            taken = self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        Taken { directory: self.clone(), name: name.to_owned() }
    }

    /// The clock of the requests that are stored in the directory.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that nobody else in this process uses.
#[derive(Debug)]
pub(crate) struct Taken {
    directory: Arc<Directory>,
    name: String,
}

impl Taken {
    /// The file, which may not exist yet.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path.join(&self.name)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.directory.taken().remove(&self.name);
        self.directory.freed.notify_all();
    }
}

/// Makes the directory, unless it is there, where nobody else decides what is in its place.
fn create(config: &Config) -> Result<(), OpenError> {
    let path = &config.directory;
    if path.is_dir() {
        return Ok(());
    }
    if !config.create_directory {
        return Err(OpenError::Missing { path: path.clone() });
    }
    let above = path.ancestors().skip(1).find(|above| above.is_dir());
    // A relative path is in the directory in which the agent runs.
    let above = above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    openfile::guard_above(above).map_err(|source| OpenError::Create { path: path.clone(), source })?;
    let mode = config.mode().unwrap_or(0o750);
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|source| OpenError::Create { path: path.clone(), source })
}

fn lock(directory: &Path, timeout: Duration) -> Result<File, OpenError> {
    let unwritable = |source: io::Error| OpenError::Unwritable { path: directory.to_owned(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    step().map_err(unwritable)?;
    let mut file = openfile::open(&mut options, &directory.join(LOCK_FILE)).map_err(unwritable)?;
    let deadline = Instant::now() + timeout;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => thread::sleep(AGAIN),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Only the error text uses it; if it cannot be read, that names no holder.
                let _read = (&file).take(20).read_to_string(&mut holder);
                let holder = if holder.is_empty() { "unknown".to_owned() } else { holder };
                return Err(OpenError::InUse { path: directory.to_owned(), holder });
            }
            Err(error) => return Err(unwritable(error.into())),
        }
    }
    // On a full disk the lock holds all the same.
    let _told = step()
        .and_then(|()| file.set_len(0))
        .and_then(|()| file.rewind())
        .and_then(|()| step())
        .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
    Ok(file)
}
