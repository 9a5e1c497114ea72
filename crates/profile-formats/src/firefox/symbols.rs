//! Strings, functions, frames and stacks of one thread, and the libraries, which all threads share.

use std::collections::HashMap;

use indexmap::IndexSet;

use super::output::{FrameTable, FuncTable, Library, ResourceTable, StackTable};
use crate::folded::TRUNCATED;
use crate::model::{FrameKind, FrameView, Mapping, Profile, SampleKey, Stack, Tables};
use crate::table::Id;

/// Resource type of a library.
const LIBRARY: u8 = 1;
/// Names and colours of the categories, by number: other, programs, the kernel, interpreters.
pub(super) const CATEGORIES: [(&str, &str); 4] =
    [("Other", "grey"), ("User", "yellow"), ("Kernel", "orange"), ("Interpreted", "green")];

/// The libraries of a file.
#[derive(Default)]
pub(super) struct Libraries {
    known: HashMap<Mapping, usize>,
    pub(super) list: Vec<Library>,
}

impl Libraries {
    fn number(&mut self, mapping: &Mapping, tables: &Tables) -> usize {
        // Mappings of one file are one library, so the range is left out of the key.
        let file = Mapping { start: 0, limit: 0, file_offset: 0, ..*mapping };
        *self.known.entry(file).or_insert_with(|| {
            let path = tables.text(mapping.name).to_owned();
            let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
            let build_id = mapping.build_id.map(|id| tables.text(id).to_owned());
            let breakpad_id = breakpad_id(build_id.as_deref().unwrap_or_default());
            self.list.push(Library {
                debug_name: name.clone(),
                name,
                debug_path: path.clone(),
                path,
                breakpad_id,
                code_id: build_id,
                arch: None,
            });
            self.list.len() - 1
        })
    }
}

/// A build ID in Breakpad's form: the first 16 bytes as a GUID, three numbers of which are little-endian, and an age.
fn breakpad_id(build_id: &str) -> String {
    let digits: Vec<char> =
        build_id.chars().take_while(char::is_ascii_hexdigit).chain(std::iter::repeat('0')).take(32).collect();
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let bytes = order.iter().flat_map(|&byte: &usize| digits.get(2 * byte..2 * byte + 2).unwrap_or_default());
    bytes.map(char::to_ascii_uppercase).chain(['0']).collect()
}

/// Strings, functions, frames and stacks of one thread.
#[derive(Default)]
pub(super) struct Symbols {
    pub(super) strings: IndexSet<String>,
    functions: HashMap<(usize, Option<usize>, i64), usize>,
    frames: HashMap<Frame, usize>,
    resources: HashMap<usize, usize>,
    stacks: HashMap<(Option<usize>, usize), usize>,
    known: HashMap<(bool, Id<Stack>), Option<usize>>,
    pub(super) func_table: FuncTable,
    pub(super) frame_table: FrameTable,
    pub(super) resource_table: ResourceTable,
    pub(super) stack_table: StackTable,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Frame {
    func: usize,
    address: i64,
    depth: u32,
    category: usize,
    line: u32,
    column: u32,
}

impl Symbols {
    /// The number of a text.
    pub(super) fn string(&mut self, text: &str) -> usize {
        match self.strings.get_index_of(text) {
            Some(known) => known,
            None => self.strings.insert_full(text.to_owned()).0,
        }
    }

    /// The number of a sample's stack.
    pub(super) fn stack(
        &mut self,
        key: &SampleKey,
        profile: &Profile,
        libraries: &mut Libraries,
    ) -> Option<usize> {
        let mut path = Vec::new();
        let (mut next, mut prefix) = (key.stack, None);
        let is_cut = key.cut.is_some();
        // Collected from the leaf up to the first stack whose number is known.
        loop {
            let Some(id) = next else {
                if is_cut {
                    prefix = Some(self.label(TRUNCATED));
                }
                break;
            };
            if let Some(&known) = self.known.get(&(is_cut, id)) {
                prefix = known;
                break;
            }
            let Some(stack) = profile.tables.stacks.get(id) else {
                next = None;
                continue;
            };
            path.push((id, stack));
            next = stack.caller.filter(|caller| *caller < id);
        }
        for (id, stack) in path.into_iter().rev() {
            if let Some(location) = profile.tables.locations.get(stack.location) {
                let frames: Vec<_> = profile.tables.frames(location).collect();
                for (depth, frame) in (0..).zip(frames.iter().rev()) {
                    let frame = self.frame(frame, depth, &profile.tables, libraries);
                    prefix = Some(self.push(prefix, frame));
                }
            }
            self.known.insert((is_cut, id), prefix);
        }
        prefix
    }

