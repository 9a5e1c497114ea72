//! The two independent readers. `tests/reader/read.py`: official schema, protobuf's own decoder.
//! `tests/collector/pdatareader`: the Collector's schema, the Collector's decoder.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::otlp::Summary;
use crate::workspace;

/// The figures that an independent reader finds in a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The figures that our own reader must find too.
    pub summary: Summary,
    /// Size of the largest request as protobuf, in bytes.
    pub largest_request_bytes: u64,
}

/// Reads the JSON lines, or the protobuf messages with their lengths before them, at `path` with Python.
///
/// # Panics
/// If Python's reader refuses the file (its message is shown), or is not set up.
#[must_use]
pub fn read(path: &Path) -> Reading {
    run(Command::new(workspace::python()).arg(workspace::file("reader/read.py")), path)
}

/// Reads the same files as [`read`] with the Collector's pdata.
///
/// # Panics
/// If the Collector's reader refuses the file (its message is shown), or is not set up.
#[must_use]
pub fn go_read(path: &Path) -> Reading {
    run(&mut Command::new(workspace::file("collector/pdata-reader")), path)
}

fn run(reader: &mut Command, path: &Path) -> Reading {
    let output = reader.arg(path).stderr(Stdio::inherit()).output().expect("the reader starts");
    assert!(output.status.success(), "{reader:?} refuses the file");
    serde_json::from_slice(&output.stdout).expect("the reader prints its figures")
}
