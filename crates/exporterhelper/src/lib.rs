//! What every exporter does alike, the Collector's `exporterhelper` in small: one delivery at a time, and
//! saying what became of it.
//!
//! What carries a request to a server, the transport, is a
//! `Service<otlp_profiles::Request, Response = Delivered, Error = SendError> + Clone + Send`.

pub mod config;
mod delivery;
mod metrics;
mod outcome;
mod retry;
mod settings;
mod status;
mod stop;
mod timeout;

pub use delivery::{Answer, Delivery, Stopped};
pub use metrics::Metrics;
pub use outcome::{Delivered, SendError};
pub use retry::{RetryPolicy, retry_layer};
pub use settings::Settings;
pub use status::{Failure, Status};
pub use stop::Stop;
pub use timeout::{Timeout, TimeoutLayer};
