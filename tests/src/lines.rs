//! Lines that another process prints, kept as they arrive.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The lines that a process has printed to one stream so far.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<PrintedLines>);

#[derive(Debug, Default)]
struct PrintedLines {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Reads `stream` to its end on a thread of its own, so that the writer never blocks.
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let shared = Arc::clone(&lines.0);
        thread::spawn(move || {
            // Read as bytes, since a log may hold a process's name, which can be any bytes.
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                lock(&shared).lines.push(String::from_utf8_lossy(&line).into_owned());
                shared.changed.notify_all();
            }
            lock(&shared).ended = true;
            shared.changed.notify_all();
        });
        lines
    }

    /// The lines so far.
    #[must_use]
    pub fn so_far(&self) -> Vec<String> {
        lock(&self.0).lines.clone()
    }

    /// Waits for the first line that holds `text`. `None` if the stream ends or `patience` runs out.
    #[must_use]
    pub fn wait_for(&self, text: &str, patience: Duration) -> Option<String> {
        self.wait(patience, |state| state.lines.iter().find(|line| line.contains(text)).cloned())
    }

    /// Waits for the `count`th line that holds `text`, from 1. `None` if the stream ends or `patience` runs out.
    #[must_use]
    pub fn wait_for_nth(&self, text: &str, count: usize, patience: Duration) -> Option<String> {
        self.wait(patience, |state| {
            state.lines.iter().filter(|line| line.contains(text)).nth(count - 1).cloned()
        })
    }

    /// Waits for the stream's end, or until `patience` runs out, and returns every line.
    #[must_use]
    pub fn all(&self, patience: Duration) -> Vec<String> {
        self.wait(patience, |state| state.ended.then(|| state.lines.clone())).unwrap_or_else(|| self.so_far())
    }

    fn wait<T>(&self, patience: Duration, look: impl Fn(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut state = lock(&self.0);
        loop {
            if let Some(found) = look(&state) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn lock(shared: &PrintedLines) -> MutexGuard<'_, State> {
    shared.state.lock().unwrap_or_else(PoisonError::into_inner)
}
