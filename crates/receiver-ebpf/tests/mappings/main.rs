//! Mappings against the running kernel: each frame is in the file that its code came from, even if files and mappings
//! change or go.
//!
//! The truth is the test's own: it writes a few instructions to a file, maps that somewhere and calls it. So it knows
//! for any address in that mapping, at any time, which file and which byte of it must be found.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "mapping and calling code of one's own has no safe interface")]

mod changes;
mod files;
#[path = "../support/mod.rs"]
mod support;
mod truth;
