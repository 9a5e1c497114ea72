//! Bounds on the time that a file takes.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The longest time that a file of the agent's own has to be opened or read: far longer than a disk takes, and short
/// enough for whoever waits at a terminal.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The most threads that are at work, or left behind by files that never answer, at once.
const MAX_THREADS: usize = 64;

/// Number of threads that are at work or left behind.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Does `work`, which opens or reads a file, on a thread of its own, and leaves it there if it takes longer than
/// `limit`: a call of the operating system that waits for a file cannot be ended.
///
/// # Errors
/// That of `work`; `TimedOut` if it takes too long, `ResourceBusy` if too many files before have not answered.
pub fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let thread = Counted::new()?;
    let (answer, answered) = mpsc::sync_channel(1);
    thread::Builder::new().name("file".to_owned()).spawn(move || {
        // Nobody listens any more if it is late.
        let _late = answer.send(work());
        drop(thread);
    })?;
    match answered.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!(
                "it does not answer within {limit:?}: is it a pipe that nobody writes to, or on a file system that \
                 hangs? Expected a file of a local file system"
            ),
        )),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the thread that reads it has panicked")),
    }
}

/// A thread that counts for as long as it lives.
struct Counted;

impl Counted {
    fn new() -> io::Result<Self> {
        let before = THREADS.fetch_add(1, Ordering::Relaxed);
        // Made first, so that it is counted down again.
        let counted = Self;
        if before < MAX_THREADS {
            Ok(counted)
        } else {
            let fault = format!("{MAX_THREADS} files that were opened before do not answer");
            Err(io::Error::new(io::ErrorKind::ResourceBusy, fault))
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that never answer are left, and no more of them than the bound.
    #[test]
    fn what_does_not_answer_is_left_and_only_so_many_of_them() {
        assert_eq!(within(ANSWERS_WITHIN, || Ok(7)).unwrap(), 7);
        let refused = || Err::<(), _>(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(within(ANSWERS_WITHIN, refused).unwrap_err().kind(), io::ErrorKind::NotFound);
        // A thread that has answered still counts until it has ended.
        let wait_for_all = || {
            while THREADS.load(Ordering::Relaxed) > 0 {
                thread::yield_now();
            }
        };
        wait_for_all();
        let mut kinds = Vec::new();
        let mut release = Vec::new();
        for _ in 0..=MAX_THREADS {
            let (hold, held) = mpsc::sync_channel::<()>(0);
            release.push(hold);
            let hangs = move || {
                let _released = held.recv();
                Ok(())
            };
            kinds.push(within(Duration::from_millis(1), hangs).unwrap_err().kind());
        }
        assert_eq!(kinds.pop(), Some(io::ErrorKind::ResourceBusy));
        assert!(kinds.iter().all(|kind| *kind == io::ErrorKind::TimedOut), "{kinds:?}");
        drop(release);
        wait_for_all();
        assert_eq!(within(ANSWERS_WITHIN, || Ok(8)).unwrap(), 8);
    }
}
