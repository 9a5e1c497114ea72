//! The images of one process, by exec count.

use std::sync::Arc;

use pdata::{Context, ExecCount, Image, KTime, UnixNanos};
use smallvec::SmallVec;

/// The most contexts in which an image is remembered to have been described: threads of one process may be in different
/// ones.
const MAX_CONTEXTS: usize = 4;

/// The image that a process runs, and those it ran before for as long as somebody may ask for them.
///
/// Images are ordered by exec count. Facts may come in any order: an image learnt late takes its place among the others
/// and replaces none that is newer.
#[derive(Debug, Default)]
pub(crate) struct Images {
    /// Images by exec count, mostly one, which lies in the process's own memory: each sample looks it up.
    by_count: SmallVec<[Held; 1]>,
}

#[derive(Debug)]
struct Held {
    count: ExecCount,
    /// The image without a context.
    image: Arc<Image>,
    /// The image in each context in which it was sampled lately, the last one first described last.
    described: SmallVec<[Arc<Image>; 1]>,
    /// Begin of the image, if an exec or a fork reported it; `None` for an image that was only seen running.
    since: Option<KTime>,
    /// Time at which a newer image replaced this one.
    until: Option<KTime>,
}

/// True if `a` comes after `b`; exec counts wrap.
fn newer(a: ExecCount, b: ExecCount) -> bool {
    a.0.wrapping_sub(b.0).cast_signed() > 0
}

impl Images {
    pub(crate) fn get(&self, count: ExecCount) -> Option<&Arc<Image>> {
        // From the end: nearly every sample is of the newest image.
        self.by_count.iter().rev().find(|held| held.count == count).map(|held| &held.image)
    }

    /// The image as it was described in that context; `None` if it was not.
    pub(crate) fn described(&self, count: ExecCount, context: &Context) -> Option<&Arc<Image>> {
        let held = self.by_count.iter().rev().find(|held| held.count == count)?;
        held.described.iter().find(|image| image.context.as_ref() == Some(context))
    }

    /// Remembers the description of an image in a context.
    pub(crate) fn describe(&mut self, count: ExecCount, image: Arc<Image>) {
        let Some(held) = self.by_count.iter_mut().rev().find(|held| held.count == count) else { return };
        if held.described.len() >= MAX_CONTEXTS {
            held.described.remove(0);
        }
        held.described.push(image);
    }

    /// The newest image, if any is known.
    pub(crate) fn newest(&self) -> Option<&Arc<Image>> {
        self.by_count.last().map(|held| &held.image)
    }

    /// True if no image of the process is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_count.is_empty()
    }

    /// True if an image is known that came after `count`.
    pub(crate) fn has_newer(&self, count: ExecCount) -> bool {
        self.by_count.last().is_some_and(|held| newer(held.count, count))
    }

    /// Adds an image that began at `since`: it replaces every older one from then on. Nothing happens if that was
    /// known.
    ///
    /// Returns the first instant at which an older image may be forgotten because of it.
    pub(crate) fn begin(&mut self, count: ExecCount, since: KTime, image: Arc<Image>) -> Option<KTime> {
        let place = self.place(count);
        match self.by_count.get_mut(place).filter(|held| held.count == count) {
            Some(held) if held.since.is_some() => return None,
            Some(held) => {
                (held.image, held.since) = (image, Some(since));
                held.described.clear();
            }
            None => self.insert(place, count, Some(since), image),
        }
        for older in self.by_count.iter_mut().take(place) {
            older.until = Some(older.until.map_or(since, |until| until.min(since)));
        }
        let own_end = self.by_count.get(place).and_then(|held| held.until);
        if place > 0 { Some(since) } else { own_end }
    }

    /// Adds an image that was seen running. Nothing happens if it is known.
    ///
    /// Returns the instant at which the image may be forgotten, if a newer one has replaced it already.
    pub(crate) fn see(&mut self, count: ExecCount, image: Arc<Image>) -> Option<KTime> {
        let place = self.place(count);
        if self.by_count.get(place).is_none_or(|held| held.count != count) {
            self.insert(place, count, None, image);
        }
        self.by_count.get(place).and_then(|held| held.until)
    }

    /// Replaces the description of an image.
    pub(crate) fn redescribe(&mut self, count: ExecCount, image: Arc<Image>) {
        if let Some(held) = self.by_count.iter_mut().rev().find(|held| held.count == count) {
            held.image = image;
            held.described.clear();
        }
    }

    /// Has each image described anew in contexts of which something else is known now.
    pub(crate) fn describe_anew(&mut self, is_changed: impl Fn(&Context) -> bool) {
        for held in &mut self.by_count {
            held.described.retain(|image| !image.context.as_ref().is_some_and(&is_changed));
        }
    }

    /// Describes each image anew, with `created` as the time at which its process was created.
    pub(crate) fn created_at(&mut self, created: UnixNanos) {
        for held in self.by_count.iter_mut().filter(|held| held.image.created != created) {
            held.image = Arc::new(Image { created, ..(*held.image).clone() });
            held.described.clear();
        }
    }

    /// Bytes that all images hold.
    pub(crate) fn footprint(&self) -> usize {
        self.by_count.iter().map(Held::footprint).sum()
    }

    /// Bytes that the newest image holds.
    pub(crate) fn newest_footprint(&self) -> usize {
        self.by_count.last().map_or(0, Held::footprint)
    }

    /// Forgets the images that were replaced at or before `acked`.
    pub(crate) fn forget(&mut self, acked: KTime) {
        self.by_count.retain(|held| held.until.is_none_or(|until| until > acked));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_count.len()
    }

    /// Index of the image with that count, or of its place.
    fn place(&self, count: ExecCount) -> usize {
        self.by_count.partition_point(|held| newer(count, held.count))
    }

    fn insert(&mut self, place: usize, count: ExecCount, since: Option<KTime>, image: Arc<Image>) {
        let until = self.by_count.iter().skip(place).find_map(|newer| newer.since);
        self.by_count.insert(place, Held { count, image, described: SmallVec::new(), since, until });
    }
}

