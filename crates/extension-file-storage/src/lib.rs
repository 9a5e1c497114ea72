//! Keeps exporters' queues on disk, the Collector's `file_storage`.

mod config;
pub mod record;

pub use config::Config;
pub use record::Record;
