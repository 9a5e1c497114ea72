//! Files of configuration.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The most bytes that a file may have.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Reads a file, perhaps a pipe, that holds no more than [`MAX_FILE_BYTES`].
pub(crate) fn read_file(path: &Path) -> io::Result<String> {
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
}
