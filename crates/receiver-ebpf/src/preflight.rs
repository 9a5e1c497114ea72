//! Requirements of the receiver on the machine, checked before the kernel is asked, since the kernel's own refusals say
//! little.

mod facts;
mod report;
mod settings;

use std::fs;
use std::time::Duration;

use procfs::MemoryGroup;
use rustix::process::{Resource, getrlimit};

use crate::cpus;
use crate::error::StartError;
use crate::pid_namespace::PidNamespace;
use crate::room::LEAST_MEMORY;

pub use report::{Finding, Verdict, report};

/// The kernel that brought [`MAPPINGS_TREE`]; all other requirements are older.
const OLDEST_KERNEL: &str = "6.1";
/// The tree of a process's mappings, a member of `mm_struct` and of no other type. Distributions take features of newer
/// kernels into older ones, so the check is for this member, not for the version.
const MAPPINGS_TREE: &[u8] = b"\0mm_mt\0";
/// A file of `/proc` that every process can read of itself.
const PROC: &str = "/proc/self/status";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
/// Descriptors that the receiver holds on each CPU: its timer.
const DESCRIPTORS_PER_CPU: u64 = 1;
/// Descriptors for all other purposes: programs and maps, files, connections, standard streams.
const OTHER_DESCRIPTORS: u64 = 128;

/// The kernel's own types.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// The kernel's own limit of samples a second and CPU.
pub(crate) const MAX_SAMPLE_RATE: &str = "kernel.perf_event_max_sample_rate";

const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_DAC_READ_SEARCH: u32 = 2;
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;
const CAP_CHECKPOINT_RESTORE: u32 = 40;

/// Checks all that a receiver needs to start and that can be known without trying: `/proc`, the kernel's age, its
/// memory, its types, lockdown, privileges, the namespace of the pids in `/proc`, and the number of descriptors that
/// this process may have. Changes nothing.
///
/// # Errors
/// The first [`StartError`] that applies, which names the remedy.
pub fn check() -> Result<(), StartError> {
    // Checked first, since later checks read `/proc`, and some of them panic without.
    let Ok(status) = fs::read(PROC) else { return Err(StartError::NoProc) };
    // Checked before the kernel's types are read: that alone takes megabytes.
    if let Some(limit) = MemoryGroup::least_limit().filter(|limit| *limit < LEAST_MEMORY) {
        return Err(StartError::TooLittleMemory { limit, needed: LEAST_MEMORY });
    }
    let Ok(btf) = fs::read(BTF) else { return Err(StartError::NoBtf) };
    if !knows_mappings_tree(&btf) {
        let found = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        return Err(StartError::KernelTooOld { found, needed: OLDEST_KERNEL });
    }
    drop(btf);
    if fs::read_to_string(LOCKDOWN).is_ok_and(|text| chosen(&text).as_deref() == Some("confidentiality")) {
        return Err(StartError::Lockdown);
    }
    if let Some(missing) = procfs::text::effective_capabilities(&status).and_then(missing_capabilities) {
        return Err(StartError::Privileges { missing });
    }
    // Unreadable means an unusual /proc, not a namespace: then the kernel decides.
    if PidNamespace::find() == Some(PidNamespace::ForeignProc) {
        return Err(StartError::ForeignProc);
    }
    let cpus = cpus::online()?.len();
    let needed = descriptors(cpus);
    match getrlimit(Resource::Nofile).current {
        Some(allowed) if allowed < needed => Err(StartError::Descriptors { allowed, needed, cpus }),
        _ => Ok(()),
    }
}

/// The kernel's own limit, in samples a second and CPU, if it is below the rate of a timer of this period. The kernel
/// may lower it by itself, when samples take long.
pub(crate) fn limit_below(period: Duration) -> Option<u64> {
    let per_second = 1_000_000_000 / period.as_nanos().max(1);
    settings::max_sample_rate().filter(|limit| u128::from(*limit) < per_second)
}

/// Descriptors that the agent needs on a machine of `cpus` CPUs.
fn descriptors(cpus: usize) -> u64 {
    OTHER_DESCRIPTORS.saturating_add(DESCRIPTORS_PER_CPU.saturating_mul(cpus as u64))
}

/// True if the types in `btf` are those of a kernel that is new enough.
fn knows_mappings_tree(btf: &[u8]) -> bool {
    btf.windows(MAPPINGS_TREE.len()).any(|name| name == MAPPINGS_TREE)
}

/// The word in brackets, of a file that lists the choices.
fn chosen(text: &str) -> Option<String> {
    let (word, _) = text.split_once('[')?.1.split_once(']')?;
    Some(word.to_owned())
}

fn missing_capabilities(effective: u64) -> Option<String> {
    let has = |capability: u32| effective & (1 << capability) != 0;
    if has(CAP_SYS_ADMIN) {
        return None;
    }
    let missing: Vec<_> = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter_map(|(capability, name)| (!has(capability)).then_some(name))
        .collect();
    (!missing.is_empty()).then(|| missing.join(" and "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn missing_capabilities_are_named() {
        assert_eq!(missing_capabilities(0xc0_0000_0000), None);
        assert_eq!(missing_capabilities(1 << CAP_SYS_ADMIN), None);
        assert_eq!(missing_capabilities(1 << CAP_BPF).as_deref(), Some("CAP_PERFMON"));
        assert_eq!(missing_capabilities(0).as_deref(), Some("CAP_BPF and CAP_PERFMON"));
    }

    #[test]
    fn a_kernel_is_old_if_its_types_have_no_tree_of_mappings() {
        assert!(knows_mappings_tree(b"\0mm_struct\0mm_mt\0pgd\0"));
        assert!(!knows_mappings_tree(b"\0mm_struct\0mm_rb\0comm_mt\0"));
    }

    #[test]
    fn descriptors_grow_with_the_cpus() {
        assert_eq!((descriptors(2), descriptors(512)), (130, 640));
    }

    #[test]
    fn the_level_of_lockdown_is_the_one_in_brackets() {
        assert_eq!(chosen("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(chosen("none integrity"), None);
        assert_eq!(chosen("]["), None);
    }

    proptest! {
        /// Any text has a word in brackets or has none.
        #[test]
        fn any_text_is_chosen_from_or_refused(text in "[a-z ]{0,9}.{0,9}\\[?.{0,9}\\]?", word in "[a-z]{0,9}") {
            let _any = chosen(&text);
            let found = chosen(&format!("none [{word}] all"));
            prop_assert_eq!(found.as_deref(), Some(&*word));
        }
    }
}
