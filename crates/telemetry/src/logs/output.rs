//! Outputs that log lines go to.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use openfile::{ANSWERS_WITHIN, within};

use crate::config::Logs;
use crate::error::TelemetryError;

/// All outputs of the log, open.
#[derive(Debug)]
pub(super) struct Outputs {
    lines: Vec<Output>,
    /// Outputs of reports that a line could not be written.
    errors: Vec<Output>,
}

/// An output that lines are written to.
#[derive(Debug)]
struct Output {
    path: String,
    sink: Sink,
    /// Who else can decide what becomes of the file, if anybody can.
    doubt: Option<String>,
    /// True while the output takes nothing, so that this is reported once.
    broken: AtomicBool,
}

#[derive(Debug)]
enum Sink {
    Stderr,
    Stdout,
    File(File),
}

impl Outputs {
    pub(super) fn open(config: &Logs) -> Result<Self, TelemetryError> {
        let open = |key: &'static str, paths: &[String]| {
            paths
                .iter()
                .enumerate()
                .map(|(at, path)| {
                    Output::open(path).map_err(|source| TelemetryError::Output {
                        key,
                        at,
                        path: path.clone(),
                        source,
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            lines: open("output_paths", &config.output_paths)?,
            errors: open("error_output_paths", &config.error_output_paths)?,
        })
    }

    /// Who else can decide what becomes of the outputs, as sentences.
    pub(super) fn doubts(&self) -> BTreeSet<String> {
        self.lines.iter().chain(&self.errors).filter_map(|output| output.doubt.clone()).collect()
    }

    /// Writes `line` to every output; returns the number of outputs that did not take it.
    pub(super) fn write(&self, line: &str) -> u64 {
        let mut failures = 0;
        for output in &self.lines {
            match output.write(line) {
                Ok(()) => output.broken.store(false, Ordering::Relaxed),
                Err(error) => {
                    failures += 1;
                    if !output.broken.swap(true, Ordering::Relaxed) {
                        self.note(&format!("cannot write log lines to {}: {error}\n", output.path));
                    }
                }
            }
        }
        failures
    }

    /// Writes a report that is about the log itself.
    pub(super) fn note(&self, line: &str) {
        for output in &self.errors {
            // There is nowhere else to write it.
            let _written = output.write(line);
        }
    }
}

impl Output {
    fn open(path: &str) -> io::Result<Self> {
        let (sink, doubt) = match path {
            "stderr" => (Sink::Stderr, None),
            "stdout" => (Sink::Stdout, None),
            path => {
                let path = PathBuf::from(path);
                let opened = within(ANSWERS_WITHIN, move || Ok((open_file(&path)?, openfile::doubt(&path))))?;
                (Sink::File(opened.0), opened.1)
            }
        };
        Ok(Self { path: path.to_owned(), sink, doubt, broken: AtomicBool::new(false) })
    }

    /// Writes a line in one write, so that lines of several threads or processes stay whole.
    fn write(&self, line: &str) -> io::Result<()> {
        match &self.sink {
            Sink::Stderr => io::stderr().write_all(line.as_bytes()),
            Sink::Stdout => io::stdout().lock().write_all(line.as_bytes()),
            Sink::File(file) => (&*file).write_all(line.as_bytes()),
        }
    }
}

/// Opens a file that lines are appended to. The log names programs that run on the machine, which is for the eyes of
/// its owner.
fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    let file = openfile::open(&mut options, path)?;
    // The thread that writes may wait for a reader.
    rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::APPEND)?;
    Ok(file)
}
