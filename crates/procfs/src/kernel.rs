//! The kernel's own code: its address ranges and those of its modules, and the identities of the files that they were
//! loaded from.

use std::fmt;
use std::io::{self, BufRead};
use std::ops::Range;

use pdata::{BuildId, Pc};

/// The most bytes of symbols that are read: a hundred times what a kernel has.
const MAX_SYMBOLS: u64 = 512 << 20;
/// `NT_GNU_BUILD_ID`, and the name of the vendor that defines it.
const BUILD_ID: u32 = 3;
const GNU: &[u8] = b"GNU\0";

/// A way to ask the kernel for what `/proc/kallsyms` does not show: addresses that it hides, and BPF programs loaded
/// since it was read.
pub trait ListSymbols: fmt::Debug + Send + Sync {
    /// The symbols, as `/proc/kallsyms` prints them for readers to whom it shows addresses.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn symbols(&self) -> io::Result<Vec<u8>>;

    /// The number of the BPF program that was loaded last, of the programs that are still there: numbers count up.
    /// `None` if there is none or the kernel does not say.
    fn newest_program(&self) -> Option<u32>;
}

/// The range of the kernel's own text, by the lines of `/proc/kallsyms`: from `_stext` to `_etext`.
///
/// `None` if the kernel shows no addresses to this process, or has no such symbols. Reads no further than the second
/// symbol.
///
/// # Errors
/// Errors of reading.
pub fn kernel_text(symbols: impl BufRead) -> io::Result<Option<Range<Pc>>> {
    let (mut symbols, mut line) = (symbols.take(MAX_SYMBOLS), Vec::new());
    let mut start = None;
    while symbols.read_until(b'\n', &mut line)? > 0 {
        // Symbols of modules have the module's name behind them.
        if line.ends_with(b" _stext\n") {
            start = address(&line);
        } else if line.ends_with(b" _etext\n") {
            let end = address(&line);
            return Ok(start.zip(end).map(|(start, end)| start..end).filter(|text| text.start < text.end));
        }
        line.clear();
    }
    Ok(None)
}

/// The address that a line begins with; `None` if it is hidden.
fn address(line: &[u8]) -> Option<Pc> {
    let word = line.split(|&byte| byte == b' ').next()?;
    let address = u64::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
    (address != 0).then_some(Pc(address))
}

/// A module of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KernelModule {
    /// The module's name, such as `ext4`.
    pub name: Box<str>,
    /// The first address of its code.
    pub start: Pc,
    /// Bytes in memory: those of the module's code, and on some kernels those of its data too.
    pub size: u64,
}

/// The modules of `/proc/modules`, in the order of their addresses; without those whose address the kernel hides.
#[must_use]
pub fn modules(text: &[u8]) -> Vec<KernelModule> {
    let mut modules: Vec<_> = text.split(|&byte| byte == b'\n').filter_map(module).collect();
    modules.sort_by_key(|module| module.start);
    modules
}

/// Parses `NAME SIZE USERS DEPENDENCIES STATE ADDRESS`, see `m_show` in `kernel/module/procfs.c`.
fn module(line: &[u8]) -> Option<KernelModule> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (name, size, address) = (words.next()?, words.next()?.parse().ok()?, words.nth(3)?);
    // The name is part of a path of sysfs.
    if name.contains('/') || name.starts_with('.') {
        return None;
    }
    let start = u64::from_str_radix(address.strip_prefix("0x")?, 16).ok().filter(|&start| start != 0)?;
    Some(KernelModule { name: name.into(), start: Pc(start), size })
}

/// The GNU build ID among ELF notes, such as those of `/sys/kernel/notes`, in this machine's byte order.
#[must_use]
pub fn build_id_of_notes(mut notes: &[u8]) -> Option<BuildId> {
    while !notes.is_empty() {
        let (name_bytes, rest) = number(notes)?;
        let (id_bytes, rest) = number(rest)?;
        let (kind, rest) = number(rest)?;
        let (name, rest) = padded(rest, name_bytes)?;
        let (id, rest) = padded(rest, id_bytes)?;
        if (kind, name) == (BUILD_ID, GNU) {
            return BuildId::new(id);
        }
        notes = rest;
    }
    None
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_ne_bytes(*number), rest))
}

/// Splits off `length` bytes; returns them and the bytes that follow their padding. The last note may have no padding.
fn padded(bytes: &[u8], length: u32) -> Option<(&[u8], &[u8])> {
    let length = usize::try_from(length).ok()?;
    let (field, _) = bytes.split_at_checked(length)?;
    Some((field, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kernels_text_is_between_two_symbols_of_its_own() {
        let symbols = "0000000000000000 A fixed_percpu_data\nffffffff81000000 T _stext\nffffffff81000000 T _text\n\
                       ffffffff81234560 t _etext\t[odd]\nffffffff82276f48 T _etext\nnot read";
        let text = Pc(0xffff_ffff_8100_0000)..Pc(0xffff_ffff_8227_6f48);
        assert_eq!(kernel_text(symbols.as_bytes()).unwrap(), Some(text));
        let hidden = "0000000000000000 T _stext\n0000000000000000 T _etext\n";
        assert_eq!(kernel_text(hidden.as_bytes()).unwrap(), None);
        assert_eq!(kernel_text("".as_bytes()).unwrap(), None);
    }

    #[test]
    fn modules_are_read_as_the_kernel_writes_them() {
        let text =
            b"overlay 217088 0 - Live 0xffffffffc0a00000\next4 1064960 1 - Live 0xffffffffc0800000 (E)\n\
                     hidden 4096 0 - Live 0x0000000000000000\n../x 4096 0 - Live 0xffffffffc0700000\n";
        let module = |name: &str, start, size| KernelModule { name: name.into(), start: Pc(start), size };
        let expected = [
            module("ext4", 0xffff_ffff_c080_0000, 1_064_960),
            module("overlay", 0xffff_ffff_c0a0_0000, 217_088),
        ];
        assert_eq!(modules(text), expected);
    }

    /// A note, padded as the linker does it.
    fn note(kind: u32, name: &[u8], content: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_ne_bytes();
        let mut note = [length(name), length(content), kind.to_ne_bytes()].concat();
        for field in [name, content] {
            note.extend_from_slice(field);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn this_kernel_has_a_build_id_where_it_shows_notes() {
        let Ok(notes) = std::fs::read("/sys/kernel/notes") else { return };
        assert!(build_id_of_notes(&notes).is_some() || !notes.windows(4).any(|word| word == GNU));
    }

    proptest! {
        /// The build ID is found wherever it stands, and other notes are none.
        #[test]
        fn a_build_id_is_found_among_other_notes(
            before in proptest::collection::vec((0u32..9, "[a-zA-F]{0,9}", proptest::collection::vec(any::<u8>(), 0..9)), 0..4),
            id in proptest::collection::vec(any::<u8>(), 1..=20),
        ) {
            let mut notes: Vec<u8> =
                before.iter().flat_map(|(kind, name, content)| note(*kind, name.as_bytes(), content)).collect();
            prop_assert_eq!(build_id_of_notes(&notes), None);
            notes.extend(note(BUILD_ID, GNU, &id));
            prop_assert_eq!(build_id_of_notes(&notes), BuildId::new(&id));
        }

        /// Any bytes are parsed or refused.
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,40}[ 0-9a-fx\n]{0,40}") {
            let _any = (build_id_of_notes(&bytes), modules(&bytes), modules(text.as_bytes()));
            prop_assert!(kernel_text(&*bytes).is_ok());
        }
    }
}
