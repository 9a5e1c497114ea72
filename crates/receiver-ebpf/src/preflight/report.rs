//! The report of what works on this machine, what does not, and the remedies: for people, before they run the agent.

use super::facts::Facts;
use super::{
    CAP_BPF, CAP_CHECKPOINT_RESTORE, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_PERFMON, CAP_SYS_ADMIN,
    CAP_SYS_PTRACE, MAX_SAMPLE_RATE, OLDEST_KERNEL,
};
use crate::config::UnwindConfig;
use crate::error::StartError;
use crate::loader::Programs;
use crate::pid_namespace::PidNamespace;
use crate::room::LEAST_MEMORY;

/// The deepest stack that a sample holds, and the kernel's default.
const MAX_STACK: u64 = 127;
/// The highest of the usual rates, in samples a second.
const USUAL_RATE: u64 = 1000;

/// Memory of a control group from which on rings have their usual size.
const COMFORTABLE_MEMORY: u64 = 256 << 20;

/// The verdict on a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The requirement is met.
    Works,
    /// The agent runs, and a part of its output will be missing.
    Limits,
    /// The agent cannot run.
    Fails,
}

/// A requirement that was checked, and the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The requirement that was checked.
    pub name: String,
    /// The verdict: whether the requirement is met.
    pub verdict: Verdict,
    /// The facts that were found, and their meaning.
    pub found: String,
    /// The remedy, if there is one.
    pub fix: Option<String>,
}

/// Looks at the kernel, its settings and this process's privileges; if no requirement fails, has the kernel verify
/// every BPF program. Nothing is left behind.
#[must_use]
pub fn report() -> Vec<Finding> {
    let facts = Facts::read();
    let mut findings = assess(&facts);
    if findings.iter().all(|finding| finding.verdict != Verdict::Fails) {
        findings.push(attempt(
            "BPF programs",
            "loaded and verified",
            Programs::load((facts.cpus, 1), &facts.room.unwind(&UnwindConfig::default()), facts.room)
                .map(drop),
        ));
    }
    findings
}

fn attempt(name: &str, works: &str, result: Result<(), StartError>) -> Finding {
    match result {
        Ok(()) => finding(name, Verdict::Works, works),
        // The verifier's log has many lines, of which the last ones have the reason.
        Err(error) => finding(name, Verdict::Fails, &textline::with_causes(&error)),
    }
}

fn finding(name: &str, verdict: Verdict, found: &str) -> Finding {
    Finding { name: name.to_owned(), verdict, found: found.to_owned(), fix: None }
}

impl Finding {
    fn fix(self, fix: &str) -> Self {
        Self { fix: Some(fix.to_owned()), ..self }
    }
}

/// The findings that follow from the facts.
fn assess(facts: &Facts) -> Vec<Finding> {
    use Verdict::{Fails, Limits, Works};
    if !facts.proc {
        // Without `/proc` no other fact could be read.
        let finding =
            finding("/proc", Fails, "is not there: the kernel's settings and all processes are read from it");
        return vec![finding.fix("mount -t proc proc /proc")];
    }
    vec![
        kernel(facts),
        match facts.btf {
            true => finding("BTF", Works, "the kernel describes its types"),
            false => finding("BTF", Fails, &format!("{} is missing", super::BTF))
                .fix("use a kernel built with CONFIG_DEBUG_INFO_BTF=y"),
        },
        privilege(facts, &[CAP_BPF, CAP_SYS_ADMIN], "CAP_BPF", Fails, "BPF programs cannot be loaded"),
        privilege(
            facts,
            &[CAP_PERFMON, CAP_SYS_ADMIN],
            "CAP_PERFMON",
            Fails,
            "CPUs cannot be sampled, and BPF programs cannot trace",
        ),
        privilege(
            facts,
            &[CAP_SYS_PTRACE],
            "CAP_SYS_PTRACE",
            Limits,
            "the files that other users' processes have mapped cannot be opened: no build IDs of them",
        ),
        privilege(
            facts,
            &[CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE],
            "CAP_DAC_READ_SEARCH",
            Limits,
            "executables that only their owner may read have no build IDs",
        ),
        privilege(
            facts,
            &[CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN],
            "CAP_CHECKPOINT_RESTORE",
            Limits,
            "/proc/PID/map_files cannot be followed: libraries that have been deleted or replaced are not read",
        ),
        namespace(facts),
        lockdown(facts),
        stack(facts),
        sample_rate(facts),
        informational("kernel.perf_event_paranoid", facts.paranoid, "CAP_PERFMON goes before it"),
        informational(
            "kernel.unprivileged_bpf_disabled",
            facts.unprivileged_bpf_disabled,
            "CAP_BPF goes before it",
        ),
        statistics(facts),
        descriptors(facts),
        memory(facts),
        rings(facts),
    ]
}

fn kernel(facts: &Facts) -> Finding {
    let found = format!("Linux {}, {OLDEST_KERNEL} or newer is needed", facts.release);
    match facts.mappings_tree {
        Some(false) => finding("kernel", Verdict::Fails, &found).fix("upgrade the kernel"),
        _ => finding("kernel", Verdict::Works, &found),
    }
}

