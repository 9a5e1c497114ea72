//! Roll-up of a window's images into groups, each of which leaves as one.
//!
//! Groups are made when a window closes, since more may be learnt of an image after its first sample, and since only
//! then it is known which processes have ended. Sums stay exact: a group has every sample of its members.

mod group_by;
mod groups;
mod lives;
mod member;
mod part;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use pdata::{ClockOffset, ImageKey};

pub use self::group_by::{GroupBy, group_faults};
pub use self::groups::{Group, Groups};
pub use self::lives::Lives;
pub use self::member::Member;

/// The rule that decides which images of a window leave as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    by: Arc<[GroupBy]>,
    /// The life below which processes are put together; zero to put together processes of any life.
    shorter_than: Duration,
}

impl Grouping {
    /// A rule that puts together images which are alike in all of `by`: all images, or, unless `shorter_than` is zero,
    /// those of processes that lived shorter. If `by` is empty, the rule puts nothing together.
    #[must_use]
    pub fn new(by: &[GroupBy], shorter_than: Duration) -> Self {
        Self { by: by.into(), shorter_than }
    }

    /// True if anything may be put together.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.by.is_empty()
    }

    /// True if it must be known which processes ended: see [`Lives`].
    #[must_use]
    pub fn needs_lives(&self) -> bool {
        self.is_on() && !self.shorter_than.is_zero()
    }

    /// True if the threads of a group are those of one process, so that their numbers say something.
    #[must_use]
    pub fn keeps_threads(&self) -> bool {
        self.by.contains(&GroupBy::Process)
    }

    /// True if an image leaves as part of a group, and not by itself.
    #[must_use]
    pub fn takes(&self, key: ImageKey, lives: &Lives, clock: ClockOffset) -> bool {
        self.is_on()
            && (self.shorter_than.is_zero() || lives.are_shorter(key.process, self.shorter_than, clock))
    }

    /// Empty groups, to put members in.
    #[must_use]
    pub fn groups(&self) -> Groups {
        Groups::new(Arc::clone(&self.by))
    }
}