impl Held {
    /// Bytes that the image holds. All its descriptions share its files, so those count once.
    fn footprint(&self) -> usize {
        self.image.footprint() + self.described.iter().map(Image::share).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use pdata::{Comm, ImageKey, ImageKind, ProcessKey, Uid};

    use super::*;

    fn image(count: u32, name: u8) -> Arc<Image> {
        let key = ImageKey { process: ProcessKey::default(), exec_count: ExecCount(count) };
        let kind = ImageKind::Kernel(Comm([name; 16]));
        Arc::new(Image::new(key, UnixNanos::default(), kind))
    }

    fn at(nanos: u64) -> KTime {
        KTime::from_nanos(nanos)
    }

    #[test]
    fn an_exec_replaces_older_images_from_its_instant_on() {
        let mut images = Images::default();
        assert_eq!(images.begin(ExecCount(1), at(10), image(1, 1)), None);
        assert_eq!(images.begin(ExecCount(2), at(20), image(2, 2)), Some(at(20)));
        images.forget(at(19));
        assert!(images.get(ExecCount(1)).is_some(), "still asked about by samples before the exec");
        images.forget(at(20));
        assert!(images.get(ExecCount(1)).is_none());
        assert!(images.get(ExecCount(2)).is_some());
    }

    #[test]
    fn a_late_exec_only_fills_in_the_older_image() {
        let mut images = Images::default();
        images.begin(ExecCount(3), at(30), image(3, 3));
        assert_eq!(images.begin(ExecCount(2), at(20), image(2, 2)), Some(at(30)));
        images.forget(at(29));
        assert_eq!(images.get(ExecCount(2)), Some(&image(2, 2)));
        images.forget(at(30));
        assert_eq!(images.get(ExecCount(2)), None);
        assert_eq!(images.get(ExecCount(3)), Some(&image(3, 3)));
    }

    #[test]
    fn an_image_only_seen_neither_replaces_nor_overrides() {
        let mut images = Images::default();
        images.begin(ExecCount(1), at(10), image(1, 1));
        assert_eq!(images.see(ExecCount(2), image(2, 2)), None);
        images.forget(at(1_000));
        assert!(images.get(ExecCount(1)).is_some(), "the exec to the second image is not complete");
        images.see(ExecCount(1), image(1, 9));
        assert_eq!(images.get(ExecCount(1)), Some(&image(1, 1)));
        assert_eq!(images.begin(ExecCount(2), at(20), image(2, 7)), Some(at(20)));
        assert_eq!(images.get(ExecCount(2)), Some(&image(2, 7)), "the exec knows better");
    }

    #[test]
    fn an_image_is_described_once_for_each_context_until_it_is_known_better() {
        let mut images = Images::default();
        let context = |user| Context { user: Some(Uid(user)), cgroup: None };
        images.begin(ExecCount(1), at(10), image(1, 1));
        for user in 0..10 {
            let described = Image { context: Some(context(user)), ..(*image(1, 1)).clone() };
            images.describe(ExecCount(1), Arc::new(described));
        }
        assert!(images.described(ExecCount(1), &context(9)).is_some());
        assert!(images.described(ExecCount(1), &context(1)).is_none(), "the oldest made room");
        images.redescribe(ExecCount(1), image(1, 2));
        assert!(images.described(ExecCount(1), &context(9)).is_none());
    }

    #[test]
    fn exec_counts_wrap() {
        let mut images = Images::default();
        images.begin(ExecCount(u32::MAX), at(10), image(u32::MAX, 1));
        images.begin(ExecCount(0), at(20), image(0, 2));
        assert!(images.has_newer(ExecCount(u32::MAX)) && !images.has_newer(ExecCount(0)));
        images.forget(at(20));
        assert_eq!(images.len(), 1);
        assert!(images.get(ExecCount(0)).is_some());
    }
}
