//! Any bytes are an ELF file whose pages have rows, or are refused: no panic, in bounded time and memory.
//!
//! The first byte chooses: even, the rest is a file; odd, the rest is the `.eh_frame` of a file that is otherwise in
//! order.

#![no_main]

use libfuzzer_sys::fuzz_target;
use unwind::{RuleTable, UnwindFile};

const TEXT: u64 = 0x100;
const EH_FRAME: usize = 0x200;
const HEADER: u64 = 56;

/// A file of one segment, which is executable and holds the entries too; the search table names one entry.
fn wrap(eh_frame: &[u8]) -> Vec<u8> {
    let end = (EH_FRAME + eh_frame.len()) as u64;
    let mut out = vec![0u8; EH_FRAME];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[3, 0, 62 + (eh_frame.len() as u8 & 1) * 121]);
    put(24, &TEXT.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(54, &(HEADER as u16).to_le_bytes());
    put(56, &[2]);
    for (index, (kind, at, size)) in [(1u32, 0, end + 20), (0x6474_e550, end, 20)].into_iter().enumerate() {
        let header = 64 + index * 56;
        put(header, &kind.to_le_bytes());
        put(header + 4, &[5]);
        for (field, value) in [at, at, at, size, size].into_iter().enumerate() {
            put(header + 8 + field * 8, &value.to_le_bytes());
        }
    }
    out.extend(eh_frame);
    out.extend([1, 0x1b, 3, 0x3b]);
    out.extend((EH_FRAME as i32 - (end as i32 + 4)).to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out.extend((TEXT as i32 - end as i32).to_le_bytes());
    out.extend((EH_FRAME as i32 + 0x18 - end as i32).to_le_bytes());
    out
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let wrapped;
    let file = if choice & 1 == 0 {
        rest
    } else {
        wrapped = wrap(rest);
        &wrapped
    };
    let mut rules = RuleTable::new();
    let Ok(mut unwind) = UnwindFile::open(file) else { return };
    for page in 0..unwind.pages().min(2) {
        let Ok(page) = unwind.page(file, page, &mut rules) else { continue };
        assert_eq!(page.rows()[0].low(), 0);
        for pair in page.rows().windows(2) {
            assert!(pair[0].low() < pair[1].low() && pair[0].rule() != pair[1].rule());
        }
        assert!(page.rows().iter().all(|row| row.rule().index() < rules.used()));
    }
    assert!(unwind.memory() < 64 << 20);
});
