//! Keys of `exporters::file::rotation`.

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings for starting a new file and keeping old ones. As in the Collector, the full file is renamed: the time goes
/// before its extension.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rotation {
    /// Size from which on a file is full, in units of 1024² bytes. Files of the format `pprof` are a window each
    /// instead.
    pub max_megabytes: u32,
    /// Days for which an old file is kept, by the time in its name; 0 for any number.
    pub max_days: u32,
    /// The number of old files that are kept; 0 for any number.
    pub max_backups: u32,
    /// Whether the times in names are those of this host's time zone, not UTC.
    pub localtime: bool,
}

impl Rotation {
    /// Default of `max_megabytes`, as in the Collector.
    pub const MAX_MEGABYTES: u32 = 100;
    /// Default of `max_backups`, as in the Collector.
    pub const MAX_BACKUPS: u32 = 100;

    pub(super) fn validate(&self) -> Vec<Fault> {
        let zero = self.max_megabytes == 0;
        zero.then(|| Fault::at(["max_megabytes"], "is 0, expected at least 1")).into_iter().collect()
    }

    /// Size in bytes that no file exceeds, unless one record is larger.
    pub(crate) fn max_bytes(&self) -> u64 {
        u64::from(self.max_megabytes) << 20
    }
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            max_megabytes: Self::MAX_MEGABYTES,
            max_days: 0,
            max_backups: Self::MAX_BACKUPS,
            localtime: false,
        }
    }
}
