//! The kernel's figures of memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use procfs::{MemoryGroup, text};

/// The most bytes that are read of a file: none of those is longer.
const MAX_BYTES: u64 = 1 << 20;

/// The machine, or a directory that looks like one.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    root: PathBuf,
}

impl Machine {
    /// The machine with its `/` at `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Bytes of memory that this process has for itself: the anonymous part of its resident set, `RssAnon` of
    /// `/proc/self/status`.
    ///
    /// The mapped rest is not counted: program text can be read again, and the kernel's rings are of a fixed size,
    /// which appears in the resident set (twice, as they are mapped) as they are first used, and never leaves it.
    pub(crate) fn usage(&self) -> io::Result<u64> {
        let status = self.read(Path::new("proc/self/status"))?;
        Ok(text::rss_anon(&status).ok_or(io::ErrorKind::InvalidData)?)
    }

    /// Bytes of memory there is for this process: the machine's, or the least limit of a control group it is in. `None`
    /// if not even the machine's is known.
    pub(crate) fn total(&self) -> Option<u64> {
        let memory = self.read(Path::new("proc/meminfo")).ok().and_then(|file| text::mem_total(&file));
        memory.into_iter().chain(self.group().map(|group| group.limit)).min()
    }

    /// The control group of this process, if its memory is limited.
    pub(crate) fn group(&self) -> Option<MemoryGroup> {
        MemoryGroup::of_this_process(&self.root)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::open(self.root.join(path.strip_prefix("/").unwrap_or(path)))?;
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const GIB: u64 = 1 << 30;

    /// A machine of these files, as `(path, content)`.
    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let machine = Machine::new(root.path());
        (root, machine)
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n");

    /// A Kubernetes pod on a node with cgroup v2: it has a namespace of its own, so its group is the root.
    #[test]
    fn in_a_container_of_v2_it_is_the_containers_limit() {
        let (_root, machine) = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/\n"),
            ("proc/self/mountinfo", "1 2 0:28 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n"),
            ("sys/fs/cgroup/memory.max", "1073741824\n"),
        ]);
        assert_eq!(machine.total(), Some(GIB));
    }

    /// A systemd service: the slice above it may have the lesser limit.
    #[test]
    fn of_nested_groups_of_v2_the_least_limit_counts() {
        let (_root, machine) = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/system.slice/pipeline.service\n"),
            ("proc/self/mountinfo", "1 2 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "2147483648\n"),
            ("sys/fs/cgroup/system.slice/pipeline.service/memory.max", "max\n"),
        ]);
        assert_eq!(machine.total(), Some(2 * GIB));
    }

    /// A docker container on a host with cgroup v1: it sees the host's path, and its part of it is mounted.
    #[test]
    fn in_a_container_of_v1_the_mount_begins_at_its_own_group() {
        let (_root, machine) = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n"),
            (
                "proc/self/mountinfo",
                "31 23 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
                 32 23 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
        ]);
        assert_eq!(machine.total(), Some(GIB / 2));
    }

    #[test]
    fn without_limits_it_is_the_machines_memory() {
        // v1 writes its largest number for none.
        let (_root, unlimited) = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/\n"),
            ("proc/self/mountinfo", "1 2 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(unlimited.total(), Some(16 * GIB));
        let (_root, bare) = machine(&[MEMINFO]);
        assert_eq!(bare.total(), Some(16 * GIB));
        let (_root, nothing) = machine(&[]);
        assert_eq!(nothing.total(), None);
        assert!(nothing.usage().is_err());
    }

    #[test]
    fn this_machine_is_understood() {
        let machine = Machine::new(Path::new("/"));
        let (usage, total) = (machine.usage().unwrap(), machine.total().unwrap());
        assert!(usage > 100_000 && usage < total, "{usage} of {total}");
    }
}
