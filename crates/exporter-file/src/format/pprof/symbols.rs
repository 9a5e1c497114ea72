//! Strings, functions, mappings and locations, as far as samples use them.

use std::collections::HashMap;

use opentelemetry_proto::tonic::profiles::v1development as otlp;
use otlp_profiles::attributes::{BUILD_ID_GNU, BUILD_ID_HTLHASH};

use super::proto;
use crate::format::resolve::Lookup;

/// The string table; the first string is empty.
#[derive(Debug, Default)]
pub(super) struct Strings {
    indices: HashMap<String, i64>,
    table: Vec<String>,
}

impl Strings {
    pub(super) fn index(&mut self, text: &str) -> i64 {
        if text.is_empty() {
            return 0;
        }
        if let Some(&index) = self.indices.get(text) {
            return index;
        }
        self.table.push(text.to_owned());
        let index = i64::try_from(self.table.len()).unwrap_or_default();
        self.indices.insert(text.to_owned(), index);
        index
    }

    pub(super) fn finish(self) -> Vec<String> {
        std::iter::once(String::new()).chain(self.table).collect()
    }
}

/// Locations, functions and mappings, numbered from 1 in the order in which they are met.
#[derive(Debug)]
pub(super) struct Symbols<'a> {
    lookup: Lookup<'a>,
    /// Numbers by the request's indices.
    known: [HashMap<i32, u64>; 3],
    mappings: Vec<proto::Mapping>,
    locations: Vec<proto::Location>,
    functions: Vec<proto::Function>,
}

const MAPPINGS: usize = 0;
const LOCATIONS: usize = 1;
const FUNCTIONS: usize = 2;

impl<'a> Symbols<'a> {
    pub(super) fn new(lookup: Lookup<'a>) -> Self {
        Self {
            lookup,
            known: Default::default(),
            mappings: Vec::new(),
            locations: Vec::new(),
            functions: Vec::new(),
        }
    }

    /// Puts the mapping of this file first, which pprof takes for the program.
    pub(super) fn main_binary(&mut self, path: &str, strings: &mut Strings) {
        let table = self.lookup.0.mapping_table.iter().zip(0_i32..).skip(1);
        let mut named = table.filter(|(mapping, _)| self.lookup.string(mapping.filename_strindex) == path);
        if let Some((_, index)) = named.next() {
            self.mapping(index, strings);
        }
    }

    /// ID of a location.
    pub(super) fn location(&mut self, index: i32, location: &otlp::Location, strings: &mut Strings) -> u64 {
        if let Some(&id) = self.known[LOCATIONS].get(&index) {
            return id;
        }
        let mapping_id = self.mapping(location.mapping_index, strings);
        let mut lines = Vec::new();
        for line in &location.lines {
            let function_id = self.function(line.function_index, strings);
            if function_id > 0 {
                lines.push(proto::Line { function_id, line: line.line, column: line.column });
            }
        }
        self.note(mapping_id, &lines);
        let id = self.locations.len() as u64 + 1;
        self.known[LOCATIONS].insert(index, id);
        self.locations.push(proto::Location { id, mapping_id, address: location.address, line: lines });
        id
    }

    /// Keeps in a mapping what all its locations have.
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
        // One is enough to say that inlining has been looked at.
        mapping.has_inline_frames |= lines.len() > 1;
    }

    /// ID of a mapping; 0 for none.
    fn mapping(&mut self, index: i32, strings: &mut Strings) -> u64 {
        if let Some(&id) = self.known[MAPPINGS].get(&index) {
            return id;
        }
        let Some(mapping) = self.lookup.mapping(index) else { return 0 };
        let build_id = [BUILD_ID_GNU, BUILD_ID_HTLHASH]
            .into_iter()
            .find_map(|key| self.lookup.text(&mapping.attribute_indices, key));
        let id = self.mappings.len() as u64 + 1;
        self.known[MAPPINGS].insert(index, id);
        self.mappings.push(proto::Mapping {
            id,
            memory_start: mapping.memory_start,
            memory_limit: mapping.memory_limit,
            file_offset: mapping.file_offset,
            filename: strings.index(self.lookup.string(mapping.filename_strindex)),
            build_id: strings.index(build_id.unwrap_or_default()),
            has_functions: true,
            has_filenames: true,
            has_line_numbers: true,
            has_inline_frames: false,
        });
        id
    }

    /// ID of a function; 0 for none.
    fn function(&mut self, index: i32, strings: &mut Strings) -> u64 {
        if let Some(&id) = self.known[FUNCTIONS].get(&index) {
            return id;
        }
        let Some(function) = self.lookup.function(index) else { return 0 };
        let id = self.functions.len() as u64 + 1;
        self.known[FUNCTIONS].insert(index, id);
        let mut string = |index| strings.index(self.lookup.string(index));
        self.functions.push(proto::Function {
            id,
            name: string(function.name_strindex),
            system_name: string(function.system_name_strindex),
            filename: string(function.filename_strindex),
            start_line: function.start_line,
        });
        id
    }

    pub(super) fn finish(self) -> (Vec<proto::Mapping>, Vec<proto::Location>, Vec<proto::Function>) {
        (self.mappings, self.locations, self.functions)
    }
}
