//! Functions of the kernel, of its modules and of BPF programs, read from `/proc/kallsyms`.

use std::ops::Range;

/// The longest name that is kept; the kernel's own have up to 511 bytes.
const LONGEST_NAME: usize = 512;
/// The most bytes of symbols that are kept, and of the names of their modules.
const MAX_SYMBOLS: usize = 4 << 20;
const MAX_NAMES: usize = 256 << 20;
const MAX_MODULES: usize = 4096;
/// The longest that a function is taken for if no symbol follows, in bytes: the code behind the last one of a module is
/// another's.
const LONGEST_FUNCTION: u64 = 1 << 20;
/// Names of the symbols at the start and at the end of the kernel's own text.
const TEXT_START: &str = "_stext";
const TEXT_END: &str = "_etext";
/// Names of symbols that mark the begin or the end of a part of the kernel, and are no functions.
const MARKS: [&[u8]; 9] = [
    b"_text",
    TEXT_START.as_bytes(),
    TEXT_END.as_bytes(),
    b"_sinittext",
    b"_einittext",
    b"__entry_text_start",
    b"__entry_text_end",
    b"__irqentry_text_start",
    b"__irqentry_text_end",
];

/// A function of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelFunction<'a> {
    /// First address of the function.
    pub start: u64,
    /// Name of the function.
    pub name: &'a str,
    /// The module of the function, such as `ext4`, or `bpf` for a BPF program; `None` for the kernel itself.
    pub module: Option<&'a str>,
}

/// The functions of a running kernel.
#[derive(Clone, Debug, Default)]
pub struct KernelSymbols {
    symbols: Box<[Symbol]>,
    names: Box<str>,
    modules: Box<[Box<str>]>,
    /// Start and end of the kernel's own text, if the symbols that mark them are there.
    text: (Option<u64>, Option<u64>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Symbol {
    address: u64,
    /// Preference of the symbol at its address: lower is better, see [`rank`].
    rank: u8,
    length: u16,
    /// Number of the symbol's module and one; 0 for the kernel.
    module: u16,
    name: u32,
}

impl KernelSymbols {
    /// Reads the text of `/proc/kallsyms`. Lines of another form are left out.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let (mut symbols, mut names) = (Vec::new(), String::new());
        let mut modules: Vec<Box<str>> = Vec::new();
        let mut own_text = (None, None);
        for line in text.split(|byte| *byte == b'\n') {
            let Some(line) = Line::parse(line) else { continue };
            if symbols.len() >= MAX_SYMBOLS || names.len() >= MAX_NAMES {
                break;
            }
            match (line.module, line.name) {
                (None, TEXT_START) => own_text.0 = Some(line.address),
                (None, TEXT_END) => own_text.1 = Some(line.address),
                _ => {}
            }
            let module = match line.module {
                None => 0,
                // Symbols of one module follow each other.
                Some(name) => match modules.iter().rposition(|module| **module == *name) {
                    Some(known) => known + 1,
                    None if modules.len() >= MAX_MODULES => continue,
                    None => {
                        modules.push(name.into());
                        modules.len()
                    }
                },
            };
            let (Ok(module), Ok(name)) = (u16::try_from(module), u32::try_from(names.len())) else {
                continue;
            };
            let Ok(length) = u16::try_from(line.name.len()) else { continue };
            names.push_str(line.name);
            symbols.push(Symbol {
                address: line.address,
                rank: rank(line.kind, line.name),
                length,
                module,
                name,
            });
        }
        symbols.sort_unstable();
        // Of several names for one address the best stays; one that is no function's ends the function before it all
        // the same.
        symbols.dedup_by_key(|symbol| symbol.address);
        Self { symbols: symbols.into(), names: names.into(), modules: modules.into(), text: own_text }
    }

    /// True if there are no addresses: the kernel shows none, or shows zeros, to processes that lack the right to see
    /// them.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.symbols.is_empty()
    }

    /// The range of the kernel's own text, without its modules; `None` if the symbols at its start and its end are not
    /// in the list.
    #[must_use]
    pub fn text(&self) -> Option<Range<u64>> {
        let (start, end) = self.text;
        Some(start?..end?).filter(|text| text.start < text.end)
    }

    /// The function that holds an address of the kernel.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<KernelFunction<'_>> {
        let after = self.symbols.partition_point(|symbol| symbol.address <= address);
        let symbol = self.symbols.get(after.checked_sub(1)?)?;
        if symbol.rank == NO_FUNCTION || address - symbol.address >= LONGEST_FUNCTION {
            return None;
        }
        let at = usize::try_from(symbol.name).ok()?;
        let name = self.names.get(at..at + usize::from(symbol.length))?;
        let module = usize::from(symbol.module).checked_sub(1).and_then(|index| self.modules.get(index));
        Some(KernelFunction { start: symbol.address, name, module: module.map(|module| &**module) })
    }

    /// Bytes that the symbols hold in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of_val(&*self.symbols)
            + self.names.len()
            + self.modules.iter().map(|name| name.len()).sum::<usize>()
    }
}

const NO_FUNCTION: u8 = 9;

/// The rank of a symbol: global functions before weak before local ones, and those before symbols that are no
/// functions.
fn rank(kind: u8, name: &str) -> u8 {
    match kind {
        _ if MARKS.contains(&name.as_bytes()) => NO_FUNCTION,
        b'T' => 1,
        b'W' | b'w' => 2,
        b't' => 3,
        _ => NO_FUNCTION,
    }
}

