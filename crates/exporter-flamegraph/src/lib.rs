//! The last minutes of profiles as a live page with flame graphs, at `localhost:4470`.
//!
//! ```text
//! Batch --> exporter.rs --on a thread of its own--> profile_store::Feed --> Store <-- profile_page::router <-- browser
//! ```
//!
//! Start reading at [`FlamegraphExporter`]. `profile-store` holds the samples and bounds them; `profile-page` serves
//! the page, and decides to whom.

mod agent;
mod config;
mod error;
mod exporter;
mod metrics;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use error::StartError;
pub use exporter::FlamegraphExporter;
