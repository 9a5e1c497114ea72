//! What a limiter is given beside its configuration.

use std::fmt;
use std::sync::Arc;

/// What can sample less.
pub trait Throttle: fmt::Debug + Send + Sync {
    /// Divides the sampling rate by this, at least 1. Called often, mostly with what it was told before; must not block.
    fn set_divisor(&self, divisor: u32);
}

/// What the assembler gives a limiter beside its configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Component id, such as `memory_limiter`: the label `processor` in metrics.
    pub id: Arc<str>,
    /// What samples.
    pub throttle: Arc<dyn Throttle>,
}
