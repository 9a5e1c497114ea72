//! `pipeline doctor`.

use std::io::{self, Write};
use std::path::Path;

use receiver_ebpf::SymbolList;
use receiver_ebpf::preflight::{Finding, Verdict, report};

use super::error::CommandError;

/// The proc filesystem.
const PROC: &str = "/proc";

/// Writes a line for each feature of this machine that the agent needs, with a remedy if it is missing.
///
/// # Errors
/// [`CommandError::Checks`] if the agent could not run.
pub(super) fn examine(out: &mut dyn Write) -> Result<(), CommandError> {
    let mut findings = report();
    findings.extend(
        processor_symbolizer::preflight::report(Path::new(PROC), &SymbolList).into_iter().map(of_names),
    );
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

/// A finding on names: frames without them are shown by their addresses.
fn of_names(finding: processor_symbolizer::preflight::Finding) -> Finding {
    let processor_symbolizer::preflight::Finding { name, found, fix } = finding;
    let verdict = if fix.is_none() { Verdict::Works } else { Verdict::Limits };
    Finding { name: name.to_owned(), verdict, found, fix }
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
