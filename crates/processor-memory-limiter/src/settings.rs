//! Settings that a limiter gets beside its configuration.

use std::fmt;
use std::sync::Arc;

/// A receiver that can be made to sample less.
pub trait Throttle: fmt::Debug + Send + Sync {
    /// Divides the sampling rate by `divisor`, which is at least 1. Called often, mostly with the same value as before;
    /// must not block.
    fn set_divisor(&self, divisor: u32);
}

/// The parts that the assembler hands to a limiter beside its configuration.
#[derive(Clone, Debug)]
pub struct LimiterSettings {
    /// Component id, such as `memory_limiter`: the label `processor` in metrics.
    pub id: Arc<str>,
    /// The receivers to slow down.
    pub throttle: Arc<dyn Throttle>,
}
