//! `pipeline top`: the use of the CPUs, second by second, from the agent that runs here or from an agent of its own.
//!
//! ```text
//! arguments --> source: socket of an agent, or a built-in one --Report--> screen (a terminal) or printing (all else)
//! ```

mod account;
mod attach;
mod error;
mod keys;
mod missed;
mod own;
mod printing;
mod screen;
mod source;
mod update;

use std::io::{self, IsTerminal as _};

use top_view::View;

use crate::builtin::BuiltinError;
use crate::cli::{Cli, TopArguments};
use crate::config::Environment;
use crate::runtime;
use crate::signals;

use error::Cause;
pub use error::TopError;
use own::Own;
use source::Source;

/// Shows the view that the arguments name, until a key or a signal ends it.
///
/// # Errors
/// [`TopError`], which the caller prints as one line.
pub fn run(cli: &Cli, arguments: &TopArguments, environment: Environment<'_>) -> Result<(), TopError> {
    let is_screen =
        !arguments.plain && !arguments.once && io::stdin().is_terminal() && io::stdout().is_terminal();
    let has_colors = environment("NO_COLOR").is_none_or(|value| value.is_empty());
    let view = View::new(arguments.view, arguments.sort, &arguments.filter).with_window(arguments.interval);
    let work = async {
        let mut signals = signals::listen(|| ()).map_err(BuiltinError::Signals)?;
        let mut source = match attach::find(arguments.connect.as_deref()).await? {
            Some(attached) => Source::Attached(Box::new(attached)),
            None => Source::Own(Box::new(Own::start(cli, arguments, is_screen, environment).await?)),
        };
        let shown = if is_screen {
            screen::show(&mut source, view, has_colors, &mut signals).await
        } else {
            printing::print(&mut source, &view, arguments, &mut signals).await
        };
        let ended = source.end().await;
        shown.and(ended)
    };
    Ok(runtime::run(work).map_err(|error| Cause::from(BuiltinError::Runtime(error)))??)
}
