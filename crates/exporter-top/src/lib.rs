//! Summaries of seconds for `pipeline top`, sent to the programs that are attached to a unix socket.
//!
//! ```text
//! Batch --> exporter.rs --on a thread of its own--> Reporter: Report --line--> audience.rs --socket--> pipeline top
//!                |                                     ^ stages, cost              ^ peers.rs: admission
//!                +--> acked and dropped while no watcher is attached               ^ socket.rs: its path
//! ```
//!
//! Start reading at [`TopExporter`]. `profile-seconds` defines the messages and their bounds.

mod audience;
mod config;
mod cost;
mod error;
mod exporter;
mod group;
mod metrics;
mod peers;
mod reporter;
mod socket;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use error::{SocketError, StartError};
pub use exporter::TopExporter;
pub use peers::is_trusted;
pub use reporter::Reporter;
