//! Printing of tables, one after the other.

use std::io::{self, Write as _};

use top_view::{History, View, plain};

use super::error::Cause;
use super::source::Source;
use super::update::Update;
use crate::cli::TopArguments;
use crate::signals::{SignalRequest, Signals};

/// Prints a table whenever the seconds that it covers are complete, until a signal ends it.
///
/// # Errors
/// [`Cause`] if no more seconds come, or the tables cannot be written.
pub(super) async fn print(
    source: &mut Source,
    view: &View,
    arguments: &TopArguments,
    signals: &mut Signals,
) -> Result<(), Cause> {
    let mut history = History::default();
    let mut due = arguments.interval;
    let mut is_first = true;
    loop {
        let update = tokio::select! {
            biased;
            request = signals.next() => if request == SignalRequest::Flush { continue } else { return Ok(()) },
            update = source.next() => update?,
        };
        let Update::Report(report) = update else {
            if arguments.once {
                return Err(Cause::Ended);
            }
            continue;
        };
        history.take(*report);
        due -= 1;
        if due > 0 {
            continue;
        }
        due = arguments.interval;
        let gap = if is_first { "" } else { "\n" };
        is_first = false;
        let text = format!("{gap}{}", plain(&history, view, arguments.rows));
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // The reader has closed the pipe because it has seen enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(Cause::Write)?,
        }
        if arguments.once {
            return Ok(());
        }
    }
}
