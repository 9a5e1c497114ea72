//! The keys that exporters have in common, with the Collector's names, defaults and faults.

mod queue;
mod retry;

use std::time::Duration;

pub use queue::{BatchConfig, BatchSizer, QueueConfig, Sizer};
pub use retry::RetryConfig;

/// Key `timeout`: longest that one attempt may take; zero is forever. As in the Collector for gRPC.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
