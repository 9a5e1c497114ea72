//! The pid namespace by whose numbers processes are known: this process's own, since its `/proc` has the same.

use std::fs;

/// Inode number of the first pid namespace: `PROC_PID_INIT_INO` of `include/linux/proc_ns.h`.
const FIRST: u32 = 4_026_531_836;

/// The namespace whose numbers `/proc` and the kernel's lists of processes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PidNamespace {
    /// The first namespace, of which every process is a member: the host's.
    First,
    /// A namespace below the first, with this inode number. Processes outside of it have no number there.
    Inner(u32),
    /// `/proc` is of another namespace than the agent's: a pid in `/proc` is that of another process.
    ForeignProc,
}

impl PidNamespace {
    /// The namespace of this process; `None` if `/proc` does not show it, which means an unusual `/proc`.
    pub(crate) fn find() -> Option<Self> {
        let link = fs::read_link("/proc/self/ns/pid").ok()?;
        Self::of(link.to_str()?, &fs::read("/proc/self/status").ok()?)
    }

    /// The namespace that the link `ns/pid` leads to, by the `status` of the same process.
    fn of(link: &str, status: &[u8]) -> Option<Self> {
        let inode: u32 = link.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()?;
        // Pids from the namespace of that `/proc` down to the process's own.
        Some(match procfs::text::pids(status)?.as_slice() {
            [_] if inode == FIRST => Self::First,
            [_] => Self::Inner(inode),
            _ => Self::ForeignProc,
        })
    }

    /// The number that the kernel side takes for the namespace: 0 if no pid is to be translated.
    pub(crate) fn inode(self) -> u32 {
        match self {
            Self::Inner(inode) => inode,
            Self::First | Self::ForeignProc => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_namespace_is_the_first_another_or_that_of_another_proc() {
        let of = |link, status: &str| PidNamespace::of(link, status.as_bytes());
        let first = "pid:[4026531836]";
        assert_eq!(of(first, "NSpid:\t7\n"), Some(PidNamespace::First));
        assert_eq!(of("pid:[4026532999]", "NSpid:\t7\n"), Some(PidNamespace::Inner(4_026_532_999)));
        assert_eq!(of("pid:[4026532999]", "NSpid:\t4242\t7\n"), Some(PidNamespace::ForeignProc));
        assert_eq!([of("pid:[x]", "NSpid:\t7\n"), of(first, "NSpid:\tx\n"), of(first, "")], [None; 3]);
        assert_eq!(PidNamespace::Inner(7).inode(), 7);
    }

    #[test]
    fn this_process_is_in_one() {
        assert!(PidNamespace::find().is_some());
    }

    proptest! {
        /// Any texts are understood or refused.
        #[test]
        fn any_texts_are_understood_or_refused(link in "(pid:\\[)?.{0,12}\\]?", status: Vec<u8>, pids in "NSpid:[\t0-9 ]{0,20}") {
            let _any = PidNamespace::of(&link, &status);
            let _any = PidNamespace::of(&link, pids.as_bytes());
        }
    }
}
