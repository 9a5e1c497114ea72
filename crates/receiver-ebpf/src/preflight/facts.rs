//! What the kernel says of itself and of this process.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use aya::util::KernelVersion;
use rustix::process::{Resource, getrlimit};

use super::{FIRST_PID_NAMESPACE, effective_capabilities};
use crate::cpus;

/// Facts that decide what works. `None` is what could not be read.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) kernel: Option<KernelVersion>,
    /// As `uname -r` has it.
    pub(super) release: String,
    pub(super) btf: bool,
    /// Bits of effective capabilities.
    pub(super) capabilities: u64,
    /// In the first pid namespace.
    pub(super) host_pids: Option<bool>,
    /// `none`, `integrity` or `confidentiality`.
    pub(super) lockdown: Option<String>,
    pub(super) paranoid: Option<i64>,
    pub(super) max_stack: Option<u64>,
    pub(super) unprivileged_bpf_disabled: Option<u64>,
    pub(super) bpf_stats: Option<u64>,
    /// KiB of perf rings that a user may lock, on each CPU.
    pub(super) mlock_kb: Option<u64>,
    /// Bytes that this process may lock; `None` for any number.
    pub(super) memlock: Option<u64>,
    pub(super) cpus: usize,
}

impl Facts {
    pub(super) fn read() -> Self {
        let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let namespace = fs::read_link("/proc/self/ns/pid").ok();
        Self {
            kernel: KernelVersion::current().ok(),
            release: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            btf: Path::new(super::BTF).exists(),
            capabilities: effective_capabilities(&text("/proc/self/status")).unwrap_or_default(),
            host_pids: namespace.map(|namespace| namespace == Path::new(FIRST_PID_NAMESPACE)),
            lockdown: chosen(&text("/sys/kernel/security/lockdown")),
            paranoid: setting("kernel/perf_event_paranoid"),
            max_stack: setting("kernel/perf_event_max_stack"),
            unprivileged_bpf_disabled: setting("kernel/unprivileged_bpf_disabled"),
            bpf_stats: setting("kernel/bpf_stats_enabled"),
            mlock_kb: setting("kernel/perf_event_mlock_kb"),
            memlock: getrlimit(Resource::Memlock).current,
            cpus: cpus::online().map_or(1, |cpus| cpus.len()),
        }
    }

    pub(super) fn has(&self, capability: u32) -> bool {
        self.capabilities & (1 << capability) != 0
    }
}

/// A number below `/proc/sys`.
fn setting<T: FromStr>(name: &str) -> Option<T> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

/// The word in brackets.
fn chosen(text: &str) -> Option<String> {
    let (word, _) = text.split_once('[')?.1.split_once(']')?;
    Some(word.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_level_of_lockdown_is_the_one_in_brackets() {
        assert_eq!(chosen("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(chosen("none integrity"), None);
        assert_eq!(chosen("]["), None);
    }

    proptest! {
        /// Any text has a word in brackets or has none.
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z ]{0,9}.{0,9}\\[?.{0,9}\\]?", word in "[a-z]{0,9}") {
            let _any = chosen(&text);
            let found = chosen(&format!("none [{word}] all"));
            prop_assert_eq!(found.as_deref(), Some(&*word));
        }
    }
}
