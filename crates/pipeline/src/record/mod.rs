//! `pipeline record`: a profile of a command, of processes, of a control group or of the machine, without a
//! configuration.
//!
//! ```text
//! arguments --> plan: scope, user, output --> held command --> session: agent, command, signals --> file, summary
//! ```
//!
//! Every fault that can be found beforehand is reported before anything is started. [`session`] is the recording
//! itself.

mod command;
mod descendants;
mod error;
mod held;
mod output;
mod program;
mod progress;
mod recording;
mod scope;
mod session;
mod user;

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};

use profile_formats::GatherSettings;
use selection::{Observed, Scope, SelectionLayer};
use terminal::{Facts, summary};

use crate::builtin::{Builtin, BuiltinError, Collector};
use crate::cli::{Cli, RecordArguments};
use crate::config::Environment;
use crate::output_format::OutputFormat;
use crate::runtime;

use error::Cause;
pub use error::RecordError;
use held::Held;
pub use held::run_if_asked;
use output::Output;
use recording::Recording;
use session::{End, Plan, Recorded, record};
use user::User;

/// Default format of the file: a browser opens it, and no other program is needed.
const DEFAULT_FORMAT: OutputFormat = OutputFormat::Html;

/// Longest time that samples wait for names: nobody waits for the samples.
const NAMES_WITHIN: &str = "10s";

/// Records the processes that the arguments name. Returns the exit code.
///
/// # Errors
/// [`RecordError`], which the caller prints as one line.
pub fn run(cli: &Cli, arguments: &RecordArguments, environment: Environment<'_>) -> Result<u8, RecordError> {
    Ok(Session::new(cli, arguments, environment).and_then(Session::run)?)
}

/// A recording that is about to start.
struct Session<'a> {
    arguments: &'a RecordArguments,
    output: Output,
    format: OutputFormat,
    /// Owner of the file; `None` for the user of this process.
    owner: Option<User>,
    observed: Arc<Observed>,
    recording: Arc<Mutex<Recording>>,
    plan: Plan,
}

impl<'a> Session<'a> {
    fn new(cli: &Cli, arguments: &'a RecordArguments, environment: Environment<'_>) -> Result<Self, Cause> {
        let path = arguments.output.clone().unwrap_or_else(|| default_output(arguments.format));
        let by_name = || path.file_name().and_then(|name| OutputFormat::of_file(&name.to_string_lossy()));
        let format = arguments.format.or_else(by_name).ok_or_else(|| Cause::Format(output::name(&path)))?;
        if let Some(program) = arguments.command.first() {
            program::check(program, env::var_os("PATH").as_deref())?;
        }
        receiver_ebpf::preflight::check()?;
        let (owner, user) =
            (User::find(None, environment)?, User::find(arguments.user.as_deref(), environment)?);
        let output = Output::open(&path)?;
        // Started before this process opens more descriptors, which the command would inherit.
        let command = Some(&*arguments.command).filter(|command| !command.is_empty());
        let command = command.map(|command| Held::start(command, user.as_ref())).transpose();
        let command = command.map_err(Cause::Command)?;
        let scope = scope::scope(arguments, command.as_ref().map(Held::pid))?;
        let observed = Arc::<Observed>::default();
        let recording = Arc::new(Mutex::new(Recording::new(scope.clone(), settings(format))));
        let config = config(cli, arguments, scope, &observed, &recording, environment)?;
        let plan = Plan {
            config,
            command,
            duration: arguments.duration,
            observed: Arc::clone(&observed),
            quiet: arguments.quiet,
        };
        Ok(Self { arguments, output, format, owner, observed, recording, plan })
    }

    fn run(self) -> Result<u8, Cause> {
        let Self { arguments, output, format, owner, observed, recording, plan } = self;
        let work = async {
            let mut recorded = record(plan).await?;
            let gathered = take(&recording);
            // Processes that `--pid` names ran before the recording, so they must not be ended.
            let running = if arguments.pid.is_empty() { gathered.running() } else { Vec::new() };
            let (profile, tally) = gathered.finish(recorded.from, recorded.until);
            // Written before the command is waited for, so that an impatient user has the file.
            let bytes = format.encode(&profile, profile.main_quantity()).map_err(Cause::Encode);
            let written = bytes.and_then(|bytes| {
                output.write(&bytes, owner.as_ref())?;
                Ok(bytes.len())
            });
            if !arguments.quiet {
                let facts = facts(arguments, &recorded, &observed);
                let file = written.as_ref().ok().map(|&bytes| (output.name(), bytes));
                print_summary(&summary(&tally, &facts), file);
            }
            let status = recorded.finish_command(&running).await;
            written?;
            match recorded.end {
                End::Failed(error) => Err(BuiltinError::from(error).into()),
                end => Ok(code(&end, status)),
            }
        };
        runtime::run(work).map_err(BuiltinError::Runtime)?
    }
}

/// The file that is written by default.
fn default_output(format: Option<OutputFormat>) -> PathBuf {
    let extensions = format.unwrap_or(DEFAULT_FORMAT).extensions();
    PathBuf::from(format!("profile{}", extensions.first().unwrap_or(&"")))
}

/// Settings of a profile for a format: instants and events take memory, and some formats cannot hold them.
fn settings(format: OutputFormat) -> GatherSettings {
    let is_timed = format.is_timed();
    GatherSettings { captures: is_timed, markers: is_timed, ..GatherSettings::default() }
}

fn config(
    cli: &Cli,
    arguments: &RecordArguments,
    scope: Scope,
    observed: &Arc<Observed>,
    recording: &Arc<Mutex<Recording>>,
    environment: Environment<'_>,
) -> Result<crate::config::Config, Cause> {
    let builtin = Builtin {
        samples_per_second: arguments.samples_per_second(),
        names_within: NAMES_WITHIN,
        log_level: "warn",
        log_path: "stderr",
        changes: cli.locations().map_err(crate::cli::CliError::from)?,
        selection: SelectionLayer::new(scope, Arc::clone(observed)),
        collector: Collector::new(Arc::clone(recording) as Arc<_>),
    };
    Ok(builtin.config(environment).map_err(crate::cli::CliError::from)?)
}

/// Takes what has been gathered, and leaves an empty recording in its place.
fn take(recording: &Mutex<Recording>) -> Recording {
    let nothing = Recording::new(Scope::Machine, GatherSettings::default());
    std::mem::replace(&mut *recording.lock().unwrap_or_else(PoisonError::into_inner), nothing)
}

fn facts(arguments: &RecordArguments, recorded: &Recorded, observed: &Observed) -> Facts {
    Facts {
        length: recorded.until.saturating_since(recorded.from),
        samples_per_second: arguments.samples_per_second(),
        command_cpu: recorded.command_cpu,
        others: observed.others(),
    }
}

fn print_summary(summary: &str, file: Option<(String, usize)>) {
    let mut text = format!("\n{summary}");
    if let Some((name, bytes)) = file {
        text.push_str(&format!("Wrote {name} ({} KiB).\n", bytes.div_ceil(1024)));
    }
    // If standard error is closed, nobody can be warned.
    let _closed = io::stderr().write_all(text.as_bytes());
}

/// The exit code of a recording that ended by `end`, with the status of its command if it had one.
fn code(end: &End, status: Option<ExitStatus>) -> u8 {
    match (end, status) {
        // The recording was to end before the command did.
        (End::Time, _) | (_, None) => 0,
        (_, Some(status)) => command::code(status),
    }
}
