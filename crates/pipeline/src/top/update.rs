//! Updates from an agent.

use profile_seconds::Report;

/// An update from an agent.
#[derive(Debug)]
pub(super) enum Update {
    /// The report of a second.
    Report(Box<Report>),
    /// The agent has ended; another may take its place.
    Gone,
}
