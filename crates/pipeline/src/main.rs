//! The `pipeline` binary.

use std::env;
use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use pipeline::cli::Cli;
use pipeline::commands::{self, CommandError};
use pipeline::run::supervise;
use processor_memory_limiter::allocator::bound_free_memory;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime;

/// Threads of the runtime: one must be left if an exporter keeps another busy. The receiver reads the
/// kernel's rings on a thread of its own.
const WORKERS: usize = 2;

/// Longest to wait at the end for a thread that is stuck, in a write for example.
const EXIT_WITHIN: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    if foreignfile::serve_if_asked() {
        return ExitCode::SUCCESS;
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
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(format!("Error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line on a thread of its own: whoever reads standard error may have stopped, and must not keep the agent
/// from its end.
fn print_error(line: String) {
    let (sender, printed) = mpsc::sync_channel::<()>(0);
    thread::spawn(move || {
        eprintln!("{line}");
        drop(sender);
    });
    // An error if it is printed.
    let _printed = printed.recv_timeout(EXIT_WITHIN);
}

fn act(cli: &Cli) -> anyhow::Result<()> {
    for gate in cli.check_gates()? {
        print_error(format!("Notice: feature gate {gate:?} is a Collector's and switches nothing here"));
    }
    let environment = |name: &str| env::var(name).ok();
    if let Some(command) = &cli.command {
        let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
        return match commands::run(cli, command, &environment, &mut out, &mut err) {
            // Whoever reads has seen enough, as `head` has.
            Err(CommandError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => Ok(result?),
        };
    }
    let config = cli.load(&environment)?;
    raise_descriptors();
    bound_free_memory();
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(supervise::run(config, || cli.load(&|name| env::var(name).ok())));
    runtime.shutdown_timeout(EXIT_WITHIN);
    Ok(result?)
}

/// Allows this process as many descriptors as it may allow itself: the usual limit of 1,024 is for programs that use
/// select(2), and a timer on each CPU takes one.
fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // The receiver looks whether what is left is enough.
        let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
