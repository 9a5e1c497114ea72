//! Debug files that debuginfod servers have, kept in a directory of the agent's own.
//!
//! ```text
//! Debuginfod::file(id) --is there--> Cache: the file, which stays while somebody reads it
//!                      --is not--> Waiting: a bounded queue, users by turns --> [thread: Worker]
//!   Worker --> Fetcher: one server after another, within a deadline --> Part of the cache: a whole ELF file of that
//!   build ID takes its place under its name, anything else is removed
//! ```
//!
//! Whoever asks never waits for a server: the file is there, or it may come later, or it does not. Build IDs leave the
//! machine, and nothing else. The bytes that servers send are trusted as little as those of any stranger's file.

mod address;
mod build_id;
mod cache;
mod client;
mod config;
mod connect;
mod error;
mod fetch;
mod metrics;
mod part;
mod queue;
mod state;
mod worker;

#[cfg(test)]
mod tests;

pub use build_id::GnuBuildId;
pub use client::{Debuginfod, Fetch};
pub use config::Config;
pub use error::StartError;
