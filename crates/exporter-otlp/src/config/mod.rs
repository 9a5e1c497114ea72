//! Keys of `exporters::otlp_grpc` and `exporters::otlp_http`, by the Collector's names.

mod common;
mod grpc;
mod http;
mod tls;

use configtypes::Fault;
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

pub use grpc::{BalancerName, GrpcCompression, GrpcConfig, Keepalive};
pub use http::{Encoding, HttpCompression, HttpConfig};
pub use tls::{TlsConfig, TlsVersion};

/// A key that the Collector knows and this exporter does not. It is read so that a fault can name
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unsupported;

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_any| Self)
    }
}

/// A fault for each key that is there and not supported.
fn unsupported<'a>(
    keys: impl IntoIterator<Item = (&'static str, &'a Option<Unsupported>, &'static str)>,
    faults: &mut Vec<Fault>,
) {
    let there = keys.into_iter().filter(|(_, key, _)| key.is_some());
    faults.extend(there.map(|(key, _, instead)| {
        Fault::at(key.split("::"), format!("is not supported by this agent, expected {instead}"))
    }));
}
