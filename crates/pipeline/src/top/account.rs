//! What an agent has reported, to find what it could not report while this program was cut off.

use profile_seconds::{Hello, Losses, LostRecords, Second};

/// The losses and the last second that an agent has reported.
///
/// The agent cuts off a program that does not read, such as one whose terminal is stopped. The agent goes on to count
/// losses, and its next greeting says how many there are.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The instant from which the agent counts losses, which no other agent has.
    since: u64,
    /// Records that the agent has reported as lost, in greetings and afterwards.
    lost: Losses,
    /// Number of the last second that was reported.
    last: Option<u64>,
    /// True from a new greeting to the next report.
    is_resumed: bool,
}

impl Account {
    /// The account of an agent that has sent its first greeting: what was lost before is no concern of a new watcher.
    pub(super) fn of(hello: &Hello) -> Self {
        let mut account = Self { since: hello.since, ..Self::default() };
        account.lost.add(&hello.lost);
        account
    }

    /// Notes another greeting; returns the losses since the last report. Of an agent that has taken the place of the
    /// one before, these are all losses.
    pub(super) fn resume(&mut self, hello: &Hello) -> Vec<LostRecords> {
        let known =
            if hello.since == self.since { std::mem::take(&mut self.lost) } else { Losses::default() };
        let now = Self { last: self.last, is_resumed: true, ..Self::of(hello) };
        *self = now;
        self.lost.since(&known)
    }

    /// Notes the report of a second; returns the number of seconds that passed before it without a connection.
    pub(super) fn report(&mut self, second: &Second) -> u64 {
        self.lost.add(&second.lost);
        let was_away = std::mem::take(&mut self.is_resumed);
        let last = self.last.replace(second.number).filter(|_| was_away);
        last.map_or(0, |last| second.number.saturating_sub(last).saturating_sub(1))
    }

    /// Notes losses of seconds that are not reported.
    pub(super) fn skipped(&mut self, lost: &[LostRecords]) {
        self.lost.add(lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(count: u64) -> Vec<LostRecords> {
        vec![("ring".into(), true, count)]
    }

    fn hello(since: u64, count: u64) -> Hello {
        Hello { since, lost: lost(count), ..Hello::default() }
    }

    fn second(number: u64, count: u64) -> Second {
        Second { number, lost: lost(count), ..Second::default() }
    }

    #[test]
    fn what_is_lost_between_two_connections_is_counted_once() {
        let mut account = Account::of(&hello(5, 100));
        assert_eq!((account.report(&second(7, 1)), account.report(&second(8, 2))), (0, 0));
        account.skipped(&lost(4));
        assert_eq!(account.report(&second(30, 8)), 0, "the agent itself says how many it has skipped");
        assert_eq!(account.resume(&hello(5, 175)), lost(60), "of 175, 115 are known");
        assert_eq!(account.resume(&hello(5, 175)), []);
        assert_eq!((account.report(&second(91, 16)), account.report(&second(95, 0))), (60, 0));
        assert_eq!(account.resume(&hello(5, 192)), lost(1));
    }

    #[test]
    fn an_agent_that_takes_the_place_of_another_counts_from_its_start() {
        let mut account = Account::of(&hello(5, 100));
        assert_eq!(account.report(&second(7, 1)), 0);
        assert_eq!(account.resume(&hello(9, 3)), lost(3));
        assert_eq!(account.report(&second(2, 1)), 0, "a second before the last one is none of a later time");
        assert_eq!(account.resume(&hello(9, 6)), lost(2));
    }
}
