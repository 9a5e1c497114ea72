//! One second.

use std::collections::HashMap;

use pdata::ProcessKey;

use super::calls::Calls;
use crate::names::NameId;
use crate::tally::{FunctionId, Share};

/// What the CPUs did in one second of the kernel's clock, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Second {
    /// Seconds since the clock's start.
    pub(super) number: u64,
    pub(super) busy: u64,
    pub(super) samples: u64,
    pub(super) lost: u64,
    pub(super) executables: HashMap<NameId, u64>,
    pub(super) functions: HashMap<FunctionId, Share>,
    pub(super) processes: HashMap<ProcessKey, u64>,
    pub(super) calls: Calls,
}
