//! The control groups that samples refer to by number.

use std::sync::Arc;

use pdata::Cgroup;
use rustc_hash::FxHashMap;

use crate::abi::CgroupKey;
use crate::decode::AnnouncedCgroup;

/// The most groups that are known: as many as the kernel side remembers to have announced.
const MAX_CGROUPS: usize = 8192;
/// The most bytes of the groups' paths: users may make groups below their own, with names as long as they like.
const MAX_PATH_BYTES: usize = 4 << 20;

/// Every control group that has been announced and not forgotten. Bounded as [`Files`](crate::files::Files) are.
///
/// Samples themselves hold the groups that they refer to, so none needs to be kept for them here.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    by_number: FxHashMap<u32, Known>,
    by_key: FxHashMap<CgroupKey, u32>,
    path_bytes: usize,
    /// The number of samples so far, by which the last use of each group is noted.
    now: u64,
    forgotten: Vec<CgroupKey>,
    unknown: u64,
}

#[derive(Debug)]
struct Known {
    key: CgroupKey,
    cgroup: Arc<Cgroup>,
    used: u64,
}

impl Known {
    fn path_bytes(&self) -> usize {
        let legacy = self.cgroup.legacy_path.as_ref().map_or(0, |path| path.as_os_str().len());
        self.cgroup.path.as_os_str().len() + legacy
    }
}

impl Cgroups {
    /// Takes in announced control groups. Groups that are known, announced again because the kernel side had to forget
    /// them, keep their first number downstream.
    pub(crate) fn announce(&mut self, announced: AnnouncedCgroup) {
        let AnnouncedCgroup { key, cgroup } = announced;
        let number = cgroup.id.0;
        let before = self.by_key.get(&key).and_then(|number| self.by_number.get(number));
        let same = before.filter(|known| {
            known.cgroup.path == cgroup.path && known.cgroup.legacy_path == cgroup.legacy_path
        });
        let cgroup = same.map_or_else(|| Arc::new(cgroup), |known| Arc::clone(&known.cgroup));
        let known = Known { key, cgroup, used: self.now };
        self.path_bytes += known.path_bytes();
        if let Some(before) = self.by_number.insert(number, known) {
            self.path_bytes -= before.path_bytes();
        }
        self.by_key.insert(key, number);
        if self.by_number.len() > MAX_CGROUPS || self.path_bytes > MAX_PATH_BYTES {
            self.forget_older_half();
        }
    }

    /// The control groups of a number; `None` for 0, which the kernel side has counted, and for a number that is not
    /// known.
    pub(crate) fn resolve(&mut self, number: u32) -> Option<Arc<Cgroup>> {
        self.now += 1;
        if number == 0 {
            return None;
        }
        match self.by_number.get_mut(&number) {
            Some(known) => {
                known.used = self.now;
                Some(Arc::clone(&known.cgroup))
            }
            None => {
                self.unknown += 1;
                None
            }
        }
    }

    /// Groups that the kernel side is to forget, since they have been forgotten here.
    pub(crate) fn take_forgotten(&mut self) -> Vec<CgroupKey> {
        std::mem::take(&mut self.forgotten)
    }

    /// Samples whose control groups were not known, since this was last called.
    pub(crate) fn take_unknown(&mut self) -> u64 {
        std::mem::take(&mut self.unknown)
    }

    fn forget_older_half(&mut self) {
        // Numbers count up: of groups last used at one time the older ones go.
        let mut ages: Vec<_> = self.by_number.iter().map(|(&number, known)| (known.used, number)).collect();
        let middle = ages.len() / 2;
        let (older, ..) = ages.select_nth_unstable(middle);
        for &mut (_, number) in older {
            let Some(known) = self.by_number.remove(&number) else { continue };
            self.path_bytes -= known.path_bytes();
            // The groups may have been announced again since, under another number.
            if self.by_key.get(&known.key) == Some(&number) {
                self.by_key.remove(&known.key);
                self.forgotten.push(known.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pdata::CgroupId;

    use super::*;

    fn announced(number: u32, unified: u64, path: &str) -> AnnouncedCgroup {
        let key = CgroupKey { unified, ..CgroupKey::default() };
        let path = Path::new(path).into();
        AnnouncedCgroup {
            key,
            cgroup: Cgroup { id: CgroupId(number), path, legacy_path: None, truncated: false },
        }
    }

    #[test]
    fn groups_announced_again_keep_their_number_downstream() {
        let mut cgroups = Cgroups::default();
        cgroups.announce(announced(1, 70, "/a"));
        let first = cgroups.resolve(1).unwrap();
        cgroups.announce(announced(2, 70, "/a"));
        assert!(Arc::ptr_eq(&cgroups.resolve(2).unwrap(), &first) && cgroups.resolve(1).is_some());
        assert_eq!(cgroups.resolve(0), None);
        assert_eq!(cgroups.take_unknown(), 0, "the kernel has counted it");
        assert_eq!((cgroups.resolve(3), cgroups.take_unknown()), (None, 1));
    }

    #[test]
    fn whatever_is_announced_memory_is_bounded_and_the_kernel_side_forgets_too() {
        let mut cgroups = Cgroups::default();
        let long = "/x".repeat(2000);
        for number in 1..20_000 {
            cgroups.announce(announced(number, number.into(), &long));
            assert!(cgroups.by_number.len() <= MAX_CGROUPS && cgroups.path_bytes <= MAX_PATH_BYTES);
        }
        assert_eq!(cgroups.by_number.len(), cgroups.by_key.len());
        assert_eq!(cgroups.take_forgotten().len() + cgroups.by_key.len(), 19_999);
        assert_eq!(&*cgroups.resolve(19_999).unwrap().path, Path::new(&long));
    }
}
