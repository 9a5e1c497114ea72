//! The agent's own stages and threads, as lines.

use profile_seconds::{QueueUse, StageUse, ThreadUse};
use terminal::grouped;

use crate::history::History;
use crate::minute::HeldSecond;
use crate::series::bars;
use crate::text;
use crate::view::View;

/// Seconds that a stage's line of bars covers.
const SECONDS: u64 = 20;
/// Columns that a whole line needs; on a narrower screen some columns are left out.
const WHOLE: usize = 118;

/// A line of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StageLine {
    Heading(String),
    Plain(String),
    /// A line of a stage that fails.
    Failing(String),
}

/// The lines of the stages that the filter lets through, and of the agent's threads.
pub(crate) fn lines(history: &History, view: &View, columns: usize) -> Vec<StageLine> {
    let table = Table { history, is_whole: columns >= WHOLE };
    let mut lines = vec![StageLine::Heading(table.heading())];
    for stage in history.stages.iter().filter(|stage| view.wants(&name(stage))) {
        table.stage(stage, &mut lines);
    }
    lines.push(StageLine::Plain(String::new()));
    let heading = format!("{} {:>9} {:>8}", table.name("THREADS OF THE AGENT"), "NUMBER", "CPU %");
    lines.push(StageLine::Heading(heading));
    let threads = &history.agent.threads;
    let mut threads: Vec<_> = threads.iter().filter(|thread| view.wants(&thread.name)).collect();
    threads.sort_by(|a, b| b.cpu_permille.cmp(&a.cpu_permille).then_with(|| a.name.cmp(&b.name)));
    lines.extend(threads.into_iter().map(|thread| StageLine::Plain(table.thread(thread))));
    lines
}

/// The name of a stage: its kind and id.
pub(crate) fn name(stage: &StageUse) -> String {
    format!("{} {}", stage.kind, stage.id)
}

struct Table<'a> {
    history: &'a History,
    is_whole: bool,
}

impl Table<'_> {
    fn heading(&self) -> String {
        let (name, lags) = (self.name("STAGE"), format!("{:>8} {:>8} {:>6}", "LAG", "DONE", "BUSY %"));
        if self.is_whole {
            let last = format!("LAST {SECONDS} s");
            return format!("{name} {:>9}  {last:<20} {lags}  {:<18} {:>8}", "SAMPLES/s", "QUEUE", "DROPPED");
        }
        format!("{name} {:>9} {lags} {:>8} {:>8}", "SAMPLES/s", "QUEUE", "DROPPED")
    }

    fn stage(&self, stage: &StageUse, lines: &mut Vec<StageLine>) {
        let rate = grouped(stage.samples_per_second);
        let busy = stage.busy_permille.map_or_else(|| "-".to_owned(), permille);
        let lags = format!("{:>8} {:>8} {busy:>6}", seconds(stage.lag_ms), seconds(stage.done_lag_ms));
        let (name, dropped) = (self.name(&name(stage)), grouped(stage.dropped));
        let line = if self.is_whole {
            let (last, queue) = (self.passed(stage), stage.queue.map_or_else(|| "-".to_owned(), queue));
            format!("{name} {rate:>9}  {last} {lags}  {queue:<18} {dropped:>8}")
        } else {
            let queue = stage.queue.map_or_else(|| "-".to_owned(), |queue| bytes(queue.used_bytes));
            format!("{name} {rate:>9} {lags} {queue:>8} {dropped:>8}")
        };
        match &stage.failure {
            None => lines.push(StageLine::Plain(line)),
            Some(failure) => {
                lines.extend([StageLine::Failing(line), StageLine::Failing(format!("  {failure}"))]);
            }
        }
    }

    fn thread(&self, thread: &ThreadUse) -> String {
        let name = self.name(&thread.name);
        format!("{name} {:>9} {:>8}", grouped(thread.threads), permille(thread.cpu_permille))
    }

    /// A name, filled up to the width of its column.
    fn name(&self, name: &str) -> String {
        let columns = if self.is_whole { 32 } else { 24 };
        let fitted = text::fitted(name, columns);
        let missing = columns.saturating_sub(text::width(&fitted));
        fitted + &" ".repeat(missing)
    }

    /// The samples that a stage has forwarded in each of the last seconds, as a line of bars.
    fn passed(&self, stage: &StageUse) -> String {
        let name = name(stage);
        let until = |second: &HeldSecond| {
            second.stages.iter().find(|(stage, _)| *stage == name).map_or(0, |(_, samples)| *samples)
        };
        let sums = self.history.series(SECONDS + 1, until);
        let step = |pair: &[u64]| match *pair {
            [before, after] if before > 0 => after.saturating_sub(before),
            _ => 0,
        };
        let steps: Vec<_> = sums.windows(2).map(step).collect();
        bars(&steps, steps.iter().copied().max().unwrap_or_default())
    }
}

/// Milliseconds as seconds.
fn seconds(millis: Option<u64>) -> String {
    millis.map_or_else(|| "-".to_owned(), |millis| format!("{}.{} s", millis / 1_000, millis % 1_000 / 100))
}

/// Thousandths as percent.
pub(crate) fn permille(permille: u64) -> String {
    format!("{}.{}", permille / 10, permille % 10)
}

fn queue(queue: QueueUse) -> String {
    format!("{} of {}", bytes(queue.used_bytes), bytes(queue.capacity_bytes))
}

/// A number of bytes in a few characters.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} B"),
        0x400..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}
