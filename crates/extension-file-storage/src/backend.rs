//! The file beneath the database.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use redb::StorageBackend;

use crate::fault::step;

/// A file that is read and written as it is, and synced if the configuration wants that.
///
/// No read is larger than the file: lengths that come out of a corrupt file cost no memory.
#[derive(Debug)]
pub(crate) struct FileBackend {
    file: File,
    fsync: bool,
}

impl FileBackend {
    pub(crate) fn new(file: File, fsync: bool) -> Self {
        Self { file, fsync }
    }
}

impl StorageBackend for FileBackend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        if offset.checked_add(len as u64).is_none_or(|end| self.len().is_ok_and(|file| end > file)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut buffer = vec![0; len];
        self.file.read_exact_at(&mut buffer, offset)?;
        Ok(buffer)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        step()?;
        self.file.set_len(len)
    }

    fn sync_data(&self, _eventual: bool) -> io::Result<()> {
        step()?;
        if self.fsync { self.file.sync_data() } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        step().inspect_err(|_killed| {
            // Half of it, as a kill in the middle leaves it.
            #[cfg(test)]
            let _torn = self.file.write_all_at(data.get(..data.len() / 2).unwrap_or_default(), offset);
        })?;
        self.file.write_all_at(data, offset)
    }
}
