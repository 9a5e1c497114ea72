//! The `pipeline` binary.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use pipeline::cli::{Cli, Command};
use pipeline::inventory::Inventory;
use pipeline::run::supervise;
use tokio::runtime;

/// Threads of the runtime: one must be left if an exporter keeps another busy. The receiver reads the
/// kernel's rings on a thread of its own.
const WORKERS: usize = 2;

/// Longest to wait at the end for a thread that is stuck, in a write for example.
const EXIT_WITHIN: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            let text = error.to_string();
            eprint!("Error: {}", text.strip_prefix("error: ").unwrap_or(&text));
            return ExitCode::FAILURE;
        }
    };
    match act(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(cli: &Cli) -> anyhow::Result<()> {
    if cli.command == Some(Command::Components) {
        return write!(io::stdout(), "{Inventory}").context("cannot write to standard output");
    }
    let config = cli.load(&|name| env::var(name).ok())?;
    if cli.command == Some(Command::Validate) {
        for name in &config.unset {
            eprintln!("Warning: configuration references unset environment variable {name:?}");
        }
        for alias in &config.aliases {
            eprintln!("Warning: {alias}");
        }
        return Ok(());
    }
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(supervise::run(config, || {
        cli.load(&|name| env::var(name).ok())
    }));
    runtime.shutdown_timeout(EXIT_WITHIN);
    Ok(result?)
}
