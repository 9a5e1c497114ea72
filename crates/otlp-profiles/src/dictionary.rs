//! The seven tables of a request, each value in them once, and the lists their entries share.

use std::sync::Arc;

use crate::table::{Lists, Records};
use crate::wire::{Writer, bytes_field, varint_len};

/// Value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Text, inline: not all readers follow references to strings.
    Str(&'a str),
    /// A whole number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// Several texts: an `ArrayValue` of them.
    Texts(&'a [Arc<str>]),
}

impl Value<'_> {
    /// Bytes of an `AnyValue`.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Str(text) => bytes_field(text.len()),
            Self::Bool(_) => 2,
            Self::Int(number) => 1 + varint_len(number.cast_unsigned()),
            Self::Texts(texts) => bytes_field(texts_len(texts)),
        }
    }

    /// Appends the fields of an `AnyValue`.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let mut out = Writer(out);
        match self {
            Self::Str(text) => out.bytes(1, text.as_bytes()),
            Self::Bool(value) => out.uint_always(2, value.into()),
            Self::Int(number) => out.uint_always(3, number.cast_unsigned()),
            Self::Texts(texts) => {
                out.header(5, texts_len(texts));
                for text in texts {
                    out.header(1, bytes_field(text.len()));
                    out.bytes(1, text.as_bytes());
                }
            }
        }
    }
}

/// Bytes of an `ArrayValue` of texts.
fn texts_len(texts: &[Arc<str>]) -> usize {
    texts.iter().map(|text| bytes_field(bytes_field(text.len()))).sum()
}

/// An attribute, `KeyValueAndUnit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Attribute {
    /// Number of the string that is the key.
    pub(crate) key: i32,
    /// Number of the value's `AnyValue` in [`Dictionary::blobs`]; 0 for none.
    pub(crate) value: i32,
    /// Number of the string that is the unit, or 0.
    pub(crate) unit: i32,
}

/// An entry of the table of functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Function {
    /// Number of the string that is the function's name, as for people.
    pub(crate) name: i32,
    /// Number of the string that is the function's name, as the linker has it.
    pub(crate) system_name: i32,
    /// Number of the string that is the path.
    pub(crate) filename: i32,
    /// First line of the function in its source file, or 0.
    pub(crate) start_line: i64,
}

/// A mapping of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FileMapping {
    /// First address, in the file's own terms.
    pub(crate) start: u64,
    /// Address after the last; 0 like the start if the bounds are not known.
    pub(crate) limit: u64,
    /// Offset of `start` in the file, in bytes.
    pub(crate) offset: u64,
    /// Number of the string that is the file's path.
    pub(crate) filename: i32,
    /// List of attributes.
    pub(crate) attributes: i32,
}

/// A line of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    /// Number of the function.
    pub(crate) function: i32,
    /// Line of its source file, or 0.
    pub(crate) line: i64,
    /// Column of that line, or 0.
    pub(crate) column: i64,
}

/// An entry of the table of locations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FrameLocation {
    /// Mapping, or 0 for code of no file.
    pub(crate) mapping: i32,
    /// Address in the mapping's terms.
    pub(crate) address: u64,
    /// List of lines, innermost first; empty if the reader is to find them.
    pub(crate) lines: i32,
    /// Index of the attribute `profile.frame.type`, or 0.
    pub(crate) frame_type: i32,
}

/// A span that samples were taken in, as two numbers in [`Dictionary::blobs`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SpanLink {
    /// Trace ID.
    pub(crate) trace: i32,
    /// Span ID.
    pub(crate) span: i32,
}

/// Gathers the tables. Number 0 in each is its zero value, as OTLP demands.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    pub(crate) strings: Lists<u8>,
    pub(crate) attributes: Records<Attribute>,
    pub(crate) functions: Records<Function>,
    pub(crate) mappings: Records<FileMapping>,
    pub(crate) locations: Records<FrameLocation>,
    pub(crate) links: Records<SpanLink>,
    pub(crate) stacks: Lists<i32>,
    /// Lists of attributes; they are no table of OTLP.
    pub(crate) lists: Lists<i32>,
    /// Lists of lines; they are no table of OTLP.
    pub(crate) lines: Lists<Line>,
    /// Messages as protobuf, and IDs; they are no table of OTLP.
    pub(crate) blobs: Lists<u8>,
    /// Tables to be filled anew by [`renumber`](Self::renumber), which happens once before the dictionary is cleared;
    /// kept for their memory.
    spare: (Records<FrameLocation>, Lists<i32>),
    /// A buffer that is kept between calls for its memory.
    scratch: Vec<u8>,
}

