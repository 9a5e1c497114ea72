//! What is mapped at which address, and was at which time.

use std::collections::VecDeque;
use std::sync::Arc;

use pdata::{KTime, Mapping, Pc};

/// Executable ranges of one address space held at most. The kernel's own limit on all ranges is
/// 65,530; but since it does not report `munmap`, a JIT that always maps elsewhere would grow this
/// for ever. Past the limit the older half is dropped.
pub(crate) const MAX_PIECES: usize = 16_384;

/// Mappings by address and time.
///
/// At each address and instant the mapping is the last one made there by then. Shared with forks
/// until either side changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    /// What is mapped now: in address order, disjoint.
    live: Arc<Vec<Piece>>,
    /// What has been overridden, by when that happened.
    past: VecDeque<Past>,
}

/// Part of a mapping that no other overrides.
#[derive(Clone, Debug)]
struct Piece {
    start: Pc,
    end: Pc,
    since: KTime,
    mapping: Arc<Mapping>,
}

#[derive(Clone, Debug)]
struct Past {
    until: KTime,
    piece: Piece,
}

impl Piece {
    fn contains(&self, pc: Pc) -> bool {
        self.start <= pc && pc < self.end
    }

    /// The part of this piece in `[start, end)`; `None` if that is empty.
    fn within(&self, start: Pc, end: Pc) -> Option<Self> {
        let (start, end) = (self.start.max(start), self.end.min(end));
        (start < end).then(|| Self { start, end, since: self.since, mapping: Arc::clone(&self.mapping) })
    }
}

/// [`Ranges`] at one instant, for one stack.
#[derive(Debug)]
pub(crate) struct RangesAt<'a> {
    ranges: &'a Ranges,
    at: KTime,
    /// Where the last address was: callers are mostly in the same file as what they call.
    last: Option<&'a Piece>,
}

impl<'a> RangesAt<'a> {
    /// The mapping at an address.
    pub(crate) fn find(&mut self, pc: Pc) -> Option<&'a Arc<Mapping>> {
        if let Some(piece) = self.last.filter(|piece| piece.contains(pc)) {
            return Some(&piece.mapping);
        }
        match self.ranges.live_piece(pc).filter(|piece| piece.since <= self.at) {
            Some(piece) => Some(&self.last.insert(piece).mapping),
            None => self.ranges.find_past(pc, self.at),
        }
    }
}

impl Ranges {
    /// The mapping at an address and instant.
    #[cfg(test)]
    pub(crate) fn find(&self, pc: Pc, at: KTime) -> Option<&Arc<Mapping>> {
        self.at(at).find(pc)
    }

