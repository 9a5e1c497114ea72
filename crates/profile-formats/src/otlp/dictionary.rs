//! The tables that samples of a request refer to, filled with the entries that samples use.

use std::collections::HashMap;
use std::hash::Hash;

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::profiles::v1development as wire;
use otlp_profiles::attributes;

use crate::facts::{Fact, FactValue};
use crate::model::{FrameKind, Function, Line, Location, Mapping, Stack, Tables, UNKNOWN};
use crate::table::Id;

/// The tables of a request, each with the empty entry at number 0.
pub(super) struct Dictionary<'a> {
    tables: &'a Tables,
    pub(super) message: wire::ProfilesDictionary,
    texts: HashMap<String, i32>,
    facts: HashMap<Fact<'a>, i32>,
    functions: HashMap<Id<Function>, i32>,
    names: HashMap<&'a str, i32>,
    mappings: HashMap<Id<Mapping>, i32>,
    locations: HashMap<Option<Id<Location>>, i32>,
    stacks: HashMap<Option<Id<Stack>>, i32>,
}

impl<'a> Dictionary<'a> {
    pub(super) fn new(tables: &'a Tables) -> Self {
        let message = wire::ProfilesDictionary {
            mapping_table: vec![wire::Mapping::default()],
            location_table: vec![wire::Location::default()],
            function_table: vec![wire::Function::default()],
            link_table: vec![wire::Link::default()],
            string_table: vec![String::new()],
            attribute_table: vec![wire::KeyValueAndUnit::default()],
            stack_table: vec![wire::Stack::default()],
        };
        let texts = HashMap::from([(String::new(), 0)]);
        Self {
            tables,
            message,
            texts,
            facts: HashMap::new(),
            functions: HashMap::new(),
            names: HashMap::new(),
            mappings: HashMap::new(),
            locations: HashMap::new(),
            stacks: HashMap::new(),
        }
    }

    pub(super) fn text(&mut self, text: &str) -> i32 {
        if let Some(&known) = self.texts.get(text) {
            return known;
        }
        let number = push(&mut self.message.string_table, text.to_owned());
        self.texts.insert(text.to_owned(), number);
        number
    }

    /// Adds a fact whose key is made for this request, and which no other entry equals.
    pub(super) fn fact_of(&mut self, key: &str, of: FactValue<'_>) -> i32 {
        let entry =
            wire::KeyValueAndUnit { key_strindex: self.text(key), value: Some(value(&of)), unit_strindex: 0 };
        push(&mut self.message.attribute_table, entry)
    }

    pub(super) fn facts(&mut self, facts: Vec<Fact<'a>>) -> Vec<i32> {
        facts.into_iter().map(|fact| self.fact(fact)).collect()
    }

    fn fact(&mut self, fact: Fact<'a>) -> i32 {
        if let Some(&known) = self.facts.get(&fact) {
            return known;
        }
        let entry = wire::KeyValueAndUnit {
            key_strindex: self.text(fact.key),
            value: Some(value(&fact.value)),
            unit_strindex: self.text(fact.unit),
        };
        let number = push(&mut self.message.attribute_table, entry);
        self.facts.insert(fact, number);
        number
    }

    fn text_fact(&mut self, key: &'a str, text: &'a str) -> i32 {
        self.fact(Fact { key, value: FactValue::Text(text.into()), unit: "" })
    }

    /// The number of a stack; one without frames gets an unknown frame, since readers drop a stack without any.
    pub(super) fn stack(&mut self, stack: Option<Id<Stack>>) -> i32 {
        if let Some(&known) = self.stacks.get(&stack) {
            return known;
        }
        let places: Vec<_> = self.tables.stack(stack).map(|(id, _)| Some(id)).collect();
        let places = if places.is_empty() { vec![None] } else { places };
        let location_indices = places.into_iter().map(|place| self.location(place)).collect();
        let number = push(&mut self.message.stack_table, wire::Stack { location_indices });
        known(&mut self.stacks, stack, number)
    }

