//! The agent: configuration, the graph of components, and how it reports on itself.

pub mod layer;
pub mod metrics;
