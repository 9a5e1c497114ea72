//! Any bytes are a file with symbols or lines, the text of the kernel's symbols, a list or a dump of compiled functions
//! or a mangled name, or are refused: no panic, in bounded time and memory.
//!
//! The first byte chooses which.

#![no_main]

use libfuzzer_sys::fuzz_target;
use symbolize::{
    ByteSource, DebugPart, DebugParts, Demangle, JitDump, JitFunctions, KernelSymbols, Limits, LineTables,
    PerfMap, SymbolFile, demangle,
};

const MEMORY: usize = 4 << 20;

/// Any part of debug information that is in another file.
#[derive(Clone)]
struct Part(Vec<u8>);

impl ByteSource for Part {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.as_slice().read_exact_at(offset, buffer)
    }
}

impl DebugParts for Part {
    fn open(&mut self, _part: DebugPart<'_>) -> std::io::Result<Option<Box<dyn ByteSource>>> {
        Ok(Some(Box::new(self.clone())))
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    match choice % 7 {
        0 => {
            let Ok(file) = SymbolFile::open(rest, Limits { memory: MEMORY }) else { return };
            assert!(file.memory() < 3 * MEMORY);
            for at in (0..0x4000).step_by(64) {
                let Some(address) = file.address_of(at) else { continue };
                if let Ok(Some(found)) = file.resolve(rest, address) {
                    assert!(found.start <= address && address < found.end && !found.name.is_empty());
                }
            }
        }
        1 => {
            let symbols = KernelSymbols::parse(rest);
            for at in (0xffff_ffff_8100_0000..0xffff_ffff_8101_0000).step_by(256) {
                assert!(symbols.find(at).is_none_or(|found| found.start <= at && !found.name.is_empty()));
            }
        }
        3 => {
            let Ok(Some(mut tables)) = LineTables::open(&rest, Limits { memory: MEMORY }) else { return };
            let addresses: Vec<u64> =
                (0..0x4000).step_by(256).chain((0x40_0000..0x40_2000).step_by(256)).collect();
            assert_eq!(tables.lines(&rest, &mut (), &addresses).len(), addresses.len());
            // The last unit may be as large as all may.
            assert!(tables.memory() <= 2 * MEMORY);
        }
        4 => {
            let (mut map, half) = (JitFunctions::new(MEMORY), rest.len() / 2);
            let (first, second) = rest.split_at(half);
            for text in [first, second] {
                assert!(PerfMap.add(text, &mut map).consumed <= text.len() && map.memory() <= MEMORY);
            }
            for at in (0..0x1_0000).step_by(256) {
                assert!(map.find(at).is_none_or(|found| found.start <= at && !found.name.is_empty()));
            }
        }
        5 => {
            let (mut map, mut dump, half) = (JitFunctions::new(MEMORY), JitDump::default(), rest.len() / 2);
            let consumed = dump.add(&rest[..half], &mut map).consumed;
            assert!(consumed <= half && map.memory() <= MEMORY);
            assert!(dump.add(&rest[consumed..], &mut map).consumed <= rest.len() - consumed);
            assert!(map.memory() <= MEMORY);
        }
        6 => {
            // A file, and after it another that has parts of its debug information.
            let Some((length, rest)) = rest.split_first_chunk() else { return };
            let (file, part) = rest.split_at(rest.len().min(u16::from_le_bytes(*length).into()));
            let Ok(Some(mut tables)) = LineTables::open(&file, Limits { memory: MEMORY }) else { return };
            let addresses: Vec<u64> = (0..0x4000).step_by(256).collect();
            let mut part = Part(part.to_vec());
            assert_eq!(tables.lines(&file, &mut part, &addresses).len(), addresses.len());
            assert!(tables.memory() <= 2 * MEMORY);
        }
        _ => {
            let Ok(name) = std::str::from_utf8(rest) else { return };
            for how in [Demangle::Simplified, Demangle::Full] {
                assert!(demangle(name, how).is_none_or(|name| !name.is_empty()));
            }
        }
    }
});
