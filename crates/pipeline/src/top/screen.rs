//! The screen of a terminal.

use ratatui::DefaultTerminal;
use top_view::{History, Outcome, Screen, View, draw};

use super::error::Cause;
use super::keys::{Input, Keys};
use super::source::Source;
use super::update::Update;
use crate::signals::{SignalRequest, Signals};

/// The terminal while this program draws on it; restored when this is dropped, and if the program panics.
struct Ours(DefaultTerminal);

impl Drop for Ours {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// The state of the screen.
struct Shown {
    history: History,
    /// The history at the instant when the screen was frozen.
    frozen: Option<History>,
    view: View,
    has_colors: bool,
}

/// Shows the seconds of `source`, until a key or a signal ends it.
///
/// # Errors
/// [`Cause`] if no more seconds come, or the screen cannot be drawn.
pub(super) async fn show(
    source: &mut Source,
    view: View,
    has_colors: bool,
    signals: &mut Signals,
) -> Result<(), Cause> {
    let mut terminal = Ours(ratatui::try_init().map_err(Cause::Terminal)?);
    let mut keys = Keys::start().map_err(Cause::Terminal)?;
    let mut shown = Shown { history: History::default(), frozen: None, view, has_colors };
    loop {
        shown.draw(&mut terminal.0, &source.name())?;
        tokio::select! {
            biased;
            request = signals.next() => if request != SignalRequest::Flush { return Ok(()) },
            input = keys.next() => match input {
                None => return Ok(()),
                Some(Input::Resize) => {}
                Some(Input::Key(key)) => if shown.press(key) == Outcome::Quit { return Ok(()) },
            },
            update = source.next() => if let Update::Report(report) = update? {
                shown.history.take(*report);
            },
        }
    }
}

impl Shown {
    fn draw(&mut self, terminal: &mut DefaultTerminal, source: &str) -> Result<(), Cause> {
        let Self { history, frozen, view, has_colors } = self;
        let history = frozen.as_ref().unwrap_or(history);
        let screen = Screen { source, has_colors: *has_colors };
        let drawn = terminal.draw(|frame| draw(history, view, &screen, frame.buffer_mut()));
        drawn.map(drop).map_err(Cause::Terminal)
    }

    fn press(&mut self, key: top_view::Key) -> Outcome {
        let outcome = self.view.press(key, self.frozen.as_ref().unwrap_or(&self.history));
        match (self.view.is_frozen(), &self.frozen) {
            (true, None) => self.frozen = Some(self.history.clone()),
            (false, Some(_)) => self.frozen = None,
            _ => {}
        }
        outcome
    }
}
