//! Tests of the agent's promises as a whole, with the real binary.
//!
//! Tests that load programs into the kernel are ignored unless asked for, since they need root:
//! `cargo test -p tests -- --include-ignored`, after `tests/setup.sh`; `make test` does both.

mod accounting;
mod attributes;
mod attribution;
mod bad_start;
mod command_lines;
mod compiled;
mod config;
mod conformance;
mod containers;
mod debuginfod;
mod delivery;
mod exporter_prometheus;
mod files;
mod formats;
mod full_queue;
mod kernel_names;
mod kubernetes;
mod lines;
mod memory_limiter;
mod named;
mod out_of_the_box;
mod overlay;
mod page;
mod pid_namespace;
mod process_context;
mod prometheus;
mod queue;
mod reading;
mod record;
mod reload;
mod shutdown;
mod silent_reader;
mod small_group;
mod started;
mod stuck;
mod sums;
mod systemd;
mod top;
mod tree;
mod unit;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock that a test holds while it runs an agent that samples: each agent sees the whole machine, and programs under
/// test should have the CPUs to themselves as far as the suite can ensure that.
fn alone() -> MutexGuard<'static, ()> {
    static AGENT: Mutex<()> = Mutex::new(());
    // The failure of a test that held the lock does not concern the next test.
    AGENT.lock().unwrap_or_else(PoisonError::into_inner)
}