struct Line<'a> {
    address: u64,
    kind: u8,
    name: &'a str,
    module: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// Reads `ffffffff81000000 T name` or, of a module, `ffffffffc0000000 t name\t[module]`.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let (address, rest) = line.split_at_checked(memchr::memchr(b' ', line)?)?;
        let address = u64::from_str_radix(std::str::from_utf8(address).ok()?, 16).ok()?;
        let &[b' ', kind, b' ', ref rest @ ..] = rest else { return None };
        let rest = std::str::from_utf8(rest).ok()?;
        let (name, module) = match rest.split_once('\t') {
            Some((name, module)) => (name, Some(module.strip_prefix('[')?.strip_suffix(']')?)),
            None => (rest, None),
        };
        let fits = |name: &str| !name.is_empty() && name.len() <= LONGEST_NAME;
        // Symbols of one processor are offsets, small numbers; so is a hidden address.
        let is_address = address >> 63 == 1;
        (is_address && fits(name) && module.is_none_or(fits)).then_some(Self { address, kind, name, module })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "0000000000000000 A fixed_percpu_data\n\
        ffffffff81000000 T _stext\n\
        ffffffff81000000 T startup\n\
        ffffffff81000100 t local\n\
        ffffffff81000100 T global\n\
        ffffffff81000200 D data\n\
        ffffffff81000300 T last\n\
        ffffffffc0000000 t read_block\t[ext4]\n\
        ffffffffc0001000 t bpf_prog_6deef7357e7b4530\t[bpf]\n\
        bad line\n\
        ffffffffc0002000 t \n";

    #[track_caller]
    fn check(address: u64, expected: Option<(&str, Option<&str>)>) {
        let symbols = KernelSymbols::parse(TEXT.as_bytes());
        let found = symbols.find(address).map(|function| (function.name, function.module));
        assert_eq!(found, expected, "{address:#x}");
    }

    #[test]
    fn a_function_reaches_to_the_next_symbol_and_global_names_go_before_local_ones() {
        check(0xffff_ffff_81ff_ffff >> 1, None);
        check(0xffff_ffff_8100_0000, Some(("startup", None)));
        check(0xffff_ffff_8100_00ff, Some(("startup", None)));
        check(0xffff_ffff_8100_0100, Some(("global", None)));
        check(0xffff_ffff_8100_0200, None);
        check(0xffff_ffff_8100_0300, Some(("last", None)));
        check(0xffff_ffff_9000_0000, None);
        check(0xffff_ffff_c000_0fff, Some(("read_block", Some("ext4"))));
        check(0xffff_ffff_c000_1001, Some(("bpf_prog_6deef7357e7b4530", Some("bpf"))));
    }

    #[test]
    fn the_kernels_own_text_is_between_its_marks() {
        assert_eq!(KernelSymbols::parse(TEXT.as_bytes()).text(), None, "its end is not in the list");
        let whole = TEXT.to_owned() + "ffffffffc0003000 t _etext\t[odd]\nffffffff82000000 T _etext\n";
        let text = KernelSymbols::parse(whole.as_bytes()).text();
        assert_eq!(text, Some(0xffff_ffff_8100_0000..0xffff_ffff_8200_0000));
    }

    #[test]
    fn hidden_addresses_are_no_addresses() {
        let hidden = "0000000000000000 T _stext\n0000000000000000 T startup\n";
        assert!(KernelSymbols::parse(hidden.as_bytes()).is_hidden());
        assert!(!KernelSymbols::parse(TEXT.as_bytes()).is_hidden());
    }

    #[test]
    #[ignore = "needs root: others are shown zeros in /proc/kallsyms"]
    fn each_function_of_this_kernel_is_found_at_its_first_byte() {
        let text = std::fs::read_to_string("/proc/kallsyms").unwrap();
        let symbols = KernelSymbols::parse(text.as_bytes());
        let mut checked = 0;
        for line in text.lines() {
            let fields: Vec<_> = line.split_whitespace().collect();
            let address = u64::from_str_radix(fields[0], 16).unwrap();
            if fields[1] != "T" || address >> 63 == 0 || MARKS.contains(&fields[2].as_bytes()) {
                continue;
            }
            let found = symbols.find(address).unwrap();
            let here = |line: &&str| line.starts_with(fields[0]) && line.contains(found.name);
            assert!(
                found.start == address && (found.name == fields[2] || text.lines().any(|line| here(&line)))
            );
            checked += 1;
        }
        assert!(checked > 10_000, "{checked}");
    }

    proptest! {
        /// Any bytes are read, and any address is looked up.
        #[test]
        fn any_text_is_read(text in prop::collection::vec(any::<u8>(), 0..400), at: u64) {
            let _found = KernelSymbols::parse(&text).find(at);
        }

        /// Whatever byte of a line is damaged, names stay whole: each found is one of the text.
        #[test]
        fn no_damage_mixes_names(at in 0..TEXT.len(), byte in 0u8..128, cut in 0..TEXT.len()) {
            let mut text = TEXT.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            let symbols = KernelSymbols::parse(&text);
            for address in (0xffff_ffff_8100_0000..0xffff_ffff_8100_0400).step_by(0x80) {
                if let Some(found) = symbols.find(address) {
                    prop_assert!(String::from_utf8_lossy(&text).contains(found.name));
                }
            }
        }
    }
}
