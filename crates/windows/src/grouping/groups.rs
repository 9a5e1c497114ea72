//! The groups of a window.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use pdata::{Attribute, ProcessKey};

use super::group_by::GroupBy;
use super::member::Member;
use super::part::{self, Part};

/// The service of a group whose members are of several services and have no fact in common that has a name.
const SEVERAL: &str = "(several)";

/// The groups that members have been put in.
#[derive(Debug)]
pub struct Groups {
    by: Arc<[GroupBy]>,
    /// The number of each group by its parts. The hash is seeded, since users choose paths and names.
    numbers: HashMap<Box<[Part]>, usize>,
    groups: Vec<Group>,
}

/// Members that are alike.
#[derive(Debug)]
pub struct Group {
    facts: Vec<Attribute>,
    /// The facts for people, one for each key of the grouping.
    labels: Vec<String>,
    /// The service of all members; `None` once two differ.
    service: Option<String>,
    /// The name shown in place of the service once the members' services differ.
    name: String,
    processes: HashSet<ProcessKey>,
}

impl Groups {
    pub(super) fn new(by: Arc<[GroupBy]>) -> Self {
        Self { by, numbers: HashMap::new(), groups: Vec::new() }
    }

    /// Puts a member in its group. Returns the number of the group, counted from 0 in the order in which groups were
    /// first met.
    pub fn add(&mut self, member: &Member<'_>) -> usize {
        let key = self.by.iter().map(|by| Part::of(by, member)).collect();
        let next = self.groups.len();
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.groups.push(Group::new(&self.by, member));
        }
        if let Some(group) = self.groups.get_mut(number) {
            group.take(&self.by, member);
        }
        number
    }

    /// The groups, by number.
    #[must_use]
    pub fn all(&self) -> &[Group] {
        &self.groups
    }
}

impl Group {
    fn new(by: &[GroupBy], member: &Member<'_>) -> Self {
        let mut facts = Vec::new();
        by.iter().for_each(|by| part::facts(by, member, &mut facts));
        let labels: Vec<_> = by.iter().map(|by| part::label(by, member)).collect();
        let service = Some(part::service(member).into_owned());
        let name = by.iter().find_map(|by| part::name(by, member));
        let name = name.unwrap_or_else(|| SEVERAL.to_owned());
        Self { facts, labels, service, name, processes: HashSet::new() }
    }

    fn take(&mut self, by: &[GroupBy], member: &Member<'_>) {
        self.processes.insert(member.key.process);
        for (by, shown) in by.iter().zip(&mut self.labels) {
            if part::details(by, member, &mut self.facts) {
                *shown = part::label(by, member);
            }
        }
        if self.service.as_deref().is_some_and(|service| service != part::service(member)) {
            self.service = None;
        }
    }

    /// The facts that the members have in common, as far as they are known, in the order of the grouping's keys. A name
    /// may be there twice; the first counts.
    #[must_use]
    pub fn facts(&self) -> &[Attribute] {
        &self.facts
    }

    /// Returns the group's facts in order, for people to read. A fact that is not known is `-`.
    #[must_use]
    pub fn label(&self) -> String {
        self.labels.join("  ")
    }

    /// Returns the parts of [`Self::label`], one for each key of the grouping.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The service of all members; if there are several services, the name of a fact that the members have in common,
    /// without numbers.
    #[must_use]
    pub fn service(&self) -> &str {
        self.service.as_deref().unwrap_or(&self.name)
    }

    /// The number of processes that the members are of.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.processes.len()
    }
}
