//! Keys of `extensions::health_check`.

use std::ops::RangeInclusive;
use std::time::Duration;

use componentstatus::Thresholds;
use confighttp::Endpoint;
use configtypes::{Fault, GoDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Port that the Collector's extension listens on.
const DEFAULT_PORT: u16 = 13133;
/// The most that a watermark may be behind. Half a minute without data is worth an operator's attention.
const DEFAULT_MAX_WATERMARK_LAG: Duration = Duration::from_secs(30);
/// Bounds of `max_watermark_lag`: an exporter's longest window is ten minutes.
const MAX_WATERMARK_LAG_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Settings of the server that reports by HTTP whether the agent does its work.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address to listen on: `host:port`.
    pub endpoint: Endpoint,
    /// Path that is answered; one that ends in `/` stands for all paths below it.
    pub path: String,
    /// Bodies to answer instead of the usual JSON object.
    pub response_body: Option<ResponseBody>,
    /// The most that any stage may be behind the clock before the agent counts as unhealthy. A receiver that passes
    /// nothing on for 30 s is unhealthy in any case.
    #[serde(with = "configtypes::GoDuration")]
    pub max_watermark_lag: Duration,
}

/// Answers of the user's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseBody {
    /// Body of the answer 200.
    pub healthy: String,
    /// Body of the answer 503.
    pub unhealthy: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::new("localhost", DEFAULT_PORT),
            path: "/".to_owned(),
            response_body: None,
            max_watermark_lag: DEFAULT_MAX_WATERMARK_LAG,
        }
    }
}

impl Config {
    /// Every fault, by its key: the problem and the value that is expected.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !self.path.starts_with('/') {
            faults.push(Fault::at(
                ["path"],
                format!("{:?} is no path, expected one that starts with /", self.path),
            ));
        }
        if !MAX_WATERMARK_LAG_BOUNDS.contains(&self.max_watermark_lag) {
            let (least, most) = MAX_WATERMARK_LAG_BOUNDS.into_inner();
            faults.push(Fault::at(
                ["max_watermark_lag"],
                format!(
                    "is {}, expected {} to {}",
                    GoDuration(self.max_watermark_lag),
                    GoDuration(least),
                    GoDuration(most)
                ),
            ));
        }
        faults
    }

    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds { most_lag: self.max_watermark_lag, ..Thresholds::default() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_defaults_are_the_collectors_and_sound() {
        let config: Config = serde_json::from_value(json!({})).unwrap();
        assert_eq!(config.endpoint.to_string(), "localhost:13133");
        assert_eq!(config.path, "/");
        assert_eq!(config.validate(), [""; 0]);
    }

    #[test]
    fn every_fault_is_told() {
        let config: Config =
            serde_json::from_value(json!({ "path": "health", "max_watermark_lag": "10ms" })).unwrap();
        assert_eq!(
            config.validate(),
            [
                "path: \"health\" is no path, expected one that starts with /",
                "max_watermark_lag: is 10ms, expected 1s to 1h0m0s",
            ]
        );
        let body = json!({ "response_body": { "healthy": "yes", "sick": "no" } });
        assert!(
            serde_json::from_value::<Config>(body).unwrap_err().to_string().contains("unknown field `sick`")
        );
    }
}
