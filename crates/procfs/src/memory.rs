//! The control group that bounds this process's memory: its limit, and the bytes that are charged to it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::cgroup::{self, Hierarchy, Mount};
use crate::text;

/// Most bytes read of one file: `mountinfo` of a machine with thousands of containers.
const MAX_BYTES: u64 = 4 << 20;

/// The control group of this process, if its memory is limited: by itself, or by a group above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryGroup {
    /// The most bytes that can be charged to the group: the least limit of the group and of those above it.
    pub limit: u64,
    hierarchy: Hierarchy,
    /// The directory of the group that is charged: this process's own, or the next one above that has the memory
    /// controller. `None` if the group cannot be seen from here, as from another namespace.
    directory: Option<PathBuf>,
}

impl MemoryGroup {
    /// The group of this process; `None` if neither it nor a group above it that can be seen has a limit below the
    /// machine's memory. `root` is `/`, or a directory that looks like it.
    #[must_use]
    pub fn of_this_process(root: &Path) -> Option<Self> {
        let read = |path: &Path| read(root, path).unwrap_or_default();
        let mounts = Mount::parse_all(&read(Path::new("proc/self/mountinfo")));
        let memory = text::mem_total(&read(Path::new("proc/meminfo"))).unwrap_or(u64::MAX);
        let limited = |(hierarchy, group): (Hierarchy, PathBuf)| {
            // The first mount is as good as any other of the same hierarchy.
            let mount = mounts.iter().find(|mount| mount.hierarchy == hierarchy)?;
            let file = limit_file(hierarchy);
            let limit = |directory: PathBuf| text::limit(&read(&directory.join(file)));
            let limit = mount.directories(&group).into_iter().filter_map(limit).min();
            let is_seen = mount.directory(&group).is_some();
            let above = mount.directories(&group).into_iter().filter(|_| is_seen);
            let mut above = above.map(|above| below(root, &above));
            let directory = above.find(|above| above.join(usage_file(hierarchy)).exists());
            limit.filter(|limit| *limit < memory).map(|limit| Self { limit, hierarchy, directory })
        };
        // The memory controller is in one hierarchy alone.
        cgroup::memberships(&read(Path::new("proc/self/cgroup"))).into_iter().find_map(limited)
    }

    /// The least limit of a group that this process is in, bytes; `None` if no group has a limit below the machine's
    /// memory.
    #[must_use]
    pub fn least_limit() -> Option<u64> {
        Self::of_this_process(Path::new("/")).map(|group| group.limit)
    }

    /// A part of the [least limit](Self::least_limit), bytes: the memory that one user of it may take. Without a limit,
    /// any number.
    #[must_use]
    pub fn part(parts: u64) -> u64 {
        Self::least_limit().map_or(u64::MAX, |limit| limit / parts.max(1))
    }

    /// Bytes that are charged to the group and that the kernel cannot get back by itself: the memory of programs, and
    /// memory that the kernel holds for them, such as BPF maps. The cache of files does not count, nor anything of
    /// other groups: the charge of a group above is mostly the memory of others, against which this process can do
    /// nothing.
    ///
    /// # Errors
    /// Errors of reading the group's files, as when the group is gone or cannot be seen.
    pub fn charge(&self) -> io::Result<u64> {
        let reclaimable = match self.hierarchy {
            Hierarchy::Unified => &UNIFIED_RECLAIMABLE[..],
            Hierarchy::Memory => &LEGACY_RECLAIMABLE[..],
        };
        let directory = self.directory.as_deref().ok_or(io::ErrorKind::NotFound)?;
        let usage = text::limit(&read_file(&directory.join(usage_file(self.hierarchy)))?)
            .ok_or(io::ErrorKind::InvalidData)?;
        let statistics = read_file(&directory.join("memory.stat"))?;
        Ok(usage.saturating_sub(text::sum_of(reclaimable, &statistics)))
    }
}

/// Keys of `memory.stat` that the kernel can get back. Source: `Documentation/admin-guide/cgroup-v2.rst`.
const UNIFIED_RECLAIMABLE: [&str; 3] = ["active_file", "inactive_file", "slab_reclaimable"];
/// Keys of `memory.stat` in version 1 that the kernel can get back; version 1 writes sums of groups below under names
/// of their own.
const LEGACY_RECLAIMABLE: [&str; 2] = ["total_active_file", "total_inactive_file"];

fn limit_file(hierarchy: Hierarchy) -> &'static str {
    match hierarchy {
        Hierarchy::Unified => "memory.max",
        Hierarchy::Memory => "memory.limit_in_bytes",
    }
}

