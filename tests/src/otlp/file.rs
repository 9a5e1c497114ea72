//! Files of OTLP/JSON lines, one export request a line.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::resolved::{BadIndex, Resource, resolve};
use super::summary::Summary;
use super::wire::JsonRequest;

/// The requests of a file, in its order.
#[derive(Clone, Debug)]
pub struct OtlpFile {
    /// The requests, one for each line.
    pub requests: Vec<JsonRequest>,
}

/// An error for which a file cannot be read as OTLP profiles.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum ReadError {
    /// The file could not be read.
    #[error("{}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A line is not an export request.
    #[error("line {line}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// The fault of the line.
        source: serde_json::Error,
    },
    /// An index is outside of its table.
    #[error(transparent)]
    Index(#[from] BadIndex),
}

impl OtlpFile {
    /// The file at `path`.
    ///
    /// # Errors
    /// [`ReadError::Read`] if it cannot be read; [`ReadError::Line`] for a line that is no request.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let text = fs::read(path).map_err(|source| ReadError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// The file at `path`, or one without requests: an exporter opens its file for the first window.
    ///
    /// # Errors
    /// The same as of [`read`](Self::read), apart from that of a missing file.
    pub fn read_if_any(path: &Path) -> Result<Self, ReadError> {
        match Self::read(path) {
            Err(ReadError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Ok(Self { requests: Vec::new() })
            }
            result => result,
        }
    }

    /// The whole lines of a file that is still being written, or none if it does not exist yet. A line of many pages is
    /// not written at once, so the text behind the last end of a line is left out.
    ///
    /// # Errors
    /// The same as of [`read_if_any`](Self::read_if_any).
    pub fn read_so_far(path: &Path) -> Result<Self, ReadError> {
        match fs::read(path) {
            Ok(text) => {
                let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
                Self::parse(text.get(..whole).unwrap_or_default())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self { requests: Vec::new() }),
            Err(source) => Err(ReadError::Read { path: path.to_owned(), source }),
        }
    }

    /// The requests in a file's content. A last line without an end is read like any other: a writer that was cut off
    /// leaves one that cannot be parsed.
    ///
    /// # Errors
    /// [`ReadError::Line`] for a line that is no request.
    pub fn parse(text: &[u8]) -> Result<Self, ReadError> {
        let lines = text.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
        let requests = lines.map(|(at, line)| {
            serde_json::from_slice(line).map_err(|source| ReadError::Line { line: at + 1, source })
        });
        Ok(Self { requests: requests.collect::<Result<_, _>>()? })
    }

    /// The resources of all requests, in order; a process has one for each window.
    ///
    /// # Errors
    /// [`ReadError::Index`] for the first index that is outside of its table.
    pub fn resources(&self) -> Result<Vec<Resource>, ReadError> {
        let mut resources = Vec::new();
        for request in &self.requests {
            resources.extend(resolve(request)?);
        }
        Ok(resources)
    }

    /// The figures of the file.
    ///
    /// # Errors
    /// [`ReadError::Index`] for the first index that is outside of its table.
    pub fn summary(&self) -> Result<Summary, ReadError> {
        Ok(Summary::of(self.requests.len(), &self.resources()?))
    }

    /// The figures of the file on which all exporters agree, as of [`Summary::common`].
    ///
    /// # Errors
    /// [`ReadError::Index`] for the first index that is outside of its table.
    pub fn common(&self) -> Result<Summary, ReadError> {
        Ok(Summary::common(&self.resources()?))
    }
}
