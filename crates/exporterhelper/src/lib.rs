//! What every exporter does alike, the Collector's `exporterhelper` in small: one delivery at a time, and
//! the counters of what became of it.

mod delivery;
mod metrics;

pub use delivery::{Answer, Delivery, Stopped};
pub use metrics::Metrics;
