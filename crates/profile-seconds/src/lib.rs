//! Summaries of the CPUs' use, second by second: made of batches, sent by the agent, shown by `pipeline top`. Pure: no
//! I/O, no clocks.
//!
//! ```text
//! Batch --> Summarizer --> Second --+ StageUse, AgentUse --> Report --> Message --line of JSON--> MessageReader
//! ```
//!
//! Start reading at [`Second`]. Every part of it is bounded: `gathering.rs` puts the smallest entries of a second
//! together when there are too many.

mod call_tree;
mod gathering;
mod known;
mod losses;
mod message;
mod names;
mod report;
mod second;
mod summarizer;

#[cfg(test)]
mod tests;

pub use losses::{Losses, LostRecords};
pub use message::{Hello, MAX_LINE, Message, MessageError, MessageReader, VERSION};
pub use report::{AgentUse, QueueUse, Report, StageUse, ThreadUse};
pub use second::{
    Call, CallKind, MAX_CALLS, MAX_NAME, MAX_NAMES, MAX_PROCESSES, ProcessId, ProcessUse, Second, SecondError,
};
pub use summarizer::Summarizer;
