//! What can go wrong, apart from an output that is gone, which is logged once.

/// The exporter is broken.
#[derive(Debug, thiserror::Error)]
pub enum DebugError {
    /// The runtime is shutting down, or writing has panicked.
    #[error("the thread that prints reports was stopped")]
    Stopped(#[source] tokio::task::JoinError),
}
