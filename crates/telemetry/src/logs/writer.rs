//! The thread that writes lines, so that no code that logs waits for their reader.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use metrics::Counter;

use super::output::Outputs;

/// Bytes of lines that may wait to be written; more are dropped, and counted.
const QUEUE_BYTES: usize = 1 << 20;
/// The longest time for which the end of the agent waits for lines to be written. Tests read every line, on any
/// machine.
const FLUSH_WITHIN: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 1 });

/// Hands lines to the thread; a clone hands them to the same thread. The last clone to be dropped waits for a second at
/// most until all lines are written.
#[derive(Clone, Debug)]
pub(crate) struct Writer(Arc<Owner>);

#[derive(Debug)]
struct Owner(Arc<WriterState>);

#[derive(Debug, Default)]
struct WriterState {
    queue: Mutex<Queue>,
    /// Notified of each line, and of the end.
    news: Condvar,
    /// Notified when all lines are written.
    idle: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Lines that were dropped since drops were last logged.
    dropped: u64,
    is_writing: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct Line {
    text: String,
    /// The outputs that were configured when the line was logged.
    outputs: Arc<Outputs>,
    /// Counter of the outputs that do not take the line.
    not_written: Counter,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the operating system has no thread left.
    pub(crate) fn start() -> io::Result<Self> {
        let shared = Arc::<WriterState>::default();
        let work = shared.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || work.write_all())?;
        Ok(Self(Arc::new(Owner(shared))))
    }

    /// Has a line written to `outputs`, or drops it if too many lines wait, since an output does not keep up.
    pub(super) fn write(&self, text: String, outputs: &Arc<Outputs>, not_written: Counter) {
        let mut queue = self.0.0.queue();
        if queue.bytes.saturating_add(text.len()) > QUEUE_BYTES {
            queue.dropped = queue.dropped.saturating_add(1);
            not_written.increment(1);
            return;
        }
        queue.bytes = queue.bytes.saturating_add(text.len());
        queue.lines.push_back(Line { text, outputs: outputs.clone(), not_written });
        self.0.0.news.notify_one();
    }

    /// Waits until all lines are written, for a second at most.
    pub(crate) fn flush(&self) {
        self.0.0.flush();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.queue().is_closed = true;
        self.0.news.notify_one();
        self.0.flush();
    }
}

impl WriterState {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing in there panics halfway through.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self) {
        let queue = self.queue();
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        let _late = self.idle.wait_timeout_while(queue, FLUSH_WITHIN, is_busy);
    }

    /// Writes each line that comes, until the end.
    fn write_all(&self) {
        let mut queue = self.queue();
        loop {
            let Some(line) = queue.lines.pop_front() else {
                queue.is_writing = false;
                self.idle.notify_all();
                if queue.is_closed {
                    return;
                }
                queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            queue.is_writing = true;
            queue.bytes = queue.bytes.saturating_sub(line.text.len());
            let dropped = std::mem::take(&mut queue.dropped);
            drop(queue);
            let failures = line.outputs.write(&line.text);
            if failures > 0 {
                line.not_written.increment(failures);
            }
            if dropped > 0 {
                line.outputs.note(&format!("{dropped} log lines dropped: an output does not keep up\n"));
            }
            queue = self.queue();
        }
    }
}
