//! The C programs, as built.

/// What every executable of a storm is: burns CPU time as its slot says. Source: `c/burn.c`.
pub(crate) const BURN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/burn"));

/// Starts and reaps the processes. Source: `c/launch.c`.
pub(crate) const LAUNCH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launch"));

/// What an unprivileged user can do to a profiler. Source: `c/hostile/`.
pub(crate) const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile"));

/// The smallest program, whose build ID is replaced in copies. Source: `c/hostile/tiny.c`.
pub(crate) const TINY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tiny"));
