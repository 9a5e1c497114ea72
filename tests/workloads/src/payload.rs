//! The C programs, as built.

/// The program behind every executable of a storm: it burns CPU time by its slot. Source: `c/burn.c`.
pub(crate) const BURN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/burn"));

/// The program that starts and reaps the processes. Source: `c/launch.c`.
pub(crate) const LAUNCH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launch"));

/// The tools with which an unprivileged user troubles a profiler. Source: `c/hostile/`.
pub(crate) const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile"));

/// The smallest program, whose build ID is replaced in copies. Source: `c/hostile/tiny.c`.
pub(crate) const TINY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tiny"));
