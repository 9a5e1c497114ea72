//! Code of BPF that is no program: trampolines, which lead to programs, and dispatchers. No list has it with its
//! length, so that the kernel is asked for each address.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pdata::{Mapping, Pc};

use super::image::mapping;
use crate::symbol_at::{KernelSymbol, SymbolFinder};

/// The longest time for which an answer is believed: a trampoline is written anew, in another place, whenever a program
/// is attached to its function or detached.
const BELIEVE_FOR: Duration = Duration::from_secs(1);
/// The most ranges that are known at once: more are forgotten together.
const MAX_KNOWN: usize = 1024;
/// The beginning of the names of all code of BPF.
const BPF: &str = "bpf_";
/// The beginning of the names of programs, which [`ProgramImages`](super::programs::ProgramImages) knows.
const PROGRAM: &str = "bpf_prog_";

/// A source of symbols: the kernel, but for tests.
pub(super) trait FindSymbol: std::fmt::Debug + Send {
    /// The symbol that an address is in.
    fn find(&self, pc: Pc) -> Option<KernelSymbol>;
}

impl FindSymbol for SymbolFinder {
    fn find(&self, pc: Pc) -> Option<KernelSymbol> {
        self.find(pc)
    }
}

/// The kernel's trampolines and dispatchers of BPF, a mapping for each, as far as addresses were in them.
#[derive(Debug, Default)]
pub(super) struct TrampolineImages {
    /// `None` if the kernel cannot be asked.
    source: Option<Box<dyn FindSymbol>>,
    /// The known ranges by their first addresses; no two overlap.
    known: BTreeMap<Pc, Known>,
}

/// What the kernel has answered for a range of addresses.
#[derive(Debug)]
struct Known {
    end: Pc,
    /// The mapping; `None` for a single address that is in no such code.
    mapping: Option<Arc<Mapping>>,
    asked: Instant,
}

impl TrampolineImages {
    pub(super) fn new(source: impl FindSymbol + 'static) -> Self {
        Self { source: Some(Box::new(source)), known: BTreeMap::new() }
    }

    /// The mapping of the trampoline or dispatcher that an address is in.
    pub(super) fn find(&mut self, pc: Pc) -> Option<&Arc<Mapping>> {
        let source = self.source.as_ref()?;
        let start = match self.known.range(..=pc).next_back() {
            Some((&start, known)) if pc < known.end && known.asked.elapsed() < BELIEVE_FOR => start,
            _ => {
                let symbol = source.find(pc).filter(is_trampoline);
                self.learn(pc, symbol)
            }
        };
        self.known.get(&start)?.mapping.as_ref()
    }

    /// Takes in the kernel's answer for an address, in the place of older ones, and returns the start of its range. A
    /// trampoline that is as before keeps its mapping, which others compare by its address.
    fn learn(&mut self, pc: Pc, symbol: Option<KernelSymbol>) -> Pc {
        let after = Pc(pc.0.saturating_add(1));
        let (range, name) = match symbol {
            Some(KernelSymbol { name, range, .. }) => (range, Some(format!("[{name}]"))),
            None => (pc..after, None),
        };
        let before = self.known.remove(&range.start).and_then(|known| known.mapping);
        let mapping = name.map(|name| {
            let same = before.filter(|same| same.end == range.end && same.backing.name() == name);
            same.unwrap_or_else(|| mapping(name.into(), None, range.start, range.end))
        });
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.retain(|start, known| known.end <= range.start || range.end <= *start);
        self.known.insert(range.start, Known { end: range.end, mapping, asked: Instant::now() });
        range.start
    }
}

