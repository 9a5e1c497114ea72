//! Lists of functions that compilers at run time write for perf, `/tmp/perf-PID.map`: a line for each, with its first
//! address, its size and its name.

use crate::jit_functions::{AddedFunctions, JitFunctions};

/// The longest line that is read.
const LONGEST_LINE: usize = 64 << 10;

/// perf's list of functions, which is read piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerfMap;

impl PerfMap {
    /// Adds the functions of the next lines of the list to `functions`. Bytes that were not consumed, those of a line
    /// without an end, are to be passed again, with those that follow them.
    pub fn add(self, text: &[u8], functions: &mut JitFunctions) -> AddedFunctions {
        let (mut added, mut rest) = (AddedFunctions::default(), text);
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            match fields(line) {
                Some((range, name)) => functions.insert_function(range, name, &mut added),
                // A line without anything is no fault.
                None if line.trim_ascii().is_empty() => {}
                None => added.refused += 1,
            }
        }
        if rest.len() > LONGEST_LINE {
            // The rest of the line counts as a line of its own, and is refused unless it reads like one.
            added.refused += 1;
            rest = &[];
        }
        added.consumed = text.len() - rest.len();
        added
    }
}

/// The start, the size and the name in a line, `START SIZE NAME` with numbers in hex.
fn fields(line: &[u8]) -> Option<((u64, u64), &[u8])> {
    let mut fields = line.trim_ascii().splitn(3, |byte| *byte == b' ');
    let mut number = || {
        let field = std::str::from_utf8(fields.next()?).ok()?;
        u64::from_str_radix(field.strip_prefix("0x").unwrap_or(field), 16).ok()
    };
    let range = (number()?, number()?);
    Some((range, fields.next()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: usize = 1 << 20;

    fn read(text: &[u8]) -> (JitFunctions, AddedFunctions) {
        let mut functions = JitFunctions::new(MIB);
        let added = PerfMap.add(text, &mut functions);
        (functions, added)
    }

    fn name(functions: &JitFunctions, at: u64) -> Option<&str> {
        Some(functions.find(at)?.name)
    }

    #[test]
    fn a_function_is_named_from_its_first_byte_to_its_last() {
        let (functions, added) =
            read(b"1000 20 JS:*fib /a b.js:1\n0x2000 0x10 Lcom/foo;::bar\r\n3000 10 cut of");
        assert_eq!(name(&functions, 0xfff), None);
        assert_eq!(name(&functions, 0x1000), Some("JS:*fib /a b.js:1"));
        assert_eq!(name(&functions, 0x101f), Some("JS:*fib /a b.js:1"));
        assert_eq!(name(&functions, 0x1020), None);
        assert_eq!(name(&functions, 0x2000), Some("Lcom/foo;::bar"));
        assert_eq!(name(&functions, 0x3000), None, "the line has not ended");
        assert_eq!((added.taken, added.refused, added.consumed), (2, 0, 54));
    }

    #[test]
    fn lines_that_are_not_as_they_should_be_are_counted_and_names_are_text() {
        let (functions, added) =
            read(b"x 10 a\n1000 y b\n1000 0 c\n1000 10\n1000 10  \nffffffffffffffff 2 d\n\n2000 1 a\x1bb\n");
        assert_eq!((added.taken, added.refused), (1, 6));
        assert_eq!(name(&functions, 0x2000), Some("a\u{fffd}b"));
        let (functions, added) = read(b"1000 10 a\xffb\n");
        assert_eq!((added.taken, name(&functions, 0x1000)), (1, Some("a\u{fffd}b")));
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        let endless = vec![b'a'; LONGEST_LINE + 1];
        let (_, added) = read(&endless);
        assert_eq!((added.consumed, added.refused), (endless.len(), 1));
    }

    proptest! {
        /// A list is the same in one piece and in two, wherever it is cut.
        #[test]
        fn a_list_is_read_in_pieces(
            all in prop::collection::vec((0u64..60, 0u64..30), 0..30),
            cut in any::<prop::sample::Index>(),
        ) {
            let line = |(index, (start, size)): (usize, &(u64, u64))| format!("{start:x} {size:x} f{index}\n");
            let text: String = all.iter().enumerate().map(line).collect();
            let (whole, _) = read(text.as_bytes());
            let (first, _) = text.split_at(cut.index(text.len() + 1));
            let (mut pieces, added) = read(first.as_bytes());
            PerfMap.add(&text.as_bytes()[added.consumed..], &mut pieces);
            for at in 0..100 {
                prop_assert_eq!(name(&pieces, at), name(&whole, at), "address {}", at);
            }
        }

        /// Any bytes are read, in bounded room.
        #[test]
        fn any_bytes_are_read(text in prop::collection::vec(any::<u8>(), 0..400), at: u64) {
            let mut functions = JitFunctions::new(1000);
            prop_assert!(PerfMap.add(&text, &mut functions).consumed <= text.len());
            prop_assert!(functions.memory() <= 1000);
            let _found = functions.find(at);
        }
    }
}
