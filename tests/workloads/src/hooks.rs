//! The cost of the agent's BPF programs in the kernel.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::time::Duration;

use aya::programs::loaded_programs;

/// Run time of one BPF program. The kernel measures it only while `kernel.bpf_stats_enabled` is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program's number in the kernel.
    pub id: u32,
    /// The program's name, at most 15 bytes.
    pub name: String,
    /// Time of all runs of the program.
    pub time: Duration,
    /// Number of the program's runs.
    pub runs: u64,
}

/// The programs that a process holds, by id.
///
/// # Errors
/// The operating system's error, if the process is gone, or this is not root.
pub fn of_process(pid: u32) -> io::Result<Vec<Hook>> {
    let ids = ids_of_process(pid)?;
    let mut hooks = Vec::new();
    for program in loaded_programs() {
        let program = program.map_err(io::Error::other)?;
        if ids.contains(&program.id()) {
            let name = program.name_as_str().unwrap_or("?").to_owned();
            hooks.push(Hook { id: program.id(), name, time: program.run_time(), runs: program.run_count() });
        }
    }
    hooks.sort_by_key(|hook| hook.id);
    Ok(hooks)
}

/// The runs between two looks at the same programs.
#[must_use]
pub fn since(before: &[Hook], after: &[Hook]) -> Vec<Hook> {
    let earlier = |id| before.iter().find(|hook| hook.id == id);
    let difference = |hook: &Hook| {
        let (time, runs) = earlier(hook.id).map_or((Duration::ZERO, 0), |hook| (hook.time, hook.runs));
        Hook { time: hook.time.saturating_sub(time), runs: hook.runs.saturating_sub(runs), ..hook.clone() }
    };
    after.iter().map(difference).collect()
}

/// Source: `bpf_prog_show_fdinfo` in the kernel.
fn ids_of_process(pid: u32) -> io::Result<HashSet<u32>> {
    let mut ids = HashSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        let id = text.lines().find_map(|line| line.strip_prefix("prog_id:")).map(str::trim);
        ids.extend(id.and_then(|id| id.parse::<u32>().ok()));
    }
    Ok(ids)
}
