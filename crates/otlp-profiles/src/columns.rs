//! The dictionary of a part: the entries of the whole dictionary that the part uses, and their numbers in the part.
//!
//! Entries are numbered in order of their first use in the part, so an entry's number is final from its first use on,
//! and with it the size of every field that refers to the entry. That makes the part's size exact at every step.

use crate::dictionary::{Dictionary, Line};
use crate::table::{entry, number, recycle};
use crate::wire::{bytes_field, index_field, index_len, list_field, uint_field};

/// The entries of one table that a part uses.
#[derive(Debug, Default)]
pub(crate) struct Column {
    /// Number in the part, by the number in the whole dictionary; 0 for an entry that the part does not use.
    new: Vec<i32>,
    /// Old number and size of each entry but the first, which is the zero value.
    used: Vec<(i32, usize)>,
    /// Bytes of all entries, as fields of the dictionary.
    bytes: usize,
}

/// Bytes of a table's first entry: a field without contents.
const ZERO_ENTRY: usize = 2;

impl Column {
    /// New number of an entry; 0 for the zero value and for an entry that the part does not use.
    pub(crate) fn number(&self, old: i32) -> i32 {
        entry(&self.new, old).copied().unwrap_or_default()
    }

    /// Old number and size of each entry but the first.
    pub(crate) fn used(&self) -> &[(i32, usize)] {
        &self.used
    }

    /// The entry's new number, if the part uses the entry already.
    fn known(&self, old: i32) -> Option<i32> {
        match self.number(old) {
            0 if old != 0 => None,
            new => Some(new),
        }
    }

    /// Takes an entry of `len` bytes into the part, and returns its new number.
    fn take(&mut self, old: i32, len: usize) -> i32 {
        self.used.push((old, len));
        let new = number(self.used.len());
        self.bytes += bytes_field(len);
        let Ok(old) = usize::try_from(old) else { return 0 };
        if self.new.len() <= old {
            self.new.resize(old + 1, 0);
        }
        if let Some(slot) = self.new.get_mut(old) {
            *slot = new;
        }
        new
    }

    /// Leaves only the first `len` entries that were taken in.
    fn truncate(&mut self, len: usize) {
        for (old, size) in self.used.drain(len..) {
            self.bytes -= bytes_field(size);
            if let Some(slot) = usize::try_from(old).ok().and_then(|old| self.new.get_mut(old)) {
                *slot = 0;
            }
        }
    }
}

/// The entries that a part uses, by table.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) mappings: Column,
    pub(crate) locations: Column,
    pub(crate) functions: Column,
    pub(crate) links: Column,
    pub(crate) strings: Column,
    pub(crate) attributes: Column,
    pub(crate) stacks: Column,
}

impl Columns {
    /// Forgets every entry.
    pub(crate) fn clear(&mut self) {
        for column in self.all_mut() {
            recycle(&mut column.new);
            recycle(&mut column.used);
            column.bytes = 0;
        }
    }

    /// Number of used entries of each table.
    pub(crate) fn lens(&self) -> [usize; 7] {
        self.all().map(|column| column.used.len())
    }

    /// Leaves only the first so many entries of each table.
    pub(crate) fn truncate(&mut self, lens: &[usize; 7]) {
        for (column, &len) in self.all_mut().into_iter().zip(lens) {
            column.truncate(len);
        }
    }

    fn all(&self) -> [&Column; 7] {
        let Self { mappings, locations, functions, links, strings, attributes, stacks } = self;
        [mappings, locations, functions, links, strings, attributes, stacks]
    }

    fn all_mut(&mut self) -> [&mut Column; 7] {
        let Self { mappings, locations, functions, links, strings, attributes, stacks } = self;
        [mappings, locations, functions, links, strings, attributes, stacks]
    }

    /// Bytes of the part's dictionary.
    pub(crate) fn bytes(&self) -> usize {
        self.all().iter().map(|column| ZERO_ENTRY + column.bytes).sum()
    }

