//! `pipeline featuregate`, in the Collector's shape.

use std::io::Write;

use super::error::CommandError;
use crate::featuregate::{GATES, Gate};

/// Writes a table of all gates, or the description of one.
pub(super) fn show(id: Option<&str>, out: &mut dyn Write) -> Result<(), CommandError> {
    let Some(id) = id else {
        let width = GATES.iter().map(|gate| gate.id.len()).max().unwrap_or_default();
        writeln!(out, "{:width$}  Enabled  Stage   Description", "ID")?;
        for Gate { id, enabled, stage, description, .. } in GATES {
            writeln!(out, "{id:width$}  {enabled:<7}  {stage:6}  {description}")?;
        }
        return Ok(());
    };
    let gate = Gate::find(id).ok_or_else(|| CommandError::Argument(format!("feature {id:?} not found")))?;
    let Gate { id, stage, enabled, description, from_version } = gate;
    writeln!(
        out,
        "Feature: {id}\nEnabled: {enabled}\nStage: {stage}\nDescription: {description}\nFrom Version: {from_version}"
    )?;
    Ok(())
}
