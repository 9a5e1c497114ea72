//! Keys of `exporters.top`.

use std::path::{Path, PathBuf};

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest path of a socket. Source: `sun_path` of unix(7), less the NUL.
const LONGEST_PATH: usize = 107;

/// Configuration of the socket that `pipeline top` attaches to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Path of the unix socket to listen on. Its directory must belong to root or the agent's user, and nobody else may
    /// be able to write to it; it is made if only its last part is missing.
    pub endpoint: PathBuf,
    /// A group, by name or number, whose members may attach. Without it, only root and the agent's user may.
    pub group: Option<String>,
}

impl Config {
    /// Default of `endpoint`.
    pub const ENDPOINT: &str = "/run/pipeline/top.sock";

    /// Every fault of the configuration, by its key, with the value that was expected.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let path = &self.endpoint;
        let fault = if !path.is_absolute() || path.file_name().is_none() {
            Some("expected the path of a socket from the root, such as /run/pipeline/top.sock".to_owned())
        } else if path.as_os_str().len() > LONGEST_PATH {
            Some(format!(
                "is longer than {LONGEST_PATH} bytes, which is the most that a socket's path may have"
            ))
        } else {
            None
        };
        let mut faults: Vec<_> = fault.into_iter().map(|fault| Fault::at(["endpoint"], fault)).collect();
        if self.group.as_ref().is_some_and(String::is_empty) {
            faults.push(Fault::at(["group"], "is empty, expected the name or number of a group"));
        }
        faults
    }

    /// The directory that the socket is in.
    pub(crate) fn directory(&self) -> &Path {
        self.endpoint.parent().unwrap_or(Path::new("/"))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { endpoint: Self::ENDPOINT.into(), group: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_what_is_no_socket_refused() {
        let config: Config = serde_json::from_str(r#"{"endpoint": "/run/x/y", "group": "adm"}"#).unwrap();
        assert!(config.validate().is_empty() && Config::default().validate().is_empty());
        assert_eq!(config.directory(), Path::new("/run/x"));
        assert!(serde_json::from_str::<Config>(r#"{"mode": 438}"#).is_err());
        let long = format!("/{}", "x".repeat(LONGEST_PATH));
        for endpoint in ["", "top.sock", "/", "/run/..", &long] {
            let config = Config { endpoint: endpoint.into(), group: None };
            assert_eq!(config.validate().len(), 1, "{endpoint}");
        }
        assert_eq!(Config { group: Some(String::new()), ..Config::default() }.validate().len(), 1);
    }
}