/// The finding on a capability, or another that includes it.
fn privilege(facts: &Facts, any_of: &[u32], name: &str, without: Verdict, missing: &str) -> Finding {
    if any_of.iter().any(|capability| facts.has(*capability)) {
        return finding(name, Verdict::Works, "granted");
    }
    finding(name, without, &format!("is not granted: {missing}")).fix(&format!(
        "run as root, or grant it (systemd: AmbientCapabilities={name}; Kubernetes: capabilities.add: [{}])",
        name.trim_start_matches("CAP_")
    ))
}

fn namespace(facts: &Facts) -> Finding {
    let name = "pid namespace";
    match facts.pids {
        Some(PidNamespace::First) => finding(name, Verdict::Works, "the host's"),
        Some(PidNamespace::Inner(_)) => finding(
            name,
            Verdict::Limits,
            "is not the host's: processes outside of it, kernel threads among them, are left out, and pids are its own",
        )
        .fix(
            "start it in the host's (Kubernetes: hostPID: true; docker: --pid=host); nothing if that is done, and the node is a container itself (kind, minikube)",
        ),
        Some(PidNamespace::ForeignProc) => {
            finding(name, Verdict::Fails, "is not that of /proc, which has other processes by the same pids")
                .fix("mount -t proc proc /proc (unshare: --mount-proc)")
        }
        None => finding(name, Verdict::Works, "is not shown by /proc"),
    }
}

fn lockdown(facts: &Facts) -> Finding {
    let level = facts.lockdown.as_deref().unwrap_or("none");
    match level {
        "confidentiality" => finding(
            "lockdown",
            Verdict::Fails,
            "is at confidentiality: BPF programs may not read the kernel's memory, nor perf sample it",
        )
        .fix("boot with lockdown=integrity"),
        level => finding("lockdown", Verdict::Works, level),
    }
}

fn stack(facts: &Facts) -> Finding {
    let name = "kernel.perf_event_max_stack";
    match facts.max_stack {
        Some(frames) if frames < MAX_STACK => {
            finding(name, Verdict::Limits, &format!("is {frames}: deeper stacks are cut there"))
                .fix(&format!("sysctl {name}={MAX_STACK}"))
        }
        Some(frames) => finding(name, Verdict::Works, &format!("{frames} frames")),
        None => finding(name, Verdict::Works, "is not shown by /proc"),
    }
}

fn sample_rate(facts: &Facts) -> Finding {
    match facts.max_sample_rate {
        Some(rate) if rate < USUAL_RATE => finding(
            MAX_SAMPLE_RATE,
            Verdict::Limits,
            &format!("is {rate}: the kernel thins samples beyond that"),
        )
        .fix(&format!("sysctl {MAX_SAMPLE_RATE}=100000")),
        Some(rate) => finding(MAX_SAMPLE_RATE, Verdict::Works, &format!("{rate} samples a second and CPU")),
        None => finding(MAX_SAMPLE_RATE, Verdict::Works, "is not shown by /proc"),
    }
}

/// The finding on a setting that people know to matter for other profilers.
fn informational(name: &str, value: Option<impl ToString>, why: &str) -> Finding {
    let value = value.map_or("not there".to_owned(), |value| value.to_string());
    finding(name, Verdict::Works, &format!("{value}, which does not matter here: {why}"))
}

fn statistics(facts: &Facts) -> Finding {
    let name = "BPF statistics";
    if facts.bpf_stats.is_some_and(|on| on > 0) {
        return finding(name, Verdict::Works, "on for the whole machine");
    }
    if facts.has(CAP_SYS_ADMIN) {
        return finding(
            name,
            Verdict::Works,
            "off, can be switched on while the agent measures its programs",
        );
    }
    finding(
        name,
        Verdict::Limits,
        "off, and switching them on needs CAP_SYS_ADMIN: no metrics of what the programs cost",
    )
    .fix("sysctl kernel.bpf_stats_enabled=1 if they are wanted (metrics at level detailed)")
}

fn descriptors(facts: &Facts) -> Finding {
    let (name, needed) = ("file descriptors", super::descriptors(facts.cpus));
    let of = |allowed: u64| format!("{needed} are needed for {} CPUs, and {allowed} allowed", facts.cpus);
    match facts.descriptors {
        Some(allowed) if allowed < needed => finding(name, Verdict::Fails, &of(allowed))
            .fix(&format!("raise the hard limit (ulimit -n {needed}; systemd: LimitNOFILE={needed})")),
        Some(allowed) => finding(name, Verdict::Works, &of(allowed)),
        None => finding(name, Verdict::Works, "not bounded"),
    }
}

