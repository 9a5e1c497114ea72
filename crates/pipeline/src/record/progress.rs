//! Progress of a recording, on one line of a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use selection::Observed;

/// Time between two updates of the line.
pub(super) const EVERY: Duration = Duration::from_millis(500);

/// Progress of a recording, on one line of a terminal that is written again and again.
#[derive(Debug)]
pub(super) struct Progress {
    observed: Arc<Observed>,
    start: Instant,
    /// The instant of the last update, and the number of samples then.
    last: (Instant, u64),
    is_shown: bool,
}

impl Progress {
    /// Progress by the counts of `observed`. It is shown if standard error is a terminal that, as far as can be known,
    /// no command writes to: a line of ours in the middle of a command's output would help nobody.
    pub(super) fn new(observed: Arc<Observed>, wanted: bool, has_command: bool) -> Self {
        let is_free = !has_command || !io::stdout().is_terminal();
        let now = Instant::now();
        let is_shown = wanted && is_free && io::stderr().is_terminal();
        Self { observed, start: now, last: (now, 0), is_shown }
    }

    /// Writes the line again.
    pub(super) fn show(&mut self) {
        if self.is_shown {
            let line = self.line(Instant::now());
            print(&format!("\r{line}\u{1b}[K"));
        }
    }

    /// Removes the line.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            print("\r\u{1b}[K");
        }
    }

    fn line(&mut self, now: Instant) -> String {
        let (kept, lost) = (self.observed.kept(), self.observed.lost());
        let (before, samples) = std::mem::replace(&mut self.last, (now, kept));
        let time = now.saturating_duration_since(before).as_secs_f64();
        let rate = if time > 0.0 { kept.saturating_sub(samples) as f64 / time } else { 0.0 };
        let elapsed = now.saturating_duration_since(self.start).as_secs_f64();
        format!("{elapsed:.1} s: {kept} samples, {rate:.0} a second, {lost} lost. Ctrl-C ends the recording.")
    }
}

fn print(text: &str) {
    // If standard error is closed, nobody can be warned.
    let _closed = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_rate_since_the_last_one() {
        let mut progress = Progress::new(Arc::default(), false, false);
        let after = progress.start + Duration::from_millis(2_500);
        assert_eq!(progress.line(after), "2.5 s: 0 samples, 0 a second, 0 lost. Ctrl-C ends the recording.");
        assert_eq!(progress.line(after), "2.5 s: 0 samples, 0 a second, 0 lost. Ctrl-C ends the recording.");
    }
}
