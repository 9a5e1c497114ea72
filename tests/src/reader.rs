//! The independent reader, `tests/reader/read.py`: official schema, official decoder.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::otlp::Summary;
use crate::workspace;

/// What the independent reader says of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The figures that our own reader must find too.
    pub summary: Summary,
    /// Size of the largest request as protobuf.
    pub largest_request_bytes: u64,
}

/// Has the independent reader read `path`.
///
/// # Panics
/// If it refuses the file (its message is shown), or is not set up.
#[must_use]
pub fn read(path: &Path) -> Reading {
    let output = Command::new(workspace::python())
        .arg(workspace::file("reader/read.py"))
        .arg(path)
        .stderr(Stdio::inherit())
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "the independent reader refuses {}", path.display());
    serde_json::from_slice(&output.stdout).expect("the reader prints its figures")
}
