//! Attributes each sample to the image that ran: the executable of its process, exact whatever became of it since.
//!
//! [`ProcInfo`] stands between the receiver and the exporters. It remembers the facts in process events, enriches
//! samples with them, and forgets a process only when everything downstream has acked the events before its end.
//! Samples bring their mappings with them; the files behind those are read at first sight. Start reading at `layer.rs`,
//! then `tracker.rs` and `table.rs`.

mod config;
mod context_watch;
mod host;
mod images;
mod layer;
mod loader;
mod metrics;
mod process;
mod process_context;
mod program_name;
mod reader;
mod redaction;
mod replaced;
mod request;
mod resource_attributes;
mod sources;
mod table;
mod tracker;
mod unread_files;
mod wall_clock;

pub use config::{
    Action, Config, DEFAULT_MAX_EXITED_AGE, DEFAULT_MAX_EXITED_PROCESSES, Detector, LEAST_EXITED_AGE,
    MOST_EXITED_AGE, MOST_EXITED_PROCESSES, Metadata, ResourceChange, ResourceConfig,
};
pub use k8s::check as check_k8s;
pub use layer::{Acknowledging, ProcInfo, ProcInfoLayer};
pub use process_context::attributes as process_context_attributes;
pub use procfs::Identify;

#[cfg(test)]
mod tests;
