//! The ways a process comes to be, changes and ends.

use clap::ValueEnum;

/// The special feature of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Mode {
    /// `posix_spawn`.
    Spawn,
    /// `vfork` and exec.
    Vfork,
    /// `fork` and exec.
    Fork,
    /// `fork`; the child runs its parent's image to the end.
    ForkNoexec,
    /// Three images in one process, by exec.
    Chain,
    /// Two images; a thread that is not the leader calls exec.
    ThreadExec,
    /// The leader exits first, a worker thread does the work.
    LeaderExits,
    /// Forked twice: its parent exits before it.
    Orphan,
    /// Deletes its own file while it runs.
    UnlinkSelf,
    /// Runs a file that had lost its name before the exec.
    Deleted,
    /// Runs a file whose name another file takes meanwhile.
    Replace,
    /// Runs an anonymous file by `fexecve`.
    Memfd,
    /// Runs in a root of its own, by `chroot`.
    Chroot,
    /// Runs in a mount namespace of its own, by `pivot_root`.
    Mntns,
    /// Runs as the first process of its own pid namespace.
    Pidns,
    /// A script; the payload is its interpreter.
    Shebang,
    /// A script whose interpreter is a script.
    #[value(name = "shebang2")]
    Shebang2,
    /// Takes another name by `prctl` while it runs.
    Rename,
    /// Runs as user `nobody`, not dumpable, from a file that this user may not read.
    Setuid,
}

impl Mode {
    /// The modes whose pids are soon free again, for storms that reuse pids.
    pub const PID_REUSE: [Self; 5] = [Self::Spawn, Self::Vfork, Self::Fork, Self::Chain, Self::Rename];

    /// Name on the command line and in the truth.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The number of images that the process runs.
    #[must_use]
    pub const fn images(self) -> usize {
        match self {
            Self::Chain => 3,
            Self::ThreadExec => 2,
            _ => 1,
        }
    }

    /// The way in which the launcher starts the process.
    pub(crate) const fn start(self) -> Start {
        match self {
            Self::Vfork | Self::Replace | Self::Shebang2 => Start::Vfork,
            Self::Fork | Self::Chain => Start::Fork,
            Self::ForkNoexec => Start::ForkNoExec,
            Self::Orphan => Start::Orphan,
            Self::Memfd => Start::Memfd,
            Self::Deleted => Start::Deleted,
            Self::Chroot => Start::Chroot,
            Self::Mntns => Start::MountNs,
            Self::Pidns => Start::PidNs,
            Self::Setuid => Start::Setuid,
            Self::Spawn
            | Self::ThreadExec
            | Self::LeaderExits
            | Self::UnlinkSelf
            | Self::Shebang
            | Self::Rename => Start::Spawn,
        }
    }

    /// The step that the process takes besides burning.
    pub(crate) const fn step(self) -> Step {
        match self {
            Self::ThreadExec => Step::ThreadExec,
            Self::LeaderExits => Step::LeaderExits,
            Self::UnlinkSelf => Step::Unlink,
            Self::Replace => Step::Replace,
            Self::Rename => Step::Rename,
            Self::Setuid => Step::Nondumpable,
            _ => Step::Plain,
        }
    }
}

/// `enum start` of `c/entry.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Start {
    Spawn,
    Vfork,
    Fork,
    ForkNoExec,
    Orphan,
    Memfd,
    Deleted,
    Chroot,
    MountNs,
    PidNs,
    Setuid,
}

/// `enum step` of `c/slot.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    Plain,
    ThreadExec,
    LeaderExits,
    Unlink,
    Replace,
    Rename,
    Nondumpable,
    Sleep,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The constants of a C enum, in order.
    fn constants(header: &str, prefix: &str) -> Vec<String> {
        let words = header.lines().filter_map(|line| line.split_whitespace().next());
        words.filter_map(|word| word.strip_prefix(prefix)?.strip_suffix(',')).map(str::to_owned).collect()
    }

    #[test]
    fn the_numbers_are_those_of_the_c_programs() {
        let starts = constants(include_str!("../c/entry.h"), "START_");
        let at = |start: Start| starts[start as usize].as_str();
        assert_eq!(
            (at(Start::Spawn), at(Start::ForkNoExec), at(Start::Memfd)),
            ("SPAWN", "FORK_NO_EXEC", "MEMFD")
        );
        assert_eq!((at(Start::Chroot), at(Start::PidNs), at(Start::Setuid)), ("CHROOT", "PID_NS", "SETUID"));
        assert_eq!(starts.len(), Start::Setuid as usize + 1);
        let steps = constants(include_str!("../c/slot.h"), "STEP_");
        let at = |step: Step| steps[step as usize].as_str();
        assert_eq!(
            (at(Step::Plain), at(Step::LeaderExits), at(Step::Rename)),
            ("PLAIN", "LEADER_EXITS", "RENAME")
        );
        assert_eq!((at(Step::Nondumpable), at(Step::Sleep)), ("NONDUMPABLE", "SLEEP"));
        assert_eq!(steps.len(), Step::Sleep as usize + 1);
    }
}
