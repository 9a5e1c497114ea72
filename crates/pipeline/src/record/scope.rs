//! The scope of a recording, from its arguments.

use std::fs;
use std::path::{Path, PathBuf};

use pdata::Pid;
use procfs::{clock, parents, text, with_descendants};
use selection::{GroupTree, Members, Scope};
use thiserror::Error;

use crate::cli::RecordArguments;

const PROC: &str = "/proc";

/// An error for which the scope of a recording cannot be determined.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub(super) enum ScopeError {
    #[error("nothing to record: name a command, or --pid, --cgroup or --all")]
    Nothing,
    #[error("there is no process {0}")]
    NoProcess(u32),
}

/// The scope of a recording; `command` is the process that is to become the command.
pub(super) fn scope(arguments: &RecordArguments, command: Option<Pid>) -> Result<Scope, ScopeError> {
    if arguments.all {
        return Ok(Scope::Machine);
    }
    if let Some(path) = &arguments.cgroup {
        return Ok(Scope::group(GroupTree::new(&group(path))));
    }
    if arguments.pid.is_empty() {
        let command = command.ok_or(ScopeError::Nothing)?;
        return Ok(Scope::Members(Members::trees([command], clock::since_boot())));
    }
    let pids = arguments.pid.iter().map(|&pid| process_of(pid)).collect::<Result<Vec<_>, _>>()?;
    let members = if arguments.children {
        Members::trees(with_descendants(pids, &parents(Path::new(PROC))), clock::since_boot())
    } else {
        Members::processes(pids, clock::since_boot())
    };
    Ok(Scope::Members(members))
}

/// The process that a number is of: people may know a process by the number of one of its threads.
fn process_of(pid: u32) -> Result<Pid, ScopeError> {
    let status = fs::read(Path::new(PROC).join(pid.to_string()).join("status"));
    let process = status.ok().and_then(|status| text::process_of(&status));
    process.map(Pid).ok_or(ScopeError::NoProcess(pid))
}

/// The path of a control group from the root of its hierarchy; people may name its directory.
fn group(path: &Path) -> PathBuf {
    let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    let found = roots.iter().find_map(|root| path.strip_prefix(root).ok());
    Path::new("/").join(found.unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments() -> RecordArguments {
        RecordArguments {
            frequency: None,
            duration: None,
            pid: Vec::new(),
            children: false,
            cgroup: None,
            all: false,
            output: None,
            format: None,
            user: None,
            quiet: false,
            command: Vec::new(),
        }
    }

    #[test]
    fn what_is_not_there_cannot_be_recorded() {
        assert!(matches!(scope(&arguments(), None), Err(ScopeError::Nothing)));
        let own = RecordArguments { pid: vec![std::process::id()], ..arguments() };
        assert!(matches!(scope(&own, None), Ok(Scope::Members(_))));
        let gone = RecordArguments { pid: vec![u32::MAX], ..arguments() };
        assert!(matches!(scope(&gone, None), Err(ScopeError::NoProcess(u32::MAX))));
        assert_eq!(group(Path::new("/sys/fs/cgroup/a/b")), Path::new("/a/b"));
        assert_eq!(group(Path::new("a")), Path::new("/a"));
        assert!(matches!(scope(&RecordArguments { all: true, ..arguments() }, None), Ok(Scope::Machine)));
    }
}
