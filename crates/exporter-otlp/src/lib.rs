//! Sends profiles by OTLP over gRPC, to a Collector or any backend that takes them.
//!
//! [`OtlpExporter`] is the stage. It makes requests and judges answers; what carries a request is
//! a `Service` of its own, [`Grpc`], so that other layers can stand between the two.

mod config;
mod endpoint;
mod error;
mod exporter;
mod grpc;
mod metrics;
mod outage;
mod secret;
mod tls;

pub use config::{Compression, Config, TlsConfig};
pub use error::ConnectError;
pub use exporter::OtlpExporter;
pub use grpc::Grpc;
pub use secret::Secret;

#[cfg(test)]
mod tests;
