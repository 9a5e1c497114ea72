//! A control group and the groups below it.

use std::path::{Path, PathBuf};

use pdata::Cgroup;

/// A control group, by its path in its hierarchy, and all groups below it.
#[derive(Clone, Debug)]
pub struct GroupTree {
    path: PathBuf,
}

impl GroupTree {
    /// The group with this path from the root of its hierarchy.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: Path::new("/").join(path) }
    }

    /// True if a group is this one or below it, in either hierarchy.
    #[must_use]
    pub fn contains(&self, group: &Cgroup) -> bool {
        let legacy = group.legacy_path.as_deref();
        [Some(&*group.path), legacy].into_iter().flatten().any(|path| path.starts_with(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use pdata::CgroupId;

    use super::*;

    #[test]
    fn groups_below_are_found_and_those_beside_are_not() {
        let group = |path: &str, legacy: Option<&str>| Cgroup {
            id: CgroupId(1),
            path: Path::new(path).into(),
            legacy_path: legacy.map(|path| Path::new(path).into()),
            truncated: false,
        };
        let tree = GroupTree::new(Path::new("system.slice/a"));
        assert!(
            tree.contains(&group("/system.slice/a", None))
                && tree.contains(&group("/system.slice/a/b", None))
        );
        assert!(!tree.contains(&group("/system.slice/ab", None)) && !tree.contains(&group("/", None)));
        assert!(tree.contains(&group("/", Some("/system.slice/a/c"))));
    }
}
