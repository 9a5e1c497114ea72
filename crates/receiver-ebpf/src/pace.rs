//! The pace of polls: the time for which the reader rests between two.

use std::time::Duration;

/// Events of a poll below which the next one may come later: so few events are cheaper read together.
const FEW: usize = 32;
/// Events of a poll above which the next one comes sooner.
const MANY: usize = 256;

/// The rest between two polls: the configured interval while much happens, up to ten times as long (and less
/// than a second) while little does.
///
/// Events that must not wait for the end of a long rest wake the reader: a request of [`Control`](crate::Control), and
/// a record that the kernel side submits with a wake-up (`ebpf/`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    shortest: Duration,
    longest: Duration,
    rest: Duration,
}

impl Pace {
    /// The longest rest, unless the configured interval is longer still. A CPU that comes online is noticed at the next
    /// poll, and sampled within a second.
    const LONGEST: Duration = Duration::from_millis(900);
    const MOST_TIMES: u32 = 10;

    /// The pace whose shortest rest is the configured `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        let longest = (interval * Self::MOST_TIMES).min(Self::LONGEST).max(interval);
        Self { shortest: interval, longest, rest: interval }
    }

    /// The shortest time between the starts of two polls, even if the reader is woken.
    pub(crate) fn shortest(&self) -> Duration {
        self.shortest
    }

    /// The rest that follows a poll which read `events` events.
    pub(crate) fn after(&mut self, events: usize) -> Duration {
        self.rest = match events {
            0..FEW => (self.rest * 2).min(self.longest),
            FEW..=MANY => self.rest,
            _ => (self.rest / 2).max(self.shortest),
        };
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    #[test]
    fn the_rest_grows_while_little_happens_and_shrinks_at_once_to_what_much_needs() {
        let mut pace = Pace::new(INTERVAL);
        let rests: Vec<_> = (0..6).map(|_| pace.after(0).as_millis()).collect();
        assert_eq!(rests, [200, 400, 800, 900, 900, 900]);
        assert_eq!(pace.after(FEW).as_millis(), 900, "enough to stay as it is");
        let rests: Vec<_> = (0..5).map(|_| pace.after(MANY + 1).as_millis()).collect();
        assert_eq!(rests, [450, 225, 112, 100, 100]);
    }

    #[test]
    fn a_configured_interval_beyond_the_longest_rest_holds() {
        let mut pace = Pace::new(Duration::from_secs(5));
        assert_eq!(pace.after(0), Duration::from_secs(5));
        assert_eq!(pace.after(MANY + 1), Duration::from_secs(5));
    }
}
