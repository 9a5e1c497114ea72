//! The ledger of requests that end in any order, which yields the one watermark to ack.

use std::collections::VecDeque;

use pdata::Watermark;

/// The watermarks that still wait for requests.
///
/// A window's watermark is acked once all of its requests are over, and those of every window before it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Watermarks in order; each waits for at least one request, or is behind one that does.
    open: VecDeque<Entry>,
    /// Number of the first open entry.
    first: u64,
    acked: Watermark,
}

#[derive(Debug)]
struct Entry {
    acked: Watermark,
    requests: usize,
}

/// A ticket for one open request in the ledger; handing it back closes the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LedgerTicket(u64);

impl Ledger {
    /// Adds requests, and the watermark to ack once they are over. Returns a ticket for each.
    pub(crate) fn open(
        &mut self,
        requests: usize,
        acked: Watermark,
    ) -> impl Iterator<Item = LedgerTicket> + use<> {
        if requests == 0 {
            // Nothing new is waited for: the answer is due with the one before.
            let last = self.open.back_mut().map_or(&mut self.acked, |entry| &mut entry.acked);
            *last = acked.max(*last);
        } else {
            self.open.push_back(Entry { acked, requests });
        }
        let number = self.first + (self.open.len() as u64).saturating_sub(1);
        (0..requests).map(move |_| LedgerTicket(number))
    }

    /// Notes that a request is over. The ticket is consumed, so that it is over only once.
    pub(crate) fn close(&mut self, ticket: LedgerTicket) {
        let index = ticket.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| self.open.get_mut(index)) {
            entry.requests = entry.requests.saturating_sub(1);
        }
        while let Some(acked) = self.open.front().filter(|entry| entry.requests == 0).map(|entry| entry.acked)
        {
            self.open.pop_front();
            self.first += 1;
            self.acked = self.acked.max(acked);
        }
    }

    /// The watermark to ack.
    pub(crate) fn acked(&self) -> Watermark {
        self.acked
    }
}

#[cfg(test)]
mod tests {
    use pdata::KTime;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However requests end, the acked watermark is always that of the last window up to which none is open.
        #[test]
        fn the_answer_is_that_of_the_last_window_with_nothing_open_up_to_it(
            steps in prop::collection::vec((0_usize..4, 0_u64..5, prop::collection::vec(any::<u16>(), 0..6)), 0..60)
        ) {
            let (mut ledger, mut at) = (Ledger::default(), 0);
            // All windows there ever were, and how many of its requests are open.
            let mut windows: Vec<(Watermark, usize)> = Vec::new();
            let mut tickets: Vec<(usize, LedgerTicket)> = Vec::new();
            let due = |windows: &[(Watermark, usize)]| {
                let closed = windows.iter().take_while(|(_, open)| *open == 0);
                closed.last().map_or(Watermark::NONE, |(acked, _)| *acked)
            };
            for (requests, step, ends) in steps {
                at += step;
                let acked = Watermark::before(KTime::from_nanos(at));
                tickets.extend(ledger.open(requests, acked).map(|ticket| (windows.len(), ticket)));
                windows.push((acked, requests));
                prop_assert_eq!(ledger.acked(), due(&windows));
                for end in ends {
                    if tickets.is_empty() { break }
                    let (window, ticket) = tickets.swap_remove(usize::from(end) % tickets.len());
                    ledger.close(ticket);
                    windows[window].1 -= 1;
                    prop_assert_eq!(ledger.acked(), due(&windows));
                }
            }
            for (window, ticket) in tickets {
                ledger.close(ticket);
                windows[window].1 -= 1;
            }
            prop_assert_eq!(ledger.acked(), due(&windows));
        }
    }
}
