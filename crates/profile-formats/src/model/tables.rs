//! The tables that the samples of a profile refer to.

use super::code::{Function, Line, Lines, Location, Mapping};
use super::process::{Process, Processes, Thread};
use super::sample::ValueType;
use super::stack::Stack;
use super::text::Texts;
use super::value::Attribute;
use crate::table::{Id, Table};

/// The tables that the samples of a profile refer to.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Names and paths.
    pub texts: Texts,
    /// Mapped files, and named memory.
    pub mappings: Table<Mapping>,
    /// Functions of places in the code.
    pub functions: Table<Function>,
    /// Lines of places in the code.
    pub lines: Table<Lines>,
    /// Places in the code.
    pub locations: Table<Location>,
    /// Stacks, as a tree.
    pub stacks: Table<Stack>,
    /// Process images that samples are of.
    pub processes: Processes,
    /// Threads of process images.
    pub threads: Table<Thread>,
    /// Kinds of values.
    pub value_types: Table<ValueType>,
    /// Further facts of samples.
    pub attributes: Table<Box<[Attribute]>>,
}

impl Tables {
    /// The text with this number; empty for a number of another table.
    #[must_use]
    pub fn text(&self, id: Id<str>) -> &str {
        self.texts.get(id)
    }

    /// The text with this number; empty for `None`.
    #[must_use]
    pub fn text_or_empty(&self, id: Option<Id<str>>) -> &str {
        id.map_or("", |id| self.texts.get(id))
    }

    /// The locations of a stack, leaf first.
    pub fn stack(&self, stack: Option<Id<Stack>>) -> impl Iterator<Item = (Id<Location>, &Location)> {
        let mut next = stack;
        std::iter::from_fn(move || {
            let id = next?;
            let stack = self.stacks.get(id)?;
            // A caller has a lower number, so the walk ends whatever numbers a file has.
            next = stack.caller.filter(|caller| *caller < id);
            Some((stack.location, self.locations.get(stack.location)?))
        })
    }

    /// The lines of a location, innermost first.
    #[must_use]
    pub fn lines(&self, location: &Location) -> &[Line] {
        location.lines.and_then(|lines| self.lines.get(lines)).map_or(&[], |lines| lines)
    }

    /// The mapping of a location.
    #[must_use]
    pub fn mapping(&self, location: &Location) -> Option<&Mapping> {
        self.mappings.get(location.mapping?)
    }

    /// The process of a thread.
    #[must_use]
    pub fn process_of(&self, thread: &Thread) -> Option<&Process> {
        self.processes.get(thread.process?)
    }
}
