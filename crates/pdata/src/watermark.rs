//! The watermark: a promise that travels with every batch, and back as every answer.

use crate::KTime;

/// "Nothing before this instant is still to come."
///
/// Downstream, on a [`Batch`](crate::Batch): every event stamped before the instant has been passed on. Upstream, as
/// the result of a `Service<Batch>`: the callee is done with every event stamped before the instant (exported, or given
/// up on and counted) and will not ask about it again. An event that arrives behind a watermark already forwarded is
/// late: kept, and counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watermark(KTime);

impl Watermark {
    /// The watermark that promises nothing.
    pub const NONE: Self = Self(KTime::ZERO);
    /// The watermark that promises that nothing will ever come, as at the end of a stream.
    pub const END: Self = Self(KTime::MAX);

    /// The promise that every event before `at` has been dealt with.
    #[must_use]
    pub const fn before(at: KTime) -> Self {
        Self(at)
    }

    /// First instant that the promise does not cover.
    #[must_use]
    pub const fn at(self) -> KTime {
        self.0
    }

    /// True if the promise covers an event stamped `at`.
    #[must_use]
    pub fn covers(self, at: KTime) -> bool {
        at < self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_covers_what_is_before_it_and_not_its_own_instant() {
        let w = Watermark::before(KTime::from_nanos(10));
        assert!(w.covers(KTime::from_nanos(9)));
        assert!(!w.covers(KTime::from_nanos(10)));
    }
}
