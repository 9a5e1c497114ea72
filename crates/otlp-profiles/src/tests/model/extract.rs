//! A part of a request, with a dictionary of only the entries it uses.

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::{
    Function, KeyValueAndUnit, Line, Link, Location, Mapping, Profile, ProfilesDictionary, ResourceProfiles,
    Sample, Stack, ValueType,
};

/// A request of these profiles, which refer to `dictionary`.
pub(in crate::tests) fn extract(
    mut resource_profiles: Vec<ResourceProfiles>,
    dictionary: &ProfilesDictionary,
) -> ExportProfilesServiceRequest {
    let mut extract = Extract::new(dictionary);
    let profiles = resource_profiles
        .iter_mut()
        .flat_map(|resource| &mut resource.scope_profiles)
        .flat_map(|scope| &mut scope.profiles);
    for profile in profiles {
        extract.profile(profile);
    }
    ExportProfilesServiceRequest { resource_profiles, dictionary: Some(extract.into) }
}

/// Copies entries on first use. A table has no duplicates if the one it is copied from has none.
struct Extract<'a> {
    from: &'a ProfilesDictionary,
    into: ProfilesDictionary,
    // New index of each old one; 0 for an entry that has not been used yet.
    mappings: Vec<i32>,
    locations: Vec<i32>,
    functions: Vec<i32>,
    links: Vec<i32>,
    strings: Vec<i32>,
    attributes: Vec<i32>,
    stacks: Vec<i32>,
}

impl<'a> Extract<'a> {
    fn new(from: &'a ProfilesDictionary) -> Self {
        Self {
            mappings: vec![0; from.mapping_table.len()],
            locations: vec![0; from.location_table.len()],
            functions: vec![0; from.function_table.len()],
            links: vec![0; from.link_table.len()],
            strings: vec![0; from.string_table.len()],
            attributes: vec![0; from.attribute_table.len()],
            stacks: vec![0; from.stack_table.len()],
            from,
            into: ProfilesDictionary {
                mapping_table: vec![Mapping::default()],
                location_table: vec![Location::default()],
                function_table: vec![Function::default()],
                link_table: vec![Link::default()],
                string_table: vec![String::new()],
                attribute_table: vec![KeyValueAndUnit::default()],
                stack_table: vec![Stack::default()],
            },
        }
    }

    fn profile(&mut self, profile: &mut Profile) {
        for kind in [&mut profile.sample_type, &mut profile.period_type].into_iter().flatten() {
            *kind = ValueType {
                type_strindex: self.string(kind.type_strindex),
                unit_strindex: self.string(kind.unit_strindex),
            };
        }
        self.attributes(&mut profile.attribute_indices);
        for sample in &mut profile.samples {
            self.sample(sample);
        }
    }

    fn sample(&mut self, sample: &mut Sample) {
        sample.stack_index = self.stack(sample.stack_index);
        sample.link_index = self.link(sample.link_index);
        self.attributes(&mut sample.attribute_indices);
    }

    fn stack(&mut self, old: i32) -> i32 {
        if let Some(new) = known(&self.stacks, old) {
            return new;
        }
        let Some(stack) = entry(&self.from.stack_table, old) else { return 0 };
        let location_indices =
            stack.location_indices.iter().map(|&location| self.location(location)).collect();
        append(&mut self.into.stack_table, Stack { location_indices }, &mut self.stacks, old)
    }

    fn location(&mut self, old: i32) -> i32 {
        if let Some(new) = known(&self.locations, old) {
            return new;
        }
        let Some(location) = entry(&self.from.location_table, old) else { return 0 };
        let mut location = location.clone();
        location.mapping_index = self.mapping(location.mapping_index);
        for line in &mut location.lines {
            *line = Line { function_index: self.function(line.function_index), ..*line };
        }
        self.attributes(&mut location.attribute_indices);
        append(&mut self.into.location_table, location, &mut self.locations, old)
    }

    fn mapping(&mut self, old: i32) -> i32 {
        if let Some(new) = known(&self.mappings, old) {
            return new;
        }
        let Some(mapping) = entry(&self.from.mapping_table, old) else { return 0 };
        let mut mapping = mapping.clone();
        mapping.filename_strindex = self.string(mapping.filename_strindex);
        self.attributes(&mut mapping.attribute_indices);
        append(&mut self.into.mapping_table, mapping, &mut self.mappings, old)
    }

    fn function(&mut self, old: i32) -> i32 {
        if let Some(new) = known(&self.functions, old) {
            return new;
        }
        let Some(&function) = entry(&self.from.function_table, old) else { return 0 };
        let function = Function {
            name_strindex: self.string(function.name_strindex),
            system_name_strindex: self.string(function.system_name_strindex),
            filename_strindex: self.string(function.filename_strindex),
            start_line: function.start_line,
        };
        append(&mut self.into.function_table, function, &mut self.functions, old)
    }

    fn attributes(&mut self, indices: &mut [i32]) {
        for index in indices {
            *index = self.attribute(*index);
        }
    }

    fn attribute(&mut self, old: i32) -> i32 {
        if let Some(new) = known(&self.attributes, old) {
            return new;
        }
        let Some(attribute) = entry(&self.from.attribute_table, old) else { return 0 };
        let mut attribute = attribute.clone();
        attribute.key_strindex = self.string(attribute.key_strindex);
        attribute.unit_strindex = self.string(attribute.unit_strindex);
        append(&mut self.into.attribute_table, attribute, &mut self.attributes, old)
    }

    fn link(&mut self, old: i32) -> i32 {
        if let Some(new) = known(&self.links, old) {
            return new;
        }
        let Some(link) = entry(&self.from.link_table, old) else { return 0 };
        append(&mut self.into.link_table, link.clone(), &mut self.links, old)
    }

    fn string(&mut self, old: i32) -> i32 {
        if let Some(new) = known(&self.strings, old) {
            return new;
        }
        let Some(string) = entry(&self.from.string_table, old) else { return 0 };
        append(&mut self.into.string_table, string.clone(), &mut self.strings, old)
    }
}

/// The new index of an entry that has been copied, and of the zero value.
fn known(map: &[i32], old: i32) -> Option<i32> {
    match entry(map, old) {
        _ if old == 0 => Some(0),
        Some(0) | None => None,
        Some(&new) => Some(new),
    }
}

fn entry<T>(table: &[T], index: i32) -> Option<&T> {
    table.get(usize::try_from(index).ok()?)
}

fn append<T>(table: &mut Vec<T>, value: T, map: &mut [i32], old: i32) -> i32 {
    // No longer than the table that is copied from, whose indices are of this type.
    let new = i32::try_from(table.len()).unwrap_or(i32::MAX);
    table.push(value);
    if let Some(slot) = usize::try_from(old).ok().and_then(|old| map.get_mut(old)) {
        *slot = new;
    }
    new
}
