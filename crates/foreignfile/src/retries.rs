//! Retries: the times at which files that could not be read are tried again.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Tries after which a file is tried more rarely.
const MAX_TRIES: u8 = 16;
/// Time between the rarer tries, which never end, since a file system that is skipped for now is asked again.
const LATE_RETRY: Duration = Duration::from_secs(600);

/// Files that could not be read, by their identities, with the reasons.
#[derive(Debug)]
pub struct Retries<K, W> {
    /// Failures by file. The hash is seeded, since users choose files.
    failures: HashMap<K, Failure<W>>,
    retry: Duration,
    most: usize,
}

#[derive(Debug)]
struct Failure<W> {
    why: W,
    at: Instant,
    tries: u8,
}

impl<K: Eq + Hash, W> Retries<K, W> {
    /// No failures so far. A file is left alone for `retry` after a failure; `most` failures are remembered, then all
    /// are forgotten.
    #[must_use]
    pub fn new(retry: Duration, most: usize) -> Self {
        Self { failures: HashMap::new(), retry, most }
    }

    /// The reason why the last try failed, if it is too early for another.
    pub fn too_early(&self, file: &K) -> Option<&W> {
        let failure = self.failures.get(file)?;
        let left_alone_for = if failure.tries >= MAX_TRIES { LATE_RETRY } else { self.retry };
        (failure.at.elapsed() < left_alone_for).then_some(&failure.why)
    }

    /// Notes that a file could not be read.
    pub fn failed(&mut self, file: K, why: W) {
        if self.failures.len() >= self.most {
            self.failures.clear();
        }
        let tries = self.failures.get(&file).map_or(1, |failure| failure.tries.saturating_add(1));
        self.failures.insert(file, Failure { why, at: Instant::now(), tries });
    }

    /// Notes that a file has been read: a later failure is a first one.
    pub fn succeeded(&mut self, file: &K) {
        self.failures.remove(file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_left_alone_after_a_failure_and_for_longer_after_many() {
        let mut retries = Retries::new(Duration::ZERO, 4);
        for _ in 1..MAX_TRIES {
            retries.failed("file", "gone");
            assert_eq!(retries.too_early(&"file"), None);
        }
        retries.failed("file", "gone");
        assert_eq!(retries.too_early(&"file"), Some(&"gone"));
        retries.succeeded(&"file");
        retries.failed("file", "gone");
        assert_eq!(retries.too_early(&"file"), None, "it counts as a first failure");
        assert_eq!(retries.too_early(&"other"), None);
    }

    #[test]
    fn no_more_than_so_many_failures_are_remembered() {
        let mut retries = Retries::new(LATE_RETRY, 4);
        (0..4).for_each(|file| retries.failed(file, ()));
        assert!((0..4).all(|file| retries.too_early(&file).is_some()));
        retries.failed(4, ());
        assert_eq!((0..5).filter(|file| retries.too_early(file).is_some()).count(), 1);
    }
}