    /// A stack of one frame that stands for no code.
    fn label(&mut self, name: &str) -> usize {
        let name = self.string(name);
        let func = self.function(name, None, -1);
        let frame = Frame { func, address: -1, depth: 0, category: 0, line: 0, column: 0 };
        let frame = self.number(frame);
        self.push(None, frame)
    }

    fn push(&mut self, prefix: Option<usize>, frame: usize) -> usize {
        let next = self.stack_table.length;
        let number = *self.stacks.entry((prefix, frame)).or_insert(next);
        if number == next {
            self.stack_table.length += 1;
            self.stack_table.prefix.push(prefix);
            self.stack_table.frame.push(frame);
        }
        number
    }

    fn frame(
        &mut self,
        frame: &FrameView<'_>,
        depth: u32,
        tables: &Tables,
        libraries: &mut Libraries,
    ) -> usize {
        let name = self.string(&frame.name);
        let file = (!frame.file.is_empty()).then(|| self.string(frame.file));
        let mapping = frame.mapping.filter(|mapping| mapping.is_file);
        let resource = mapping.map(|mapping| self.resource(libraries.number(mapping, tables), libraries));
        let resource = resource.and_then(|resource| i64::try_from(resource).ok()).unwrap_or(-1);
        let category = match frame.kind {
            FrameKind::User => 1,
            FrameKind::Kernel => 2,
            FrameKind::Interpreted => 3,
        };
        // JavaScript's numbers are exact up to 2^53, so larger addresses are left out.
        let address =
            i64::try_from(frame.address).ok().filter(|&address| address < 1 << 53 && mapping.is_some());
        let func = self.function(name, file, resource);
        let (line, column) = (frame.line, frame.column);
        self.number(Frame { func, address: address.unwrap_or(-1), depth, category, line, column })
    }

    fn number(&mut self, frame: Frame) -> usize {
        let table = &mut self.frame_table;
        let number = *self.frames.entry(frame).or_insert(table.length);
        if number == table.length {
            table.length += 1;
            table.address.push(frame.address);
            table.inline_depth.push(frame.depth);
            table.category.push(frame.category);
            table.subcategory.push(0);
            table.func.push(frame.func);
            table.native_symbol.push(None);
            table.inner_window_id.push(0);
            table.line.push((frame.line > 0).then_some(frame.line));
            table.column.push((frame.column > 0).then_some(frame.column));
        }
        number
    }

    fn function(&mut self, name: usize, file: Option<usize>, resource: i64) -> usize {
        let table = &mut self.func_table;
        let number = *self.functions.entry((name, file, resource)).or_insert(table.length);
        if number == table.length {
            table.length += 1;
            table.name.push(name);
            table.is_js.push(false);
            table.relevant_for_js.push(false);
            table.resource.push(resource);
            table.file_name.push(file);
            table.line_number.push(None);
            table.column_number.push(None);
        }
        number
    }

    fn resource(&mut self, library: usize, libraries: &Libraries) -> usize {
        if let Some(&known) = self.resources.get(&library) {
            return known;
        }
        let name = libraries.list.get(library).map_or("", |library| &library.name);
        let name = self.string(name);
        let table = &mut self.resource_table;
        table.length += 1;
        table.lib.push(library);
        table.name.push(name);
        table.host.push(None);
        table.r#type.push(LIBRARY);
        self.resources.insert(library, table.length - 1);
        table.length - 1
    }
}
