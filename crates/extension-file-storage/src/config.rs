//! Keys of `extensions::file_storage`.

use std::path::PathBuf;
use std::time::Duration;

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DIRECTORY: &str = "/var/lib/pipeline/file_storage";
const DIRECTORY_PERMISSIONS: &str = "0750";
const TIMEOUT: Duration = Duration::from_secs(1);
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
const FSYNC_INTERVAL: Duration = Duration::from_millis(100);
const MAX_FSYNC_INTERVAL: Duration = Duration::from_secs(60);

/// Configuration of the storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory for the files, one for each exporter. No two agents may share it.
    pub directory: PathBuf,
    /// Whether to make the directory if it does not exist; else that is a fault.
    pub create_directory: bool,
    /// Permissions of a directory that is made, octal.
    pub directory_permissions: String,
    /// The longest time to wait for another agent to release the directory.
    #[serde(with = "configtypes::GoDuration")]
    pub timeout: Duration,
    /// Whether stored requests shall survive a failure of the power, not just the end of the agent. Unlike in the
    /// Collector the default is true.
    pub fsync: bool,
    /// The longest time for which a request waits for others to be written with, by one fsync. Until then it counts as
    /// held in memory only.
    #[serde(with = "configtypes::GoDuration")]
    pub fsync_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: DIRECTORY.into(),
            create_directory: false,
            directory_permissions: DIRECTORY_PERMISSIONS.to_owned(),
            timeout: TIMEOUT,
            fsync: true,
            fsync_interval: FSYNC_INTERVAL,
        }
    }
}

impl Config {
    /// Every fault, by its key: the problem and the value that is expected.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.directory.as_os_str().is_empty() {
            faults.push(Fault::at(["directory"], "is empty, expected a directory of this agent's own"));
        }
        if self.mode().is_none() {
            faults.push(Fault::at(
                ["directory_permissions"],
                format!(
                    "is {:?}, expected octal permissions like {DIRECTORY_PERMISSIONS}",
                    self.directory_permissions
                ),
            ));
        }
        if self.timeout > MAX_TIMEOUT {
            faults.push(Fault::at(
                ["timeout"],
                format!("is {:?}, expected at most {MAX_TIMEOUT:?}", self.timeout),
            ));
        }
        if self.fsync_interval > MAX_FSYNC_INTERVAL {
            faults.push(Fault::at(
                ["fsync_interval"],
                format!("is {:?}, expected at most {MAX_FSYNC_INTERVAL:?}", self.fsync_interval),
            ));
        }
        faults
    }

    /// The permissions of a directory that is made, as a number; `None` if they are none.
    pub(crate) fn mode(&self) -> Option<u32> {
        let digits = self.directory_permissions.strip_prefix("0o").unwrap_or(&self.directory_permissions);
        u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_as_documented_and_without_fault() {
        assert_eq!(
            serde_json::to_value(Config::default()).unwrap(),
            serde_json::json!({
                "directory": "/var/lib/pipeline/file_storage",
                "create_directory": false,
                "directory_permissions": "0750",
                "timeout": "1s",
                "fsync": true,
                "fsync_interval": "100ms",
            })
        );
        assert_eq!(Config::default().validate(), [""; 0]);
        assert_eq!(Config::default().mode(), Some(0o750));
    }

    #[test]
    fn faults_are_reported_together() {
        let config = Config {
            directory: PathBuf::new(),
            directory_permissions: "rwx".to_owned(),
            timeout: Duration::from_secs(61),
            fsync_interval: Duration::from_secs(61),
            ..Config::default()
        };
        assert_eq!(
            config.validate(),
            [
                "directory: is empty, expected a directory of this agent's own",
                "directory_permissions: is \"rwx\", expected octal permissions like 0750",
                "timeout: is 61s, expected at most 60s",
                "fsync_interval: is 61s, expected at most 60s",
            ]
        );
    }
}