impl Dictionary {
    /// Forgets every entry of every table.
    pub(crate) fn clear(&mut self) {
        self.strings.clear();
        self.attributes.clear();
        self.functions.clear();
        self.mappings.clear();
        self.locations.clear();
        self.links.clear();
        self.stacks.clear();
        self.lists.clear();
        self.lines.clear();
        self.blobs.clear();
        let (places, stacks) = &mut self.spare;
        places.clear();
        stacks.clear();
    }

    /// Index of a string; 0 for the empty one.
    pub(crate) fn string(&mut self, text: &str) -> i32 {
        self.strings.intern(text.as_bytes())
    }

    /// Index of an attribute.
    pub(crate) fn attribute(&mut self, key: &str, value: Value<'_>) -> i32 {
        let key = self.string(key);
        self.scratch.clear();
        value.write(&mut self.scratch);
        let value = self.blobs.intern(&self.scratch);
        self.attributes.intern(Attribute { key, value, unit: 0 })
    }

    /// Index of an attribute with a text as its value.
    pub(crate) fn text_attribute(&mut self, key: &str, text: &str) -> i32 {
        self.attribute(key, Value::Str(text))
    }

    /// Index of the list of one list's attributes followed by another's.
    pub(crate) fn join_lists(&mut self, first: i32, second: i32) -> i32 {
        let joined = [self.lists.get(first), self.lists.get(second)].concat();
        self.lists.intern(&joined)
    }

    /// Index of the list of one line, of a function of which no more than a name is known.
    pub(crate) fn named(&mut self, name: &str) -> i32 {
        let name = self.string(name);
        let function = self.functions.intern(Function { name, ..Function::default() });
        self.lines.intern(&[Line { function, ..Line::default() }])
    }

    /// Index of a function of which more is known.
    pub(crate) fn function(&mut self, function: &pdata::Function) -> i32 {
        // The function's runtime is an attribute of the frame.
        let pdata::Function { name, system_name, file, start_line, runtime: _ } = function;
        let name = self.string(name);
        let system_name = self.string(system_name.as_deref().unwrap_or_default());
        let filename = self.string(file.as_deref().unwrap_or_default());
        self.functions.intern(Function { name, system_name, filename, start_line: (*start_line).into() })
    }

    /// Makes mappings, locations and stacks anew. `settled` takes a location, its old mapping and this dictionary to
    /// add to, and returns the location to encode instead. Returns the new number of each stack.
    pub(crate) fn renumber(
        &mut self,
        mut settled: impl FnMut(FrameLocation, FileMapping, &mut Self) -> FrameLocation,
    ) -> Vec<i32> {
        let mappings = std::mem::take(&mut self.mappings);
        let (spare_places, spare_stacks) = std::mem::take(&mut self.spare);
        let places = std::mem::replace(&mut self.locations, spare_places);
        let mut new_places = Vec::with_capacity(places.as_slice().len());
        for &place in places.as_slice() {
            let place = settled(place, mappings.get(place.mapping).unwrap_or_default(), self);
            new_places.push(self.locations.intern(place));
        }
        let stacks = std::mem::replace(&mut self.stacks, spare_stacks);
        let mut stack = Vec::new();
        let renumber = |old| {
            stack.clear();
            let places = stacks.get(old).iter();
            stack.extend(places.filter_map(|&old| crate::table::entry(&new_places, old)));
            self.stacks.intern(&stack)
        };
        let numbers = (0..crate::table::number(stacks.len())).map(renumber).collect();
        self.spare = (places, stacks);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_renumbered_is_forgotten_too() {
        let mut dictionary = Dictionary::default();
        let place = dictionary.locations.intern(FrameLocation { address: 1, ..FrameLocation::default() });
        dictionary.stacks.intern(&[place]);
        assert_eq!(dictionary.renumber(|place, _, _| place), [0, 1]);
        dictionary.clear();
        let (places, stacks) = &dictionary.spare;
        assert_eq!((places.as_slice().len(), stacks.len()), (1, 1));
        let place = dictionary.locations.intern(FrameLocation { address: 2, ..FrameLocation::default() });
        let stack = dictionary.stacks.intern(&[place]);
        assert_eq!(dictionary.renumber(|place, _, _| place), [0, 1]);
        assert_eq!(dictionary.locations.as_slice().len(), 2, "nothing of the time before");
        assert_eq!(dictionary.stacks.get(stack), [place]);
    }
}
