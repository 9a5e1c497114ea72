//! Small files of the kernel's that are read again and again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Bytes of one read: as many as most of these files have.
const STEP_BYTES: usize = 4 << 10;
/// The most bytes of a file: none of these files is longer.
const MAX_BYTES: usize = 16 << 20;

/// A file of `/proc` or `/sys`, which is opened once: opening one takes longer than reading it. The kernel writes the
/// text anew for each reading from the beginning.
#[derive(Debug)]
pub(crate) struct RereadFile {
    path: PathBuf,
    file: Option<File>,
    text: Vec<u8>,
}

impl RereadFile {
    /// The file at `path`, which is opened when it is first read.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None, text: Vec::new() }
    }

    /// The file's text as it is now.
    ///
    /// # Errors
    /// Errors of opening and reading the file; also if it is no text. The next call opens the file again.
    pub(crate) fn read(&mut self) -> io::Result<&str> {
        if let Err(error) = self.fill() {
            self.file = None;
            return Err(error);
        }
        str::from_utf8(&self.text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn fill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        self.text.clear();
        loop {
            let filled = self.text.len();
            self.text.resize(filled + STEP_BYTES, 0);
            let rest = self.text.get_mut(filled..).unwrap_or_default();
            let read = file.read_at(rest, u64::try_from(filled).unwrap_or(u64::MAX));
            let read = match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.text.truncate(filled);
                    continue;
                }
                read => read?,
            };
            self.text.truncate(filled + read);
            if read == 0 {
                return Ok(());
            }
            if self.text.len() > MAX_BYTES {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_reading_shows_what_the_file_says_by_then_however_long_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut file = RereadFile::new(&path);
        assert_eq!(file.read().unwrap_err().kind(), io::ErrorKind::NotFound);
        for text in ["0-3\n".to_owned(), "x".repeat(3 * STEP_BYTES), String::new(), "0\n".to_owned()] {
            fs::write(&path, &text).unwrap();
            assert_eq!(file.read().unwrap(), text);
        }
        fs::write(&path, b"\xff").unwrap();
        assert_eq!(file.read().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn the_kernel_writes_its_text_anew() {
        let mut uptime = RereadFile::new("/proc/self/stat");
        let before = uptime.read().unwrap().to_owned();
        let mut after = before.clone();
        // The time that this process has worked is part of the text.
        while after == before {
            after = uptime.read().unwrap().to_owned();
        }
        assert_eq!(before.split(' ').next(), after.split(' ').next());
    }
}
