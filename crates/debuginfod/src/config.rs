//! The keys of the configuration.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use configtypes::{ByteSize, Fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Url;

/// The most servers that are asked, one after another.
const MOST_URLS: usize = 16;
const CACHE_DIRECTORY: &str = "/var/cache/pipeline/debuginfod";

/// Debug files from debuginfod servers: key `processors::symbolizer::debuginfod`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The servers that are asked, in this order, as `https://HOST` or `http://HOST:PORT`. Empty for those of the
    /// variable DEBUGINFOD_URLS of the agent's environment. They see the build IDs of the programs on this machine.
    pub urls: Vec<String>,
    /// Directory for the files, which is made if it does not exist. Nobody but the agent's user and root may be able to
    /// write to it. Agents may share it.
    pub cache_directory: PathBuf,
    /// Size of all files in the directory; those used longest ago make room, unless they are in use.
    pub max_cache: ByteSize,
    /// Size of one file; larger ones are not fetched.
    pub max_file_size: ByteSize,
    /// The longest time for the whole answer of one server, the connection and redirections included.
    #[serde(with = "configtypes::GoDuration")]
    pub timeout: Duration,
    /// Time after which a file that no server has, or whose answer was of no use, is asked for again.
    #[serde(with = "configtypes::GoDuration")]
    pub retry_missing_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            cache_directory: CACHE_DIRECTORY.into(),
            max_cache: ByteSize::from_gib(1),
            max_file_size: ByteSize::from_mib(256),
            timeout: Duration::from_secs(60),
            retry_missing_after: Duration::from_secs(600),
        }
    }
}

impl Config {
    /// Bounds of `max_cache`.
    pub const MAX_CACHE_BOUNDS: RangeInclusive<ByteSize> = ByteSize::from_mib(16)..=ByteSize::from_gib(1024);
    /// Bounds of `max_file_size`, which is also no larger than `max_cache`.
    pub const MAX_FILE_SIZE_BOUNDS: RangeInclusive<ByteSize> = ByteSize::from_mib(1)..=ByteSize::from_gib(16);
    /// Bounds of `timeout`.
    pub const TIMEOUT_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
    /// Bounds of `retry_missing_after`.
    pub const RETRY_BOUNDS: RangeInclusive<Duration> =
        Duration::from_secs(10)..=Duration::from_secs(7 * 24 * 3600);

    /// Every fault, by its key: the problem and the value that is expected; empty if there is none.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.urls.len() > MOST_URLS {
            let count = self.urls.len();
            faults.push(Fault::at(["urls"], format!("has {count} servers, expected at most {MOST_URLS}")));
        }
        let bad = self.urls.iter().filter_map(|url| Url::of_server(url).err());
        faults.extend(bad.map(|fault| Fault::at(["urls"], fault)));
        if !self.cache_directory.is_absolute() {
            let fault = "is no absolute path, expected a directory of this agent's own";
            faults.push(Fault::at(["cache_directory"], fault));
        }
        for (key, size, bounds) in [
            ("max_cache", self.max_cache, Self::MAX_CACHE_BOUNDS),
            ("max_file_size", self.max_file_size, Self::MAX_FILE_SIZE_BOUNDS),
        ] {
            if !bounds.contains(&size) {
                let (least, most) = bounds.into_inner();
                let fault = format!("{size} is out of range, expected {least} to {most}");
                faults.push(Fault::at([key], fault));
            }
        }
        if self.max_file_size > self.max_cache {
            let fault = format!("{} is more than max_cache, expected at most that", self.max_file_size);
            faults.push(Fault::at(["max_file_size"], fault));
        }
        for (key, time, bounds) in [
            ("timeout", self.timeout, Self::TIMEOUT_BOUNDS),
            ("retry_missing_after", self.retry_missing_after, Self::RETRY_BOUNDS),
        ] {
            if !bounds.contains(&time) {
                let (least, most) = bounds.into_inner();
                let fault = format!("{time:?} is out of range, expected {least:?} to {most:?}");
                faults.push(Fault::at([key], fault));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_as_documented() {
        assert_eq!(Config::default().validate(), [""; 0]);
        assert_eq!(
            serde_json::to_value(Config::default()).unwrap(),
            serde_json::json!({
                "urls": [],
                "cache_directory": "/var/cache/pipeline/debuginfod",
                "max_cache": "1GiB",
                "max_file_size": "256MiB",
                "timeout": "1m0s",
                "retry_missing_after": "10m0s",
            })
        );
    }

    #[test]
    fn every_fault_is_reported_at_once_by_its_key() {
        let config = Config {
            urls: vec!["https://debuginfod.example".to_owned(), "ftp://a".to_owned()],
            cache_directory: "cache".into(),
            max_cache: ByteSize::from_mib(1),
            max_file_size: ByteSize::from_mib(2),
            timeout: Duration::ZERO,
            retry_missing_after: Duration::from_secs(1),
        };
        let keys: Vec<_> = config.validate().iter().map(|fault| fault.keys.join("::")).collect();
        let expected =
            ["urls", "cache_directory", "max_cache", "max_file_size", "timeout", "retry_missing_after"];
        assert_eq!(keys, expected);
    }
}
