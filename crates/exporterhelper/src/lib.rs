//! The parts that all exporters share, like the Collector's `exporterhelper` in small: one delivery at a time, and
//! reports of its outcome.
//!
//! An exporter that sends requests is a stack of layers:
//!
//! ```
//! # use exporterhelper::{config::{QueueConfig, RetryConfig}, *};
//! # use otlp_profiles::{ProfilesRequest, Windows};
//! # use std::time::Duration;
//! # use tower::{Service, ServiceBuilder};
//! # fn exporter<T>(settings: &DeliverySettings, queue: &QueueConfig, retry: &RetryConfig, windows: Windows, transport: T) -> Front
//! # where T: Service<ProfilesRequest, Response = Delivered, Error = SendError> + Clone + Send + 'static, T::Future: Send {
//! # let (max_request_bytes, timeout) = (3_993_600, Duration::from_secs(5));
//! let stop = Stop::default();
//! let queue = ServiceBuilder::new()
//!     // Outermost: whoever hands in a window never waits for the network.
//!     .layer(QueueLayer::new(settings, queue, &stop))
//!     // Before retrying, so that what is tried again is what was sent.
//!     .layer(BatchLayer::new(queue, max_request_bytes))
//!     .layer(retry_layer(settings, retry, queue, &stop))
//!     // Inside of retrying: a bound on each attempt.
//!     .layer(TimeoutLayer::new(timeout))
//!     .service(transport);
//! Front::new(windows, queue)
//! # }
//! ```
//!
//! The transport is a `Service<otlp_profiles::ProfilesRequest, Response = Delivered, Error = SendError> + Clone +
//! Send`.

mod batch;
pub mod config;
mod delivery;
mod front;
mod metrics;
mod outcome;
mod queue;
mod retry;
mod settings;
mod stop;
mod timeout;

pub use batch::{BatchLayer, BatchService, Group, Sent};
pub use delivery::{AckFuture, Deliver, Delivery, Stopped, Work};
pub use front::Front;
pub use metrics::Metrics;
pub use outcome::{Delivered, SendError};
pub use queue::{Queue, QueueLayer};
pub use retry::{RetryPolicy, retry_layer};
pub use settings::DeliverySettings;
pub use stop::Stop;
pub use timeout::{Timeout, TimeoutLayer};
