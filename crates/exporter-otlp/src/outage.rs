//! When to tell that a server does not take profiles.

use tonic::Code;

/// What is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Requests have begun to fail.
    Down,
    /// The server is there but has no use for profiles.
    NoProfiles,
    /// Requests are taken again, after this many have failed.
    Recovered(u64),
}

/// Follows the results of requests, and says at the turns what to log: a server that is gone for hours
/// must not fill the log.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// Requests failed since the last success.
    failed: u64,
    /// It has been said that the server has no use for profiles.
    told_no_profiles: bool,
}

impl Outage {
    pub(crate) fn failed(&mut self, code: Code) -> Option<Notice> {
        self.failed = self.failed.saturating_add(1);
        if code == Code::Unimplemented && !std::mem::replace(&mut self.told_no_profiles, true) {
            // Said even in the middle of an outage, as it needs another remedy.
            return Some(Notice::NoProfiles);
        }
        (self.failed == 1).then_some(Notice::Down)
    }

    pub(crate) fn delivered(&mut self) -> Option<Notice> {
        let failed = std::mem::take(self).failed;
        (failed > 0).then_some(Notice::Recovered(failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_at_its_start_and_its_end() {
        let mut outage = Outage::default();
        assert_eq!(outage.delivered(), None);
        assert_eq!(outage.failed(Code::Unavailable), Some(Notice::Down));
        assert_eq!(outage.failed(Code::DeadlineExceeded), None);
        assert_eq!(outage.delivered(), Some(Notice::Recovered(2)));
        assert_eq!(outage.delivered(), None);
        assert_eq!(outage.failed(Code::Unavailable), Some(Notice::Down));
    }

    #[test]
    fn a_server_without_profiles_is_told_once_even_within_an_outage() {
        let mut outage = Outage::default();
        assert_eq!(outage.failed(Code::Unavailable), Some(Notice::Down));
        assert_eq!(outage.failed(Code::Unimplemented), Some(Notice::NoProfiles));
        assert_eq!(outage.failed(Code::Unimplemented), None);
        assert_eq!(outage.failed(Code::Unavailable), None);
    }
}
