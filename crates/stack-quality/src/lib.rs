//! Quality of stacks, program by program: the share that is whole, the reasons that cut the others short, and the share
//! of frames that have names. For pages that show people where to look when profiles are not what they expect.
//!
//! ```text
//! processors --batch--> Tally::record --> fan-out            QualityBoard::snapshot() -> a table for each pipeline
//! ```
//!
//! Nothing is counted while nobody [watches](QualityBoard::watch). Memory is bounded: a tally holds
//! [`MAX_PROGRAMS`] programs, and what it had counted of those that it let go of.

mod board;
mod program;
mod tally;

pub use board::{QualityBoard, Watch};
pub use program::{End, Quality};
pub use tally::{MAX_PROGRAMS, ProgramQuality, Tally};
