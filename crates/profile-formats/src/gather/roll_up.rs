//! Roll-up of a profile's images: those of a group become one process of the profile.

use std::collections::HashMap;
use std::sync::Arc;

use otlp_profiles::attributes::GROUP_PROCESSES;
use pdata::{ClockOffset, FileState, Image, ImageKey, ProcessEvent, Sample, names};
use windows::{Group, Grouping, Groups, Lives, Member};

use super::rekey::rekey;
use super::tasks::{attribute_value, reference};
use crate::model::{Attribute, Process, ProcessIdentity, Profile, SampleKey, Texts, Thread, Value};
use crate::table::{Id, Table};

/// The images of a profile that may be put together, by the numbers of their processes.
#[derive(Debug, Default)]
pub(super) struct RollUp {
    grouping: Grouping,
    lives: Lives,
    members: HashMap<usize, RollUpMember>,
}

/// An image by its latest description.
#[derive(Debug)]
struct RollUpMember {
    key: ImageKey,
    image: Option<Arc<Image>>,
    thread_name: Box<str>,
}

impl RollUpMember {
    fn of(sample: &Sample) -> Self {
        let thread_name = if sample.image.is_none() { sample.thread_name().into() } else { Box::default() };
        Self { key: sample.key, image: sample.image.clone(), thread_name }
    }

    fn is_of(&self, sample: &Sample) -> bool {
        match (&self.image, &sample.image) {
            (Some(known), Some(image)) => Arc::ptr_eq(known, image),
            (known, image) => known.is_none() == image.is_none(),
        }
    }

    fn as_member(&self) -> Member<'_> {
        Member { key: self.key, image: self.image.as_deref(), thread_name: &self.thread_name }
    }
}

impl RollUp {
    /// A roll-up by `grouping`.
    pub(super) fn by(grouping: Grouping) -> Self {
        Self { grouping, ..Self::default() }
    }

    /// Notes the image of a sample, whose process has that number in the profile.
    pub(super) fn sample(&mut self, sample: &Sample, process: Option<Id<Process>>) {
        let Some(process) = process.filter(|_| self.grouping.is_on()) else { return };
        let of_process = self.members.entry(process.index());
        let member = of_process.or_insert_with(|| RollUpMember::of(sample));
        if !member.is_of(sample) {
            *member = RollUpMember::of(sample);
        }
    }

    /// Notes the end of a process.
    pub(super) fn process(&mut self, event: &ProcessEvent) {
        if self.grouping.needs_lives() {
            self.lives.process(event);
        }
    }

    /// Puts together what the grouping takes. Amounts and instants of samples stay as they are.
    pub(super) fn finish(self, profile: &mut Profile, clock: ClockOffset) {
        if !self.grouping.is_on() {
            return;
        }
        let mut groups = self.grouping.groups();
        let of_process = |(id, _): (Id<Process>, &Process)| {
            let member = self.members.get(&id.index())?;
            let is_taken = self.grouping.takes(member.key, &self.lives, clock);
            is_taken.then(|| (groups.add(&member.as_member()), member.key))
        };
        let numbers: Vec<Option<(usize, ImageKey)>> =
            profile.tables.processes.iter().map(of_process).collect();
        let keeps_threads = self.grouping.keeps_threads();
        let renumbered = merge_processes(profile, &groups, &numbers, keeps_threads);
        let is_group = |id: Id<Process>| numbers.get(id.index()).is_some_and(Option::is_some);
        move_threads(profile, &renumbered, |id| is_group(id) && !keeps_threads);
    }
}

/// Puts the process of its group in the place of each process that has the number of one. Returns the new number of
/// each old process.
fn merge_processes(
    profile: &mut Profile,
    groups: &Groups,
    numbers: &[Option<(usize, ImageKey)>],
    are_of_one_process: bool,
) -> Vec<Id<Process>> {
    let tables = &mut profile.tables;
    let old = std::mem::take(&mut tables.processes);
    let mut of_groups: HashMap<usize, Id<Process>> = HashMap::new();
    let mut renumbered = Vec::with_capacity(old.len());
    for ((identity, process), number) in old.identities().zip(numbers) {
        let group = number.and_then(|(number, key)| Some((number, groups.all().get(number)?, key)));
        renumbered.push(match group {
            None => tables.processes.intern(identity.clone(), || process.clone()),
            Some((number, group, key)) => *of_groups.entry(number).or_insert_with(|| {
                let facts = GroupFacts::of(group, &mut tables.texts);
                let key = are_of_one_process.then_some(key);
                let identity = facts.identity(key);
                tables.processes.intern(identity, || facts.process(group, key, process, &mut tables.texts))
            }),
        });
    }
    renumbered
}

