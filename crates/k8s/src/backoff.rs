//! Waits after failures.

use std::time::Duration;

/// Time after the first failure; twice as long each time.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Waits that become longer with each failure in a row.
#[derive(Debug)]
pub(crate) struct ApiBackoff(Duration);

impl Default for ApiBackoff {
    fn default() -> Self {
        Self(SHORTEST)
    }
}

impl ApiBackoff {
    /// The time to wait after one more failure: up to half of it by chance, since all agents of a cluster lose their
    /// API server at once. At least as long as the server asks for, within bounds.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let wait = self.0.mul_f64(1.0 - fastrand::f64() / 2.0);
        self.0 = self.0.saturating_mul(2).min(LONGEST);
        wait.max(asked.unwrap_or_default().min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_become_longer_up_to_a_bound() {
        let mut backoff = ApiBackoff::default();
        let mut most = SHORTEST;
        for _ in 0..12 {
            let wait = backoff.next(None);
            assert!(wait <= most && wait >= most / 2, "{wait:?} of {most:?}");
            most = (most * 2).min(LONGEST);
        }
        assert_eq!(ApiBackoff::default().next(Some(Duration::from_secs(5))), Duration::from_secs(5));
        assert_eq!(ApiBackoff::default().next(Some(Duration::MAX)), LONGEST);
    }
}