fn usage_file(hierarchy: Hierarchy) -> &'static str {
    match hierarchy {
        Hierarchy::Unified => "memory.current",
        Hierarchy::Memory => "memory.usage_in_bytes",
    }
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn read(root: &Path, path: &Path) -> io::Result<Vec<u8>> {
    read_file(&below(root, path))
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    #[test]
    fn the_cache_of_files_is_no_charge_in_version_2() {
        let root = root(&[
            ("proc/self/cgroup", "0::/system.slice/pipeline.service\n"),
            ("proc/self/mountinfo", "1 2 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "max\n"),
            ("sys/fs/cgroup/system.slice/pipeline.service/memory.max", "100000\n"),
            ("sys/fs/cgroup/system.slice/pipeline.service/memory.current", "90000\n"),
            (
                "sys/fs/cgroup/system.slice/pipeline.service/memory.stat",
                "anon 40000\nfile 30000\nkernel 20000\ninactive_anon 1\ninactive_file 20000\nactive_file 10000\n\
                 slab_reclaimable 5000\n",
            ),
        ]);
        let group = MemoryGroup::of_this_process(root.path()).unwrap();
        assert_eq!((group.limit, group.charge().unwrap()), (100_000, 55_000));
    }

    #[test]
    fn a_group_without_the_controller_is_charged_where_the_next_one_above_has_it() {
        let root = root(&[
            ("proc/self/cgroup", "0::/pod/init\n"),
            ("proc/self/mountinfo", "1 2 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/pod/memory.max", "100000\n"),
            ("sys/fs/cgroup/pod/memory.current", "90000\n"),
            ("sys/fs/cgroup/pod/memory.stat", "anon 40000\n"),
            ("sys/fs/cgroup/pod/init/cgroup.procs", "1\n"),
        ]);
        let group = MemoryGroup::of_this_process(root.path()).unwrap();
        assert_eq!((group.limit, group.charge().unwrap()), (100_000, 90_000));
    }

    #[test]
    fn the_cache_of_files_is_no_charge_in_version_1() {
        let root = root(&[
            ("proc/self/cgroup", "4:memory:/a\n0::/\n"),
            ("proc/self/mountinfo", "32 23 0:28 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "100000\n"),
            ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "90000\n"),
            (
                "sys/fs/cgroup/memory/a/memory.stat",
                "rss 1\nactive_file 7\ntotal_inactive_file 20000\ntotal_active_file 10000\n",
            ),
        ]);
        let group = MemoryGroup::of_this_process(root.path()).unwrap();
        assert_eq!((group.limit, group.charge().unwrap()), (100_000, 60_000));
        fs::remove_dir_all(root.path().join("sys")).unwrap();
        assert!(group.charge().is_err());
    }

    const MOUNTINFO: (&str, &str) =
        ("proc/self/mountinfo", "1 2 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");

    /// A slice of 100,000 bytes, of which others use 90,000.
    const FULL_SLICE: [(&str, &str); 3] = [
        ("sys/fs/cgroup/system.slice/memory.max", "100000\n"),
        ("sys/fs/cgroup/system.slice/memory.current", "90000\n"),
        ("sys/fs/cgroup/system.slice/memory.stat", ""),
    ];

    #[test]
    fn the_limit_of_a_group_above_counts_and_the_memory_of_others_in_it_does_not() {
        let own = [
            ("proc/self/cgroup", "0::/system.slice/pipeline.service\n"),
            MOUNTINFO,
            ("sys/fs/cgroup/system.slice/pipeline.service/memory.max", "200000\n"),
            ("sys/fs/cgroup/system.slice/pipeline.service/memory.current", "4000\n"),
            ("sys/fs/cgroup/system.slice/pipeline.service/memory.stat", ""),
        ];
        let root = root(&[&own[..], &FULL_SLICE].concat());
        let group = MemoryGroup::of_this_process(root.path()).unwrap();
        assert_eq!((group.limit, group.charge().unwrap()), (100_000, 4_000));
    }

    #[test]
    fn the_memory_of_a_group_that_cannot_be_seen_is_not_that_of_the_mount() {
        let mountinfo = "1 2 0:28 /a /sys/fs/cgroup/system.slice rw - cgroup2 cgroup2 rw\n";
        let own = [("proc/self/cgroup", "0::/other/b\n"), ("proc/self/mountinfo", mountinfo)];
        let root = root(&[&own[..], &FULL_SLICE].concat());
        let group = MemoryGroup::of_this_process(root.path()).unwrap();
        assert_eq!(group.limit, 100_000);
        assert!(group.charge().is_err());
    }

    /// This machine's group, if it is limited, has its files as expected.
    #[test]
    fn this_machine_is_understood() {
        let machine = text::mem_total(&read(Path::new("/"), Path::new("proc/meminfo")).unwrap()).unwrap();
        let Some(group) = MemoryGroup::of_this_process(Path::new("/")) else { return };
        assert!(group.limit < machine, "{group:?}");
        match group.charge() {
            Ok(charge) => assert!(charge < machine, "{charge} of {group:?}"),
            // This process's group cannot be seen, or memory is not counted below a group above it.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound, "{group:?}"),
        }
    }
}
