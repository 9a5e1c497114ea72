//! Frames with the names that people see.

use std::borrow::Cow;

use super::code::{FrameKind, Location, Mapping};
use super::stack::Stack;
use super::tables::Tables;
use crate::table::Id;

/// Name of the stack under which samples beyond the bounds of a profile are counted.
pub const OTHER: &str = "(other)";
/// Name of code without a symbol, a file or a named mapping.
pub const UNKNOWN: &str = "[unknown]";

/// A frame with its name: one for each function that a location belongs to, inlined ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameView<'a> {
    /// Name of the function; else of the file and the address in it; else of the mapping; else [`UNKNOWN`].
    pub name: Cow<'a, str>,
    /// True if `name` is the name of a function.
    pub named: bool,
    /// Source file; empty if it is not known.
    pub file: &'a str,
    /// Line of the source file; 0 if it is not known.
    pub line: u32,
    /// Column of the line; 0 if it is not known.
    pub column: u32,
    /// Line of the source file at which the function starts; 0 if it is not known.
    pub start_line: u32,
    /// The mapping of the frame's location.
    pub mapping: Option<&'a Mapping>,
    /// The address of the frame's location.
    pub address: u64,
    /// The kind of code of the frame.
    pub kind: FrameKind,
    /// True if the function was inlined into the next frame.
    pub inlined: bool,
}

impl Tables {
    /// The frames of a location, innermost first; at least one.
    pub fn frames<'a>(&'a self, location: &'a Location) -> impl DoubleEndedIterator<Item = FrameView<'a>> {
        let lines = self.lines(location);
        let outermost = lines.len().saturating_sub(1);
        let unnamed = lines.is_empty().then(|| self.unnamed(location));
        let named = lines.iter().enumerate().map(move |(at, line)| {
            let function = self.functions.get(line.function);
            let names = function.map(|f| [Some(f.name), f.system_name, f.file]).into_iter().flatten();
            let name = names.map(|name| self.text_or_empty(name)).find(|name| !name.is_empty());
            FrameView {
                name: name.map_or_else(|| self.unnamed(location).name, Cow::Borrowed),
                named: name.is_some(),
                file: self.text_or_empty(function.and_then(|f| f.file)),
                line: line.line,
                column: line.column,
                start_line: function.map_or(0, |function| function.start_line),
                inlined: at < outermost,
                ..self.bare(location)
            }
        });
        named.chain(unnamed)
    }

    /// The frames of a stack, leaf first.
    pub fn stack_frames(&self, stack: Option<Id<Stack>>) -> impl Iterator<Item = FrameView<'_>> {
        self.stack(stack).flat_map(|(_, location)| self.frames(location))
    }

    fn bare<'a>(&'a self, location: &Location) -> FrameView<'a> {
        FrameView {
            name: Cow::Borrowed(UNKNOWN),
            named: false,
            file: "",
            line: 0,
            column: 0,
            start_line: 0,
            mapping: self.mapping(location),
            address: location.address,
            kind: location.kind,
            inlined: false,
        }
    }

    fn unnamed<'a>(&'a self, location: &Location) -> FrameView<'a> {
        let name = self.mapping(location).map(|mapping| (mapping.is_file, self.text(mapping.name)));
        let name = match name {
            Some((_, "")) | None => Cow::Borrowed(UNKNOWN),
            Some((false, name)) => Cow::Borrowed(name),
            Some((true, path)) => {
                Cow::Owned(format!("{}+{:#x}", path.rsplit('/').next().unwrap_or(path), location.address))
            }
        };
        FrameView { name, ..self.bare(location) }
    }
}
