//! The parents of the processes that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pdata::Pid;

use crate::stat;

/// The parent of each process in `proc`, which is `/proc` unless a test has another. Processes that come and go
/// meanwhile may be missing.
#[must_use]
pub fn parents(proc: &Path) -> BTreeMap<Pid, Pid> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid));
    let parent = |pid: Pid| stat::parent(&fs::read(proc.join(pid.to_string()).join("stat")).ok()?);
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

/// The processes of `roots` and all their descendants.
#[must_use]
pub fn with_descendants(roots: impl IntoIterator<Item = Pid>, parents: &BTreeMap<Pid, Pid>) -> BTreeSet<Pid> {
    let mut children = BTreeMap::<Pid, Vec<Pid>>::new();
    for (&child, &parent) in parents {
        children.entry(parent).or_default().push(child);
    }
    let (mut found, mut open) = (BTreeSet::new(), roots.into_iter().collect::<Vec<_>>());
    while let Some(process) = open.pop() {
        if found.insert(process) {
            open.extend(children.get(&process).into_iter().flatten());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_descends_from_its_parent() {
        let parents = parents(Path::new("/proc"));
        let own = Pid(std::process::id());
        let parent = parents[&own];
        assert!(with_descendants([parent], &parents).contains(&own));
        assert!(!with_descendants([own], &parents).contains(&parent));
    }

    #[test]
    fn a_circle_that_processes_coming_and_going_have_made_has_an_end() {
        let parents =
            [(1, 2), (2, 1), (3, 2), (9, 8)].map(|(child, parent)| (Pid(child), Pid(parent))).into();
        assert_eq!(with_descendants([Pid(1)], &parents), [Pid(1), Pid(2), Pid(3)].into());
    }
}
