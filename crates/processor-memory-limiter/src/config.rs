//! Keys of `processors::memory_limiter`.

use std::time::Duration;

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of the memory limiter. The memory charged to the agent's control groups is kept within the
/// percentages, too.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Time between two looks at the memory in use, above 0.
    #[serde(with = "configtypes::GoDuration")]
    pub check_interval: Duration,
    /// Hard limit in MiB of the agent's own memory, the anonymous part of its resident set; goes before
    /// `limit_percentage`. null for none.
    pub limit_mib: Option<u32>,
    /// Hard limit in percent of the memory there is: the least limit of the agent's control groups, or the machine's
    /// memory. 1 to 100.
    pub limit_percentage: u32,
    /// Distance of the soft limit below the hard one, in MiB; goes before `spike_limit_percentage`. null for none.
    pub spike_limit_mib: Option<u32>,
    /// Distance of the soft limit below the hard one, in percent of the memory there is; null for a fifth of the hard
    /// limit.
    pub spike_limit_percentage: Option<u32>,
}

impl Config {
    /// Default of `check_interval`: the value that the Collector, which has no default, recommends.
    pub const CHECK_INTERVAL: Duration = Duration::from_secs(1);
    /// Default of `limit_percentage`.
    pub const LIMIT_PERCENTAGE: u32 = 80;

    /// Every fault, by its key: the problem and the value that is expected.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let percent = 1..=100;
        if self.check_interval.is_zero() {
            faults.push(Fault::at(["check_interval"], "is 0, expected more"));
        }
        if self.limit_mib == Some(0) {
            faults.push(Fault::at(["limit_mib"], "is 0, expected more"));
        }
        if !percent.contains(&self.limit_percentage) {
            faults.push(Fault::at(
                ["limit_percentage"],
                format!("is {}, expected 1 to 100", self.limit_percentage),
            ));
        }
        match (self.spike_limit_mib, self.limit_mib) {
            (Some(0), _) => faults.push(Fault::at(["spike_limit_mib"], "is 0, expected more")),
            (Some(spike), Some(limit)) if spike >= limit => {
                faults.push(Fault::at(
                    ["spike_limit_mib"],
                    format!("is {spike}, expected less than limit_mib, {limit}"),
                ));
            }
            _ => {}
        }
        match self.spike_limit_percentage {
            Some(spike) if !percent.contains(&spike) => {
                faults.push(Fault::at(["spike_limit_percentage"], format!("is {spike}, expected 1 to 100")));
            }
            Some(spike) if self.limit_mib.is_none() && spike >= self.limit_percentage => {
                let limit = self.limit_percentage;
                faults.push(Fault::at(
                    ["spike_limit_percentage"],
                    format!("is {spike}, expected less than limit_percentage, {limit}"),
                ));
            }
            _ => {}
        }
        faults
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            check_interval: Self::CHECK_INTERVAL,
            limit_mib: None,
            limit_percentage: Self::LIMIT_PERCENTAGE,
            spike_limit_mib: None,
            spike_limit_percentage: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collectors_keys_are_read_and_others_refused() {
        let text = r#"{"check_interval": "5s", "limit_mib": 4000, "spike_limit_mib": 800}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!((config.limit_mib, config.spike_limit_mib), (Some(4000), Some(800)));
        assert_eq!(config.check_interval, Duration::from_secs(5));
        assert!(config.validate().is_empty());
        assert!(Config::default().validate().is_empty());
        assert!(serde_json::from_str::<Config>(r#"{"ballast_size_mib": 1}"#).is_err());
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let config = Config {
            check_interval: Duration::ZERO,
            limit_mib: Some(0),
            limit_percentage: 101,
            spike_limit_mib: Some(0),
            spike_limit_percentage: Some(0),
        };
        assert_eq!(
            config.validate(),
            [
                "check_interval: is 0, expected more",
                "limit_mib: is 0, expected more",
                "limit_percentage: is 101, expected 1 to 100",
                "spike_limit_mib: is 0, expected more",
                "spike_limit_percentage: is 0, expected 1 to 100",
            ]
        );
    }

    #[test]
    fn a_spike_limit_leaves_something_below_it() {
        let mib = Config { limit_mib: Some(10), spike_limit_mib: Some(10), ..Config::default() };
        assert_eq!(mib.validate(), ["spike_limit_mib: is 10, expected less than limit_mib, 10"]);
        let percent = Config { spike_limit_percentage: Some(80), ..Config::default() };
        assert_eq!(
            percent.validate(),
            ["spike_limit_percentage: is 80, expected less than limit_percentage, 80"]
        );
    }
}
