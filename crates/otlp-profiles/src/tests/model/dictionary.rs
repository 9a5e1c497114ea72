//! The seven tables of a request, each value in them once.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::profiles::v1development::{
    Function, KeyValueAndUnit, Line, Link, Location, Mapping, ProfilesDictionary, Stack,
};
use rustc_hash::FxBuildHasher;

/// Value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::tests) enum Value {
    /// Text, inline: readers differ in whether they follow references.
    Str(Box<str>),
    /// A number.
    Int(i64),
}

/// An attribute: a string's index and a value. Ours have no unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Attribute {
    key: i32,
    value: Value,
}

/// A location.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::tests) struct FrameLocation {
    /// Mapping, or 0 for code of no file.
    pub(in crate::tests) mapping: i32,
    /// Address in the mapping's terms.
    pub(in crate::tests) address: u64,
    /// Function and line of it, innermost first; none if the reader is to find them.
    pub(in crate::tests) lines: Vec<(i32, i64)>,
    /// The attribute `profile.frame.type`.
    pub(in crate::tests) frame_type: i32,
}

/// Gathers the tables. Index 0 of each is its zero value, as OTLP demands.
#[derive(Debug)]
pub(in crate::tests) struct Dictionary {
    strings: Table<String>,
    attributes: Table<Attribute>,
    functions: Table<Function>,
    mappings: Table<Mapping>,
    locations: Table<FrameLocation>,
    stacks: Table<Vec<i32>>,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            strings: Table::new(String::new()),
            // No attribute has the empty string as its key, so none can be taken for this one.
            attributes: Table::new(Attribute { key: 0, value: Value::Int(0) }),
            functions: Table::new(Function::default()),
            mappings: Table::new(Mapping::default()),
            locations: Table::new(FrameLocation::default()),
            stacks: Table::new(Vec::new()),
        }
    }
}

impl Dictionary {
    /// Index of a string; 0 for the empty one.
    pub(in crate::tests) fn string(&mut self, text: &str) -> i32 {
        self.strings.intern(text)
    }

    /// Index of an attribute.
    pub(in crate::tests) fn attribute(&mut self, key: &str, value: Value) -> i32 {
        let key = self.string(key);
        self.attributes.intern(&Attribute { key, value })
    }

    /// Index of an attribute with a text as its value.
    pub(in crate::tests) fn text_attribute(&mut self, key: &str, text: &str) -> i32 {
        self.attribute(key, Value::Str(text.into()))
    }

    /// The one line of a function of which no more than a name is known.
    pub(in crate::tests) fn named(&mut self, name: &str) -> Vec<(i32, i64)> {
        let name_strindex = self.string(name);
        vec![(self.functions.intern(&Function { name_strindex, ..Function::default() }), 0)]
    }

    /// Index of a function.
    pub(in crate::tests) fn function(&mut self, function: &pdata::Function) -> i32 {
        let name_strindex = self.string(&function.name);
        let system_name_strindex = self.string(function.system_name.as_deref().unwrap_or_default());
        let filename_strindex = self.string(function.file.as_deref().unwrap_or_default());
        let start_line = function.start_line.into();
        self.functions.intern(&Function {
            name_strindex,
            system_name_strindex,
            filename_strindex,
            start_line,
        })
    }

    /// Index of a mapping.
    pub(in crate::tests) fn mapping(&mut self, mapping: &Mapping) -> i32 {
        self.mappings.intern(mapping)
    }

    /// Index of a location.
    pub(in crate::tests) fn location(&mut self, place: FrameLocation) -> i32 {
        self.locations.intern(&place)
    }

    /// Index of a stack, whose locations come leaf first.
    pub(in crate::tests) fn stack(&mut self, locations: &[i32]) -> i32 {
        self.stacks.intern(locations)
    }

    /// Takes the mappings out, to be put back once their files' facts are known.
    pub(in crate::tests) fn take_mappings(&mut self) -> Vec<Mapping> {
        self.mappings.take()
    }

