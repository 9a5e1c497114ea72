//! Keys of `retry_on_failure`.

use std::time::Duration;

use configtypes::{Fault, GoDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::queue::QueueConfig;

const INITIAL_INTERVAL: Duration = Duration::from_secs(5);
const MAX_INTERVAL: Duration = Duration::from_secs(30);
const MULTIPLIER: f64 = 1.5;
const RANDOMIZATION_FACTOR: f64 = 0.5;
const MAX_ELAPSED_TIME: Duration = Duration::from_secs(300);

/// Settings for sending requests again that failed and may succeed later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Whether failed requests are sent again at all.
    pub enabled: bool,
    /// Time before the second attempt.
    #[serde(with = "configtypes::GoDuration")]
    pub initial_interval: Duration,
    /// Factor by which each interval is longer than the one before.
    pub multiplier: f64,
    /// The largest random deviation of an interval, as a share of it: 0 to 1.
    pub randomization_factor: f64,
    /// The longest interval. A server may ask for a longer one.
    #[serde(with = "configtypes::GoDuration")]
    pub max_interval: Duration,
    /// Time after which a request is dropped, 0 for never; absent for 5m, or for never if the queue has a storage,
    /// which bounds its requests by `max_age` and `max_bytes`.
    #[serde(with = "configtypes::GoDurationOption")]
    pub max_elapsed_time: Option<Duration>,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: INITIAL_INTERVAL,
            multiplier: MULTIPLIER,
            randomization_factor: RANDOMIZATION_FACTOR,
            max_interval: MAX_INTERVAL,
            max_elapsed_time: None,
        }
    }
}

impl RetryConfig {
    /// Time after which a request of that queue is dropped; zero for never.
    #[must_use]
    pub fn max_elapsed_time(&self, queue: &QueueConfig) -> Duration {
        let default = if queue.is_stored() { Duration::ZERO } else { MAX_ELAPSED_TIME };
        self.max_elapsed_time.unwrap_or(default)
    }

    /// Values that are valid but probably not meant, as `key: effect of the value`.
    #[must_use]
    pub fn doubts(&self, queue: &QueueConfig) -> Vec<String> {
        let ends = self.max_elapsed_time.filter(|time| !time.is_zero() && queue.is_stored());
        let (Some(time), false) = (ends, !self.enabled) else { return Vec::new() };
        let (time, age) = (GoDuration(time), GoDuration(queue.max_age));
        let is_shorter = queue.max_age.is_zero() || time.0 < queue.max_age;
        let doubt = format!(
            "retry_on_failure::max_elapsed_time: gives requests up after {time}, although sending_queue::storage keeps them \
             for {age}: leave it out to try until then"
        );
        is_shorter.then_some(doubt).into_iter().collect()
    }

    /// Every fault, in the Collector's words. As in the Collector, values are checked even if retrying is disabled.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let max_elapsed_time = self.max_elapsed_time.unwrap_or(MAX_ELAPSED_TIME);
        let ends = !max_elapsed_time.is_zero();
        // A range holds no NaN.
        let faults = [
            (!(0.0..=f64::MAX).contains(&self.multiplier), "'multiplier' must be non-negative"),
            (
                !(0.0..=1.0).contains(&self.randomization_factor),
                "'randomization_factor' must be within [0, 1]",
            ),
            (
                ends && max_elapsed_time < self.initial_interval,
                "'max_elapsed_time' must not be less than 'initial_interval'",
            ),
            (
                ends && max_elapsed_time < self.max_interval,
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
                "max_elapsed_time": null,
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
            max_elapsed_time: Some(Duration::from_secs(1)),
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
        let config = RetryConfig { max_elapsed_time: Some(Duration::ZERO), ..RetryConfig::default() };
        assert!(config.validate().is_empty());
    }

    #[test]
    fn with_a_storage_it_is_tried_until_that_gives_up() {
        let memory = QueueConfig::default();
        let disk = QueueConfig { storage: Some("file_storage".to_owned()), ..QueueConfig::default() };
        let unused = QueueConfig { enabled: false, ..disk.clone() };
        let retry = RetryConfig::default();
        assert_eq!(retry.max_elapsed_time(&memory), MAX_ELAPSED_TIME, "the Collector's");
        assert_eq!(retry.max_elapsed_time(&disk), Duration::ZERO);
        assert_eq!(retry.max_elapsed_time(&unused), MAX_ELAPSED_TIME);
        assert!(retry.doubts(&disk).is_empty());
        let short = RetryConfig { max_elapsed_time: Some(MAX_ELAPSED_TIME), ..RetryConfig::default() };
        assert_eq!(short.max_elapsed_time(&disk), MAX_ELAPSED_TIME);
        let doubts = short.doubts(&disk);
        assert!(doubts[0].contains("after 5m0s") && doubts[0].contains("for 24h0m0s"), "{doubts:?}");
        assert!(short.doubts(&memory).is_empty());
    }
}
