//! `pipeline doctor`.

use std::io::{self, Write};

use receiver_ebpf::preflight::{Finding, Verdict, report};

use super::error::CommandError;

/// Writes a line for each feature of this machine that the agent needs, with a remedy if it is missing.
///
/// # Errors
/// [`CommandError::Checks`] if the agent could not run.
pub(super) fn examine(out: &mut dyn Write) -> Result<(), CommandError> {
    let findings = report();
    findings.iter().try_for_each(|finding| write(finding, out))?;
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (failed, limits) = (count(Verdict::Fails), count(Verdict::Limits));
    if failed > 0 {
        return Err(CommandError::Checks { failed, all: findings.len() });
    }
    match limits {
        0 => writeln!(out, "Everything works.")?,
        limits => writeln!(out, "The agent runs, with {limits} of its parts limited.")?,
    }
    Ok(())
}

/// Writes a finding as a line, with the remedy at its end.
pub(super) fn write(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let Finding { name, verdict, found, fix } = finding;
    let verdict = match verdict {
        Verdict::Works => "ok",
        Verdict::Limits => "limited",
        Verdict::Fails => "failed",
    };
    write!(out, "{verdict:7}  {name}: {found}")?;
    if let Some(fix) = fix {
        write!(out, "; {fix}")?;
    }
    writeln!(out)
}
