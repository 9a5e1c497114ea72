//! A file of records: a database that survives being killed, and is replaced when it is beyond repair.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, ReadableTable as _, TableDefinition};

use crate::backend::FileBackend;
use crate::fault::step;
use crate::record::Record;
use crate::salvage::salvage;
use crate::store_error::StoreError;

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// Bytes of the database's cache of pages: a written page is read once or never.
const CACHE_BYTES: usize = 8 << 20;
/// Number of files beyond repair that are kept, for people who want to look into them.
const KEPT_CORRUPT: u32 = 3;
/// Bytes of a transaction when records of a corrupt file are written.
const SALVAGE_BYTES: usize = 16 << 20;

/// An open file.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    database: Database,
}

/// The contents of a file when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Records by rising key.
    pub(crate) records: Vec<Found>,
    /// Records that were there once and are no longer whole.
    pub(crate) corrupt: u64,
    /// New path of a file beyond repair.
    pub(crate) moved: Option<PathBuf>,
}

/// A record of the file, without its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: u64,
    pub(crate) samples: u64,
    pub(crate) created: u64,
    pub(crate) bytes: u64,
}

impl Found {
    fn new(key: u64, record: &Record) -> Self {
        let Record { samples, created, ref request } = *record;
        Self { key, samples, created, bytes: request.len() as u64 }
    }
}

impl Store {
    /// Opens the file, or makes it. Everything in it is checked; a file that is corrupt is moved aside, and its whole
    /// records are taken into a new one.
    pub(crate) fn open(path: &Path, fsync: bool) -> Result<(Self, Contents), StoreError> {
        match Self::open_sound(path, fsync) {
            Err(StoreError::Corrupt(_)) => Self::replace(path, fsync),
            result => result,
        }
    }

