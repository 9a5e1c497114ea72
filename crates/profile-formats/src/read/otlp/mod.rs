//! Reading of OTLP profiles (`opentelemetry.proto.profiles.v1development`, schema 1.10), ours or other tools': files of
//! requests one after the other, as exporters write them.
//!
//! `file` unwraps the `requests`; `json` converts a request that is text to protobuf by `schema`; `dictionary` reads
//! those entries that the samples of `profile` refer to, and no more; the result is in `gathered`.

mod dictionary;
mod entries;
mod file;
mod gathered;
mod json;
mod profile;
mod requests;
mod resource;
mod schema;

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod tests;

pub(super) use file::{Wrapping, read, wrapping};
