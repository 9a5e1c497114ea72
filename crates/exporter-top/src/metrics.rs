//! The exporter's metrics about itself, beside those of every exporter.

use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

const CLIENTS: &str = "otelcol_exporter_top_clients";
const SKIPPED: &str = "otelcol_exporter_top_skipped_seconds_total";

/// The number of watchers, and of the seconds that they have missed.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) clients: Gauge,
    pub(crate) skipped: metrics::Counter,
}

impl Watched {
    pub(crate) fn of(id: &str) -> Self {
        describe_gauge!(CLIENTS, Unit::Count, "Programs that are attached to the exporter's socket.");
        describe_counter!(
            SKIPPED,
            Unit::Count,
            "Seconds that a program attached to the socket was not sent because it does not read fast enough."
        );
        Self {
            clients: gauge!(CLIENTS, "exporter" => id.to_owned()),
            skipped: counter!(SKIPPED, "exporter" => id.to_owned()),
        }
    }
}
