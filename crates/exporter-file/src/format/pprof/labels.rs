//! The labels of a sample: what pprof holds of it beside its stack.

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::profiles::v1development::{ResourceProfiles, Sample};

use super::proto::Label;
use super::symbols::Strings;
use crate::format::resolve::Lookup;

/// The labels of every sample of a resource.
pub(super) fn of_resource(resource: &ResourceProfiles, strings: &mut Strings) -> Vec<Label> {
    let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
    let labels = attributes.iter().filter_map(|attribute| {
        label(&attribute.key, attribute.value.as_ref()?, "", |value| inline(value), strings)
    });
    labels.collect()
}

/// Text of a resource's attribute; attributes of resources never refer to the table of strings.
fn inline(value: &AnyValue) -> Option<&str> {
    match value.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Adds the labels of a sample.
pub(super) fn of_sample(sample: &Sample, lookup: Lookup<'_>, strings: &mut Strings, labels: &mut Vec<Label>) {
    for attribute in lookup.attributes(&sample.attribute_indices) {
        let Some(value) = &attribute.value else { continue };
        let (key, unit) = (lookup.string(attribute.key_strindex), lookup.string(attribute.unit_strindex));
        labels.extend(label(key, value, unit, |value| lookup.text_of(value), strings));
    }
    if let Some(link) = lookup.link(sample.link_index) {
        for (key, id) in [("trace_id", &link.trace_id), ("span_id", &link.span_id)] {
            let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            if !hex.is_empty() {
                labels.push(Label { key: strings.index(key), str: strings.index(&hex), ..Label::default() });
            }
        }
    }
}

/// A label; `None` for what pprof cannot say: values with others in them, bytes, and no value.
fn label<'a>(
    key: &str,
    value: &'a AnyValue,
    unit: &str,
    text_of: impl Fn(&'a AnyValue) -> Option<&'a str>,
    strings: &mut Strings,
) -> Option<Label> {
    if key.is_empty() {
        return None;
    }
    let text = |text: &str, strings: &mut Strings| Label { str: strings.index(text), ..Label::default() };
    let label = match value.value.as_ref()? {
        Value::IntValue(number) => {
            // Neither text nor a number that is not 0 makes a label of neither kind; a unit says which.
            let unit = if unit.is_empty() && *number == 0 { "count" } else { unit };
            Label { num: *number, num_unit: strings.index(unit), ..Label::default() }
        }
        Value::BoolValue(value) => text(if *value { "true" } else { "false" }, strings),
        Value::DoubleValue(number) => text(&number.to_string(), strings),
        _ => text(text_of(value)?, strings),
    };
    Some(Label { key: strings.index(key), ..label })
}
