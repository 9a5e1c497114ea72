//! The section `processors::symbolizer`.

use std::ops::RangeInclusive;
use std::time::Duration;

use configtypes::{ByteSize, Fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use symbolize::Demangle;

/// Configuration of the component, key `processors::symbolizer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Memory for symbol tables and names; the ones used longest ago make room.
    pub max_memory: ByteSize,
    /// The most files that are held open, so that they can be read when their processes are gone; no more than half of
    /// those that the system lets the agent open.
    pub max_open_files: usize,
    /// The longest time for which samples wait for names. A frame without a name by then leaves with its address and
    /// build ID.
    #[serde(with = "configtypes::GoDuration")]
    pub timeout: Duration,
    /// The form in which names that a compiler has mangled are shown.
    pub demangle: Demangling,
    /// Whether frames have the file and the line of their source, and the functions that were inlined there, from debug
    /// information (DWARF): the file's own, or that of a debug file below `/usr/lib/debug` or beside it. Files with
    /// split units (`.dwo`, `.dwp`) are read below `/usr/lib/debug`, and elsewhere if they have the program's owner.
    /// Takes a quarter of `max_memory`.
    pub lines: bool,
    /// Debug files of stripped programs, from debuginfod servers. {} for the servers that the variable DEBUGINFOD_URLS
    /// names; nobody is asked if it is absent.
    #[serde(deserialize_with = "configtypes::section", skip_serializing_if = "Option::is_none")]
    pub debuginfod: Option<debuginfod::Config>,
}

/// The form in which names that a compiler has mangled are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Demangling {
    /// The linker's form, mangled.
    None,
    /// The name without parameters, return types and hashes.
    #[default]
    Simplified,
    /// The whole name.
    Full,
}

impl From<Demangling> for Demangle {
    fn from(how: Demangling) -> Self {
        match how {
            Demangling::None => Self::None,
            Demangling::Simplified => Self::Simplified,
            Demangling::Full => Self::Full,
        }
    }
}

impl Config {
    /// Default of `max_memory`.
    pub const MAX_MEMORY: ByteSize = ByteSize::from_mib(64);
    /// Bounds of `max_memory`.
    pub const MAX_MEMORY_BOUNDS: RangeInclusive<ByteSize> = ByteSize::from_mib(4)..=ByteSize::from_gib(16);
    /// Default of `max_open_files`.
    pub const MAX_OPEN_FILES: usize = 1024;
    /// Bounds of `max_open_files`.
    pub const MAX_OPEN_FILES_BOUNDS: RangeInclusive<usize> = 1..=65_536;
    /// Default of `timeout`.
    pub const TIMEOUT: Duration = Duration::from_secs(1);
    /// Bounds of `timeout`.
    pub const TIMEOUT_BOUNDS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(10);

    /// Every fault, by its key: the problem and the value that is expected; empty if there is none.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let memory = self.max_memory;
        if !Self::MAX_MEMORY_BOUNDS.contains(&memory) {
            let (least, most) = Self::MAX_MEMORY_BOUNDS.into_inner();
            faults.push(Fault::at(
                ["max_memory"],
                format!("{memory} is out of range, expected {least} to {most}"),
            ));
        }
        let files = self.max_open_files;
        if !Self::MAX_OPEN_FILES_BOUNDS.contains(&files) {
            let (least, most) = Self::MAX_OPEN_FILES_BOUNDS.into_inner();
            faults.push(Fault::at(
                ["max_open_files"],
                format!("{files} is out of range, expected {least} to {most}"),
            ));
        }
        let timeout = self.timeout;
        if !Self::TIMEOUT_BOUNDS.contains(&timeout) {
            let (least, most) = Self::TIMEOUT_BOUNDS.into_inner();
            faults.push(Fault::at(
                ["timeout"],
                format!("{timeout:?} is out of range, expected {least:?} to {most:?}"),
            ));
        }
        let fetching = self.debuginfod.iter().flat_map(debuginfod::Config::validate);
        faults.extend(fetching.map(|fault| fault.within(["debuginfod"])));
        faults
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_memory: Self::MAX_MEMORY,
            max_open_files: Self::MAX_OPEN_FILES,
            timeout: Self::TIMEOUT,
            demangle: Demangling::default(),
            lines: false,
            debuginfod: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_every_fault_is_reported_at_once_by_its_key() {
        assert_eq!(Config::default().validate(), [""; 0]);
        let config = Config {
            max_memory: ByteSize::from_bytes(1),
            max_open_files: 0,
            timeout: Duration::ZERO,
            demangle: Demangling::Full,
            lines: true,
            debuginfod: Some(debuginfod::Config { timeout: Duration::ZERO, ..debuginfod::Config::default() }),
        };
        let keys: Vec<_> = config.validate().into_iter().map(|fault| fault.keys.join("::")).collect();
        assert_eq!(keys, ["max_memory", "max_open_files", "timeout", "debuginfod::timeout"]);
    }
}
