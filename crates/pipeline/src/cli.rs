//! The command line, as close to the Collector's as it goes.

mod record;
mod top;

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};
use clap_complete::Shell;
use thiserror::Error;

use crate::config::{Config, ConfigError, Environment, Location};
use crate::featuregate::{Gate, GateError};

pub use record::RecordArguments;
pub use top::TopArguments;

/// The text that follows the list of flags in the help.
const EXIT_CODES: &str = "\
Exit codes:
  0  done; of a run: stopped by a signal, and everything was delivered or given up within shutdown_timeout
  1  a flag or the configuration is wrong, something cannot start or has failed while running, or a check of
     `validate --environment` or `doctor` has failed: standard error says what
  1  a second signal came before the shutdown was complete";

/// Finds out which executables use this machine's CPUs, and reports it as OpenTelemetry profiles.
#[derive(Clone, Debug, Parser)]
#[command(name = "pipeline", version = concat!("version ", env!("CARGO_PKG_VERSION")))]
#[command(disable_version_flag = true, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Configuration: a path, file:PATH, env:NAME or yaml:TEXT. Repeat it to merge several, the later over the earlier.
    #[arg(long, global = true, value_name = "URI")]
    config: Vec<String>,
    /// Sets one key over all --config, such as service.telemetry.logs.level=debug. May be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Accepted so that a Collector's command line works: a gate to switch on, or off with a leading '-'.
    #[arg(long, global = true, value_name = "GATES", value_delimiter = ',', allow_hyphen_values = true)]
    feature_gates: Vec<String>,
    /// Prints the version.
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
    /// The command to carry out; without one, the agent runs.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands that do something else than run the agent.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Records a command with all its descendants, processes, a control group or the machine, and writes a profile.
    Record(RecordArguments),
    /// Shows what the CPUs do, second by second: of the agent that runs here, or else by an agent of its own.
    Top(TopArguments),
    /// Checks the configuration without starting anything: silent if it is sound.
    Validate {
        /// Also checks this machine, and prints for each check that it works or what to do: the kernel, privileges,
        /// that endpoints can be reached and files written.
        #[arg(long)]
        environment: bool,
    },
    /// Lists the components that can be configured, as YAML.
    Components,
    /// Prints the configuration as it is after merging and expansion, with defaults filled in.
    #[command(visible_alias = "print-initial-config")]
    PrintConfig(PrintConfig),
    /// Prints the JSON Schema of the configuration, for editors.
    Schema,
    /// Reports what this kernel and these privileges allow, what will be missing, and how to get it.
    Doctor,
    /// Converts a profile (OTLP, pprof or folded stacks, of any tool) to another format.
    Convert {
        /// The file to read; `-` is standard input.
        input: PathBuf,
        /// The file to write, whole or not at all. The end of its name selects the format: .html, .pb.gz, .folded,
        /// .svg, .speedscope.json, .jsonl or .otlp (OTLP), .json (Firefox Profiler).
        output: PathBuf,
        /// The format to write, whatever the name: html, pprof, folded, svg, speedscope, otlp_json, otlp or firefox.
        #[arg(long)]
        format: Option<String>,
        /// The kind of value to show, such as cpu; for formats that hold one. Samples if there are any, unless named.
        #[arg(long)]
        value: Option<String>,
    },
    /// Compares two profiles by their shares, in a page (.html) or a flame graph (.svg), where red has grown and blue
    /// has shrunk, or as folded stacks with two numbers (.folded).
    Diff {
        /// The profile before.
        before: PathBuf,
        /// The profile after.
        after: PathBuf,
        /// The file to write, whole or not at all.
        #[arg(short, long)]
        output: PathBuf,
        /// The kind of value to compare, such as cpu. Samples if there are any, unless named.
        #[arg(long)]
        value: Option<String>,
    },
    /// Shows a profile (OTLP, pprof or folded stacks, of any tool) in a browser: prints the address of a page on this
    /// machine, until Ctrl-C.
    View {
        /// The file to read; `-` is standard input.
        input: PathBuf,
        /// The port to listen on; any free one unless named.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// The kind of value to show, such as cpu. Samples if there are any, unless named.
        #[arg(long)]
        value: Option<String>,
    },
    /// Prints a script that completes this command line in a shell.
    Completion {
        /// The shell that the completions are for.
        shell: Shell,
    },
    /// Lists feature gates, or describes one.
    Featuregate {
        /// The gate to show; all if none is named.
        id: Option<String>,
    },
}

/// Arguments of `print-config`.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct PrintConfig {
    /// redacted, or unredacted to show secrets, too.
    #[arg(long, default_value = "redacted")]
    pub mode: String,
    /// yaml or json.
    #[arg(long, default_value = "yaml")]
    pub format: String,
    /// Whether a configuration that is not sound is refused; else what can be read of it is printed.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    #[arg(require_equals = true)]
    pub validate: bool,
}

/// A command line that cannot be carried out.
#[derive(Debug, Error)]
pub enum CliError {
    /// The configuration that the command line names cannot be read, or is not sound.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A feature gate cannot be switched as the command line asks.
    #[error(transparent)]
    Gate(#[from] GateError),
}

impl Cli {
    /// The configuration that the flags name.
    ///
    /// # Errors
    /// The same as of [`Config::load`], and those of flags that make no sense.
    pub fn load(&self, environment: Environment<'_>) -> Result<Config, CliError> {
        Ok(Config::load(&self.locations()?, environment)?)
    }

    /// The locations of the configuration that the flags name, in the order to merge.
    ///
    /// # Errors
    /// [`ConfigError`] for flags that make no sense.
    pub fn locations(&self) -> Result<Vec<Location>, ConfigError> {
        let configs = self.config.iter().map(|uri| Location::parse(uri));
        let settings = self.set.iter().map(|setting| Location::parse_setting(setting));
        configs.chain(settings).collect()
    }

    /// Checks that every gate is as the flags demand. Returns the names of those that only a Collector has.
    ///
    /// # Errors
    /// [`CliError::Gate`] for a gate that does not exist or cannot be switched.
    pub fn check_gates(&self) -> Result<Vec<&str>, CliError> {
        let gates = self.feature_gates.iter().map(|gate| gate.trim());
        let checked = gates.filter(|gate| !gate.is_empty()).map(Gate::check);
        Ok(checked.filter_map(Result::transpose).collect::<Result<_, _>>()?)
    }
}
