//! Runs of our programs that the kernel skipped, because it was at work in the same program on the same CPU.

use std::time::{Duration, Instant};

use pdata::LossReason;

use crate::counters::grown;
use crate::loader::Programs;
use crate::reread::RereadFile;

/// Time between two looks: each reads a file of `/proc` for each program.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Reads the number of skipped runs of each program, and returns by how much it has grown.
#[derive(Debug)]
pub(crate) struct Skipped {
    read: Option<Instant>,
    programs: Vec<WatchedProgram>,
}

#[derive(Debug)]
struct WatchedProgram {
    /// The kernel's description of the program's descriptor.
    fdinfo: RereadFile,
    reason: LossReason,
    known: u64,
}

impl Skipped {
    /// Watches all programs that stay attached.
    pub(crate) fn new(programs: &Programs) -> Self {
        let watched = programs.attached().into_iter().map(|(program, descriptor)| {
            let fdinfo = RereadFile::new(format!("/proc/self/fdinfo/{descriptor}"));
            WatchedProgram { fdinfo, reason: program.skips, known: 0 }
        });
        Self { read: None, programs: watched.collect() }
    }

    /// Runs that were skipped since the last look; empty if that was a moment ago.
    pub(crate) fn losses(&mut self) -> Vec<(LossReason, u64)> {
        if self.read.is_some_and(|read| read.elapsed() < READ_EVERY) {
            return Vec::new();
        }
        self.read = Some(Instant::now());
        let grown = self.programs.iter_mut().filter_map(WatchedProgram::loss);
        grown.collect()
    }
}

impl WatchedProgram {
    /// The runs skipped since the last look, as far as the kernel reports them.
    fn loss(&mut self) -> Option<(LossReason, u64)> {
        let count = recursion_misses(self.fdinfo.read().ok()?)?;
        Some((self.reason, grown(&mut self.known, count))).filter(|&(_, count)| count > 0)
    }
}

/// `recursion_misses` of a program's fdinfo (since Linux 5.12).
fn recursion_misses(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_each_program_has_been_skipped_since_the_last_look_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let reason = LossReason::LifecycleHookSkipped;
        let paths = ["exec", "exit"].map(|name| folder.path().join(name));
        let write = |path: &Path, count: u64| {
            fs::write(
                path,
                format!("pos:\t0\nrun_cnt:\t0\nrecursion_misses:\t{count}\nverified_insns:\t7\n"),
            )
            .unwrap();
        };
        let watch = |path| WatchedProgram { fdinfo: RereadFile::new(path), reason, known: 0 };
        let mut skipped = Skipped { read: None, programs: paths.iter().map(watch).collect() };
        let mut look = |counts: [u64; 2]| {
            paths.iter().zip(counts).for_each(|(path, count)| write(path, count));
            skipped.read = None;
            skipped.losses()
        };
        assert_eq!(look([3, 0]), [(reason, 3)]);
        assert_eq!(look([4, 2]), [(reason, 1), (reason, 2)]);
        assert_eq!(look([4, 2]), []);
        assert_eq!(recursion_misses("pos:\t0\n"), None, "an older kernel");
    }
}
