//! Functions, mappings and locations that samples use.

use std::collections::HashMap;

use super::proto;
use super::strings::Strings;
use crate::model::{Function, Location, Mapping, Tables, UNKNOWN};
use crate::table::Id;

/// Locations, functions and mappings, numbered from 1 in the order in which samples use them.
#[derive(Debug)]
pub(super) struct Symbols<'a> {
    tables: &'a Tables,
    known_mappings: HashMap<Id<Mapping>, u64>,
    known_locations: HashMap<Id<Location>, u64>,
    known_functions: HashMap<Id<Function>, u64>,
    /// Functions that stand for code without a symbol, by name.
    stand_ins: HashMap<&'a str, u64>,
    mappings: Vec<proto::Mapping>,
    locations: Vec<proto::Location>,
    functions: Vec<proto::Function>,
}

impl<'a> Symbols<'a> {
    pub(super) fn new(tables: &'a Tables) -> Self {
        Self {
            tables,
            known_mappings: HashMap::new(),
            known_locations: HashMap::new(),
            known_functions: HashMap::new(),
            stand_ins: HashMap::new(),
            mappings: Vec::new(),
            locations: Vec::new(),
            functions: Vec::new(),
        }
    }

    /// Puts the mapping of this file first: pprof takes the first mapping for the program.
    pub(super) fn main_binary(&mut self, path: Id<str>, strings: &mut Strings) {
        let mut named = self.tables.mappings.iter().filter(|(_, mapping)| mapping.name == path);
        if let Some((id, _)) = named.next() {
            self.mapping(id, strings);
        }
    }

    /// ID of a location, which is added if it is new.
    pub(super) fn location(&mut self, id: Id<Location>, location: &Location, strings: &mut Strings) -> u64 {
        if let Some(&known) = self.known_locations.get(&id) {
            return known;
        }
        let mapping_id = location.mapping.map_or(0, |mapping| self.mapping(mapping, strings));
        let line = self.lines(location, mapping_id, strings);
        self.note(mapping_id, &line);
        let number = self.locations.len() as u64 + 1;
        self.known_locations.insert(id, number);
        self.locations.push(proto::Location { id: number, mapping_id, address: location.address, line });
        number
    }

    /// The lines of a location; a stand-in for a location that has neither a line nor a file.
    fn lines(&mut self, location: &Location, mapping_id: u64, strings: &mut Strings) -> Vec<proto::Line> {
        let mut lines = Vec::new();
        for line in self.tables.lines(location) {
            let function_id = self.function(line.function, strings);
            if function_id > 0 {
                lines.push(proto::Line { function_id, line: line.line.into(), column: line.column.into() });
            }
        }
        if lines.is_empty() && mapping_id == 0 {
            let name = self.tables.mapping(location).map(|mapping| self.tables.text(mapping.name));
            let function_id = self.stand_in(name.filter(|name| !name.is_empty()).unwrap_or(UNKNOWN), strings);
            lines.push(proto::Line { function_id, line: 0, column: 0 });
        }
        lines
    }

    /// Updates a mapping's flags, which are set if all its locations have functions, file names and lines.
    fn note(&mut self, mapping_id: u64, lines: &[proto::Line]) {
        let number = mapping_id.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        let Some(mapping) = number.and_then(|at| self.mappings.get_mut(at)) else { return };
        let function = |line: &proto::Line| {
            let at = usize::try_from(line.function_id.saturating_sub(1)).unwrap_or(usize::MAX);
            self.functions.get(at)
        };
        mapping.has_functions &= !lines.is_empty();
        mapping.has_filenames &= lines.iter().any(|line| function(line).is_some_and(|f| f.filename > 0));
        mapping.has_line_numbers &= lines.iter().any(|line| line.line > 0);
        // One location with inlined functions is enough to say that inlining has been looked at.
        mapping.has_inline_frames |= lines.len() > 1;
    }

    /// ID of the mapping of a file; 0 for memory that only has a name.
    fn mapping(&mut self, id: Id<Mapping>, strings: &mut Strings) -> u64 {
        if let Some(&known) = self.known_mappings.get(&id) {
            return known;
        }
        let Some(mapping) = self.tables.mappings.get(id).filter(|mapping| mapping.is_file) else { return 0 };
        let number = self.mappings.len() as u64 + 1;
        self.known_mappings.insert(id, number);
        self.mappings.push(proto::Mapping {
            id: number,
            memory_start: mapping.start,
            memory_limit: mapping.limit,
            file_offset: mapping.file_offset,
            filename: strings.index(self.tables.text(mapping.name)),
            build_id: strings.index(self.tables.text_or_empty(mapping.build_id)),
            has_functions: true,
            has_filenames: true,
            has_line_numbers: true,
            has_inline_frames: false,
        });
        number
    }

    /// ID of a function; 0 for one that is not in the table.
    fn function(&mut self, id: Id<Function>, strings: &mut Strings) -> u64 {
        if let Some(&known) = self.known_functions.get(&id) {
            return known;
        }
        let Some(function) = self.tables.functions.get(id) else { return 0 };
        let number = self.functions.len() as u64 + 1;
        self.known_functions.insert(id, number);
        self.functions.push(proto::Function {
            id: number,
            name: strings.index(self.tables.text(function.name)),
            system_name: strings.index(self.tables.text_or_empty(function.system_name)),
            filename: strings.index(self.tables.text_or_empty(function.file)),
            start_line: function.start_line.into(),
        });
        number
    }

    fn stand_in(&mut self, name: &'a str, strings: &mut Strings) -> u64 {
        if let Some(&known) = self.stand_ins.get(name) {
            return known;
        }
        let id = self.functions.len() as u64 + 1;
        self.stand_ins.insert(name, id);
        self.functions.push(proto::Function { id, name: strings.index(name), ..proto::Function::default() });
        id
    }

    pub(super) fn finish(self) -> (Vec<proto::Mapping>, Vec<proto::Location>, Vec<proto::Function>) {
        (self.mappings, self.locations, self.functions)
    }
}
