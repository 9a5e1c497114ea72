//! Facts of the kernel and of this process.

use std::fs;
use std::path::Path;

use procfs::text::effective_capabilities;
use rustix::process::{Resource, getrlimit};

use super::settings::{max_sample_rate, setting};
use super::{chosen, knows_mappings_tree};
use crate::cpus;
use crate::pid_namespace::PidNamespace;
use crate::room::Room;

/// Facts that decide whether the receiver works. `None` stands for a fact that could not be read.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// False where nothing is mounted on `/proc`.
    pub(super) proc: bool,
    /// True if the kernel's types show that it is new enough; `None` if they cannot be read.
    pub(super) mappings_tree: Option<bool>,
    /// The kernel's release, as `uname -r` has it.
    pub(super) release: String,
    pub(super) btf: bool,
    /// Bits of this process's effective capabilities.
    pub(super) capabilities: u64,
    /// The namespace by whose pids processes are known.
    pub(super) pids: Option<PidNamespace>,
    /// The kernel's lockdown: `none`, `integrity` or `confidentiality`.
    pub(super) lockdown: Option<String>,
    pub(super) paranoid: Option<i64>,
    pub(super) max_stack: Option<u64>,
    pub(super) max_sample_rate: Option<u64>,
    pub(super) unprivileged_bpf_disabled: Option<u64>,
    pub(super) bpf_stats: Option<u64>,
    /// Descriptors that this process may have, once it has raised its limit; `None` for any number.
    pub(super) descriptors: Option<u64>,
    pub(super) cpus: usize,
    /// The control group's memory.
    pub(super) room: Room,
}

impl Facts {
    pub(super) fn read() -> Self {
        let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
        Self {
            proc: Path::new(super::PROC).exists(),
            mappings_tree: fs::read(super::BTF).ok().map(|btf| knows_mappings_tree(&btf)),
            release: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            btf: Path::new(super::BTF).exists(),
            capabilities: fs::read(super::PROC)
                .ok()
                .and_then(|status| effective_capabilities(&status))
                .unwrap_or_default(),
            pids: PidNamespace::find(),
            lockdown: chosen(&text(super::LOCKDOWN)),
            paranoid: setting("kernel/perf_event_paranoid"),
            max_stack: setting("kernel/perf_event_max_stack"),
            max_sample_rate: max_sample_rate(),
            unprivileged_bpf_disabled: setting("kernel/unprivileged_bpf_disabled"),
            bpf_stats: setting("kernel/bpf_stats_enabled"),
            descriptors: getrlimit(Resource::Nofile).maximum,
            cpus: cpus::online().map_or(1, |cpus| cpus.len()),
            room: Room::find(),
        }
    }

    pub(super) fn has(&self, capability: u32) -> bool {
        self.capabilities & (1 << capability) != 0
    }
}
