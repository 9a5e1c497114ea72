//! Functions that compilers at run time have made, by address, from whatever list their process writes.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Bytes of memory that a function takes beside its name.
const ENTRY: usize = 80;
/// The longest name that is kept, in bytes.
pub(crate) const LONGEST_NAME: usize = 1024;

/// Functions that have been compiled at run time, by address: those that a [`PerfMap`](crate::PerfMap) or a
/// [`JitDump`](crate::JitDump) has added. A function that lies where others do takes their place, since the code that
/// was there is gone.
#[derive(Debug)]
pub struct JitFunctions {
    /// Functions by first address; no two overlap.
    functions: BTreeMap<u64, Entry>,
    bytes: usize,
    max_bytes: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    end: u64,
    name: Box<str>,
}

/// A function that has been compiled at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitFunction<'a> {
    /// The first address of the range to which the name applies.
    pub start: u64,
    /// The first address after the range.
    pub end: u64,
    /// The name as it was written.
    pub name: &'a str,
}

/// The outcome of reading a piece of a list of functions, of lines or of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddedFunctions {
    /// Number of bytes that have been read: a line or a record that has not ended yet is none of them.
    pub consumed: usize,
    /// Number of functions that were added.
    pub taken: u64,
    /// Number of added functions that lie where others did.
    pub overlapping: u64,
    /// Number of lines and records that were refused, since their form is another.
    pub refused: u64,
    /// Number of functions for which there was no room.
    pub full: u64,
}

impl std::ops::AddAssign for AddedFunctions {
    fn add_assign(&mut self, more: Self) {
        self.consumed += more.consumed;
        self.taken += more.taken;
        self.overlapping += more.overlapping;
        self.refused += more.refused;
        self.full += more.full;
    }
}

impl JitFunctions {
    /// No functions yet; they may take `max_bytes` bytes.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { functions: BTreeMap::new(), bytes: 0, max_bytes }
    }

    fn insert(&mut self, function: &Function<'_>, added: &mut AddedFunctions) {
        let halved = self.spanning(function.start, function.end).map_or(0, |name| ENTRY + name.len());
        if self.bytes + ENTRY + function.name.len() + halved > self.max_bytes {
            added.full += 1;
            return;
        }
        added.taken += 1;
        added.overlapping += u64::from(self.clear_range(function.start, function.end));
        self.put(function.start, function.end, function.name.as_ref().into());
    }

    /// Adds a function of a start and a size, which takes the place of others.
    pub(crate) fn insert_function(
        &mut self,
        (start, size): (u64, u64),
        name: &[u8],
        added: &mut AddedFunctions,
    ) {
        match Function::of(start, size, name) {
            Some(function) => self.insert(&function, added),
            None => added.refused += 1,
        }
    }

    /// Moves the function that holds an address to a start and a size; nothing has its name where it was.
    pub(crate) fn move_function(&mut self, from: u64, (start, size): (u64, u64), added: &mut AddedFunctions) {
        let Some(name) = self.find(from).map(|found| found.name.to_owned()) else { return };
        if self.bytes + 2 * (ENTRY + name.len()) > self.max_bytes {
            // What is cleared may have a part on both sides.
            added.full += 1;
            return;
        }
        let has_cleared = from.checked_add(size).is_some_and(|end| self.clear_range(from, end));
        added.overlapping += u64::from(has_cleared);
        self.insert_function((start, size), name.as_bytes(), added);
    }

    /// The name of a function that begins before a range and ends behind it.
    fn spanning(&self, start: u64, end: u64) -> Option<&str> {
        let (_, entry) = self.functions.range(..start).next_back()?;
        (entry.end > end).then_some(&*entry.name)
    }

    /// Removes a range from the functions that lie there; true if some do. Their other parts stay.
    fn clear_range(&mut self, start: u64, end: u64) -> bool {
        let mut found = false;
        if let Some(name) = self.spanning(start, end).map(Box::from)
            && let Some((_, entry)) = self.functions.range_mut(..start).next_back()
        {
            let old_end = std::mem::replace(&mut entry.end, start);
            self.put(end, old_end, name);
            return true;
        }
        if let Some((_, entry)) = self.functions.range_mut(..start).next_back()
            && entry.end > start
        {
            entry.end = start;
            found = true;
        }
        while let Some((&at, _)) = self.functions.range((Bound::Included(start), Bound::Excluded(end))).next()
        {
            found = true;
            let Some(entry) = self.functions.remove(&at) else { break };
            self.bytes -= ENTRY + entry.name.len();
            if entry.end > end {
                self.put(end, entry.end, entry.name);
            }
        }
        found
    }

    fn put(&mut self, start: u64, end: u64, name: Box<str>) {
        self.bytes += ENTRY + name.len();
        if let Some(before) = self.functions.insert(start, Entry { end, name }) {
            self.bytes -= ENTRY + before.name.len();
        }
    }

    /// The function that holds an address.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<JitFunction<'_>> {
        let (&start, entry) = self.functions.range(..=address).next_back()?;
        (address < entry.end).then_some(JitFunction { start, end: entry.end, name: &entry.name })
    }

    /// Bytes that the functions take in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bytes
    }

    /// Forgets all functions.
    pub fn clear(&mut self) {
        self.functions.clear();
        self.bytes = 0;
    }

    /// Number of ranges of addresses that have a name.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.functions.len()
    }
}

