//! The symbol of the kernel that an address is in, by the kernel's own answer, which knows where a symbol ends.

use std::ffi::CStr;
use std::fmt;
use std::ops::Range;

use aya::maps::Array;
use aya::programs::{ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun};
use aya::{Ebpf, EbpfLoader};
use pdata::Pc;

use crate::abi;
use crate::error::{StartError, attach};
use crate::verifier;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/symbol_at.bpf.o"));
const PROGRAM: &str = "symbol_at";
const TEXT: &str = "symbol_text";

/// A symbol of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelSymbol {
    /// The symbol's name.
    pub(crate) name: String,
    /// The module that has the symbol; `None` for the kernel itself, and for code of BPF.
    pub(crate) module: Option<String>,
    /// The addresses of the symbol.
    pub(crate) range: Range<Pc>,
}

impl KernelSymbol {
    /// Parses the kernel's answer for an address, `NAME+OFFSET/SIZE [MODULE]` with numbers in hex. `None` if the
    /// address is in no symbol, or the answer is another.
    fn parse(text: &[u8], pc: Pc) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let (symbol, module) = match text.strip_suffix(']').and_then(|text| text.rsplit_once(" [")) {
            Some((symbol, module)) => (symbol, Some(module.to_owned())),
            None => (text, None),
        };
        let (symbol, size) = symbol.rsplit_once('/')?;
        let (name, offset) = symbol.rsplit_once('+')?;
        let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
        let start = pc.0.checked_sub(number(offset)?)?;
        let range = Pc(start)..Pc(start.checked_add(number(size)?)?);
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        (is_name && range.contains(&pc)).then(|| Self { name: name.to_owned(), module, range })
    }
}

/// Asks the kernel for the symbols of addresses, by `ebpf/symbol_at.bpf.c`, whatever `kptr_restrict` hides. Takes Linux
/// 5.13, and no privilege once its program is loaded.
pub(crate) struct SymbolFinder {
    /// The loaded object: the program, and the map that it answers in.
    ebpf: Ebpf,
}

impl SymbolFinder {
    /// Loads the program.
    ///
    /// # Errors
    /// [`StartError`] if the kernel refuses it.
    pub(crate) fn load() -> Result<Self, StartError> {
        let load = |error| StartError::Load(Box::new(error));
        // The program knows no type of the kernel's.
        let mut ebpf = EbpfLoader::new().btf(None).load(OBJECT).map_err(load)?;
        let program = ebpf.program_mut(PROGRAM).ok_or(StartError::Missing(PROGRAM))?;
        let program: &mut RawTracePoint = program.try_into().map_err(attach(PROGRAM))?;
        verifier::load(PROGRAM, || program.load())?;
        Ok(Self { ebpf })
    }

    /// The symbol that an address is in; `None` if it is in none, or the kernel does not say.
    pub(crate) fn find(&self, pc: Pc) -> Option<KernelSymbol> {
        let text = self.ask(pc).inspect_err(|error| tracing::debug!(%error, "The kernel names no symbol."));
        KernelSymbol::parse(CStr::from_bytes_until_nul(&text.ok()?).ok()?.to_bytes(), pc)
    }

    fn ask(&self, pc: Pc) -> Result<[u8; abi::SYMBOL_TEXT], ProgramError> {
        let Some(Ok(program)) = self.ebpf.program(PROGRAM).map(<&RawTracePoint>::try_from) else {
            return Err(ProgramError::NotLoaded);
        };
        let map = self.ebpf.map(TEXT).ok_or(ProgramError::NotLoaded)?;
        let map = Array::<_, [u8; abi::SYMBOL_TEXT]>::try_from(map)?;
        let mut options = RawTracePointRunOptions::new();
        options.args[0] = pc.0;
        if program.test_run(options)?.return_value == 0 {
            return Ok([0; abi::SYMBOL_TEXT]);
        }
        Ok(map.get(&0, 0)?)
    }
}

impl fmt::Debug for SymbolFinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SymbolFinder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: Pc = Pc(0xffff_ffff_c000_1057);

    #[test]
    fn an_answer_has_a_name_a_range_and_a_module() {
        let symbol = |text: &str| KernelSymbol::parse(text.as_bytes(), AT);
        let trampoline = symbol("bpf_trampoline_6442466132+0x57/0x1000").unwrap();
        let range = Pc(0xffff_ffff_c000_1000)..Pc(0xffff_ffff_c000_2000);
        let expected = KernelSymbol { name: "bpf_trampoline_6442466132".into(), module: None, range };
        assert_eq!(trampoline, expected);
        assert_eq!(
            symbol("a+b+0x7/0x8 [ext4]").map(|symbol| (symbol.name, symbol.module)),
            Some(("a+b".into(), Some("ext4".into())))
        );
        for other in [
            "0xffffffffc0001057",
            "a+0x57/0x57 [bpf]",
            "a+0x57/0x1000 [bp",
            "a+0x57",
            "+0x57/0x1000",
            "a\u{1b}+0x57/0x1000",
            "a+0xffffffffffffffff/0x1000",
            "a+0x0/0xffffffffffffffff",
            "",
        ] {
            let found = symbol(other);
            assert!(found.is_none(), "{other}: {found:?}");
        }
    }

    proptest! {
        /// Any bytes are a symbol that holds the address, or none.
        #[test]
        fn any_answer_is_a_symbol_of_the_address_or_none(
            text in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "[a-z+/ ]{0,3}\\+0x[0-9a-f]{1,17}/0x[0-9a-f]{1,17}( \\[[a-z]{0,3}\\]?)?".prop_map(String::into_bytes),
            ],
            pc: u64,
        ) {
            if let Some(symbol) = KernelSymbol::parse(&text, Pc(pc)) {
                prop_assert!(symbol.range.contains(&Pc(pc)) && !symbol.name.is_empty());
            }
        }
    }

    /// The kernel's answer for each function of a BPF program is the range that its own description of the program has.
    #[test]
    #[ignore = "needs root: loads BPF programs"]
    fn the_kernels_answer_reaches_from_a_functions_start_to_its_end() {
        let finder = SymbolFinder::load().unwrap();
        let own: Vec<_> = crate::loaded::programs()
            .into_iter()
            .filter(|program| program.name.ends_with("_symbol_at"))
            .collect();
        assert!(!own.is_empty(), "the finder's own program is loaded");
        for program in own {
            for (start, length) in program.functions {
                let range = start..Pc(start.0 + length);
                for pc in [range.start, Pc(range.end.0 - 1)] {
                    let expected =
                        KernelSymbol { name: program.name.clone(), module: None, range: range.clone() };
                    assert_eq!(finder.find(pc), Some(expected), "{pc:?}");
                }
            }
        }
        assert_eq!(finder.find(Pc(8)), None, "no symbol is there");
    }
}
