//! Batches of samples to OTLP profiles: `opentelemetry.proto.profiles.v1development`, schema 1.10.
//!
//! The crate does no I/O, reads no clock and starts no thread; every exporter of OTLP uses it. [`Windows`] gathers
//! batches into fixed windows of event time and yields the requests to send; [`json`] writes a request as OTLP/JSON.
//! Crate [`windows`](::windows) decides when a window closes.
//!
//! One request has one dictionary and, for each process image, one `ResourceProfiles` with one scope and one `Profile`
//! for each thing that is measured of it. CPU time: type `samples`/`count`, period `cpu`/`nanoseconds`, and samples
//! that carry timestamps and no values. Time off the CPU: type `off_cpu`/`nanoseconds`, and samples with a value beside
//! each timestamp. The meaning of each attribute is in [`attributes`].
//!
//! Images may be rolled up ([`Windows::rolled_up`]): those of a group then have one `ResourceProfiles`.
//!
//! From samples to bytes: `window` gathers a `content`, whose `dictionary` is made of `table`s; `split` puts it
//! together as one `part` or more, each with `columns` that number the entries it uses; `encode` writes a part by the
//! rules of `wire`. Requests that were held somewhere become fewer by [`merge()`], on the same road from the content
//! on. `docs/decisions/wire-form.md` has the reasons for which there are no protobuf messages in between.

pub mod attributes;
mod columns;
mod content;
mod dictionary;
mod encode;
mod frames;
pub mod json;
mod losses;
mod mappings;
mod merge;
mod part;
mod request;
mod resource;
mod rollup;
mod settle;
mod split;
mod table;
mod window;
mod windows;
mod wire;

#[cfg(test)]
mod tests;

pub use merge::merge;
pub use request::ProfilesRequest;
pub use split::{DEFAULT_REQUEST_BYTES, MIN_REQUEST_BYTES};
pub use windows::{Finished, Windows};
