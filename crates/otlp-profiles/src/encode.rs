//! A part as protobuf: an `ExportProfilesServiceRequest`, fields in order of their numbers.

use crate::columns::Columns;
use crate::content::{Content, Order, at};
use crate::dictionary::Dictionary;
use crate::part::{Part, PartProfile, PartSample};
use crate::wire::{Writer, index_field, index_len, uint_field};

/// Returns the bytes of a part.
pub(crate) fn encode(part: &Part, content: &Content, order: &Order) -> Vec<u8> {
    let mut out = Vec::with_capacity(part.len());
    let mut writer = Writer(&mut out);
    for profile in &part.profiles {
        write_resource(&mut writer, profile, part, content, order);
    }
    writer.header(2, part.columns.bytes());
    write_dictionary(&mut writer, &part.columns, &content.dictionary);
    debug_assert_eq!(out.len(), part.len(), "what was written is what was said");
    out
}

fn write_resource(
    out: &mut Writer<'_>,
    in_part: &PartProfile,
    part: &Part,
    content: &Content,
    order: &Order,
) {
    let Some(profile) = at(&content.profiles, in_part.number) else { return };
    let (tables, new) = (&content.dictionary, &part.columns);
    out.header(1, in_part.resource_len());
    out.bytes(1, tables.blobs.get(profile.resource));
    out.header(2, in_part.scope_len());
    out.bytes(1, tables.blobs.get(profile.scope));
    out.header(2, in_part.profile_len());
    write_type(out, 1, profile.sample_type, new);
    for sample in part.samples.get(in_part.samples.clone()).unwrap_or_default() {
        write_sample(out, sample, part, content, order);
    }
    out.fixed64(3, profile.time);
    out.uint(4, profile.duration);
    write_type(out, 5, profile.period_type, new);
    out.uint(6, profile.period.cast_unsigned());
    write_list(out, 11, in_part.attributes_len, profile.attributes, new, tables);
    out.text(3, tables.blobs.get(profile.scope_schema));
    out.text(3, tables.blobs.get(profile.resource_schema));
}

fn write_type(out: &mut Writer<'_>, field: u8, (kind, unit): (i32, i32), new: &Columns) {
    let (kind, unit) = (new.strings.number(kind), new.strings.number(unit));
    out.header(field, index_field(kind) + index_field(unit));
    out.index(1, kind);
    out.index(2, unit);
}

fn write_sample(out: &mut Writer<'_>, in_part: &PartSample, part: &Part, content: &Content, order: &Order) {
    let Some(sample) = at(&content.samples, in_part.number) else { return };
    let new = &part.columns;
    out.header(2, in_part.len);
    out.index(1, new.stacks.number(sample.stack));
    write_list(out, 2, in_part.attributes_len, sample.attributes, new, &content.dictionary);
    out.index(3, new.links.number(sample.link));
    let values = order.values(in_part.stamps.clone()).iter();
    out.varints(4, in_part.values_len, values.map(|value| value.cast_unsigned()));
    out.fixed64s(5, order.stamps(in_part.stamps.clone()));
}

fn write_list(out: &mut Writer<'_>, field: u8, len: usize, list: i32, new: &Columns, tables: &Dictionary) {
    out.indices(field, len, tables.lists.get(list).iter().map(|&old| new.attributes.number(old)));
}

fn write_dictionary(out: &mut Writer<'_>, new: &Columns, tables: &Dictionary) {
    write_table(out, 1, new.mappings.used(), |out, old| write_mapping(out, old, new, tables));
    write_table(out, 2, new.locations.used(), |out, old| write_location(out, old, new, tables));
    write_table(out, 3, new.functions.used(), |out, old| {
        let function = tables.functions.get(old).unwrap_or_default();
        out.index(1, new.strings.number(function.name));
        out.index(2, new.strings.number(function.system_name));
        out.index(3, new.strings.number(function.filename));
        out.uint(4, function.start_line.cast_unsigned());
    });
    write_table(out, 4, new.links.used(), |out, old| {
        let link = tables.links.get(old).unwrap_or_default();
        out.text(1, tables.blobs.get(link.trace));
        out.text(2, tables.blobs.get(link.span));
    });
    write_table(out, 5, new.strings.used(), |out, old| out.0.extend_from_slice(tables.strings.get(old)));
    write_table(out, 6, new.attributes.used(), |out, old| {
        let attribute = tables.attributes.get(old).unwrap_or_default();
        out.index(1, new.strings.number(attribute.key));
        out.bytes(2, tables.blobs.get(attribute.value));
        out.index(3, new.strings.number(attribute.unit));
    });
    write_table(out, 7, new.stacks.used(), |out, old| {
        let places = || tables.stacks.get(old).iter().map(|&old| new.locations.number(old));
        out.indices(1, places().map(index_len).sum(), places());
    });
}

/// Writes a table: its zero value, and each entry in a field of its own.
fn write_table(
    out: &mut Writer<'_>,
    field: u8,
    used: &[(i32, usize)],
    mut write: impl FnMut(&mut Writer<'_>, i32),
) {
    out.header(field, 0);
    for &(old, len) in used {
        out.header(field, len);
        write(out, old);
    }
}

fn write_mapping(out: &mut Writer<'_>, old: i32, new: &Columns, tables: &Dictionary) {
    let mapping = tables.mappings.get(old).unwrap_or_default();
    out.uint(1, mapping.start);
    out.uint(2, mapping.limit);
    out.uint(3, mapping.offset);
    out.index(4, new.strings.number(mapping.filename));
    let attributes = || tables.lists.get(mapping.attributes).iter().map(|&old| new.attributes.number(old));
    out.indices(5, attributes().map(index_len).sum(), attributes());
}

fn write_location(out: &mut Writer<'_>, old: i32, new: &Columns, tables: &Dictionary) {
    let place = tables.locations.get(old).unwrap_or_default();
    out.index(1, new.mappings.number(place.mapping));
    out.uint(2, place.address);
    for line in tables.lines.get(place.lines) {
        let function = new.functions.number(line.function);
        let (number, column) = (line.line.cast_unsigned(), line.column.cast_unsigned());
        out.header(3, index_field(function) + uint_field(number) + uint_field(column));
        out.index(1, function);
        out.uint(2, number);
        out.uint(3, column);
    }
    let frame_type = new.attributes.number(place.frame_type);
    if frame_type != 0 {
        out.indices(4, index_len(frame_type), std::iter::once(frame_type));
    }
}
