//! Lists of functions that compilers at run time write, perf's `/tmp/perf-PID.map`: a line for each, with its first
//! address, its size and its name.

use std::collections::BTreeMap;
use std::ops::Bound;

/// The longest name that is kept, in bytes, and the longest line that is read.
pub(crate) const LONGEST_NAME: usize = 1024;
const LONGEST_LINE: usize = 64 << 10;
/// Bytes of memory that a function takes beside its name.
const ENTRY: usize = 80;

/// Functions that have been compiled at run time, by address: those of perf's list, and those that a
/// [`JitDump`](crate::JitDump) adds.
#[derive(Debug)]
pub struct PerfMap {
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

/// The outcome of adding lines of perf's list, or records of a jitdump, of which each that adds a function counts as a
/// line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerfMapLines {
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

impl std::ops::AddAssign for PerfMapLines {
    fn add_assign(&mut self, more: Self) {
        self.consumed += more.consumed;
        self.taken += more.taken;
        self.overlapping += more.overlapping;
        self.refused += more.refused;
        self.full += more.full;
    }
}

impl PerfMap {
    /// A list without functions, which may take `max_bytes` bytes.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { functions: BTreeMap::new(), bytes: 0, max_bytes }
    }

    /// Adds the functions of lines. A function that lies where others do takes their place, since the code that was
    /// there is gone.
    pub fn add(&mut self, text: &[u8]) -> PerfMapLines {
        let mut lines = PerfMapLines::default();
        let mut rest = text;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            match Line::parse(line) {
                Some(line) => self.insert(&line, &mut lines),
                // A line without anything is no fault.
                None if line.trim_ascii().is_empty() => {}
                None => lines.refused += 1,
            }
        }
        if rest.len() > LONGEST_LINE {
            // The rest of the line counts as a line of its own, and is refused unless it reads like one.
            lines.refused += 1;
            rest = &[];
        }
        lines.consumed = text.len() - rest.len();
        lines
    }

    fn insert(&mut self, line: &Line<'_>, lines: &mut PerfMapLines) {
        let halved = self.spanning(line.start, line.end).map_or(0, |name| ENTRY + name.len());
        if self.bytes + ENTRY + line.name.len() + halved > self.max_bytes {
            lines.full += 1;
            return;
        }
        lines.taken += 1;
        lines.overlapping += u64::from(self.clear_range(line.start, line.end));
        self.put(line.start, line.end, line.name.as_ref().into());
    }

    /// Adds a function of a start and a size, which takes the place of others.
    pub(crate) fn insert_function(
        &mut self,
        (start, size): (u64, u64),
        name: &[u8],
        lines: &mut PerfMapLines,
    ) {
        match Line::of(start, size, name) {
            Some(line) => self.insert(&line, lines),
            None => lines.refused += 1,
        }
    }

    /// Moves the function that holds an address to a start and a size; nothing has its name where it was.
    pub(crate) fn move_function(&mut self, from: u64, (start, size): (u64, u64), lines: &mut PerfMapLines) {
        let Some(name) = self.find(from).map(|found| found.name.to_owned()) else { return };
        if self.bytes + 2 * (ENTRY + name.len()) > self.max_bytes {
            // What is cleared may have a part on both sides.
            lines.full += 1;
            return;
        }
        let has_cleared = from.checked_add(size).is_some_and(|end| self.clear_range(from, end));
        lines.overlapping += u64::from(has_cleared);
        self.insert_function((start, size), name.as_bytes(), lines);
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

    /// Bytes that the list holds in memory, about.
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
    pub fn functions(&self) -> usize {
        self.functions.len()
    }
}

/// A line of the right form.
#[derive(Debug)]
struct Line<'a> {
    start: u64,
    end: u64,
    name: std::borrow::Cow<'a, str>,
}

