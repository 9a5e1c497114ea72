//! What every exporter does alike, the Collector's `exporterhelper` in small: one delivery at a time, and
//! saying what became of it.

mod delivery;
mod metrics;
mod settings;
mod status;

pub use delivery::{Answer, Delivery, Stopped};
pub use metrics::Metrics;
pub use settings::Settings;
pub use status::{Failure, Status};
