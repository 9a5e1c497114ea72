//! File systems that have not answered, and the readers that were left with them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashSet};

use crate::process::Life;

/// The most sources that do not answer, and the most readers left with some of them: beyond that, only sources that
/// have answered before are asked.
const MAX_SILENT: usize = 8;
/// The most readers that are left, also with sources that have answered before: a user with many file systems can have
/// each answer once.
const MAX_LEFT: usize = 32;
/// The most sources remembered as answering, and the most as silent.
const MAX_REMEMBERED: usize = 4096;
/// The time for which a source is skipped at first; each time after, it is twice as long.
const FIRST_SKIP: Duration = Duration::from_secs(30);
/// The longest time for which a source is skipped.
const LONGEST_SKIP: Duration = Duration::from_secs(3600);

/// A source of files that may not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A file system, by the device of its files.
    Device(u64),
    /// The paths that lead to a file system, by its device, in a mount namespace: the namespace's owner chooses what
    /// lies on the way.
    Paths {
        /// Inode of the namespace.
        namespace: u64,
        /// The file system, major and minor.
        device: (u32, u32),
    },
    /// The links of a process in `/proc`, by the inode of its directory there.
    Process(u64),
}

/// The sources that are skipped, and the readers that are stuck in them. All readers of a process share one.
#[derive(Default)]
pub struct Quarantine {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    silent: HashMap<Source, Silent>,
    left: Vec<(Source, Life)>,
    /// Readers that no file needs any more, until they have ended.
    ending: Vec<Life>,
    answering: HashSet<Source>,
}

struct Silent {
    name: String,
    until: Instant,
    /// The time for which the source is skipped next.
    skip: Duration,
}

impl Quarantine {
    /// The quarantine of this process.
    #[must_use]
    pub fn of_this_process() -> Arc<Self> {
        static QUARANTINE: OnceLock<Arc<Quarantine>> = OnceLock::new();
        Arc::clone(QUARANTINE.get_or_init(Arc::default))
    }

