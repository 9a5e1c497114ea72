//! Functions that compilers at run time write to a jitdump: `jit-PID.dump`, records with the code and the name of each
//! function. Only names are read. Source: `tools/perf/Documentation/jitdump-specification.txt` of Linux.

use crate::jit_functions::{AddedFunctions, JitFunctions, LONGEST_NAME};

/// The first number of a jitdump, in the byte order of its machine.
const MAGIC: u32 = 0x4a69_5444;
/// Bytes of the header of a file, and of a record; the largest header of a file that is believed.
const FILE_HEADER: u64 = 40;
const RECORD_HEADER: u64 = 16;
const LONGEST_FILE_HEADER: u64 = 64 << 10;
/// Kinds of records: a function that was compiled, and one that was moved.
const LOADED: u32 = 0;
const MOVED: u32 = 1;
/// Bytes of such records before the name, and in all.
const BEFORE_NAME: usize = 56;
const MOVED_RECORD: u64 = 64;

/// A jitdump that is read piece by piece, and the state of the reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct JitDump {
    has_begun: bool,
    /// True once something was found that is none of a jitdump: where the next record begins is not known.
    is_broken: bool,
    /// Bytes of the last record that are still to come, and are of no interest.
    skipped: u64,
}

/// The next part of a jitdump.
enum Next<'a> {
    /// A record that has not been written to its end, as far as it is of interest.
    Unfinished,
    /// Nothing that a jitdump has.
    Broken,
    /// A header, or a record that names nothing.
    Other {
        length: u64,
    },
    Loaded {
        length: u64,
        start: u64,
        size: u64,
        name: &'a [u8],
    },
    Moved {
        length: u64,
        from: u64,
        to: u64,
        size: u64,
    },
}

impl JitDump {
    /// Adds the functions of the next bytes of the file to `functions`. A function that lies where others do takes
    /// their place. Bytes that were not consumed are to be passed again, with those that follow them.
    pub fn add(&mut self, bytes: &[u8], functions: &mut JitFunctions) -> AddedFunctions {
        let (mut added, mut rest) = (AddedFunctions::default(), bytes);
        loop {
            let skipped = usize::try_from(self.skipped).unwrap_or(usize::MAX).min(rest.len());
            rest = rest.get(skipped..).unwrap_or_default();
            self.skipped -= skipped as u64;
            if self.is_broken {
                rest = &[];
            }
            if rest.is_empty() {
                break;
            }
            self.skipped = match self.next(rest) {
                Next::Unfinished => break,
                Next::Broken => {
                    self.is_broken = true;
                    added.refused += 1;
                    0
                }
                Next::Other { length } => length,
                Next::Loaded { length, start, size, name } => {
                    functions.insert_function((start, size), name, &mut added);
                    length
                }
                Next::Moved { length, from, to, size } => {
                    functions.move_function(from, (to, size), &mut added);
                    length
                }
            };
            self.has_begun = true;
        }
        added.consumed = bytes.len() - rest.len();
        added
    }

