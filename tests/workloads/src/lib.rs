//! Short-lived processes with a ground truth, and what scores a profiler against it.
//!
//! [`plan`] says which processes a storm has; it depends on nothing but its seed. [`tree`] makes their executables.
//! [`storm`] runs the plan (two small C programs do the work, see `c/`) and returns the [`truth`]. [`profiles`] reads
//! what the profiler wrote, [`timeline`] says what it should have written for an instant of a process, and
//! [`score`] and [`gates`] compare the two. [`agent`] starts the profiler itself. [`toolbox`] is what a hostile user
//! does meanwhile, and [`siege`] what must hold all the same.

use std::process::ExitCode;

pub mod agent;
pub mod arrival;
pub mod build_id;
pub mod gates;
pub mod hooks;
pub mod kernel;
pub mod mode;
mod payload;
pub mod peer;
pub mod plan;
pub mod profiles;
pub mod random;
mod record;
pub mod score;
pub mod siege;
pub mod silent;
pub mod storm;
pub mod table;
pub mod timeline;
pub mod toolbox;
pub mod tree;
pub mod truth;

/// What a program's `main` returns: 0 if all was well, 1 if not; an error is printed in one line.
pub fn exit(result: anyhow::Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
