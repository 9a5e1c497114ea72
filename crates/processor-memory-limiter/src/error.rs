//! Reasons why the limiter cannot start.

use std::io;

use thiserror::Error;

/// A reason why the limiter cannot start.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the name of a field in an error says all there is to say")]
pub enum StartError {
    /// The agent's own memory in use cannot be read.
    #[error("cannot read /proc/self/status")]
    Usage(#[source] io::Error),
    /// The memory that a percentage is of cannot be read.
    #[error("cannot find out how much memory there is: no MemTotal in /proc/meminfo; set limit_mib")]
    NoMemory,
    /// The spike limit, in percent of the memory there is, leaves nothing of `limit_mib`.
    #[error("the spike limit, {spike} bytes, is not below the limit, {limit} bytes: set spike_limit_mib")]
    Spike {
        /// Distance of soft and hard limit, bytes.
        spike: u64,
        limit: u64,
    },
    /// The system has no thread to look at the memory.
    #[error("cannot start the memory limiter's thread")]
    Thread(#[source] io::Error),
}