    /// The part that the bytes begin with.
    fn next<'a>(&self, bytes: &'a [u8]) -> Next<'a> {
        let (Some(first), Some(second), Some(third)) = (number(bytes, 0), number(bytes, 4), number(bytes, 8))
        else {
            return Next::Unfinished;
        };
        if !self.has_begun {
            let length = u64::from(third);
            let is_header = first == MAGIC && (FILE_HEADER..=LONGEST_FILE_HEADER).contains(&length);
            return if is_header { Next::Other { length } } else { Next::Broken };
        }
        let (kind, length) = (first, u64::from(second));
        let of_interest = match kind {
            _ if length < RECORD_HEADER => return Next::Broken,
            LOADED if length > BEFORE_NAME as u64 => length.min((BEFORE_NAME + LONGEST_NAME) as u64),
            MOVED if length >= MOVED_RECORD => MOVED_RECORD,
            _ => return Next::Other { length },
        };
        let Some(record) = usize::try_from(of_interest).ok().and_then(|end| bytes.get(..end)) else {
            return Next::Unfinished;
        };
        let wide = |at| wide(record, at).unwrap_or_default();
        if kind == MOVED {
            return Next::Moved { length, from: wide(32), to: wide(40), size: wide(48) };
        }
        let name = record.get(BEFORE_NAME..).unwrap_or_default();
        let name = name.get(..memchr::memchr(0, name).unwrap_or(name.len())).unwrap_or_default();
        Next::Loaded { length, start: wide(32), size: wide(40), name }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn wide(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MEMORY: usize = 1 << 20;

    fn header() -> Vec<u8> {
        // Magic, version, size, machine, padding, pid; time and flags.
        let halves = [MAGIC, 1, 40, 62, 0, 7].into_iter().flat_map(u32::to_ne_bytes);
        halves.chain([0_u64, 0].into_iter().flat_map(u64::to_ne_bytes)).collect()
    }

    fn record(kind: u32, numbers: &[u64], rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(24 + 8 * numbers.len() + rest.len()).unwrap();
        let head = [kind, length].into_iter().flat_map(u32::to_ne_bytes);
        // The time, the pid and the thread.
        let head = head.chain(99_u64.to_ne_bytes()).chain([7, 7].into_iter().flat_map(u32::to_ne_bytes));
        head.chain(numbers.iter().flat_map(|number| number.to_ne_bytes()))
            .chain(rest.iter().copied())
            .collect()
    }

    fn loaded(start: u64, size: u64, name: &str, code: usize) -> Vec<u8> {
        record(LOADED, &[start, start, size, 1], &[name.as_bytes(), &[0], &vec![0xcc; code]].concat())
    }

    fn moved(from: u64, to: u64, size: u64) -> Vec<u8> {
        record(MOVED, &[from, from, to, size, 1], &[])
    }

    /// Reads a dump in pieces that end at those places.
    fn read(dump: &[u8], mut ends: Vec<usize>) -> (JitFunctions, AddedFunctions) {
        let (mut functions, mut reader, mut added) =
            (JitFunctions::new(MEMORY), JitDump::default(), AddedFunctions::default());
        ends.push(dump.len());
        ends.sort_unstable();
        for end in ends.into_iter().map(|end| end.min(dump.len())) {
            added += reader.add(&dump[added.consumed..end.max(added.consumed)], &mut functions);
        }
        (functions, added)
    }

    #[test]
    fn a_function_is_named_where_it_was_compiled_and_where_it_was_moved() {
        let debug_info = record(2, &[0x1000, 0], &[]);
        let dump = [
            header(),
            loaded(0x1000, 0x20, "first", 32),
            debug_info,
            loaded(0x2000, 0x10, "second", 5),
            moved(0x1000, 0x3000, 0x20),
        ];
        let (functions, added) = read(&dump.concat(), vec![]);
        let name = |at| functions.find(at).map(|found| found.name.to_owned());
        assert_eq!(
            [0x1000, 0x200f, 0x2010, 0x3000, 0x301f, 0x3020].map(name).map(|name| name.unwrap_or_default()),
            ["", "second", "", "first", "first", ""]
        );
        assert_eq!((added.taken, added.overlapping, added.refused), (3, 1, 0));
    }

    #[test]
    fn what_is_no_jitdump_is_refused_once_and_passed_over() {
        for bytes in [
            b"JiTDx".repeat(20),
            [header(), record(9, &[], &[]), vec![0; 64]].concat(),
            header().into_iter().rev().collect(),
        ] {
            let (functions, added) = read(&bytes, vec![20, 60]);
            assert_eq!((functions.ranges(), added.refused, added.consumed), (0, 1, bytes.len()));
        }
    }

    proptest! {
        /// However a dump is cut into pieces, its functions are the same, and all of it is consumed.
        #[test]
        fn pieces_are_of_no_matter(
            functions in prop::collection::vec((0..64_u64, 1..4_u64, "[a-z]{1,30}", 0..200_usize), 0..20),
            moves in prop::collection::vec((0..64_u64, 0..64_u64), 0..4),
            ends in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let records = functions.iter().map(|(at, size, name, code)| loaded(at * 16, size * 16, name, *code));
            let records = records.chain(moves.iter().map(|(from, to)| moved(from * 16, to * 16, 16)));
            let dump: Vec<u8> = header().into_iter().chain(records.flatten()).collect();
            let (whole, all) = read(&dump, vec![]);
            let (pieces, added) = read(&dump, ends.iter().map(|end| end.index(dump.len() + 1)).collect());
            prop_assert_eq!((all, all.consumed), (added, dump.len()));
            for at in (0..80 * 16).step_by(8) {
                prop_assert_eq!(whole.find(at), pieces.find(at));
            }
            if moves.is_empty() {
                for at in (0..80 * 16).step_by(16) {
                    let last = functions.iter().rfind(|(start, size, ..)| (start * 16..(start + size) * 16).contains(&at));
                    prop_assert_eq!(whole.find(at).map(|found| found.name), last.map(|(_, _, name, _)| name.as_str()));
                }
            }
        }

        /// Any bytes after a header are records or are refused, within bounds.
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, with_header: bool, kind in 0..5_u32, length: u16) {
            let start = [kind, length.into()].into_iter().flat_map(u32::to_ne_bytes);
            let header = if with_header { header() } else { Vec::new() };
            let dump: Vec<u8> = header.into_iter().chain(start).chain(bytes).collect();
            let (functions, added) = read(&dump, vec![dump.len() / 2]);
            prop_assert!(added.consumed <= dump.len() && functions.memory() <= MEMORY);
        }
    }
}