/// Gives threads and markers the new numbers of their processes; threads that `lose_their_number` become those of
/// their name.
fn move_threads(
    profile: &mut Profile,
    processes: &[Id<Process>],
    lose_their_number: impl Fn(Id<Process>) -> bool,
) {
    let new =
        |process: Option<Id<Process>>| process.map(|id| processes.get(id.index()).copied().unwrap_or(id));
    let old = std::mem::take(&mut profile.tables.threads);
    let mut threads = Table::default();
    let numbers: Vec<Id<Thread>> = old
        .iter()
        .map(|(_, thread)| {
            let tid = thread.tid.filter(|_| !thread.process.is_some_and(&lose_their_number));
            threads.intern(Thread { process: new(thread.process), tid, ..*thread })
        })
        .collect();
    profile.tables.threads = threads;
    for marker in &mut profile.markers {
        marker.process = new(marker.process);
    }
    rekey(profile, |key| {
        let thread = key.thread.and_then(|thread| numbers.get(thread.index()).copied());
        SampleKey { thread, ..key }
    });
}

/// The facts that the members of a group have in common, in a profile's texts.
struct GroupFacts {
    /// All of them, each name once.
    all: Vec<Attribute>,
    /// Those that a process has no field for.
    others: Vec<Attribute>,
    name: Option<Id<str>>,
    path: Option<Id<str>>,
    own_path: Option<Id<str>>,
    file: FileState,
    is_unresolved: bool,
}

impl GroupFacts {
    fn of(group: &Group, texts: &mut Texts) -> Self {
        let mut facts = Self {
            all: Vec::new(),
            others: Vec::new(),
            name: None,
            path: None,
            own_path: None,
            file: FileState::Linked,
            is_unresolved: false,
        };
        for fact in group.facts() {
            let key = texts.intern(&fact.key);
            // A name may be there twice; the first counts.
            if facts.all.iter().any(|known| known.key == key) {
                continue;
            }
            let attribute = Attribute { key, value: attribute_value(&fact.value, texts), unit: None };
            facts.all.push(attribute);
            match (&*fact.key, attribute.value) {
                (names::EXECUTABLE_NAME, Value::Text(name)) => facts.name = Some(name),
                (names::EXECUTABLE_PATH, Value::Text(path)) => facts.path = Some(path),
                (names::EXECUTABLE_OWN_PATH, Value::Text(path)) => facts.own_path = Some(path),
                (names::EXECUTABLE_STATE, Value::Text(state)) => {
                    let states = [FileState::Deleted, FileState::Memfd];
                    let is_it = |known: &FileState| known.as_str() == Some(texts.get(state));
                    facts.file = states.into_iter().find(is_it).unwrap_or_default();
                }
                (names::UNRESOLVED, Value::Bool(truth)) => facts.is_unresolved = truth,
                // The service of the group, and the process of all members, have fields of their own.
                (names::SERVICE_NAME | names::PID | names::CREATION_TIME, _) => {}
                _ => facts.others.push(attribute),
            }
        }
        facts
    }

    /// The key of the group's process: `image` is one of the process that all members are of, if there is such a one.
    fn identity(&self, image: Option<ImageKey>) -> ProcessIdentity {
        let process = image.map(|key| reference(key.process));
        let facts = self.all.clone().into();
        ProcessIdentity { process, exec_count: 0, resolved: !self.is_unresolved, facts }
    }

    /// The group's process; `member` is the process of one of its members.
    fn process(
        &self,
        group: &Group,
        image: Option<ImageKey>,
        member: &Process,
        texts: &mut Texts,
    ) -> Process {
        let count = Value::Int(i64::try_from(group.processes()).unwrap_or(i64::MAX));
        let count = Attribute { key: texts.intern(GROUP_PROCESSES), value: count, unit: None };
        Process {
            process: image.map(|key| reference(key.process)),
            created: image.and(member.created),
            parent: image.and(member.parent),
            gone: image.and(member.gone),
            name: self.name,
            service: Some(texts.intern(group.service())),
            path: self.path,
            own_path: self.own_path,
            file: self.file,
            unresolved: self.is_unresolved,
            group: group.labels().iter().map(|label| texts.intern(label)).collect(),
            attributes: self.others.iter().copied().chain([count]).collect(),
            ..Process::default()
        }
    }
}

#[cfg(test)]
mod tests;