/// A function of a list, whose name is text.
#[derive(Debug)]
struct Function<'a> {
    start: u64,
    end: u64,
    name: std::borrow::Cow<'a, str>,
}

impl<'a> Function<'a> {
    /// The function of a start and a size; `None` if it has no bytes or no name.
    fn of(start: u64, size: u64, name: &'a [u8]) -> Option<Self> {
        let end = start.checked_add(size).filter(|end| *end > start)?;
        let name = name.trim_ascii();
        let mut name = String::from_utf8_lossy(name.get(..LONGEST_NAME).unwrap_or(name));
        if name.contains(char::is_control) {
            name = name.replace(char::is_control, "\u{fffd}").into();
        }
        (!name.is_empty()).then_some(Self { start, end, name })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: usize = 1 << 20;

    /// Adds functions of a start, a size and a name.
    fn add(functions: &mut JitFunctions, all: &[(u64, u64, &str)]) -> AddedFunctions {
        let mut added = AddedFunctions::default();
        for &(start, size, name) in all {
            functions.insert_function((start, size), name.as_bytes(), &mut added);
        }
        added
    }

    fn name(functions: &JitFunctions, at: u64) -> Option<&str> {
        Some(functions.find(at)?.name)
    }

    #[test]
    fn what_is_compiled_where_something_was_takes_its_place_and_leaves_the_rest() {
        let mut functions = JitFunctions::new(MIB);
        add(&mut functions, &[(0x1000, 0x100, "old"), (0x2000, 0x100, "other")]);
        let added = add(&mut functions, &[(0x1040, 0x40, "new"), (0x1f00, 0x180, "across")]);
        assert_eq!((added.taken, added.overlapping), (2, 2));
        for (at, expected) in [
            (0xfff, None),
            (0x1000, Some("old")),
            (0x1040, Some("new")),
            (0x107f, Some("new")),
            (0x1080, Some("old")),
            (0x1100, None),
            (0x1f00, Some("across")),
            (0x2080, Some("other")),
        ] {
            assert_eq!(name(&functions, at), expected, "{at:#x}");
        }
        add(&mut functions, &[(0x1000, 0x100, "old")]);
        assert_eq!(functions.ranges(), 3, "the parts are gone");
    }

    #[test]
    fn a_name_is_text_and_functions_without_room_are_counted() {
        let mut functions = JitFunctions::new(4096);
        let all: Vec<_> = (1..1000).map(|at| (at * 0x100, 0x10, "a\x1bb")).collect();
        let added = add(&mut functions, &all);
        assert_eq!(name(&functions, 0x100), Some("a\u{fffd}b"));
        assert!(added.full > 900 && functions.memory() <= 4096);
        assert_eq!(added.taken + added.full, 999);
        assert_eq!(add(&mut functions, &[(1, 0, "a"), (1, 1, " "), (u64::MAX, 2, "a")]).refused, 3);
    }

    /// The function that names an address, found the slow way: the last one that covers it.
    fn model(all: &[(u64, u64)], at: u64) -> Option<String> {
        let covers = |&(start, size): &(u64, u64)| size > 0 && start <= at && at < start + size;
        all.iter().rposition(covers).map(|index| format!("f{index}"))
    }

    proptest! {
        /// Each address has the name of the last function that covers it, and the memory is that of what is kept.
        #[test]
        fn the_last_function_that_covers_an_address_names_it(
            all in prop::collection::vec((0u64..60, 0u64..30), 0..30),
        ) {
            let mut functions = JitFunctions::new(MIB);
            for (index, &(start, size)) in all.iter().enumerate() {
                add(&mut functions, &[(start, size, &format!("f{index}"))]);
            }
            for at in 0..100 {
                prop_assert_eq!(name(&functions, at).map(str::to_owned), model(&all, at), "address {}", at);
            }
            let counted: usize = functions.functions.values().map(|entry| ENTRY + entry.name.len()).sum();
            prop_assert_eq!(functions.memory(), counted);
        }
    }
}
