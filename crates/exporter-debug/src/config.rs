//! Keys of `exporters::debug`.

use std::time::Duration;

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windows::{DEFAULT_WINDOW, GroupBy, group_faults, window_fault};

/// Number of rows of a table unless the user configures another.
pub(crate) const DEFAULT_TOP: usize = 20;
/// The most rows of a table.
pub(crate) const MAX_TOP: usize = 10_000;

/// Configuration of the debug exporter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The amount of detail that is printed of each window.
    pub verbosity: Verbosity,
    /// Time that one report covers.
    #[serde(with = "configtypes::GoDuration")]
    pub window: Duration,
    /// Rows of the table, and in detail processes, listed in a report; the rest is summed up.
    pub top: usize,
    /// Attributes that distinguish rows: images with the same values of all of them share one.
    pub group_by: Vec<GroupBy>,
}

/// The amount of detail in the report of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// One line of counts.
    Basic,
    /// A table of the executables that ran most.
    #[default]
    Normal,
    /// The table, each process, and the places in the code where its samples were.
    Detailed,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            verbosity: Verbosity::default(),
            window: DEFAULT_WINDOW,
            top: DEFAULT_TOP,
            group_by: vec![GroupBy::Executable],
        }
    }
}

impl Config {
    /// Every fault, by its key: the problem and the value that is expected.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let top = !(1..=MAX_TOP).contains(&self.top);
        let top = top.then(|| Fault::at(["top"], format!("is {}, expected 1 to {MAX_TOP}", self.top)));
        let none = self.group_by.is_empty();
        let none =
            none.then(|| Fault::at(["group_by"], "is empty, expected at least one, such as executable"));
        let window = window_fault(self.window).map(|fault| Fault::at(["window"], fault));
        let unknown = group_faults(&self.group_by, Duration::ZERO);
        window.into_iter().chain(top).chain(none).chain(unknown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_reported_together() {
        let group_by = Vec::new();
        let config = Config { window: Duration::from_secs(3_600), top: 0, group_by, ..Config::default() };
        assert_eq!(
            config.validate(),
            [
                "window: is 3600s, expected 100ms to 600s",
                "top: is 0, expected 1 to 10000",
                "group_by: is empty, expected at least one, such as executable"
            ]
        );
        assert!(Config::default().validate().is_empty());
    }

    #[test]
    fn keys_are_as_documented_and_others_are_refused() {
        let text = r#"{"verbosity": "detailed", "window": "10s", "top": 3, "group_by": ["unit"]}"#;
        let group_by = vec![GroupBy::Unit];
        let expected =
            Config { verbosity: Verbosity::Detailed, window: Duration::from_secs(10), top: 3, group_by };
        assert_eq!(serde_json::from_str::<Config>(text).unwrap(), expected);
        assert!(serde_json::from_str::<Config>(r#"{"verbosity": "loud"}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"sampling_initial": 2}"#).is_err());
    }
}