    fn open_sound(path: &Path, fsync: bool) -> Result<(Self, Contents), StoreError> {
        let file = open_file(path).map_err(StoreError::Io)?;
        sync_directory(path, fsync)?;
        let database = guarded(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE_BYTES);
            let mut database = builder.create_with_backend(FileBackend::new(file, fsync))?;
            // The check sums over every page: past this point no pointer in the file leads astray. Damage that a kill
            // leaves has been repaired above; to repair more would be to go back to an older state without a word.
            if database.check_integrity()? {
                Ok(database)
            } else {
                Err(StoreError::Corrupt("sums do not match".to_owned()))
            }
        })?;
        let mut store = Self { path: path.to_owned(), database };
        let (contents, torn) = store.list()?;
        if !torn.is_empty() {
            store.commit(&[], &torn)?;
        }
        Ok((store, contents))
    }

    /// Every record, and the keys of those that are not whole.
    fn list(&self) -> Result<(Contents, Vec<u64>), StoreError> {
        guarded(|| {
            let (mut contents, mut torn) = (Contents::default(), Vec::new());
            let transaction = self.database.begin_read()?;
            let table = match transaction.open_table(RECORDS) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok((contents, torn)),
                Err(error) => return Err(error.into()),
            };
            for entry in table.iter()? {
                let (key, value) = entry?;
                match whole(key.value(), value.value()) {
                    Some(record) => contents.records.push(Found::new(key.value(), &record)),
                    None => torn.push(key.value()),
                }
            }
            contents.corrupt = torn.len() as u64;
            Ok((contents, torn))
        })
    }

    /// Makes another file of the whole records in a corrupt one, which is then moved aside. Until that is done the
    /// corrupt one stays in its place: if the disk is full, or the agent is killed, it is salvaged again.
    fn replace(path: &Path, fsync: bool) -> Result<(Self, Contents), StoreError> {
        let (making, aside) = (beside(path, "new"), aside(path));
        // An attempt that was killed may have left this file.
        let _gone = remove(&making);
        let made = Self::salvaged(path, &making, fsync).and_then(|made| {
            // First a second name, then the place itself: at no time does the path name nothing, or less than there is.
            keep(path, &aside).and_then(|()| rename(&making, path)).map_err(StoreError::Io)?;
            sync_directory(path, fsync)?;
            Ok(made)
        });
        let (mut store, mut contents) = made.inspect_err(|_error| {
            // The new file may be what fills the disk. If it has its new name already, it stays.
            let _gone = remove(&making);
        })?;
        store.path = path.to_owned();
        contents.moved = Some(aside);
        Ok((store, contents))
    }

    /// Makes the file `making` of the whole records in the corrupt one.
    fn salvaged(corrupt: &Path, making: &Path, fsync: bool) -> Result<(Self, Contents), StoreError> {
        let corrupt = File::open(corrupt).map_err(StoreError::Io)?;
        let (mut store, mut contents) = Self::open_sound(making, fsync)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        salvage(&corrupt, |key, record| {
            if contents.records.iter().any(|found| found.key == key) {
                return Ok(());
            }
            contents.records.push(Found::new(key, &record));
            bytes += record.request.len();
            batch.push((key, record.encode(key)));
            if bytes >= SALVAGE_BYTES {
                bytes = 0;
                store.commit(&std::mem::take(&mut batch), &[])?;
            }
            Ok(())
        })?;
        store.commit(&batch, &[])?;
        contents.records.sort_unstable_by_key(|found| found.key);
        Ok((store, contents))
    }

    /// Adds and removes records, all or none. The change is there for good, in the sense of `fsync`, once this returns.
    pub(crate) fn commit(&mut self, added: &[(u64, Vec<u8>)], removed: &[u64]) -> Result<(), StoreError> {
        guarded(|| {
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(RECORDS)?;
                for key in removed {
                    table.remove(key)?;
                }
                for (key, record) in added {
                    table.insert(key, record.as_slice())?;
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }

    /// The record with that key; `None` if it is not there, or not whole.
    pub(crate) fn read(&self, key: u64) -> Result<Option<Record>, StoreError> {
        guarded(|| {
            let table = match self.database.begin_read()?.open_table(RECORDS) {
                Ok(table) => table,
                // Somebody has removed the file, and this is another that nothing has been written to yet.
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            Ok(table.get(key)?.and_then(|value| whole(key, value.value())))
        })
    }

    /// Closes the file, which has all that was committed.
    pub(crate) fn close(self) {
        // A database that has failed may panic when it is dropped.
        let _outcome = guarded(|| {
            drop(self.database);
            Ok(())
        });
    }

    /// Bytes that the file takes up.
    pub(crate) fn file_bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |file| file.len())
    }
}

/// The record in `value`, if it is whole and the one that belongs there.
fn whole(key: u64, value: &[u8]) -> Option<Record> {
    Record::decode(value).filter(|(own, _)| *own == key).map(|(_, record)| record)
}

/// Adds a second name to a corrupt file. Where files cannot have two, the file is copied.
fn keep(path: &Path, aside: &Path) -> io::Result<()> {
    let _gone = remove(aside);
    link(path, aside).or_else(|_not_here| copy(path, aside))
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    step()?;
    #[cfg(test)]
    if !crate::fault::tests::has_links() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    fs::hard_link(from, to)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    step().inspect_err(|_killed| {
        // Half of it, as a kill in the middle leaves it.
        #[cfg(test)]
        let _torn =
            fs::read(from).and_then(|all| fs::write(to, all.get(..all.len() / 2).unwrap_or_default()));
    })?;
    fs::copy(from, to).map(drop)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step()?;
    fs::rename(from, to)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    step()?;
    fs::remove_file(path)
}

fn open_file(path: &Path) -> io::Result<File> {
    step()?;
    let mut options = OpenOptions::new();
    // Requests name the programs that a host runs, so the file is for its owner alone.
    openfile::open(options.read(true).write(true).create(true).truncate(false).mode(0o600), path)
}

/// Syncs the directory of a file: the name of a new file has to survive a failure of the power, as well as its content.
fn sync_directory(path: &Path, fsync: bool) -> Result<(), StoreError> {
    let Some(directory) = path.parent().filter(|_| fsync) else { return Ok(()) };
    step().and_then(|()| File::open(directory)?.sync_all()).map_err(StoreError::Io)
}

/// The path with another ending added.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    PathBuf::from(name)
}

/// Path to which a corrupt file is moved: the first name that is free, or the last.
fn aside(path: &Path) -> PathBuf {
    let name = |number| beside(path, &format!("corrupt-{number}"));
    (1..KEPT_CORRUPT).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(KEPT_CORRUPT))
}

/// Runs a call of the database, which panics here and there over the content of a corrupt file.
fn guarded<T>(act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|_panic| Err(StoreError::Corrupt("the database has given up on it".to_owned())))
}
