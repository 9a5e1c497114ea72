//! Keys of `exporters::file`.

mod rotation;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use configtypes::{Fault, GoDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windows::{DEFAULT_WINDOW, GroupBy, group_faults, window_fault};

pub use rotation::Rotation;

use crate::template::Template;

/// Configuration of the file exporter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File to write; required. May hold the time of a window in UTC as strftime has it, such as
    /// `%Y-%m-%d/%H.jsonl`; a percent sign is then `%%`. Created for its owner alone (mode 0600).
    pub path: PathBuf,
    /// The format of the file's records.
    pub format: Format,
    /// Compression of each message, by itself; each then follows its length, as 4 bytes, big-endian. For `json` and
    /// `proto`; `pprof` is always compressed by gzip, and `folded` never is.
    pub compression: Compression,
    /// Keep the records that the file already holds, without a last one that a crash has left torn. As in the Collector
    /// the default is to start the file anew; one that is rotated or has the time in its path is always kept.
    pub append: bool,
    /// Start a new file when this one is full, and delete old ones; off unless it is there.
    #[serde(deserialize_with = "configtypes::section", skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Length of a profile. Each window becomes a record, or several if it is large.
    #[serde(with = "GoDuration")]
    pub window: Duration,
    /// Attributes by which images leave as one: those with the same values of all of them. Empty for each image by
    /// itself. In `folded`, what they have in common is the outermost frames.
    pub group_by: Vec<GroupBy>,
    /// Life of a process, from its start to its end in the window, below which alone it is grouped; 0 for any.
    #[serde(with = "GoDuration")]
    pub fold_shorter_than: Duration,
    /// Time at which the disk is asked to keep written records. The kernel gets them at once in any case.
    pub fsync: Fsync,
    /// The longest time for which written records may wait for the disk if `fsync` is `interval`.
    #[serde(with = "GoDuration")]
    pub flush_interval: Duration,
    /// Create the directory of the file, and those above it, where they do not exist.
    pub create_directory: bool,
    /// Mode of directories that are created, in octal, less the umask.
    pub directory_permissions: String,
}

/// The formats that a window can be written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// OTLP/JSON, one export request a line.
    #[default]
    Json,
    /// OTLP as protobuf: each export request after its length, as 4 bytes, big-endian.
    Proto,
    /// One file for each window, for `go tool pprof` and all programs that read its format (gzip'd
    /// `perftools.profiles.Profile`). Unless the path has the time in it, the window's start is put before its
    /// extension.
    Pprof,
    /// Folded stacks for flame graphs, one a line: `thread;outermost;...;innermost samples`.
    Folded,
}

/// The compression of each message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// Gzip.
    Gzip,
    /// Zstandard, as the Collector does it.
    Zstd,
}

/// Time at which written records are put on disk for certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// The agent never asks: the kernel writes when it sees fit, and records are lost if power fails, not if the agent
    /// is killed.
    #[default]
    Never,
    /// The agent asks at most `flush_interval` after a record is written.
    Interval,
    /// The agent asks before a window counts as delivered.
    Always,
}

impl Config {
    /// Default of `flush_interval`, as in the Collector.
    pub const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
    /// Default of `directory_permissions`, as in the Collector.
    pub const DIRECTORY_PERMISSIONS: &str = "0755";

    /// Every fault, by its key: the problem and the value that is expected.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let template = Template::new(&self.path);
        if self.path.as_os_str().is_empty() {
            faults.push(Fault::at(["path"], "is missing, expected a file to write, like ./profiles.jsonl"));
        } else if let Err(fault) = &template {
            faults.push(Fault::at(["path"], fault.to_string()));
        }
        if self.compression != Compression::None && matches!(self.format, Format::Pprof | Format::Folded) {
            faults.push(Fault::at(
                ["compression"],
                "is for the formats json and proto, expected none (pprof is always compressed by gzip)",
            ));
        }
        if self.rotation.is_some() && template.is_ok_and(|template| template.has_time()) {
            faults.push(Fault::at(["rotation"], "is for one file, expected a path without the time in it"));
        }
        if let Some(rotation) = &self.rotation {
            faults.extend(rotation.validate().into_iter().map(|fault| fault.within(["rotation"])));
        }
        faults.extend(window_fault(self.window).map(|fault| Fault::at(["window"], fault)));
        faults.extend(group_faults(&self.group_by, self.fold_shorter_than));
        if self.flush_interval.is_zero() {
            faults.push(Fault::at(["flush_interval"], "is 0s, expected more, or fsync: always"));
        }
        if self.directory_mode().is_none() {
            let found = &self.directory_permissions;
            faults.push(Fault::at(
                ["directory_permissions"],
                format!("is {found:?}, expected permissions in octal, like \"0755\""),
            ));
        }
        faults
    }

    /// `directory_permissions` as a number; `None` if it is none.
    pub(crate) fn directory_mode(&self) -> Option<u32> {
        u32::from_str_radix(&self.directory_permissions, 8).ok().filter(|mode| *mode <= 0o777)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            format: Format::default(),
            compression: Compression::default(),
            append: false,
            rotation: None,
            window: DEFAULT_WINDOW,
            group_by: Vec::new(),
            fold_shorter_than: Duration::ZERO,
            fsync: Fsync::default(),
            flush_interval: Self::FLUSH_INTERVAL,
            create_directory: false,
            directory_permissions: Self::DIRECTORY_PERMISSIONS.to_owned(),
        }
    }
}
