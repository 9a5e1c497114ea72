//! Resources of a window's profiles, made when the window closes and no more will be known: one for each image, or one
//! for a group of images.

use std::sync::Arc;

use ::windows::{Group, Grouping, Groups, Lives, Member};
use pdata::{ClockOffset, Image, ImageKey, Resource};
use rustc_hash::FxHashMap;

use crate::attributes;
use crate::content::{Content, Profile, Sample, at, count};
use crate::dictionary::{Dictionary, Value};
use crate::resource::{self, Unresolved};

/// The source of a profile's samples.
#[derive(Clone, Debug)]
pub(crate) struct ProfileSource {
    /// First and last timestamp of the profile.
    pub(crate) span: (u64, u64),
    /// The image that was sampled.
    pub(crate) who: ProfileOwner,
}

/// The image that the samples of a profile are of.
#[derive(Clone, Debug)]
pub(crate) enum ProfileOwner {
    /// An image by its latest description.
    Known(Arc<Image>),
    /// An image of which nothing is known.
    Unresolved(Box<Unresolved>),
}

impl ProfileOwner {
    fn key(&self) -> ImageKey {
        match self {
            Self::Known(image) => image.key,
            Self::Unresolved(image) => image.key,
        }
    }

    fn as_member(&self) -> Member<'_> {
        let (image, thread_name) = match self {
            Self::Known(image) => (Some(&**image), ""),
            Self::Unresolved(image) => (None, image.name.as_str()),
        };
        Member { key: self.key(), image, thread_name }
    }
}

/// The facts that decide which resource a profile gets.
#[derive(Debug)]
pub(crate) struct Identities<'a> {
    pub(crate) grouping: &'a Grouping,
    pub(crate) lives: &'a Lives,
    pub(crate) clock: ClockOffset,
    /// Attributes that every resource has beside those of its process.
    pub(crate) host: &'a Resource,
}

/// A profile of one image or of a group, the span of its timestamps, and the number of its group.
struct Joined {
    profile: Profile,
    span: (u64, u64),
    group: Option<usize>,
}

impl Identities<'_> {
    /// Writes each profile's resource, and joins profiles of one group. Returns the first and the last timestamp of
    /// each profile that is left.
    pub(crate) fn settle(&self, content: &mut Content, sources: &[ProfileSource]) -> Vec<(u64, u64)> {
        let mut groups = self.grouping.groups();
        let (joined, numbers) = self.join(&content.profiles, sources, &mut groups);
        let mut scratch = Vec::new();
        let mut write = |tables: &mut Dictionary, write: &mut dyn FnMut(&mut Vec<u8>)| {
            scratch.clear();
            write(&mut scratch);
            tables.blobs.intern(&scratch)
        };
        content.profiles.clear();
        for (joined, source) in &joined {
            let tables = &mut content.dictionary;
            let group = joined.group.and_then(|number| groups.all().get(number));
            let resource = write(tables, &mut |out| match (group, &source.who) {
                (Some(group), _) => resource::group(group, self.host, out),
                (None, ProfileOwner::Known(image)) => resource::known(image, self.host, out),
                (None, ProfileOwner::Unresolved(image)) => resource::unresolved(image, self.host, out),
            });
            let attributes = group.map_or(0, |group| attributes_of(group, tables));
            content.profiles.push(Profile { resource, attributes, ..joined.profile });
        }
        if self.grouping.is_on() {
            self.move_samples(content, &joined, &numbers);
        }
        joined.into_iter().map(|(joined, _)| joined.span).collect()
    }

    /// Joins the profiles of each group. Returns the joined profiles, each with the source of its first part, and for
    /// each old profile the number of the one that takes its samples.
    fn join<'s>(
        &self,
        profiles: &[Profile],
        sources: &'s [ProfileSource],
        groups: &mut Groups,
    ) -> (Vec<(Joined, &'s ProfileSource)>, Vec<u32>) {
        let mut joined: Vec<(Joined, &ProfileSource)> = Vec::with_capacity(profiles.len());
        let mut known = FxHashMap::default();
        let numbers = profiles.iter().zip(sources).map(|(&profile, source)| {
            let in_group = self.grouping.takes(source.who.key(), self.lives, self.clock);
            let group = in_group.then(|| groups.add(&source.who.as_member()));
            let next = joined.len();
            // One profile has one period, and measures one thing.
            let number =
                group.map(|group| *known.entry((group, profile.period, profile.valued)).or_insert(next));
            match number.and_then(|number| joined.get_mut(number)) {
                Some((first, _)) => {
                    let ((from, until), (first_from, last_until)) = (source.span, first.span);
                    first.span = (from.min(first_from), until.max(last_until));
                }
                None => joined.push((Joined { profile, span: source.span, group }, source)),
            }
            count(number.unwrap_or(next))
        });
        let numbers = numbers.collect();
        (joined, numbers)
    }

    fn move_samples(&self, content: &mut Content, joined: &[(Joined, &ProfileSource)], numbers: &[u32]) {
        let keeps_threads = self.grouping.keeps_threads();
        let thread = content.dictionary.string(attributes::THREAD_ID);
        content.change_samples(|sample, tables| {
            let profile = at(numbers, sample.profile).copied().unwrap_or_default();
            let in_group = at(joined, profile).is_some_and(|(joined, _)| joined.group.is_some());
            let attributes = match in_group && !keeps_threads {
                true => without(thread, sample.attributes, tables),
                false => sample.attributes,
            };
            Sample { profile, attributes, ..sample }
        });
    }
}

/// The list of attributes that the profile of a group has beside those of its window.
fn attributes_of(group: &Group, tables: &mut Dictionary) -> i32 {
    let processes = i64::try_from(group.processes()).unwrap_or(i64::MAX);
    let processes = tables.attribute(attributes::GROUP_PROCESSES, Value::Int(processes));
    tables.lists.intern(&[processes])
}

/// Index of the list without the attribute of a key.
fn without(key: i32, list: i32, tables: &mut Dictionary) -> i32 {
    let is_other =
        |&&number: &&i32| tables.attributes.get(number).is_none_or(|attribute| attribute.key != key);
    let others: Vec<i32> = tables.lists.get(list).iter().filter(is_other).copied().collect();
    tables.lists.intern(&others)
}
