//! How much memory facts hold: users choose how long paths are, so bounds count bytes, not things.
//!
//! What several share is counted by each as its share of it, so that sums over all of them come out right.

use std::mem::{size_of, size_of_val};
use std::sync::Arc;

use crate::{Backing, Executable, Image, ImageKind, MappedFile, Mapping, Script};

/// The share that one holder has of something shared.
fn share<T>(shared: &Arc<T>, bytes: usize) -> usize {
    // A count and a length come before what an `Arc` holds.
    let bytes = bytes.saturating_add(2 * size_of::<usize>());
    bytes / Arc::strong_count(shared).max(1)
}

impl Executable {
    /// Bytes that the description holds.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let own_path = self.own_path.as_ref().map_or(0, |path| path.as_os_str().len());
        size_of::<Self>() + self.path.as_os_str().len() + own_path
    }
}

impl Script {
    /// Bytes that the description holds.
    #[must_use]
    pub fn footprint(&self) -> usize {
        size_of::<Self>() + self.path.as_os_str().len() + self.interpreter.as_os_str().len()
    }
}

impl Image {
    /// Bytes that the description holds, with its share of what other images hold too.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let facts = match &self.kind {
            ImageKind::Kernel(_) => 0,
            ImageKind::User { executable, script, loader } => {
                let script = script.as_ref().map_or(0, |script| share(script, script.footprint()));
                let files = [Some(executable), loader.as_ref()].into_iter().flatten();
                files.map(|file| share(file, file.footprint())).sum::<usize>() + script
            }
        };
        size_of::<Self>() + facts
    }

    /// The share of a shared description that one holder has.
    #[must_use]
    pub fn share(image: &Arc<Self>) -> usize {
        share(image, image.footprint())
    }
}

impl MappedFile {
    /// Bytes that the description holds.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let own_path = self.own_path.as_ref().map_or(0, |path| path.as_os_str().len());
        let facts = self.facts.get().map_or(0, |facts| {
            size_of_val(&*facts.segments) + facts.go_build_id.as_ref().map_or(0, |id| id.len())
        });
        size_of::<Self>() + self.path.as_os_str().len() + own_path + facts
    }
}

impl Mapping {
    /// The share of a shared mapping, and of its file, that one holder has.
    #[must_use]
    pub fn share(mapping: &Arc<Self>) -> usize {
        let backing = match &mapping.backing {
            Backing::File(file) => share(file, file.footprint()),
            Backing::Kernel(name) | Backing::Special(name) => name.len() / Arc::strong_count(name).max(1),
            Backing::Anonymous(_) => 0,
        };
        share(mapping, size_of::<Self>() + backing)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{FileOffset, Pc};

    fn mapping(path: &str) -> Arc<Mapping> {
        let backing = Backing::File(Arc::new(MappedFile::at(Path::new(path))));
        Arc::new(Mapping { start: Pc(0), end: Pc(1), file_offset: FileOffset(0), backing })
    }

    #[test]
    fn a_long_path_weighs_what_it_holds_and_is_counted_once_among_all_who_share_it() {
        let (short, long) = (mapping("/a"), mapping(&"/a".repeat(3000)));
        assert!(Mapping::share(&long) > Mapping::share(&short) + 5900);
        let holders: Vec<_> = (0..99).map(|_| Arc::clone(&long)).collect();
        let total: usize = holders.iter().chain([&long]).map(Mapping::share).sum();
        assert!((6000..7000).contains(&total), "{total}");
    }
}
