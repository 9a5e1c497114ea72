//! What the machine must offer, checked before the kernel is asked, since its own refusals say little.

mod facts;
mod report;

use std::fs;
use std::path::Path;

use aya::util::KernelVersion;

use crate::error::StartError;

pub use report::{Finding, Verdict, report};

/// `bpf_loop` is of 5.17; the rest is older.
const OLDEST_KERNEL: (KernelVersion, &str) = (KernelVersion::new(5, 17, 0), "5.17");
/// Inode of the first pid namespace: `PROC_PID_INIT_INO` of `include/linux/proc_ns.h`.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// The kernel's own types.
const BTF: &str = "/sys/kernel/btf/vmlinux";

const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_DAC_READ_SEARCH: u32 = 2;
const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Checks kernel version, BTF, privileges and pid namespace.
pub(crate) fn check() -> Result<(), StartError> {
    let (oldest, needed) = OLDEST_KERNEL;
    if let Ok(found) = KernelVersion::current()
        && found < oldest
    {
        let found = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        return Err(StartError::KernelTooOld { found, needed });
    }
    if !Path::new(BTF).exists() {
        return Err(StartError::NoBtf);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(missing) = effective_capabilities(&status).and_then(missing_capabilities) {
        return Err(StartError::Privileges { missing });
    }
    // Unreadable means an unusual /proc, not a namespace: then the kernel decides.
    match fs::read_link("/proc/self/ns/pid") {
        Ok(namespace) if namespace != Path::new(FIRST_PID_NAMESPACE) => Err(StartError::PidNamespace),
        _ => Ok(()),
    }
}

/// The bits of `CapEff` in proc_pid_status(5).
fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
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
    fn capabilities_are_read_from_status_and_the_missing_ones_named() {
        let status = "Name:\tx\nCapEff:\t000000c000000000\n";
        assert_eq!(effective_capabilities(status), Some(0xc0_0000_0000));
        assert_eq!(missing_capabilities(0xc0_0000_0000), None);
        assert_eq!(missing_capabilities(1 << CAP_SYS_ADMIN), None);
        assert_eq!(missing_capabilities(1 << CAP_BPF).as_deref(), Some("CAP_PERFMON"));
        assert_eq!(missing_capabilities(0).as_deref(), Some("CAP_BPF and CAP_PERFMON"));
        assert_eq!(effective_capabilities("garbage"), None);
    }

    proptest! {
        /// Any text tells capabilities or does not.
        #[test]
        fn any_status_is_read_or_refused(text in "(CapEff:)?.{0,20}\n?(CapEff:\t[0-9a-fx+-]{0,18})?", bits: u64) {
            let _any = effective_capabilities(&text);
            prop_assert_eq!(effective_capabilities(&format!("Name:\tx\nCapEff:\t{bits:016x}\n")), Some(bits));
        }
    }
}
