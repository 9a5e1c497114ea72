//! OTLP profiles (`opentelemetry.proto.profiles.v1development`, schema 1.10) of us or of others: requests one after the
//! other, as exporters put them into files.
//!
//! `file` finds the `requests`, whatever they are wrapped in; `json` turns one that is text into protobuf by `schema`;
//! `dictionary` reads what the samples of `profile` refer to, and no more, into what is
//! `gathered`.

mod dictionary;
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
