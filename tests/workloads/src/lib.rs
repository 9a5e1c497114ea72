//! Short-lived processes with a ground truth, and the score of a profiler against it.
//!
//! [`plan`] draws the processes of a storm; it depends on nothing but its seed. [`tree`] makes their executables.
//! [`storm`] runs the plan (two small C programs do the work, see `c/`) and returns the [`truth`]. [`profiles`] reads
//! the profiler's output, [`timeline`] has the output expected for an instant of a process, and [`score`] and [`gates`]
//! compare the two. [`agent`] starts the profiler itself. [`toolbox`] runs the tools of a hostile user meanwhile, and
//! [`siege`] checks that the agent withstands them.

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
#[path = "../../src/port.rs"]
mod port;
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

/// The exit code of a program's `main`: 0 if all was well, 1 if not; an error is printed in one line.
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
