//! Control groups of a process, and the places where their hierarchies are mounted: `/proc/self/cgroup` and
//! `/proc/self/mountinfo`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A hierarchy of control groups that can limit memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 2.
    Unified,
    /// Version 1, the hierarchy of the memory controller.
    Memory,
}

/// The group of the process in each hierarchy, its path from the hierarchy's root. Source: cgroups(7),
/// `hierarchy-ID:controller-list:cgroup-path`.
#[must_use]
pub fn memberships(cgroup: &[u8]) -> Vec<(Hierarchy, PathBuf)> {
    cgroup.split(|&byte| byte == b'\n').filter_map(membership).collect()
}

fn membership(line: &[u8]) -> Option<(Hierarchy, PathBuf)> {
    let mut fields = line.splitn(3, |&byte| byte == b':');
    let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let hierarchy = match controllers {
        b"" if id == b"0" => Hierarchy::Unified,
        _ if controllers.split(|&byte| byte == b',').any(|name| name == b"memory") => Hierarchy::Memory,
        _ => return None,
    };
    Some((hierarchy, PathBuf::from(OsStr::from_bytes(path))))
}

/// True if a controller is in use in a hierarchy of version 1. Source: `/proc/cgroups`, cgroups(7).
#[must_use]
pub fn has_legacy_hierarchy(cgroups: &[u8], controller: &str) -> bool {
    let line = cgroups.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(controller.as_bytes()));
    let fields = line.and_then(|line| line.strip_prefix(b"\t"));
    // The number of the hierarchy comes next; that of version 2 is 0.
    fields.is_some_and(|fields| fields.first().is_some_and(|first| (b'1'..=b'9').contains(first)))
}

/// A place where a hierarchy, or a part of one, can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The hierarchy that is mounted.
    pub hierarchy: Hierarchy,
    /// The group that is mounted, from the hierarchy's root.
    root: PathBuf,
    /// The path at which the hierarchy is mounted.
    point: PathBuf,
}

impl Mount {
    /// Every mount of such a hierarchy. Source: proc_pid_mountinfo(5).
    #[must_use]
    pub fn parse_all(mountinfo: &[u8]) -> Vec<Self> {
        mountinfo.split(|&byte| byte == b'\n').filter_map(Self::parse).collect()
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        // Optional fields end with a dash.
        fields.by_ref().find(|&field| field == b"-")?;
        let (kind, _source, options) = (fields.next()?, fields.next()?, fields.next()?);
        let hierarchy = match kind {
            b"cgroup2" => Hierarchy::Unified,
            b"cgroup" if options.split(|&byte| byte == b',').any(|option| option == b"memory") => {
                Hierarchy::Memory
            }
            _ => return None,
        };
        Some(Self { hierarchy, root: unescape(root), point: unescape(point) })
    }

    /// The directories of `group` and of the groups above it, as far as they can be seen here; the mount itself last.
    ///
    /// A group that is not below the mounted one (the namespace it was made in is another) cannot be seen: then only
    /// the mount itself is returned, which is as near as there is.
    #[must_use]
    pub fn directories(&self, group: &Path) -> Vec<PathBuf> {
        let below = self.below(group).unwrap_or(Path::new(""));
        below.ancestors().map(|part| self.point.join(part)).collect()
    }

    /// The directory of `group`; `None` if it is not below the mounted group.
    #[must_use]
    pub fn directory(&self, group: &Path) -> Option<PathBuf> {
        self.below(group).map(|below| self.point.join(below))
    }

    fn below<'a>(&self, group: &'a Path) -> Option<&'a Path> {
        let below = group.strip_prefix(&self.root).ok()?;
        below.components().all(|part| matches!(part, Component::Normal(_))).then_some(below)
    }
}

/// Undoes escapes such as `\040`: space, tab, newline and backslash are written in octal.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.split_at_checked(3)) {
            (b'\\', Some((digits, after))) if digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) => {
                let value = digits.iter().fold(0, |value, digit| value * 8 + u32::from(digit - b'0'));
                // The kernel writes no value above 255.
                bytes.push(u8::try_from(value).unwrap_or(b'?'));
                rest = after;
            }
            _ => bytes.push(byte),
        }
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mount(root: &str, point: &str) -> Mount {
        Mount { hierarchy: Hierarchy::Unified, root: root.into(), point: point.into() }
    }

    #[test]
    fn groups_of_both_versions_are_found_by_their_controllers() {
        let text = b"9:name=systemd:/\n4:memory:/a/b:c\n3:cpuset:/\n0::/user.slice\nnonsense\n";
        assert_eq!(
            memberships(text),
            [(Hierarchy::Memory, "/a/b:c".into()), (Hierarchy::Unified, "/user.slice".into())]
        );
    }

    #[test]
    fn a_controller_is_in_a_legacy_hierarchy_if_that_has_a_number() {
        let text = b"#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t1\t1\ncpuset\t3\t1\t1\nmemory\t0\t9\t1\n";
        let legacy = |name| has_legacy_hierarchy(text, name);
        assert!(legacy("cpu") && legacy("cpuset"));
        assert!(!legacy("memory") && !legacy("pids") && !legacy("cpus") && !has_legacy_hierarchy(b"", "cpu"));
    }

    #[test]
    fn mounts_are_read_with_any_number_of_optional_fields() {
        let text =
            b"36 31 0:28 / /sys/fs/cgroup rw,relatime shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate\n\
            35 31 0:32 /docker/x /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory\n\
            34 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n1 2 3:4 / / rw - ext4 /dev/vda rw\n";
        let memory = Mount {
            hierarchy: Hierarchy::Memory,
            root: "/docker/x".into(),
            point: "/sys/fs/cgroup/my memory".into(),
        };
        assert_eq!(Mount::parse_all(text), [mount("/", "/sys/fs/cgroup"), memory]);
    }

    #[test]
    fn a_group_is_looked_for_below_what_is_mounted_and_never_beside_it() {
        let paths = |mount: &Mount, group: &str| -> Vec<String> {
            mount.directories(Path::new(group)).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(paths(&mount("/", "/m"), "/a/b"), ["/m/a/b", "/m/a", "/m/"]);
        assert_eq!(paths(&mount("/a", "/m"), "/a/b"), ["/m/b", "/m/"]);
        assert_eq!(paths(&mount("/a", "/m"), "/other/b"), ["/m/"]);
        assert_eq!(paths(&mount("/", "/m"), "/../../etc"), ["/m/"]);
        assert_eq!(mount("/a", "/m").directory(Path::new("/a/b")), Some("/m/b".into()));
        assert_eq!(mount("/a", "/m").directory(Path::new("/other/b")), None);
    }

    proptest! {
        /// Any bytes are parsed or skipped, and lead nowhere but below a mount.
        #[test]
        fn any_bytes_are_parsed_or_skipped(mounts in ".{0,200}", groups in "([0-9]:[a-z,]{0,8}:[/.a-b\\\\]{0,12}\n){0,4}", bytes: Vec<u8>) {
            let _ = (Mount::parse_all(&bytes), memberships(&bytes), Mount::parse_all(mounts.as_bytes()));
            for (_, group) in memberships(groups.as_bytes()) {
                for directory in mount("/", "/m").directories(&group) {
                    prop_assert!(directory.starts_with("/m"));
                    prop_assert!(!directory.components().any(|part| part == Component::ParentDir));
                }
            }
        }
    }
}
