//! Value types of Collector-style configuration that more than one component needs.
//!
//! # How a component writes its `Config`
//!
//! ```
//! use std::time::Duration;
//!
//! use configtypes::{ByteSize, Headers, Secret};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! /// Configuration of the exporter.
//! #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
//! #[serde(default, deny_unknown_fields)]
//! pub struct Config {
//!     /// Time for one request. (The doc comment is the key's description in the schema.)
//!     #[serde(with = "configtypes::GoDuration")]
//!     pub timeout: Duration,
//!     /// Least size of a request that is compressed.
//!     pub compress_above: ByteSize,
//!     /// Sent with each request.
//!     pub headers: Headers,
//!     /// Sent as `Authorization: Bearer`.
//!     pub bearer_token: Option<Secret>,
//! }
//!
//! impl Default for Config {
//!     fn default() -> Self {
//!         Self {
//!             timeout: Duration::from_secs(5),
//!             compress_above: ByteSize::from_kib(4),
//!             headers: Headers::default(),
//!             bearer_token: None,
//!         }
//!     }
//! }
//!
//! let written = serde_json::to_value(Config::default()).unwrap();
//! assert_eq!(written["timeout"], "5s");
//! assert_eq!(written["compress_above"], "4KiB");
//! let schema = schemars::schema_for!(Config);
//! assert_eq!(schema.get("properties").unwrap()["timeout"]["default"], "5s");
//! ```
//!
//! | a key's type | write |
//! | --- | --- |
//! | time | `#[serde(with = "configtypes::GoDuration")] x: Duration`: one attribute, which serde and schemars both read. `configtypes::duration` does the same without a schema |
//! | time that may be absent | `#[serde(with = "configtypes::GoDurationOption")] x: Option<Duration>` |
//! | number of bytes | [`ByteSize`] |
//! | what must not be shown | [`Secret`] |
//! | HTTP or gRPC headers | [`Headers`] |
//! | list of strings | `Vec<String>`: `a,b` is read as `[a, b]` everywhere |
//! | one of several words | an enum with `#[serde(rename_all = "lowercase")]` |
//! | section that is off unless it is there | `Option<Section>` with [`section()`]: absent is `None`; `{}`, and a key without a value, are its defaults |

mod byte_size;
pub mod duration;
mod fault;
mod headers;
pub mod secret;
mod section;

pub use byte_size::ByteSize;
pub use duration::{GoDuration, GoDurationOption};
pub use fault::Fault;
pub use headers::Headers;
pub use secret::Secret;
pub use section::section;