    /// The names of the sources that are skipped now.
    #[must_use]
    pub fn skipped(&self) -> Vec<String> {
        let (now, mut state) = (Instant::now(), self.state());
        state.reap();
        let State { silent, left, .. } = &*state;
        let skipped = silent
            .iter()
            .filter(|(source, silent)| silent.until > now || left.iter().any(|(stuck, _)| stuck == *source));
        let mut names: Vec<_> = skipped.map(|(_, silent)| silent.name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// True if a source is to be asked now.
    pub(crate) fn may_ask(&self, source: Source) -> bool {
        self.state().may_ask(source, Instant::now())
    }

    /// Notes that a source has answered.
    pub(crate) fn answered(&self, source: Source) {
        let mut state = self.state();
        state.silent.remove(&source);
        if state.answering.len() >= MAX_REMEMBERED {
            state.answering.clear();
        }
        state.answering.insert(source);
    }

    /// Notes that a source has not answered in time, and that a reader is left with it. Returns the time for which the
    /// source is skipped.
    pub(crate) fn silent(&self, source: Source, name: String, reader: Life) -> Duration {
        self.state().silent(source, name, reader, Instant::now())
    }

    /// Takes a reader that is to end, and collects it once it has.
    pub(crate) fn end(&self, reader: Life) {
        self.state().ending.push(reader);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic happens while the state is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn may_ask(&mut self, source: Source, now: Instant) -> bool {
        self.reap();
        // One reader at most is left with a source.
        if self.left.iter().any(|(stuck, _)| *stuck == source) {
            return false;
        }
        if self.silent.get(&source).is_some_and(|silent| silent.until > now) {
            return false;
        }
        if self.left.len() >= MAX_LEFT {
            return false;
        }
        let silent = self.silent.values().filter(|silent| silent.until > now).count();
        silent.max(self.left.len()) < MAX_SILENT || self.answering.contains(&source)
    }

    fn silent(&mut self, source: Source, name: String, reader: Life, now: Instant) -> Duration {
        self.answering.remove(&source);
        self.left.push((source, reader));
        if self.silent.len() >= MAX_REMEMBERED
            && let Some(soonest) = self.silent.iter().min_by_key(|(_, silent)| silent.until)
        {
            let soonest = *soonest.0;
            self.silent.remove(&soonest);
        }
        let skip = self.silent.get(&source).map_or(FIRST_SKIP, |silent| silent.skip);
        let next = skip.saturating_mul(2).min(LONGEST_SKIP);
        self.silent.insert(source, Silent { name, until: now + skip, skip: next });
        skip
    }

    /// Collects the readers that have ended.
    fn reap(&mut self) {
        self.left.retain_mut(|(_, reader)| !reader.has_ended());
        self.ending.retain_mut(|reader| !reader.has_ended());
    }
}

impl fmt::Debug for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quarantine").field("skipped", &self.skipped()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{SyncSender, sync_channel};
    use std::thread;

    use super::*;

    /// A reader that is stuck until its other end is dropped.
    fn stuck() -> (SyncSender<()>, Life) {
        let (free, waits) = sync_channel::<()>(0);
        (free, Life::Thread(thread::spawn(move || assert!(waits.recv().is_err()))))
    }

    fn ended() -> Life {
        let reader = thread::spawn(|| {});
        while !reader.is_finished() {
            thread::yield_now();
        }
        Life::Thread(reader)
    }

    #[test]
    fn a_silent_source_is_skipped_for_longer_each_time() {
        let (mut state, now, source) = (State::default(), Instant::now(), Source::Device(1));
        let mut at = now;
        for skip in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600].map(Duration::from_secs) {
            assert!(state.may_ask(source, at));
            assert_eq!(state.silent(source, "fuse".to_owned(), ended(), at), skip);
            assert!(!state.may_ask(source, at + skip - Duration::from_millis(1)));
            assert!(state.may_ask(Source::Device(2), at), "others are not");
            at += skip;
        }
    }

    #[test]
    fn a_source_that_keeps_a_reader_is_skipped_for_as_long_as_it_does() {
        let quarantine = Quarantine::default();
        let (free, reader) = stuck();
        let source = Source::Paths { namespace: 1, device: (0, 30) };
        let long_ago = Instant::now() - 2 * FIRST_SKIP;
        quarantine.state().silent(source, "fuse".to_owned(), reader, long_ago);
        assert!(!quarantine.may_ask(source));
        assert_eq!(quarantine.skipped(), ["fuse"]);
        drop(free);
        while !quarantine.may_ask(source) {
            thread::yield_now();
        }
        assert_eq!(quarantine.skipped(), [""; 0]);
    }

    #[test]
    fn with_many_silent_ones_only_those_that_have_answered_are_asked() {
        let (quarantine, now) = (Quarantine::default(), Instant::now());
        quarantine.answered(Source::Device(100));
        for device in 0..MAX_SILENT as u64 {
            assert!(quarantine.may_ask(Source::Device(device)));
            quarantine.silent(Source::Device(device), device.to_string(), ended());
        }
        assert!(!quarantine.may_ask(Source::Device(99)));
        assert!(quarantine.may_ask(Source::Device(100)));
        quarantine.silent(Source::Device(100), "100".to_owned(), ended());
        assert!(
            !quarantine.state().may_ask(Source::Device(100), now + FIRST_SKIP / 2),
            "it was trusted once"
        );
        assert!(quarantine.state().may_ask(Source::Device(99), now + 2 * FIRST_SKIP));
    }

    /// Thousands of file systems of one user, each of which answers until it has been asked once, leave no more
    /// readers.
    #[test]
    fn no_more_readers_are_left_with_sources_that_have_answered_than_there_may_be() {
        let quarantine = Quarantine::default();
        let mut free = Vec::new();
        for device in 0..1000 {
            quarantine.answered(Source::Device(device));
            if quarantine.may_ask(Source::Device(device)) {
                let (other_end, reader) = stuck();
                free.push(other_end);
                quarantine.silent(Source::Device(device), device.to_string(), reader);
            }
        }
        assert_eq!(free.len(), MAX_LEFT);
        free.clear();
        while !quarantine.may_ask(Source::Device(999)) {
            thread::yield_now();
        }
    }

    #[test]
    fn a_source_that_answers_again_is_as_any_other() {
        let quarantine = Quarantine::default();
        let source = Source::Device(1);
        quarantine.silent(source, "fuse".to_owned(), ended());
        quarantine.answered(source);
        assert_eq!(quarantine.silent(source, "fuse".to_owned(), ended()), FIRST_SKIP);
    }
}
