//! Keeps exporters' queues on disk, like the Collector's `file_storage`: requests that were in a queue when the agent
//! was killed, or the power failed, are there when it starts again.
//!
//! [`FileStorage`] is the extension: a directory that this agent alone uses. Each exporter has a [`Client`] with a
//! file of its own, a [redb](https://docs.rs/redb) database, written by a thread of its own.
//!
//! ```text
//! append, remove, read --> inbox --> thread: what has come within fsync_interval, as one transaction --> file
//!    <--- durable, or not (at once when the disk is full or broken; tried again every second)
//! ```

mod backend;
mod client;
mod clock;
mod config;
mod directory;
mod error;
mod fault;
mod inbox;
mod metrics;
pub mod record;
mod salvage;
mod storage;
mod store;
mod store_error;
mod stored;
mod worker;

#[cfg(test)]
mod tests;

pub use client::Client;
pub use config::Config;
pub use error::OpenError;
pub use record::Record;
pub use storage::FileStorage;
pub use stored::{Appended, Handle, Stored, Unavailable};