    /// Makes locations and stacks anew, each location as `settled` has it. Returns the new number of
    /// each stack.
    pub(in crate::tests) fn renumber(
        &mut self,
        mut settled: impl FnMut(FrameLocation, &mut Self) -> FrameLocation,
    ) -> Vec<i32> {
        let places = self.locations.take();
        let renumber = |place| {
            let place = settled(place, self);
            self.location(place)
        };
        let locations: Vec<i32> = places.into_iter().map(renumber).collect();
        let stacks = self.stacks.take();
        let renumber = |stack: Vec<i32>| {
            let stack: Vec<i32> = stack.iter().filter_map(|&at| get(&locations, at).copied()).collect();
            self.stack(&stack)
        };
        stacks.into_iter().map(renumber).collect()
    }

    /// The tables.
    pub(in crate::tests) fn finish(self) -> ProfilesDictionary {
        ProfilesDictionary {
            mapping_table: self.mappings.entries,
            location_table: self.locations.entries.into_iter().map(Location::from).collect(),
            function_table: self.functions.entries,
            link_table: vec![Link::default()],
            string_table: self.strings.entries,
            attribute_table: self.attributes.entries.into_iter().map(KeyValueAndUnit::from).collect(),
            stack_table: self
                .stacks
                .entries
                .into_iter()
                .map(|location_indices| Stack { location_indices })
                .collect(),
        }
    }
}

impl From<FrameLocation> for Location {
    fn from(place: FrameLocation) -> Self {
        let line = |(function_index, line)| Line { function_index, line, column: 0 };
        let lines = place.lines.into_iter().map(line).collect();
        let attribute_indices = match place.frame_type {
            0 => Vec::new(),
            frame_type => vec![frame_type],
        };
        Self { mapping_index: place.mapping, address: place.address, lines, attribute_indices }
    }
}

impl From<Attribute> for KeyValueAndUnit {
    fn from(attribute: Attribute) -> Self {
        if attribute.key == 0 {
            return Self::default();
        }
        let value = match attribute.value {
            Value::Str(text) => any_value::Value::StringValue(text.into()),
            Value::Int(number) => any_value::Value::IntValue(number),
        };
        Self { key_strindex: attribute.key, value: Some(AnyValue { value: Some(value) }), unit_strindex: 0 }
    }
}

/// Values numbered from 0 in the order they were first seen, each once.
#[derive(Debug)]
struct Table<T> {
    entries: Vec<T>,
    index: HashTable<i32>,
}

impl<T: Hash + Eq> Table<T> {
    fn new(zero: T) -> Self {
        let mut table = Self { entries: Vec::new(), index: HashTable::new() };
        table.push(FxBuildHasher.hash_one(&zero), zero);
        table
    }

    /// Takes the entries out and leaves the zero value.
    fn take(&mut self) -> Vec<T>
    where
        T: Default,
    {
        std::mem::replace(self, Self::new(T::default())).entries
    }

    fn intern<Q>(&mut self, value: &Q) -> i32
    where
        T: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = T> + ?Sized,
    {
        let hash = FxBuildHasher.hash_one(value);
        let found = self.index.find(hash, |&at| get(&self.entries, at).is_some_and(|e| e.borrow() == value));
        match found {
            Some(&at) => at,
            None => self.push(hash, value.to_owned()),
        }
    }

    fn push(&mut self, hash: u64, value: T) -> i32 {
        // A table of 2^31 entries would not fit in a request, nor in memory.
        let at = i32::try_from(self.entries.len()).unwrap_or(i32::MAX);
        self.entries.push(value);
        let entries = &self.entries;
        self.index
            .insert_unique(hash, at, |&at| get(entries, at).map_or(0, |entry| FxBuildHasher.hash_one(entry)));
        at
    }
}

fn get<T>(entries: &[T], at: i32) -> Option<&T> {
    entries.get(usize::try_from(at).ok()?)
}