    fn location(&mut self, id: Option<Id<Location>>) -> i32 {
        if let Some(&known) = self.locations.get(&id) {
            return known;
        }
        let place = id.and_then(|id| self.tables.locations.get(id));
        let mapping =
            place.and_then(|place| place.mapping).and_then(|id| Some((id, self.tables.mappings.get(id)?)));
        let lines: Vec<_> = place.map(|place| self.tables.lines(place)).unwrap_or_default().to_vec();
        let mut lines: Vec<wire::Line> = lines.iter().map(|line| self.line(line)).collect();
        let mut mapping_index = 0;
        match mapping {
            // OTLP demands a build ID of a mapping: the name of a mapping without one becomes the name of a function.
            Some((id, mapping)) if mapping.build_id.is_some() => mapping_index = self.mapping(id, mapping),
            Some((_, mapping)) if lines.is_empty() => lines.push(self.named(self.tables.text(mapping.name))),
            None if lines.is_empty() => lines.push(self.named(UNKNOWN)),
            _ => {}
        }
        let kind = match place.map_or(FrameKind::User, |place| place.kind) {
            FrameKind::Kernel => attributes::FRAME_TYPE_KERNEL,
            FrameKind::User | FrameKind::Interpreted => attributes::FRAME_TYPE_NATIVE,
        };
        let attribute_indices = vec![self.text_fact(attributes::FRAME_TYPE, kind)];
        let address = place.map_or(0, |place| place.address);
        let location = wire::Location { mapping_index, address, lines, attribute_indices };
        let number = push(&mut self.message.location_table, location);
        known(&mut self.locations, id, number)
    }

    fn line(&mut self, line: &Line) -> wire::Line {
        let function_index = self.function(line.function);
        wire::Line { function_index, line: line.line.into(), column: line.column.into() }
    }

    /// A line of a function of which only the name is known.
    fn named(&mut self, name: &'a str) -> wire::Line {
        let known = self.names.get(name).copied();
        let function_index = known.unwrap_or_else(|| {
            let name_strindex = self.text(name);
            let function = wire::Function { name_strindex, ..wire::Function::default() };
            let number = push(&mut self.message.function_table, function);
            self.names.insert(name, number);
            number
        });
        wire::Line { function_index, line: 0, column: 0 }
    }

    fn function(&mut self, id: Id<Function>) -> i32 {
        if let Some(&known) = self.functions.get(&id) {
            return known;
        }
        let Some(function) = self.tables.functions.get(id).copied() else { return 0 };
        let entry = wire::Function {
            name_strindex: self.text(self.tables.text(function.name)),
            system_name_strindex: self.text(self.tables.text_or_empty(function.system_name)),
            filename_strindex: self.text(self.tables.text_or_empty(function.file)),
            start_line: function.start_line.into(),
        };
        let number = push(&mut self.message.function_table, entry);
        known(&mut self.functions, id, number)
    }

    fn mapping(&mut self, id: Id<Mapping>, mapping: &'a Mapping) -> i32 {
        if let Some(&known) = self.mappings.get(&id) {
            return known;
        }
        let build_id = self.tables.text_or_empty(mapping.build_id);
        let is_hex = build_id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let key = if is_hex { attributes::BUILD_ID_GNU } else { attributes::BUILD_ID_GO };
        let entry = wire::Mapping {
            memory_start: mapping.start,
            memory_limit: mapping.limit,
            file_offset: mapping.file_offset,
            filename_strindex: self.text(self.tables.text(mapping.name)),
            attribute_indices: vec![self.text_fact(key, build_id)],
        };
        let number = push(&mut self.message.mapping_table, entry);
        known(&mut self.mappings, id, number)
    }
}

fn known<K: Eq + Hash>(numbers: &mut HashMap<K, i32>, key: K, number: i32) -> i32 {
    numbers.insert(key, number);
    number
}

fn push<T>(table: &mut Vec<T>, entry: T) -> i32 {
    let number = i32::try_from(table.len()).unwrap_or(i32::MAX);
    table.push(entry);
    number
}

/// A fact's value as OTLP's `AnyValue`.
pub(super) fn value(value: &FactValue<'_>) -> AnyValue {
    let value = match value {
        FactValue::Text(text) => any_value::Value::StringValue(text.to_string()),
        FactValue::Int(number) => any_value::Value::IntValue(*number),
        FactValue::Bool(truth) => any_value::Value::BoolValue(*truth),
    };
    AnyValue { value: Some(value) }
}
