//! The Firefox Profiler's processed format, version 55: `docs-developer/processed-profile-format.md` of
//! github.com/firefox-devtools/profiler.
//!
//! The file has a thread for each thread and kind of value, with samples in order of time, and markers for exec, fork,
//! exit and loss. Samples of which no instant is known are at the start of the profile, with their sum as weight.
//! Numbers of processes and threads that were used again have a suffix, since the format knows no other identity.

mod lanes;
mod markers;
mod output;
mod symbols;
#[cfg(test)]
mod tests;
mod write;

pub use write::write;
