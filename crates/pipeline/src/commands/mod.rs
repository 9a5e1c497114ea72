//! What the binary does instead of running: one small file a command. Each writes to what it is given.

mod doctor;
mod environment;
mod featuregate;
mod print_config;
mod reach;
mod schema;

use std::io::{self, Write};

use clap::CommandFactory as _;
use thiserror::Error;

use crate::cli::{Cli, CliError, Command};
use crate::config::{Config, ConfigError, Environment};
use crate::inventory::Inventory;

pub use schema::schema;

/// Why a command has failed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The command line, or the configuration that it names.
    #[error(transparent)]
    Cli(#[from] CliError),
    /// An argument that the command does not know.
    #[error("{0}")]
    Argument(String),
    /// Some checks have failed, which has been written.
    #[error("{failed} of {all} checks failed")]
    Checks {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
    },
    /// What is to be written cannot be.
    #[error("cannot write to standard output")]
    Write(#[from] io::Error),
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::Cli(error.into())
    }
}

/// Carries out a command. What it finds goes to `out`, warnings to `err`.
///
/// # Errors
/// [`CommandError`], of which one line is to be told.
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
        Command::Doctor => doctor::examine(out),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "pipeline", &mut script);
            Ok(out.write_all(&script)?)
        }
        Command::Featuregate { id } => featuregate::show(id.as_deref(), out),
    }
}

/// Writes what is sound but probably not meant.
fn warn(config: &Config, err: &mut dyn Write) -> io::Result<()> {
    for name in &config.unset {
        writeln!(err, "Warning: configuration references unset environment variable {name:?}")?;
    }
    for alias in &config.aliases {
        writeln!(err, "Warning: {alias}")?;
    }
    Ok(())
}
