//! The `pipeline` binary.

use std::env;
use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use anyhow::Context as _;
use clap::Parser as _;
use pipeline::cli::{Cli, Command};
use pipeline::commands::{self, CommandError};
use pipeline::record::{self, RecordError};
use pipeline::run::supervise;
use pipeline::runtime::{self, EXIT_WITHIN};
use pipeline::top;

fn main() -> ExitCode {
    if foreignfile::serve_if_asked(receiver_ebpf::identify) {
        return ExitCode::SUCCESS;
    }
    if let Some(code) = record::run_if_asked() {
        return code;
    }
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
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            print_error(format!("Error: {error:#}"));
            error
                .downcast_ref::<RecordError>()
                .map_or(ExitCode::FAILURE, |error| ExitCode::from(error.code()))
        }
    }
}

/// Prints a line on a thread of its own: the reader of standard error may have stopped reading, and must not keep the
/// agent from its end.
fn print_error(line: String) {
    let (sender, printed) = mpsc::sync_channel::<()>(0);
    thread::spawn(move || {
        eprintln!("{line}");
        drop(sender);
    });
    // An error, since the sender is dropped, if the line has been printed.
    let _printed = printed.recv_timeout(EXIT_WITHIN);
}

/// Carries out the command line. Returns the exit code.
fn act(cli: &Cli) -> anyhow::Result<u8> {
    for gate in cli.check_gates()? {
        print_error(format!("Notice: feature gate {gate:?} is a Collector's and switches nothing here"));
    }
    let environment = |name: &str| env::var(name).ok();
    if let Some(Command::Record(arguments)) = &cli.command {
        return Ok(record::run(cli, arguments, &environment)?);
    }
    if let Some(Command::Top(arguments)) = &cli.command {
        return Ok(top::run(cli, arguments, &environment).map(|()| 0)?);
    }
    if let Some(command) = &cli.command {
        let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
        return match commands::run(cli, command, &environment, &mut out, &mut err) {
            // The reader has closed the pipe because it has seen enough, as `head` does.
            Err(CommandError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
            result => Ok(result.map(|()| 0)?),
        };
    }
    let config = cli.load(&environment)?;
    let cli = cli.clone();
    let run = supervise::run(config, move || cli.load(&|name| env::var(name).ok()));
    runtime::run(run).context("cannot start the runtime")??;
    Ok(0)
}
