//! Sends profiles by OTLP, over gRPC or HTTP, to a Collector or any backend that takes them.
//!
//! [`grpc`] and [`http`] make the stage; `stack.rs` shows its layers. The transport, which carries a request, is a
//! `Service` of its own, so that gRPC and HTTP share all else.

mod address;
mod answers;
mod balance;
mod config;
mod conn;
mod connect;
mod error;
mod grpc;
mod http;
mod proxy;
mod reason;
mod stack;
mod tls;

pub use config::{
    BalancerName, Encoding, GrpcCompression, GrpcConfig, HttpCompression, HttpConfig, Keepalive, TlsConfig,
    TlsVersion, Unsupported,
};
pub use error::ConnectError;
pub use stack::{Exporter, grpc, http};

/// The agent's name and version, as servers log them.
const USER_AGENT: &str = concat!("pipeline/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests;
