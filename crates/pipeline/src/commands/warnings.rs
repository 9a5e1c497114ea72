//! Warnings of configurations that are sound but probably not meant.

use std::io::{self, Write};

use crate::config::Config;

/// Writes a line for each warning of a configuration.
pub(super) fn warn(config: &Config, err: &mut dyn Write) -> io::Result<()> {
    for name in &config.unset {
        writeln!(err, "Warning: configuration references unset environment variable {name:?}")?;
    }
    for alias in &config.aliases {
        writeln!(err, "Warning: {alias}")?;
    }
    for doubt in config.doubts() {
        writeln!(err, "Warning: {doubt}")?;
    }
    Ok(())
}
