//! Keys of `retry_on_failure`.

use std::time::Duration;

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const INITIAL_INTERVAL: Duration = Duration::from_secs(5);
const MAX_INTERVAL: Duration = Duration::from_secs(30);
const MULTIPLIER: f64 = 1.5;
const RANDOMIZATION_FACTOR: f64 = 0.5;
const MAX_ELAPSED_TIME: Duration = Duration::from_secs(300);

/// Sends a request again that failed and may succeed later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Whether to try again at all.
    pub enabled: bool,
    /// Time before the second attempt.
    #[serde(with = "configtypes::GoDuration")]
    pub initial_interval: Duration,
    /// By how much each interval is longer than the one before.
    pub multiplier: f64,
    /// How far an interval may be off by chance, as a share of it: 0 to 1.
    pub randomization_factor: f64,
    /// Longest interval. A server may ask for a longer one.
    #[serde(with = "configtypes::GoDuration")]
    pub max_interval: Duration,
    /// Time after which a request is given up; 0 for never.
    #[serde(with = "configtypes::GoDuration")]
    pub max_elapsed_time: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: INITIAL_INTERVAL,
            multiplier: MULTIPLIER,
            randomization_factor: RANDOMIZATION_FACTOR,
            max_interval: MAX_INTERVAL,
            max_elapsed_time: MAX_ELAPSED_TIME,
        }
    }
}

impl RetryConfig {
    /// Every fault, in the Collector's words. As there, values are looked at even if retrying is disabled.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let ends = !self.max_elapsed_time.is_zero();
        // A range holds no NaN.
        let faults = [
            (!(0.0..=f64::MAX).contains(&self.multiplier), "'multiplier' must be non-negative"),
            (
                !(0.0..=1.0).contains(&self.randomization_factor),
                "'randomization_factor' must be within [0, 1]",
            ),
            (
                ends && self.max_elapsed_time < self.initial_interval,
                "'max_elapsed_time' must not be less than 'initial_interval'",
            ),
            (
                ends && self.max_elapsed_time < self.max_interval,
                "'max_elapsed_time' must not be less than 'max_interval'",
            ),
        ];
        let found = faults.into_iter().filter(|(is_fault, _)| *is_fault);
        found.map(|(_, fault)| Fault::at(["retry_on_failure"], fault)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_collectors() {
        assert_eq!(
            serde_json::to_value(RetryConfig::default()).unwrap(),
            serde_json::json!({
                "enabled": true,
                "initial_interval": "5s",
                "multiplier": 1.5,
                "randomization_factor": 0.5,
                "max_interval": "30s",
                "max_elapsed_time": "5m0s",
            })
        );
        assert!(RetryConfig::default().validate().is_empty());
    }

    #[test]
    fn faults_are_reported_together_even_if_disabled() {
        let config = RetryConfig {
            enabled: false,
            multiplier: f64::NAN,
            randomization_factor: 1.1,
            max_elapsed_time: Duration::from_secs(1),
            ..RetryConfig::default()
        };
        assert_eq!(
            config.validate(),
            [
                "retry_on_failure: 'multiplier' must be non-negative",
                "retry_on_failure: 'randomization_factor' must be within [0, 1]",
                "retry_on_failure: 'max_elapsed_time' must not be less than 'initial_interval'",
                "retry_on_failure: 'max_elapsed_time' must not be less than 'max_interval'",
            ]
        );
    }

    #[test]
    fn no_end_is_less_than_no_interval() {
        let config = RetryConfig { max_elapsed_time: Duration::ZERO, ..RetryConfig::default() };
        assert!(config.validate().is_empty());
    }
}
