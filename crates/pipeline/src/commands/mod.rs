//! Commands of the binary, one file each. A command writes to the streams that it is passed.

mod doctor;
mod environment;
mod error;
mod featuregate;
mod print_config;
mod profiles;
mod reach;
mod schema;
mod view;
mod warnings;

use std::io::{self, Write};

use clap::CommandFactory as _;

use crate::cli::{Cli, Command};
use crate::config::Environment;
use crate::inventory::Inventory;

pub use error::CommandError;
pub use schema::schema;
use warnings::warn;

/// Carries out a command. Results are written to `out`, warnings to `err`.
///
/// # Errors
/// [`CommandError`], which the caller prints as one line.
pub fn run(
    cli: &Cli,
    command: &Command,
    environment: Environment<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), CommandError> {
    match command {
        Command::Validate { environment: machine } => {
            let config = cli.load(environment)?;
            warn(&config, err)?;
            if *machine { environment::check(&config, out) } else { Ok(()) }
        }
        Command::Components => Ok(write!(out, "{Inventory}")?),
        Command::PrintConfig(arguments) => {
            print_config::print(arguments, &cli.locations()?, environment, out, err)
        }
        Command::Schema => {
            let schema = serde_json::to_string_pretty(&schema()).map_err(io::Error::other)?;
            Ok(writeln!(out, "{schema}")?)
        }
        Command::Convert { input, output, format, value } => {
            profiles::convert(input, output, format.as_deref(), value.as_deref())
        }
        Command::Diff { before, after, output, value } => {
            profiles::diff(before, after, output, value.as_deref())
        }
        Command::View { input, port, value } => view::view(input, *port, value.as_deref(), out),
        Command::Doctor => doctor::examine(out),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "pipeline", &mut script);
            Ok(out.write_all(&script)?)
        }
        // The binary itself runs these two commands, with an agent.
        Command::Record(_) | Command::Top(_) => Ok(()),
        Command::Featuregate { id } => featuregate::show(id.as_deref(), out),
    }
}
