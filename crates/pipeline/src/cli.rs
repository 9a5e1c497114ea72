//! The command line, as close to the Collector's as it goes.

use clap::{ArgAction, Parser, Subcommand};
use thiserror::Error;

use crate::config::{Config, ConfigError, Environment, Location};

/// The feature gate a Collector wants for profiles. Here they always work.
const PROFILES_GATE: &str = "service.profilesSupport";

/// Finds out which executables use this machine's CPUs, and reports it as OpenTelemetry profiles.
#[derive(Debug, Parser)]
#[command(name = "pipeline", version, disable_version_flag = true, disable_help_subcommand = true)]
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
    /// What to do; without it, run.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Checks the configuration without starting anything: silent if it is sound.
    Validate,
    /// Lists the components that can be configured, as YAML.
    Components,
}

/// A command line that cannot be carried out.
#[derive(Debug, Error)]
pub enum CliError {
    /// The configuration it names is not to be had.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A gate that does not exist.
    #[error("no such feature gate {gate:?}. valid gates: [{PROFILES_GATE}]")]
    UnknownGate {
        /// The gate.
        gate: String,
    },
    /// A gate that is always on.
    #[error("feature gate {gate:?} is stable, can not be disabled")]
    GateIsStable {
        /// The gate.
        gate: String,
    },
}

impl Cli {
    /// The configuration that the flags name.
    ///
    /// # Errors
    /// For flags that make no sense, and as [`Config::load`].
    pub fn load(&self, environment: Environment<'_>) -> Result<Config, CliError> {
        self.check_gates()?;
        let configs = self.config.iter().map(|uri| Location::parse(uri));
        let settings = self.set.iter().map(|setting| Location::parse_setting(setting));
        let locations = configs.chain(settings).collect::<Result<Vec<_>, _>>()?;
        Ok(Config::load(&locations, environment)?)
    }

    fn check_gates(&self) -> Result<(), CliError> {
        for gate in self.feature_gates.iter().map(|gate| gate.trim()).filter(|gate| !gate.is_empty()) {
            let (off, name) = match gate.strip_prefix('-') {
                Some(name) => (true, name),
                None => (false, gate.strip_prefix('+').unwrap_or(gate)),
            };
            if name != PROFILES_GATE {
                return Err(CliError::UnknownGate { gate: name.to_owned() });
            }
            if off {
                return Err(CliError::GateIsStable { gate: name.to_owned() });
            }
        }
        Ok(())
    }
}
