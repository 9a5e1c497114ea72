//! Steps of time, the smallest that the store distinguishes.

/// Steps in a second: as many rows as the heat map below a second has.
pub const TICKS_PER_SECOND: u32 = 50;
/// Nanoseconds in a step.
pub const TICK_NANOS: u64 = 1_000_000_000 / TICKS_PER_SECOND as u64;

/// A step of time, counted from the store's first second.
pub type Tick = u32;

/// The steps from one on up to another, which is not part of the span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First step of the span.
    pub from: Tick,
    /// First step after the span.
    pub until: Tick,
}

impl Span {
    /// All time.
    pub const ALL: Self = Self { from: 0, until: Tick::MAX };

    /// True if the step is part of the span.
    #[must_use]
    pub const fn contains(self, tick: Tick) -> bool {
        self.from <= tick && tick < self.until
    }

    /// Number of steps in the span.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.until.saturating_sub(self.from)
    }

    /// True if the span has no step.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The span with one more step in it.
    #[must_use]
    pub(crate) fn with(self, tick: Tick) -> Self {
        Self { from: self.from.min(tick), until: self.until.max(tick.saturating_add(1)) }
    }

    /// True if every step of `other` is part of the span.
    #[must_use]
    pub(crate) const fn covers(self, other: Self) -> bool {
        self.from <= other.from && other.until <= self.until
    }

    /// The part of this span that is in `other`, too.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        let from = self.from.max(other.from);
        Self { from, until: self.until.min(other.until).max(from) }
    }
}
