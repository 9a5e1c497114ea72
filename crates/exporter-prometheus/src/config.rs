//! Keys of `exporters::prometheus`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use confighttp::Endpoint;
use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::labels::{Label, OWN_LABELS};

/// Configuration of the Prometheus exporter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address to listen on, host:port; metrics are at `/metrics`.
    pub endpoint: Endpoint,
    /// Prefix of each metric's name, joined by an underscore; empty for none.
    pub namespace: String,
    /// Labels that every series has.
    pub const_labels: BTreeMap<String, String>,
    /// Whether each value carries the time up to which it counts. Prometheus then does not notice when a series ends.
    pub send_timestamps: bool,
    /// Time after which a series that does not grow is left out; if it grows again it begins at 0.
    #[serde(with = "configtypes::GoDuration")]
    pub metric_expiration: Duration,
    /// Whether scrapers that ask for OpenMetrics get it; else they get Prometheus' older text format.
    pub enable_open_metrics: bool,
    /// Facts that series are distinguished by.
    pub labels: Vec<Label>,
    /// The most series; all executables without one are summed up in one whose executable is named `other`.
    pub max_series: usize,
}

impl Config {
    /// Default of `endpoint`: the port that the OpenTelemetry specification assigns to Prometheus exporters.
    pub const ENDPOINT: (&str, u16) = ("localhost", 9464);
    /// Default of `metric_expiration`, as in the Collector.
    pub const METRIC_EXPIRATION: Duration = Duration::from_secs(300);
    /// Default of `max_series`.
    pub const MAX_SERIES: usize = 2_000;
    /// Bounds of `max_series`.
    pub const MAX_SERIES_BOUNDS: RangeInclusive<usize> = 1..=100_000;

    /// Every fault, by its key: the problem and the value that is expected.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !self.namespace.is_empty() && !is_name(&self.namespace, ":") {
            let found = &self.namespace;
            faults.push(Fault::at(
                ["namespace"],
                format!("is {found:?}, expected letters, digits, _ and :, no digit first"),
            ));
        }
        for name in self.const_labels.keys() {
            if !is_name(name, "") || name.starts_with("__") {
                faults.push(Fault::at(["const_labels"], format!("{name:?} is no label's name, expected letters, digits and _, no digit and no __ first"
                )));
            } else if OWN_LABELS.contains(&name.as_str()) {
                faults.push(Fault::at(
                    ["const_labels"],
                    format!("{name} is a label of the exporter's own, expected another"),
                ));
            }
        }
        if self.metric_expiration.is_zero() {
            faults.push(Fault::at(["metric_expiration"], "is 0, expected more"));
        }
        if self.labels.is_empty() {
            faults.push(Fault::at(["labels"], "is empty, expected at least one, such as executable"));
        }
        for (place, label) in self.labels.iter().enumerate() {
            if self.labels.iter().take(place).any(|before| before == label) {
                faults.push(Fault::at(["labels"], format!("has the same twice: number {}", place + 1)));
            }
        }
        if !Self::MAX_SERIES_BOUNDS.contains(&self.max_series) {
            let (least, most) = Self::MAX_SERIES_BOUNDS.into_inner();
            faults.push(Fault::at(
                ["max_series"],
                format!("is {}, expected {least} to {most}", self.max_series),
            ));
        }
        faults
    }
}

impl Default for Config {
    fn default() -> Self {
        let (host, port) = Self::ENDPOINT;
        Self {
            endpoint: Endpoint::new(host, port),
            namespace: String::new(),
            const_labels: BTreeMap::new(),
            send_timestamps: false,
            metric_expiration: Self::METRIC_EXPIRATION,
            enable_open_metrics: false,
            labels: vec![Label::Executable],
            max_series: Self::MAX_SERIES,
        }
    }
}

/// Source: <https://prometheus.io/docs/concepts/data_model/>; metrics may have colons besides, labels not.
fn is_name(text: &str, besides: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || besides.contains(c);
    text.chars().all(allowed) && !text.starts_with(|c: char| c.is_ascii_digit()) && !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collectors_keys_are_read_and_others_refused() {
        let text = r#"{"endpoint": "0.0.0.0:1234", "namespace": "ns", "const_labels": {"zone": "a"}, "send_timestamps": true,
            "metric_expiration": "180m", "enable_open_metrics": true,
            "labels": ["container_id", "unit"]}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.endpoint, Endpoint::new("0.0.0.0", 1234));
        assert_eq!(config.metric_expiration, Duration::from_secs(180 * 60));
        assert_eq!(config.labels, [Label::ContainerId, Label::Unit]);
        assert!(config.validate().is_empty());
        assert!(Config::default().validate().is_empty());
        assert!(serde_json::from_str::<Config>(r#"{"max_serie": 1}"#).is_err());
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let labels = ["1st", "a-b", "__name__", "", "reason", "fine"];
        let config = Config {
            namespace: "9x".to_owned(),
            const_labels: labels.map(|name| (name.to_owned(), String::new())).into(),
            metric_expiration: Duration::ZERO,
            labels: vec![Label::Unit, Label::Unit],
            max_series: 0,
            ..Config::default()
        };
        let faults = config.validate();
        assert_eq!(faults.len(), 9, "{faults:#?}");
        assert!(faults.iter().any(|fault| fault.message.contains("reason is a label of the exporter's own")));
        assert!(!faults.iter().any(|fault| fault.message.contains("fine")));
    }
}