    /// Takes a string into the part, and returns its new number.
    pub(crate) fn string(&mut self, old: i32, tables: &Dictionary) -> i32 {
        match self.strings.known(old) {
            Some(new) => new,
            None => self.strings.take(old, tables.strings.get(old).len()),
        }
    }

    /// Takes the attributes of a list into the part. Returns the bytes that their new numbers take.
    pub(crate) fn list(&mut self, list: i32, tables: &Dictionary) -> usize {
        tables.lists.get(list).iter().map(|&old| index_len(self.attribute(old, tables))).sum()
    }

    fn attribute(&mut self, old: i32, tables: &Dictionary) -> i32 {
        if let Some(new) = self.attributes.known(old) {
            return new;
        }
        let attribute = tables.attributes.get(old).unwrap_or_default();
        let key = index_field(self.string(attribute.key, tables));
        let value = bytes_field(tables.blobs.get(attribute.value).len());
        let unit = index_field(self.string(attribute.unit, tables));
        self.attributes.take(old, key + value + unit)
    }

    fn function(&mut self, old: i32, tables: &Dictionary) -> i32 {
        if let Some(new) = self.functions.known(old) {
            return new;
        }
        let function = tables.functions.get(old).unwrap_or_default();
        let names = [function.name, function.system_name, function.filename];
        let names: usize = names.into_iter().map(|name| index_field(self.string(name, tables))).sum();
        self.functions.take(old, names + uint_field(function.start_line.cast_unsigned()))
    }

    /// Takes the function of a line into the part. Returns the bytes that the line takes.
    fn line(&mut self, line: &Line, tables: &Dictionary) -> usize {
        let numbers = [line.line, line.column].map(|number| uint_field(number.cast_unsigned()));
        index_field(self.function(line.function, tables)) + numbers.iter().sum::<usize>()
    }

    fn mapping(&mut self, old: i32, tables: &Dictionary) -> i32 {
        if let Some(new) = self.mappings.known(old) {
            return new;
        }
        let mapping = tables.mappings.get(old).unwrap_or_default();
        let bounds = uint_field(mapping.start) + uint_field(mapping.limit) + uint_field(mapping.offset);
        let filename = index_field(self.string(mapping.filename, tables));
        let attributes = list_field(self.list(mapping.attributes, tables));
        self.mappings.take(old, bounds + filename + attributes)
    }

    fn location(&mut self, old: i32, tables: &Dictionary) -> i32 {
        if let Some(new) = self.locations.known(old) {
            return new;
        }
        let place = tables.locations.get(old).unwrap_or_default();
        let mapping = index_field(self.mapping(place.mapping, tables));
        let lines = tables.lines.get(place.lines).iter();
        let lines: usize = lines.map(|line| bytes_field(self.line(line, tables))).sum();
        let frame_type = match place.frame_type {
            0 => 0,
            attribute => list_field(index_len(self.attribute(attribute, tables))),
        };
        self.locations.take(old, mapping + uint_field(place.address) + lines + frame_type)
    }

    /// Takes a stack into the part, and returns its new number.
    pub(crate) fn stack(&mut self, old: i32, tables: &Dictionary) -> i32 {
        if let Some(new) = self.stacks.known(old) {
            return new;
        }
        let places = tables.stacks.get(old).iter();
        let len = places.map(|&old| index_len(self.location(old, tables))).sum();
        self.stacks.take(old, list_field(len))
    }

    /// Takes a link into the part, and returns its new number.
    pub(crate) fn link(&mut self, old: i32, tables: &Dictionary) -> i32 {
        if let Some(new) = self.links.known(old) {
            return new;
        }
        let link = tables.links.get(old).unwrap_or_default();
        let len = |id| list_field(tables.blobs.get(id).len());
        self.links.take(old, len(link.trace) + len(link.span))
    }
}
