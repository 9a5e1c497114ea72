//! What comes from an agent.

use profile_seconds::Report;

/// What comes from an agent.
#[derive(Debug)]
pub(super) enum Update {
    /// A second.
    Report(Box<Report>),
    /// The agent has ended; another may take its place.
    Gone,
}
