//! The state of a check: the tables, the entries that were used, and the violations.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::at::At;
use super::rule::{Rule, Violation};
use crate::otlp::wire::{Attribute, Dictionary};

/// A table of the dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Mapping,
    Location,
    Function,
    Link,
    String,
    Attribute,
    Stack,
}

impl Table {
    pub(super) const ALL: [Self; 7] = [
        Self::Mapping,
        Self::Location,
        Self::Function,
        Self::Link,
        Self::String,
        Self::Attribute,
        Self::Stack,
    ];

    /// The table's place in the request.
    pub(super) const fn at(self) -> At<'static> {
        const DICTIONARY: At<'static> = At::root("dictionary");
        DICTIONARY.key(match self {
            Self::Mapping => "mappingTable",
            Self::Location => "locationTable",
            Self::Function => "functionTable",
            Self::Link => "linkTable",
            Self::String => "stringTable",
            Self::Attribute => "attributeTable",
            Self::Stack => "stackTable",
        })
    }

    pub(super) fn len(self, dictionary: &Dictionary) -> usize {
        match self {
            Self::Mapping => dictionary.mapping_table.len(),
            Self::Location => dictionary.location_table.len(),
            Self::Function => dictionary.function_table.len(),
            Self::Link => dictionary.link_table.len(),
            Self::String => dictionary.string_table.len(),
            Self::Attribute => dictionary.attribute_table.len(),
            Self::Stack => dictionary.stack_table.len(),
        }
    }
}

/// The check of one request.
#[derive(Debug)]
pub(super) struct Check<'a> {
    pub(super) dictionary: &'a Dictionary,
    pub(super) violations: Vec<Violation>,
    used: BTreeSet<(Table, usize)>,
}

impl<'a> Check<'a> {
    pub(super) fn new(dictionary: &'a Dictionary) -> Self {
        Self { dictionary, violations: Vec::new(), used: BTreeSet::new() }
    }

    /// Notes a broken rule.
    pub(super) fn broken(&mut self, at: &At<'_>, rule: Rule, found: impl Display) {
        self.violations.push(Violation { at: at.to_string(), rule, found: found.to_string() });
    }

    /// Notes a broken rule unless `kept`.
    pub(super) fn expect(&mut self, kept: bool, at: &At<'_>, rule: Rule, found: impl Display) {
        if !kept {
            self.broken(at, rule, found);
        }
    }

    /// The position of `index` in `table`, whose entry counts as used; `None` if the index is outside of the table.
    pub(super) fn follow(&mut self, table: Table, index: i32, at: &At<'_>) -> Option<usize> {
        let len = table.len(self.dictionary);
        let found = usize::try_from(index).ok().filter(|&index| index < len);
        match found {
            Some(index) => _ = self.used.insert((table, index)),
            None => self.broken(at, Rule::IndexInRange, format_args!("{index} of {len} entries")),
        }
        found
    }

    /// The string at `index`; empty if the index is outside of the table.
    pub(super) fn string(&mut self, index: i32, at: &At<'_>) -> &'a str {
        let found = self.follow(Table::String, index, at);
        found.and_then(|index| self.dictionary.string_table.get(index)).map_or("", String::as_str)
    }

    /// The attributes at `indices`, by key: each key at most once.
    pub(super) fn attributes(&mut self, indices: &[i32], at: &At<'_>) -> Vec<(&'a str, &'a Attribute)> {
        let mut found: Vec<(&str, &Attribute)> = Vec::new();
        for (n, &index) in indices.iter().enumerate() {
            let at = &at.key("attributeIndices").item(n);
            let Some(index) = self.follow(Table::Attribute, index, at) else { continue };
            let Some(attribute) = self.dictionary.attribute_table.get(index) else { continue };
            self.expect(index != 0, at, Rule::AttributeComplete, "the sentinel");
            // A missing key is reported at the attribute itself.
            let key = usize::try_from(attribute.key_strindex).ok();
            let key = key.and_then(|key| self.dictionary.string_table.get(key)).map_or("", String::as_str);
            self.expect(found.iter().all(|&(seen, _)| seen != key), at, Rule::UniqueKey, key);
            found.push((key, attribute));
        }
        found
    }

    /// Notes every entry, apart from sentinels, that no other uses.
    pub(super) fn orphans(&mut self) {
        for table in Table::ALL {
            for index in 1..table.len(self.dictionary) {
                let used = self.used.contains(&(table, index));
                self.expect(used, &table.at().item(index), Rule::NoOrphan, "used by nothing");
            }
        }
    }
}
