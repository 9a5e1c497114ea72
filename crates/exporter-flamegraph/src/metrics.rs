//! The exporter's metrics about itself, beside those of every exporter.

use metrics::{Gauge, Unit, describe_gauge, gauge};

const BYTES: &str = "otelcol_exporter_flamegraph_held_bytes";
const SECONDS: &str = "otelcol_exporter_flamegraph_held_seconds";

/// Gauges of the memory and the time that the samples of one exporter's page take.
#[derive(Clone)]
pub(crate) struct Held {
    pub bytes: Gauge,
    pub seconds: Gauge,
}

impl Held {
    pub(crate) fn of(id: &str) -> Self {
        describe_gauge!(BYTES, Unit::Bytes, "Memory that the page's samples take; at most max_memory.");
        describe_gauge!(
            SECONDS,
            Unit::Seconds,
            "Time of which the page has samples; less than retention if memory is full."
        );
        Self {
            bytes: gauge!(BYTES, "exporter" => id.to_owned()),
            seconds: gauge!(SECONDS, "exporter" => id.to_owned()),
        }
    }
}
