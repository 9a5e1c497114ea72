//! What every exporter does alike, the Collector's `exporterhelper` in small: one delivery at a time, and
//! saying what became of it.
//!
//! What carries a request to a server, the transport, is a
//! `Service<otlp_profiles::Request, Response = Delivered, Error = SendError> + Clone + Send`.

pub mod config;
mod delivery;
mod metrics;
mod outcome;
mod settings;
mod status;
mod stop;

pub use delivery::{Answer, Delivery, Stopped};
pub use metrics::Metrics;
pub use outcome::{Delivered, SendError};
pub use settings::Settings;
pub use status::{Failure, Status};
pub use stop::Stop;
