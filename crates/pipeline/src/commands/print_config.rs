//! `pipeline print-config`.

use std::io::{self, Write};

use configtypes::secret;

use super::error::CommandError;
use super::warnings::warn;
use crate::cli::PrintConfig;
use crate::config::{Config, Environment, Location};

/// Writes the configuration with every key, whether it is used or not.
pub(super) fn print(
    arguments: &PrintConfig,
    locations: &[Location],
    environment: Environment<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), CommandError> {
    let is = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
    let PrintConfig { mode, format, validate } = arguments;
    let unredacted = is(mode, "unredacted");
    if !unredacted && !is(mode, "redacted") {
        let text = format!("invalid mode {mode:?}: modes are: redacted, unredacted");
        return Err(CommandError::Argument(text));
    }
    let json = is(format, "json");
    if !json && !is(format, "yaml") {
        return Err(CommandError::Argument(format!("unrecognized print format: {format}")));
    }
    let config = if *validate {
        Config::load(locations, environment)?
    } else {
        let (config, faults) = Config::load_anyway(locations, environment)?;
        for fault in faults.as_slice() {
            writeln!(err, "Warning: {fault}")?;
        }
        config
    };
    warn(&config, err)?;
    let shown = if unredacted { secret::unredacted(|| config.shown()) } else { config.shown() };
    let text = if json {
        let text = serde_json::to_string_pretty(&shown);
        text.map(|text| text + "\n").map_err(io::Error::other)
    } else {
        serde_yaml_ng::to_string(&shown).map_err(io::Error::other)
    };
    Ok(out.write_all(text?.as_bytes())?)
}