fn memory(facts: &Facts) -> Finding {
    let name = "memory";
    let needed = LEAST_MEMORY >> 20;
    let of = |limit: u64| format!("the control group may hold {} MiB, {needed} MiB are needed", limit >> 20);
    match facts.room.group {
        Some(limit) if limit < LEAST_MEMORY => finding(name, Verdict::Fails, &of(limit)).fix(&format!(
            "raise memory.max (systemd: MemoryMax={needed}M; Kubernetes: resources.limits.memory: {needed}Mi)"
        )),
        Some(limit) if limit < COMFORTABLE_MEMORY => {
            finding(name, Verdict::Limits, &format!("{}: rings are small, and bursts are thinned", of(limit)))
                .fix(&format!("raise memory.max to {} MiB", COMFORTABLE_MEMORY >> 20))
        }
        Some(limit) => finding(name, Verdict::Works, &of(limit)),
        None => finding(name, Verdict::Works, "no control group bounds it"),
    }
}

fn rings(facts: &Facts) -> Finding {
    let bpf = u64::from(facts.room.rings(facts.cpus));
    let found = format!("{} MiB of the kernel's memory for {} CPUs", bpf >> 20, facts.cpus);
    finding("rings", Verdict::Works, &found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Room;

    /// A machine on which everything works, without being root.
    fn facts() -> Facts {
        let capabilities = [
            CAP_BPF,
            CAP_PERFMON,
            CAP_SYS_PTRACE,
            CAP_DAC_READ_SEARCH,
            CAP_CHECKPOINT_RESTORE,
            CAP_SYS_ADMIN,
        ];
        Facts {
            proc: true,
            mappings_tree: Some(true),
            release: "6.1.0".to_owned(),
            btf: true,
            capabilities: capabilities.iter().map(|bit| 1 << bit).sum(),
            pids: Some(PidNamespace::First),
            lockdown: None,
            paranoid: Some(2),
            max_stack: Some(127),
            max_sample_rate: Some(100_000),
            unprivileged_bpf_disabled: Some(2),
            bpf_stats: Some(0),
            descriptors: Some(1024),
            cpus: 2,
            room: Room { group: None },
        }
    }

    /// Name and verdict of each finding that does not work.
    fn troubles(facts: &Facts) -> Vec<(String, Verdict)> {
        let troubles = assess(facts).into_iter().filter(|finding| finding.verdict != Verdict::Works);
        troubles
            .map(|finding| {
                assert!(finding.fix.is_some(), "{finding:?}");
                (finding.name, finding.verdict)
            })
            .collect()
    }

    #[test]
    fn each_thing_that_is_missing_is_told_with_what_to_do() {
        use Verdict::{Fails, Limits};
        assert_eq!(troubles(&facts()), []);
        let without = |capability: u32| facts().capabilities & !(1 << capability);
        for (facts, name, verdict) in [
            (Facts { proc: false, mappings_tree: None, btf: false, ..facts() }, "/proc", Fails),
            (Facts { mappings_tree: Some(false), ..facts() }, "kernel", Fails),
            (Facts { btf: false, mappings_tree: None, ..facts() }, "BTF", Fails),
            (Facts { descriptors: Some(512), cpus: 512, ..facts() }, "file descriptors", Fails),
            (Facts { room: Room { group: Some(40 << 20) }, ..facts() }, "memory", Fails),
            (Facts { room: Room { group: Some(64 << 20) }, ..facts() }, "memory", Limits),
            (Facts { pids: Some(PidNamespace::Inner(7)), ..facts() }, "pid namespace", Limits),
            (Facts { pids: Some(PidNamespace::ForeignProc), ..facts() }, "pid namespace", Fails),
            (Facts { lockdown: Some("confidentiality".to_owned()), ..facts() }, "lockdown", Fails),
            (Facts { max_sample_rate: Some(250), ..facts() }, MAX_SAMPLE_RATE, Limits),
            (Facts { max_stack: Some(64), ..facts() }, "kernel.perf_event_max_stack", Limits),
            (Facts { capabilities: without(CAP_SYS_PTRACE), ..facts() }, "CAP_SYS_PTRACE", Limits),
            (Facts { capabilities: without(CAP_DAC_READ_SEARCH), ..facts() }, "CAP_DAC_READ_SEARCH", Limits),
            (Facts { capabilities: without(CAP_SYS_ADMIN), ..facts() }, "BPF statistics", Limits),
        ] {
            assert_eq!(troubles(&facts), [(name.to_owned(), verdict)]);
        }
        let none = Facts { capabilities: 0, ..facts() };
        let names: Vec<_> = troubles(&none).into_iter().map(|(name, _)| name).collect();
        let expected = [
            "CAP_BPF",
            "CAP_PERFMON",
            "CAP_SYS_PTRACE",
            "CAP_DAC_READ_SEARCH",
            "CAP_CHECKPOINT_RESTORE",
            "BPF statistics",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    #[ignore = "needs root: loads BPF programs"]
    fn this_machine_can_run_the_agent() {
        let findings = report();
        assert!(findings.iter().all(|finding| finding.verdict != Verdict::Fails), "{findings:#?}");
        assert!(findings.iter().any(|finding| finding.name == "BPF programs"), "{findings:#?}");
    }
}
