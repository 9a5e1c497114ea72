//! Metrics as they were recorded.

use metrics::Unit;

use super::family::Series;

/// All series of one name, as they were recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) unit: Option<Unit>,
    pub(crate) instrument: Instrument,
    pub(crate) series: Vec<Series>,
}

/// The macro that recorded a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instrument {
    Counter,
    Gauge,
    Histogram,
}
