//! Files of configuration.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use openfile::{ANSWERS_WITHIN, within};

/// The most bytes that a file may have.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Reads a file, perhaps a pipe, that holds no more than [`MAX_FILE_BYTES`], within [`ANSWERS_WITHIN`].
pub(crate) fn read_file(path: &Path) -> io::Result<String> {
    read_within(ANSWERS_WITHIN, path)
}

fn read_within(limit: Duration, path: &Path) -> io::Result<String> {
    let path = path.to_owned();
    within(limit, move || read(&path))
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 16 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_end_or_of_other_than_text_is_refused() {
        assert_eq!(read_file("/dev/zero".as_ref()).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file, b"a: \xff").unwrap();
        assert_eq!(read_file(file.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_pipe_is_read_and_one_that_nobody_writes_to_does_not_wait_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).unwrap();
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, "a: 1").unwrap()
        });
        assert_eq!(read_file(&pipe).unwrap(), "a: 1");
        writer.join().unwrap();
        let error = read_within(Duration::from_millis(10), &pipe).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        // The reader that was left gets its end.
        std::fs::write(&pipe, "").unwrap();
    }
}
