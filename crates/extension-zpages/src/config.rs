//! Keys of `extensions::zpages`.

use confighttp::Endpoint;
use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Port that the Collector's extension listens on.
const DEFAULT_PORT: u16 = 55679;

/// Settings of the pages that show the state of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address to listen on: `host:port`. There is no password: the pages are for everybody who can connect.
    pub endpoint: Endpoint,
}

impl Default for Config {
    fn default() -> Self {
        Self { endpoint: Endpoint::new("localhost", DEFAULT_PORT) }
    }
}

impl Config {
    /// Every fault: there can be none that reading the section does not find.
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
