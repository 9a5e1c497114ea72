//! Control groups with little memory or CPU time, for agents under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::wait;

/// Groups of this process so far that have no other name.
static NUMBER: AtomicU32 = AtomicU32::new(0);
const ROOT: &str = "/sys/fs/cgroup";
/// The period over which the kernel's scheduler limits CPU time, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// A control group of a test's own, of version 1 or 2 as the machine has it; removed when it is dropped.
#[derive(Debug)]
pub struct Group {
    /// The group's directories, one for each hierarchy that it is in.
    directories: Vec<PathBuf>,
    /// Groups above that were made for it, the innermost first.
    above: Vec<PathBuf>,
}

impl Group {
    /// A group whose processes may have `bytes` of memory together.
    ///
    /// # Panics
    /// If the kernel refuses.
    #[must_use]
    pub fn with_memory(bytes: u64) -> Self {
        let limit = bytes.to_string();
        Self::new("memory", &[("memory.limit_in_bytes", &limit)], &[("memory.max", &limit)])
    }

    /// A group whose processes may use `percent` of one CPU together.
    ///
    /// # Panics
    /// If the kernel refuses.
    #[must_use]
    pub fn with_cpu_percent(percent: u64) -> Self {
        let quota = (CPU_PERIOD * percent / 100).to_string();
        let unified = format!("{quota} {CPU_PERIOD}");
        let legacy = [("cpu.cfs_period_us", &*CPU_PERIOD.to_string()), ("cpu.cfs_quota_us", &quota)];
        Self::new("cpu", &legacy, &[("cpu.max", &unified)])
    }

    /// A group of version 2 without any limit; `None` if this machine has no such hierarchy.
    ///
    /// # Panics
    /// If the kernel refuses.
    #[must_use]
    pub fn unlimited() -> Option<Self> {
        let roots = [ROOT.to_owned(), format!("{ROOT}/unified")];
        let root = roots.iter().map(Path::new).find(|root| root.join("cgroup.controllers").exists())?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = root.join(format!("pipeline-test-{}-unlimited-{number}", std::process::id()));
        fs::create_dir(&directory).expect("the group can be made");
        Some(Self { directories: vec![directory], above: Vec::new() })
    }

    /// A group of version 2 at that path, below one that is the test's own.
    ///
    /// # Panics
    /// If this machine has no such hierarchy, or the kernel refuses.
    #[must_use]
    pub fn at(path: &str) -> Self {
        let mut group = Self::unlimited().expect("there is a hierarchy of version 2");
        for name in path.split('/') {
            let above = group.directories.remove(0);
            let directory = above.join(name);
            group.above.insert(0, above);
            fs::create_dir(&directory).expect("the group can be made");
            group.directories.push(directory);
        }
        group
    }

    /// The group's directory.
    ///
    /// # Panics
    /// Never: every group has a directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directories.first().expect("a group has a directory")
    }

    fn new(controller: &str, legacy: &[(&str, &str)], unified: &[(&str, &str)]) -> Self {
        let hierarchy = Path::new(ROOT).join(controller);
        let (parent, settings) = if hierarchy.is_dir() {
            (hierarchy, legacy)
        } else {
            let control = Path::new(ROOT).join("cgroup.subtree_control");
            fs::write(control, format!("+{controller}")).expect("the controller can be had");
            (PathBuf::from(ROOT), unified)
        };
        let name = format!("pipeline-test-{}-{controller}", std::process::id());
        let directory = parent.join(name);
        fs::create_dir(&directory).expect("the group can be made");
        let group = Self { directories: vec![directory.clone()], above: Vec::new() };
        for (file, value) in settings {
            fs::write(directory.join(file), value).expect("the group's limit can be set");
        }
        group
    }

    /// Moves a running process into this group.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn take_in(&self, pid: u32) {
        for directory in &self.directories {
            fs::write(directory.join("cgroup.procs"), pid.to_string()).expect("the process moves");
        }
    }

    /// Moves a running process out of this group, into the group above.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn let_go(&self, pid: u32) {
        for above in self.directories.iter().filter_map(|directory| directory.parent()) {
            fs::write(above.join("cgroup.procs"), pid.to_string()).expect("the process moves");
        }
    }

    /// The same command, in this group from its first instruction on.
    #[must_use]
    pub fn run(&self, command: &Command) -> Command {
        let enter: Vec<_> =
            self.directories.iter().map(|dir| format!("echo $$ > {}/cgroup.procs", dir.display())).collect();
        let mut inside = Command::new("sh");
        inside.arg("-c").arg(format!("{} && exec \"$0\" \"$@\"", enter.join(" && ")));
        inside.arg(command.get_program()).args(command.get_args());
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        inside.envs(variables);
        inside
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for directory in self.directories.iter().chain(&self.above) {
            // The group's last process may still be exiting.
            let remove = || fs::remove_dir(directory).is_ok();
            wait::until("the group to be empty", remove, |is_gone| *is_gone);
        }
    }
}