impl<'a> Line<'a> {
    /// Reads `START SIZE NAME`, numbers in hex.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.trim_ascii().splitn(3, |byte| *byte == b' ');
        let mut number = || {
            let field = std::str::from_utf8(fields.next()?).ok()?;
            u64::from_str_radix(field.strip_prefix("0x").unwrap_or(field), 16).ok()
        };
        let (start, size) = (number()?, number()?);
        Self::of(start, size, fields.next()?)
    }

    /// A function; `None` if it has no bytes or no name.
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

    fn map(text: &str) -> (PerfMap, PerfMapLines) {
        let mut map = PerfMap::new(MIB);
        let lines = map.add(text.as_bytes());
        (map, lines)
    }

    fn name(map: &PerfMap, at: u64) -> Option<&str> {
        Some(map.find(at)?.name)
    }

    #[test]
    fn a_function_is_named_from_its_first_byte_to_its_last() {
        let (map, lines) = map("1000 20 JS:*fib /a b.js:1\n0x2000 0x10 Lcom/foo;::bar\r\n3000 10 cut of");
        assert_eq!(name(&map, 0xfff), None);
        assert_eq!(name(&map, 0x1000), Some("JS:*fib /a b.js:1"));
        assert_eq!(name(&map, 0x101f), Some("JS:*fib /a b.js:1"));
        assert_eq!(name(&map, 0x1020), None);
        assert_eq!(name(&map, 0x2000), Some("Lcom/foo;::bar"));
        assert_eq!(name(&map, 0x3000), None, "the line has not ended");
        assert_eq!((lines.taken, lines.refused, lines.consumed), (2, 0, 54));
    }

    #[test]
    fn what_is_compiled_where_something_was_takes_its_place_and_leaves_the_rest() {
        let (mut map, _) = map("1000 100 old\n2000 100 other\n");
        let lines = map.add(b"1040 40 new\n1f00 180 across\n");
        assert_eq!(lines.overlapping, 2);
        for (at, expected) in [
            (0x1000, "old"),
            (0x1040, "new"),
            (0x107f, "new"),
            (0x1080, "old"),
            (0x1f00, "across"),
            (0x2080, "other"),
        ] {
            assert_eq!(name(&map, at), Some(expected), "{at:#x}");
        }
        map.add(b"1000 100 old\n");
        assert_eq!(map.functions(), 3, "the parts are gone");
    }

    #[test]
    fn lines_that_are_not_as_they_should_be_are_counted_and_names_are_text() {
        let (map, lines) =
            map("x 10 a\n1000 y b\n1000 0 c\n1000 10\n1000 10  \nffffffffffffffff 2 d\n\n2000 1 a\x1bb\n");
        assert_eq!((lines.taken, lines.refused), (1, 6));
        assert_eq!(name(&map, 0x2000), Some("a\u{fffd}b"));
        let (mut map, bad) = (PerfMap::new(MIB), b"1000 10 a\xffb\n");
        assert_eq!(map.add(bad).taken, 1);
        assert_eq!(name(&map, 0x1000), Some("a\u{fffd}b"));
    }

    #[test]
    fn a_line_without_an_end_is_given_up_and_a_list_that_is_too_long_is_cut() {
        let mut map = PerfMap::new(4096);
        let endless = vec![b'a'; LONGEST_LINE + 1];
        let lines = map.add(&endless);
        assert_eq!((lines.consumed, lines.refused), (endless.len(), 1));
        let text: String = (1..1000u64).map(|at| format!("{:x} 10 name\n", at * 0x100)).collect();
        let lines = map.add(text.as_bytes());
        assert!(lines.full > 900 && map.memory() <= 4096);
        assert_eq!(lines.taken + lines.full, 999);
    }

    /// The function that names an address, found the slow way: the last line that covers it.
    fn model(all: &[(u64, u64)], at: u64) -> Option<String> {
        let covers = |&(start, size): &(u64, u64)| size > 0 && start <= at && at < start + size;
        all.iter().rposition(covers).map(|index| format!("f{index}"))
    }

    proptest! {
        /// Each address has the name of the last line that covers it, and the counts of lines add up.
        #[test]
        fn the_last_line_that_covers_an_address_names_it(
            all in prop::collection::vec((0u64..60, 0u64..30), 0..30),
            cut in any::<prop::sample::Index>(),
        ) {
            let line = |(index, (start, size)): (usize, &(u64, u64))| format!("{start:x} {size:x} f{index}\n");
            let text: String = all.iter().enumerate().map(line).collect();
            let mut map = PerfMap::new(MIB);
            let (first, _) = text.split_at(cut.index(text.len() + 1));
            let consumed = map.add(first.as_bytes()).consumed;
            map.add(&text.as_bytes()[consumed..]);
            for at in 0..100 {
                prop_assert_eq!(name(&map, at).map(str::to_owned), model(&all, at), "address {}", at);
            }
            let counted: usize = map.functions.values().map(|entry| ENTRY + entry.name.len()).sum();
            prop_assert_eq!(map.memory(), counted);
        }

        /// Any bytes are read, in bounded room.
        #[test]
        fn any_bytes_are_read(text in prop::collection::vec(any::<u8>(), 0..400), at: u64) {
            let mut map = PerfMap::new(1000);
            prop_assert!(map.add(&text).consumed <= text.len());
            prop_assert!(map.memory() <= 1000);
            let _found = map.find(at);
        }
    }
}
