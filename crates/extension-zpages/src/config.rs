//! Keys of `extensions::zpages`.

use confighttp::Endpoint;
use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the Collector's listens.
const DEFAULT_PORT: u16 = 55679;

/// Pages that show how the agent fares.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen: `host:port`. There is no password: what is shown is for whoever can connect.
    pub endpoint: Endpoint,
}

impl Default for Config {
    fn default() -> Self {
        Self { endpoint: Endpoint::new("localhost", DEFAULT_PORT) }
    }
}

impl Config {
    /// Every fault: there can be none that reading does not find.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_collectors() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config.endpoint.to_string(), "localhost:55679");
        assert_eq!(config.validate(), [""; 0]);
    }
}
