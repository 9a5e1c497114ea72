//! The two C programs, as built.

/// What every executable of a storm is: burns CPU time as its slot says. Source: `c/burn.c`.
pub(crate) const BURN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/burn"));

/// Starts and reaps the processes. Source: `c/launch.c`.
pub(crate) const LAUNCH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launch"));
