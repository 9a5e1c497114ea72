//! The address spaces of one process, one for each image, by time.

use std::collections::VecDeque;
use std::sync::Arc;

use pdata::{ExecCount, KTime, Mapping};

use crate::ranges::Ranges;

/// The mappings of every image of a process that somebody may ask about.
///
/// The perf sideband knows neither start times nor exec counts: an exec shows as
/// [`cleared`](Self::cleared), then the new image's mappings, and only then comes the exec's own record, which
/// tells the count. Until it does, the count is taken to be one more than the one before.
#[derive(Debug)]
pub(crate) struct Mappings {
    newest: AddressSpace,
    /// Oldest first; each ends where the next begins.
    older: VecDeque<AddressSpace>,
}

/// The mappings of one image.
#[derive(Debug)]
pub(crate) struct AddressSpace {
    count: ExecCount,
    begin: KTime,
    origin: Origin,
    pub(crate) ranges: Ranges,
}

/// How an address space came to be known, which says how far its exec count is to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// With its process, or by an exec at that instant whose `Cleared` was found.
    Known(KTime),
    /// By `Cleared`; the exec's own record is still to come.
    Cleared,
    /// By an exec whose `Cleared` was not seen.
    ExecAlone(KTime),
}

impl Mappings {
    /// No mappings yet, for a process whose image has that exec count.
    pub(crate) fn new(count: ExecCount) -> Self {
        Self::from(count, KTime::ZERO, Ranges::default())
    }

    /// What a child forked at `at` from the image `count` has.
    pub(crate) fn inherit(&self, count: ExecCount, at: KTime) -> Option<Self> {
        self.space(count).map(|space| Self::from(count, at, space.ranges.inherit()))
    }

    fn from(count: ExecCount, begin: KTime, ranges: Ranges) -> Self {
        let newest = AddressSpace { count, begin, origin: Origin::Known(begin), ranges };
        Self { newest, older: VecDeque::new() }
    }

    /// The address space of an image.
    pub(crate) fn space(&self, count: ExecCount) -> Option<&AddressSpace> {
        if self.newest.count == count {
            return Some(&self.newest);
        }
        self.older.iter().rev().find(|space| space.count == count)
    }

    /// True if nothing has been told of the process's mappings.
    pub(crate) fn is_empty(&self) -> bool {
        self.older.is_empty() && self.newest.ranges.is_empty()
    }

    /// An exec threw the address space away at `at`. Returns true if there is one to forget then.
    pub(crate) fn cleared(&mut self, at: KTime) -> bool {
        let settled = match self.newest.origin {
            Origin::Known(since) | Origin::ExecAlone(since) => since,
            Origin::Cleared => self.newest.begin,
        };
        if at < settled {
            self.cleared_late(at);
            return false;
        }
        let count = ExecCount(self.newest.count.0.wrapping_add(1));
        self.push(count, at, Origin::Cleared);
        true
    }

    /// The exec that this belongs to has been told before it: what was mapped since is the new image's.
    fn cleared_late(&mut self, at: KTime) {
        if let Origin::ExecAlone(exec) = self.newest.origin
            && let Some(before) = self.older.back_mut().filter(|before| before.begin <= at)
        {
            for (since, mapping) in before.ranges.split_off(at) {
                self.newest.ranges.map(since, mapping);
            }
            self.newest.begin = at;
            self.newest.origin = Origin::Known(exec);
        }
    }

    /// A range was mapped at `at`. Returns true if something overridden is to be forgotten then.
    pub(crate) fn mapped(&mut self, at: KTime, mapping: Arc<Mapping>) -> bool {
        let late = at < self.newest.begin;
        let older = self.older.iter_mut().rev().find(|space| late && space.begin <= at);
        older.unwrap_or(&mut self.newest).ranges.map(at, mapping)
    }

    /// The exec to `count`, the newest image, is complete. Returns false if its `Cleared` was not
    /// seen, so that the new image's mappings are not known; the old one's are not taken for them.
    pub(crate) fn exec(&mut self, count: ExecCount, at: KTime) -> bool {
        if at < self.newest.begin {
            // Told after the next exec's `Cleared`: it belongs to the space before.
            if let Some(space) = self.older.iter_mut().rev().find(|space| space.begin <= at) {
                (space.count, space.origin) = (count, Origin::Known(at));
            }
            return true;
        }
        if self.newest.origin == Origin::Cleared || self.newest.ranges.is_empty() {
            let seen = self.newest.origin == Origin::Cleared;
            (self.newest.count, self.newest.origin) = (count, Origin::Known(at));
            return seen;
        }
        self.push(count, at, Origin::ExecAlone(at));
        false
    }

    /// A sample inside an exec has told the count that the exec's own record will tell.
    pub(crate) fn seen(&mut self, count: ExecCount) {
        if self.newest.origin == Origin::Cleared {
            self.newest.count = count;
        }
    }

    /// Adds what `/proc` shows for an image, where nothing is known.
    pub(crate) fn fill(&mut self, count: ExecCount, mappings: impl Iterator<Item = Arc<Mapping>>) {
        if self.newest.count == count {
            let since = self.newest.begin;
            mappings.for_each(|mapping| self.newest.ranges.fill(since, mapping));
        }
    }

    /// Forgets what ended at or before `acked`.
    pub(crate) fn forget(&mut self, acked: KTime) {
        while let Some(next) = self.older.get(1).map(|next| next.begin).or(Some(self.newest.begin))
            && next <= acked
            && self.older.pop_front().is_some()
        {}
        self.newest.ranges.forget(acked);
        self.older.iter_mut().for_each(|space| space.ranges.forget(acked));
    }

    #[cfg(test)]
    pub(crate) fn is_lean(&self) -> bool {
        self.older.is_empty() && self.newest.ranges.has_no_past()
    }

    fn push(&mut self, count: ExecCount, begin: KTime, origin: Origin) {
        let space = AddressSpace { count, begin, origin, ranges: Ranges::default() };
        self.older.push_back(std::mem::replace(&mut self.newest, space));
    }
}
