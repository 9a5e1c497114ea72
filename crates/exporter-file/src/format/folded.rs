//! Folded stacks, for flame graphs: a line for each stack of a window, `thread;outermost;...;innermost samples`.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::{Location, ProfilesDictionary};
use otlp_profiles::attributes;

use super::resolve::{Lookup, events, profiles, resource_text};

/// Appends the lines of a request, sorted; equal stacks of one thread name are added up.
///
/// A frame without a name is its file's name and the address in it; `[truncated]` stands for outer frames that are
/// missing. The number is that of samples taken.
pub(crate) fn write(request: &ExportProfilesServiceRequest, out: &mut Vec<u8>) {
    let empty = ProfilesDictionary::default();
    let lookup = Lookup(request.dictionary.as_ref().unwrap_or(&empty));
    let mut stacks = BTreeMap::<String, i64>::new();
    for (resource, profile) in profiles(&request.resource_profiles) {
        for sample in &profile.samples {
            let thread = lookup.text(&sample.attribute_indices, attributes::THREAD_NAME);
            let name = thread.or_else(|| resource_text(resource, attributes::PROCESS_EXECUTABLE_NAME));
            // A thread may call itself nothing at all.
            let name = name.filter(|name| !name.is_empty());
            let mut line = String::new();
            escape(name.unwrap_or("[unknown]"), &mut line);
            // In the place of what is missing.
            if lookup.text(&sample.attribute_indices, attributes::STACK_TRUNCATED).is_some() {
                line.push_str(";[truncated]");
            }
            for (_, location) in lookup.stack(sample.stack_index).rev() {
                push_frames(lookup, location, &mut line);
            }
            let count = stacks.entry(line).or_default();
            *count = count.saturating_add(events(sample));
        }
    }
    for (stack, count) in stacks {
        out.extend_from_slice(format!("{stack} {count}\n").as_bytes());
    }
}

/// Appends the frames of a location, callers first.
fn push_frames(lookup: Lookup<'_>, location: &Location, line: &mut String) {
    let before = line.len();
    for function in location.lines.iter().rev().filter_map(|line| lookup.function(line.function_index)) {
        let names = [function.name_strindex, function.system_name_strindex, function.filename_strindex];
        let name = names.into_iter().map(|index| lookup.string(index)).find(|name| !name.is_empty());
        if let Some(name) = name {
            line.push(';');
            escape(name, line);
        }
    }
    if line.len() == before {
        let file =
            lookup.mapping(location.mapping_index).map(|mapping| lookup.string(mapping.filename_strindex));
        let file = file.filter(|file| !file.is_empty()).unwrap_or("[unknown]");
        line.push(';');
        escape(file.rsplit('/').next().unwrap_or(file), line);
        line.push_str(&format!("+{:#x}", location.address));
    }
}

/// Appends a name; what would end it or its line is written as `\xHH`, and so is the backslash.
fn escape(name: &str, line: &mut String) {
    for character in name.chars() {
        match character {
            ';' | '\\' => line.push_str(&format!("\\x{:02x}", u32::from(character))),
            character if character.is_ascii_control() => {
                line.push_str(&format!("\\x{:02x}", u32::from(character)));
            }
            character => line.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
    use proptest::prelude::*;

    use super::*;
    use crate::format::tests::{any_request, request, total_events};

    fn folded(request: &ExportProfilesServiceRequest) -> String {
        let mut out = Vec::new();
        write(request, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The opposite of [`escape`].
    fn unescape(text: &str) -> String {
        let mut parts = text.split("\\x");
        let mut name = parts.next().unwrap().to_owned();
        for part in parts {
            name.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
            name.push_str(&part[2..]);
        }
        name
    }

    #[test]
    fn stacks_are_root_first_with_inlined_callers_and_addresses_for_want_of_names() {
        assert_eq!(
            folded(&request()),
            "app;main;libx.so+0x1234 2\napp;main;outer;inlined\\x3bodd 3\nworker 1;[kernel] 1\n"
        );
    }

    #[test]
    fn who_has_no_name_is_unknown() {
        let mut request = request();
        for attribute in &mut request.dictionary.as_mut().unwrap().attribute_table {
            attribute.value = Some(AnyValue { value: Some(Value::StringValue(String::new())) });
        }
        let text = folded(&request);
        assert!(text.lines().count() > 1);
        assert!(text.lines().any(|line| line.starts_with("[unknown];")), "{text}");
        assert!(!text.lines().any(|line| line.starts_with(';')), "{text}");
    }

    proptest! {
        /// Any name becomes one frame of one line, and can be read back unambiguously.
        #[test]
        fn a_name_survives_escaping(name in "[ -~\\n\\r\\t\u{e9}\u{4e2d};\\\\]{0,20}") {
            let mut escaped = String::new();
            escape(&name, &mut escaped);
            prop_assert!(!escaped.contains([';', '\n', '\r']), "{:?}", escaped);
            prop_assert_eq!(unescape(&escaped), name);
        }

        /// Of any request, however broken, the counts add up to what was sampled.
        #[test]
        fn counts_add_up(request in any_request()) {
            let text = folded(&request);
            let sum: i64 = text.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<i64>().unwrap()).sum();
            prop_assert_eq!(sum, total_events(&request));
        }
    }
}