/// True for code of BPF that is no program. The kernel names no module with its symbols, and the address is in no
/// module and not in the kernel's text, or else nobody would have asked.
fn is_trampoline(symbol: &KernelSymbol) -> bool {
    symbol.module.is_none() && symbol.name.starts_with(BPF) && !symbol.name.starts_with(PROGRAM)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A symbol of a fake kernel: name, module, first address and the one after the last.
    type FakeSymbol = (&'static str, Option<&'static str>, u64, u64);

    /// A fake kernel, which counts the questions for its symbols.
    #[derive(Clone, Debug, Default)]
    struct Symbols {
        symbols: Arc<Mutex<Vec<FakeSymbol>>>,
        asked: Arc<Mutex<usize>>,
    }

    impl FindSymbol for Symbols {
        fn find(&self, pc: Pc) -> Option<KernelSymbol> {
            *self.asked.lock().unwrap() += 1;
            let symbols = self.symbols.lock().unwrap();
            let symbol = symbols.iter().find(|(.., start, end)| (*start..*end).contains(&pc.0));
            symbol.map(|&(name, module, start, end)| KernelSymbol {
                name: name.to_owned(),
                module: module.map(str::to_owned),
                range: Pc(start)..Pc(end),
            })
        }
    }

    impl Symbols {
        fn set(&self, symbols: &[FakeSymbol]) {
            *self.symbols.lock().unwrap() = symbols.to_vec();
        }
    }

    fn name(images: &mut TrampolineImages, pc: u64) -> Option<String> {
        let mapping = images.find(Pc(pc))?;
        assert!(mapping.contains(Pc(pc)) && mapping.backing.is_kernel());
        Some(mapping.backing.name().into_owned())
    }

    /// Makes every answer too old to be believed.
    fn age(images: &mut TrampolineImages) {
        let long_ago = Instant::now().checked_sub(BELIEVE_FOR).unwrap();
        images.known.values_mut().for_each(|known| known.asked = long_ago);
    }

    #[test]
    fn an_address_is_in_a_trampoline_in_a_dispatcher_or_in_neither() {
        let symbols = Symbols::default();
        symbols.set(&[
            ("bpf_trampoline_7", None, 0x5000, 0x6000),
            ("bpf_dispatcher_xdp", None, 0x6000, 0x6800),
            ("bpf_prog_1_a", None, 0x6800, 0x6900),
            ("bpf_testmod_read", Some("bpf_testmod"), 0x7000, 0x7100),
        ]);
        let images = &mut TrampolineImages::new(symbols.clone());
        let names = [0x4fff, 0x5000, 0x5fff, 0x6000, 0x67ff, 0x6800, 0x7000].map(|pc| name(images, pc));
        let (trampoline, dispatcher) =
            (Some("[bpf_trampoline_7]".to_owned()), Some("[bpf_dispatcher_xdp]".to_owned()));
        let both = [trampoline.clone(), trampoline, dispatcher.clone(), dispatcher];
        assert_eq!(names[0], None);
        assert_eq!(names[1..5], both);
        assert_eq!(names[5..], [None, None], "a program and a module are others' business");
        let asked = *symbols.asked.lock().unwrap();
        assert_eq!((name(images, 0x5001), name(images, 0x7000)), (both[0].clone(), None));
        assert_eq!(*symbols.asked.lock().unwrap(), asked, "what is known is not asked again");
        assert_eq!(name(&mut TrampolineImages::default(), 0x5000), None);
    }

    #[test]
    fn a_trampoline_in_the_place_of_another_is_found_and_one_that_stays_keeps_its_mapping() {
        let symbols = Symbols::default();
        symbols.set(&[
            ("bpf_stays", None, 0x5000, 0x6000),
            ("bpf_old", None, 0x6000, 0x7000),
            ("bpf_gone", None, 0x8000, 0x9000),
        ]);
        let images = &mut TrampolineImages::new(symbols.clone());
        assert_eq!(name(images, 0x6900).as_deref(), Some("[bpf_old]"));
        assert_eq!(name(images, 0x8900).as_deref(), Some("[bpf_gone]"));
        let stays = Arc::clone(images.find(Pc(0x5000)).unwrap());
        symbols.set(&[("bpf_stays", None, 0x5000, 0x6000), ("bpf_new", None, 0x6800, 0x7800)]);
        assert_eq!(
            name(images, 0x6900).as_deref(),
            Some("[bpf_old]"),
            "the kernel is not asked all the time"
        );
        age(images);
        assert_eq!(name(images, 0x6900).as_deref(), Some("[bpf_new]"));
        assert_eq!([0x6000, 0x8900].map(|pc| name(images, pc)), [None, None]);
        assert!(Arc::ptr_eq(&stays, images.find(Pc(0x5000)).unwrap()));
    }

    #[test]
    fn what_is_known_has_its_bound() {
        let images = &mut TrampolineImages::new(Symbols::default());
        for pc in 0..3 * MAX_KNOWN as u64 {
            assert_eq!(name(images, pc), None);
            assert!(images.known.len() <= MAX_KNOWN);
        }
    }
}
