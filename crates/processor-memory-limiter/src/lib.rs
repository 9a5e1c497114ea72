//! Keeps the agent within its memory, like the Collector's `memory_limiter`, but for an agent that samples.
//!
//! ```text
//! machine/ --limits, once------> limits.rs --+
//! machine/ --own memory,---------------------+--> limiter.rs --divisor--> Throttle (the sampler)
//!            every check_interval                     +------dropping--> layer.rs: samples dropped, counted, reported
//! ```
//!
//! There is nobody upstream to push back on, so instead of refusing data, as the Collector does, the limiter has fewer
//! samples taken: above the soft limit the rate is halved with each check. Above the hard limit samples are dropped and
//! reported in the stream as losses. Facts of processes are never dropped: they are little, and without them later
//! samples could not be attributed.
//!
//! Start reading at [`MemoryLimiterLayer`]; `limiter.rs` decides, and does nothing else.

pub mod allocator;
mod config;
mod error;
mod layer;
mod limiter;
mod limits;
mod machine;
mod meter;
mod metrics;
mod settings;
mod watch;

pub use config::Config;
pub use error::StartError;
pub use layer::{MemoryLimiter, MemoryLimiterLayer};
pub use settings::{LimiterSettings, Throttle};
