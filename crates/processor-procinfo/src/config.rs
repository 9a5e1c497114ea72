//! What users can set.

use std::time::Duration;

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Default of [`Config::max_exited_processes`].
pub const DEFAULT_MAX_EXITED_PROCESSES: usize = 65_536;
/// Most that [`Config::max_exited_processes`] may be: about a gigabyte of held processes.
pub const MOST_EXITED_PROCESSES: usize = 1 << 20;
/// Default of [`Config::max_exited_age`].
pub const DEFAULT_MAX_EXITED_AGE: Duration = Duration::from_secs(60);
/// Least that [`Config::max_exited_age`] may be.
pub const LEAST_EXITED_AGE: Duration = Duration::from_secs(1);
/// Most that [`Config::max_exited_age`] may be.
pub const MOST_EXITED_AGE: Duration = Duration::from_secs(3600);

/// Configuration of the component, key `processors.procinfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Exited processes held at most for exporters that have not acknowledged them; past it the
    /// oldest exit is forgotten first. Bounds replaced images of live processes too.
    pub max_exited_processes: usize,
    /// How long an exited process is held at most, in event time.
    #[serde(with = "configtypes::GoDuration")]
    pub max_exited_age: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_exited_processes: DEFAULT_MAX_EXITED_PROCESSES, max_exited_age: DEFAULT_MAX_EXITED_AGE }
    }
}

impl Config {
    /// Every fault, by its key: what is wrong, what is expected; empty if there is none.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let processes = self.max_exited_processes;
        if !(1..=MOST_EXITED_PROCESSES).contains(&processes) {
            faults.push(Fault::at(
                ["max_exited_processes"],
                format!("{processes} is out of range, expected 1 to {MOST_EXITED_PROCESSES}"),
            ));
        }
        let age = self.max_exited_age;
        if !(LEAST_EXITED_AGE..=MOST_EXITED_AGE).contains(&age) {
            faults.push(Fault::at(
                ["max_exited_age"],
                format!("{age:?} is out of range, expected {LEAST_EXITED_AGE:?} to {MOST_EXITED_AGE:?}"),
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(Config::default().validate(), [""; 0]);
    }

    #[test]
    fn every_fault_is_reported_at_once_by_its_key() {
        let config = Config { max_exited_processes: 0, max_exited_age: Duration::ZERO };
        let faults = config.validate();
        assert_eq!(faults.len(), 2);
        assert!(faults[0].keys == ["max_exited_processes"]);
        assert!(faults[1].keys == ["max_exited_age"]);
    }
}
