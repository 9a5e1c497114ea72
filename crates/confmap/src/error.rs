//! Reasons why there is no configuration.

use thiserror::Error;

use crate::fault::Faults;
use crate::flag::SETTING_FLAG;

/// A reason why no configuration could be loaded.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the name of a field in an error says all there is to say")]
pub enum ConfigError {
    /// The command line has no `--config`.
    #[error("at least one config flag must be provided")]
    NoLocation,
    /// A `--set` has no `=`.
    #[error("{SETTING_FLAG} {setting:?}: missing equal sign, expected key=value")]
    Set {
        /// The key that the value of the flag begins with.
        setting: String,
    },
    /// A `--config` has a scheme that is not supported.
    #[error("--config {scheme}:...: scheme is not supported (valid values: [file, env, yaml])")]
    Scheme {
        /// The scheme; the rest may hold a password.
        scheme: String,
    },
    /// A file cannot be read.
    #[error("unable to read the config file {location} (named by --config)")]
    Read { location: String, source: std::io::Error },
    /// The variable of a `--config env:NAME` is not set.
    #[error("--config env:{name}: environment variable {name:?} is not set")]
    Variable { name: String },
    /// The configuration that was read has faults.
    #[error("invalid configuration: {0}")]
    Invalid(Faults),
}
