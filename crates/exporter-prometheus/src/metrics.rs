//! The exporter's metrics about itself, beside those of every exporter.

use metrics::{Gauge, describe_gauge, gauge};

const SERIES: &str = "otelcol_exporter_prometheus_executables";

/// Executables that have series of their own, of the exporter with this id.
pub(crate) fn series(id: &str) -> Gauge {
    describe_gauge!(SERIES, "Executables with series of their own; those beyond max_series are in `other`.");
    gauge!(SERIES, "exporter" => id.to_owned())
}
