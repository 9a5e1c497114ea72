//! A control group and those below it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirEntryExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pdata::CgroupId;
use rustix::fs::statfs;

/// `CGROUP2_SUPER_MAGIC` of the kernel's `magic.h`.
const CGROUP2: u64 = 0x6367_7270;
/// Most groups that are remembered as others; then they are looked for anew.
const MOST_OTHERS: usize = 1 << 16;
/// Most groups below the one that is wanted: more are not looked at.
const MOST_GROUPS: usize = 1 << 18;

/// A control group of version 2 and all groups below it, those included that are made later.
///
/// A group's number is that of its directory and never used again, and no group moves below another: what has once been
/// found out holds. A group that is gone before anybody looks for it, which is when a sample of it is first met, counts
/// as another.
#[derive(Clone, Debug)]
pub struct GroupTree {
    root: PathBuf,
    members: HashSet<u64>,
    others: HashSet<u64>,
}

impl GroupTree {
    /// The group whose directory this is.
    ///
    /// # Errors
    /// If the directory cannot be read, or belongs to no hierarchy of version 2.
    pub fn open(root: &Path) -> io::Result<Self> {
        let kind = u64::try_from(statfs(root)?.f_type).unwrap_or_default();
        if kind != CGROUP2 {
            let fault = "it is no control group of version 2";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, fault));
        }
        Self::of(root)
    }

    fn of(root: &Path) -> io::Result<Self> {
        let mut tree = Self { root: root.to_owned(), members: HashSet::new(), others: HashSet::new() };
        tree.members.insert(fs::metadata(root)?.ino());
        tree.look();
        Ok(tree)
    }

    /// True if the group is the one that was asked for or below it. Reads directories for a group that it has not met.
    pub fn contains(&mut self, group: CgroupId) -> bool {
        if self.members.contains(&group.0) {
            return true;
        }
        if self.others.contains(&group.0) {
            return false;
        }
        self.look();
        let found = self.members.contains(&group.0);
        if !found {
            if self.others.len() >= MOST_OTHERS {
                self.others.clear();
            }
            self.others.insert(group.0);
        }
        found
    }

    /// Finds the groups that there are now.
    fn look(&mut self) {
        let mut directories = vec![self.root.clone()];
        while let Some(directory) = directories.pop() {
            // One that is gone has nothing below it.
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && self.members.len() < MOST_GROUPS {
                    self.members.insert(entry.ino());
                    directories.push(entry.path());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(path: &Path) -> CgroupId {
        CgroupId(fs::metadata(path).unwrap().ino())
    }

    #[test]
    fn groups_below_are_found_also_those_that_are_made_later() {
        let dir = tempfile::tempdir().unwrap();
        let (wanted, other) = (dir.path().join("wanted"), dir.path().join("other"));
        let below = wanted.join("a/b");
        fs::create_dir_all(&below).unwrap();
        fs::create_dir_all(&other).unwrap();
        let mut tree = GroupTree::of(&wanted).unwrap();
        assert!(tree.contains(group(&wanted)) && tree.contains(group(&below)));
        assert!(!tree.contains(group(&other)) && !tree.contains(CgroupId(u64::MAX)));
        let later = wanted.join("later");
        fs::create_dir(&later).unwrap();
        let later = group(&later);
        assert!(tree.contains(later));
        fs::remove_dir(wanted.join("later")).unwrap();
        assert!(tree.contains(later), "its last samples may still come");
    }

    #[test]
    fn what_is_no_control_group_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(GroupTree::open(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(GroupTree::open(&dir.path().join("none")).is_err());
    }
}