    /// The mappings at an instant.
    pub(crate) fn at(&self, at: KTime) -> RangesAt<'_> {
        RangesAt { ranges: self, at, last: None }
    }

    /// What is mapped now around an address.
    fn live_piece(&self, pc: Pc) -> Option<&Piece> {
        let after = self.live.partition_point(|piece| piece.start <= pc);
        let piece = after.checked_sub(1).and_then(|last| self.live.get(last));
        piece.filter(|piece| pc < piece.end)
    }

    /// For a late sample: what was mapped before it was overridden. A sample in time finds nothing
    /// overridden after it, so costs nothing here.
    fn find_past(&self, pc: Pc, at: KTime) -> Option<&Arc<Mapping>> {
        let first = self.past.partition_point(|past| past.until <= at);
        let candidates = self.past.range(first..).map(|past| &past.piece);
        let made = candidates.filter(|piece| piece.contains(pc) && piece.since <= at);
        made.max_by_key(|piece| piece.since).map(|piece| &piece.mapping)
    }

    /// Maps `mapping` at `at` over whatever is older there. Returns true if something was overridden
    /// and is kept for those who ask about earlier.
    pub(crate) fn map(&mut self, at: KTime, mapping: Arc<Mapping>) -> bool {
        if mapping.start >= mapping.end || self.has(&mapping, at) {
            return false;
        }
        let whole = Piece { start: mapping.start, end: mapping.end, since: at, mapping };
        let (first, last) = self.overlap(whole.start, whole.end);
        let mut placed = Vec::with_capacity(last - first + 2);
        let mut overridden = Vec::new();
        let mut free_from = whole.start;
        for old in self.live.get(first..last).unwrap_or_default() {
            if old.since > at {
                // This mapping is told late: the newer one stays, and was not there before its time.
                placed.extend(whole.within(free_from, old.start));
                let before = whole.within(old.start, old.end);
                overridden.extend(before.map(|piece| Past { until: old.since, piece }));
                placed.push(old.clone());
                free_from = old.end;
            } else {
                placed.extend(old.within(Pc(0), whole.start));
                let part = old.within(whole.start, whole.end).filter(|piece| piece.since < at);
                overridden.extend(part.map(|piece| Past { until: at, piece }));
            }
        }
        placed.extend(whole.within(free_from, whole.end));
        let tail = self.live.get(first..last).and_then(<[Piece]>::last).filter(|old| old.since <= at);
        placed.extend(tail.and_then(|old| old.within(whole.end, Pc(u64::MAX))));
        Arc::make_mut(&mut self.live).splice(first..last, placed);
        self.limit();
        let kept = !overridden.is_empty();
        overridden.into_iter().for_each(|past| self.keep(past));
        kept
    }

    /// Maps `mapping` where nothing is: what was read from `/proc` is true but older than any event.
    pub(crate) fn fill(&mut self, since: KTime, mapping: Arc<Mapping>) {
        if mapping.start >= mapping.end {
            return;
        }
        let whole = Piece { start: mapping.start, end: mapping.end, since, mapping };
        let (first, last) = self.overlap(whole.start, whole.end);
        let mut placed = Vec::with_capacity(last - first + 1);
        let mut free_from = whole.start;
        for old in self.live.get(first..last).unwrap_or_default() {
            placed.extend(whole.within(free_from, old.start));
            placed.push(old.clone());
            free_from = old.end;
        }
        placed.extend(whole.within(free_from, whole.end));
        Arc::make_mut(&mut self.live).splice(first..last, placed);
        self.limit();
    }

    /// Takes out what was mapped at `at` or later.
    pub(crate) fn split_off(&mut self, at: KTime) -> Vec<(KTime, Arc<Mapping>)> {
        let (earlier, later): (Vec<_>, Vec<_>) =
            self.live.iter().cloned().partition(|piece| piece.since < at);
        self.live = Arc::new(earlier);
        later.into_iter().map(|piece| (piece.since, piece.mapping)).collect()
    }

    /// The mappings of a forked child: what is mapped now, nothing of before.
    pub(crate) fn inherit(&self) -> Self {
        Self { live: Arc::clone(&self.live), past: VecDeque::new() }
    }

    /// Forgets what was overridden at or before `acked`.
    pub(crate) fn forget(&mut self, acked: KTime) {
        let kept = self.past.partition_point(|past| past.until <= acked);
        self.past.drain(..kept);
    }

    #[cfg(test)]
    pub(crate) fn has_no_past(&self) -> bool {
        self.past.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// True if the very same mapping is there: `mprotect` reports ranges again that did not change.
    fn has(&self, mapping: &Mapping, at: KTime) -> bool {
        let place = self.live.binary_search_by_key(&mapping.start, |piece| piece.start);
        place.ok().and_then(|place| self.live.get(place)).is_some_and(|piece| {
            piece.end == mapping.end
                && piece.since <= at
                && piece.mapping.offset_of(mapping.start) == mapping.file_offset
                && same_backing(&piece.mapping, mapping)
        })
    }

    /// Which live pieces overlap `[start, end)`.
    fn overlap(&self, start: Pc, end: Pc) -> (usize, usize) {
        let first = self.live.partition_point(|piece| piece.end <= start);
        let last = self.live.partition_point(|piece| piece.start < end);
        (first, last.max(first))
    }

    fn keep(&mut self, past: Past) {
        let place = self.past.partition_point(|other| other.until <= past.until);
        self.past.insert(place, past);
    }

    /// Drops the older half if there are too many: rarely, so that it costs little for each mapping.
    fn limit(&mut self) {
        if self.live.len() > MAX_PIECES {
            // By address too: all that `/proc` shows is of one age.
            let age = |piece: &Piece| (piece.since, piece.start);
            let mut ages: Vec<_> = self.live.iter().map(age).collect();
            let (_, &mut median, _) = ages.select_nth_unstable(MAX_PIECES / 2);
            Arc::make_mut(&mut self.live).retain(|piece| age(piece) > median);
        }
    }
}

fn same_backing(a: &Mapping, b: &Mapping) -> bool {
    use pdata::Backing::{Anonymous, File, Kernel, Special};
    match (&a.backing, &b.backing) {
        (File(a), File(b)) => Arc::ptr_eq(a, b),
        (Special(a), Special(b)) | (Kernel(a), Kernel(b)) => a == b,
        // Of what a child inherited, `/proc` does not show who mapped it.
        (Anonymous(_), Anonymous(_)) => true,
        (File(_) | Special(_) | Kernel(_) | Anonymous(_), _) => false,
    }
}

#[cfg(test)]
mod tests;
