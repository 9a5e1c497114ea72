//! Names of the kernel's functions, and the times at which they are read again.

mod fit;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use pdata::{Function, Line, Lines};
use procfs::ListSymbols;
use symbolize::KernelSymbols;

use self::fit::Fit;
use crate::metrics;
use crate::request::{Found, Name, Space, Unnamed};

/// The most bytes of symbols that are read: a hundred times those that a kernel has.
const MAX_TEXT: u64 = 512 << 20;
/// Time between two looks at the list of modules.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time after which symbols are read again because an address was in none of them, and its bound. The time doubles with
/// each reading, since some addresses never are.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);
const LONGEST_PATIENCE: Duration = Duration::from_secs(300);
/// The longest time for which names of BPF programs are believed before the kernel is asked whether there is a new
/// program.
const BPF_AGE: Duration = Duration::from_secs(60);
/// The longest time for which names of BPF programs are believed although no program is new: trampolines, which lead to
/// programs, come and go too.
const BPF_LONGEST_AGE: Duration = Duration::from_secs(900);
/// The shortest and the longest pause between two readings because of new BPF programs, and the pause as a multiple of
/// the time that a reading takes. On a machine so busy that a reading takes long, names of programs are still not late
/// for ever.
const PROGRAMS_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PROGRAMS_PAUSE: Duration = Duration::from_secs(10);
const REST_FACTOR: u32 = 20;
/// Name of the module of BPF programs.
const BPF: &str = "bpf";

/// The kernel's functions, and the state of their reading.
#[derive(Debug)]
pub(crate) struct Kernel {
    proc: PathBuf,
    /// Source of the symbols whose addresses `proc` hides.
    list: Option<Arc<dyn ListSymbols>>,
    symbols: KernelSymbols,
    /// Names by the first address of their functions.
    functions: HashMap<u64, Arc<Lines>>,
    /// Time when the symbols were read; `None` before the first time.
    read: Option<Instant>,
    modules: Vec<u8>,
    looked: Option<Instant>,
    patience: Duration,
    /// True if, since the symbols were read, an address was in none of them; the same for an address in a BPF program.
    missed: bool,
    has_named_bpf: bool,
    /// True if, since the symbols were read, addresses in BPF programs were left without names, because a program was
    /// new.
    has_left_unsure: bool,
    /// The newest BPF program when the symbols were read.
    newest_program: Option<u32>,
    /// Pause after a reading in which new BPF programs are no reason for another.
    pause: Duration,
    fit: Fit,
}

impl Kernel {
    /// The kernel that a mounted proc filesystem shows; where the filesystem hides addresses, `list` is asked.
    pub(crate) fn new(proc: &Path, list: Option<Arc<dyn ListSymbols>>) -> Self {
        Self {
            proc: proc.to_owned(),
            list,
            symbols: KernelSymbols::default(),
            functions: HashMap::default(),
            read: None,
            modules: Vec::new(),
            looked: None,
            patience: FIRST_PATIENCE,
            missed: false,
            has_named_bpf: false,
            has_left_unsure: false,
            newest_program: None,
            pause: PROGRAMS_PAUSE,
            fit: Fit::default(),
        }
    }

    /// Names addresses of the kernel. The result is `replaced` if names that were returned before hold no longer.
    pub(crate) fn names(&mut self, addresses: &[u64]) -> Found {
        let mut replaced = self.refresh();
        // A symbol reaches to the next one: an address that seems to be in a BPF program may be in a newer one behind
        // it.
        let matters = match addresses {
            [] => {
                self.has_left_unsure
                    || self.has_named_bpf && self.read.is_some_and(|at| at.elapsed() >= BPF_AGE)
            }
            some => some.iter().any(|&address| self.may_be_a_program(address)),
        };
        let mut is_unsure = matters && self.newest_program() != self.newest_program;
        if is_unsure && self.read.is_some_and(|read| read.elapsed() >= self.pause) {
            self.read_symbols();
            (replaced, is_unsure) = (true, false);
        }
        self.fit.take(&self.symbols, addresses);
        // Names may have been returned before the addresses were enough to know better.
        replaced |= self.fit.is_other();
        let names = match self.symbols.is_hidden() {
            true => Err(Unnamed::KernelHidden),
            false if self.fit.is_other() => Err(Unnamed::KernelOther),
            false => Ok(addresses.iter().map(|&address| (address, self.name(address, is_unsure))).collect()),
        };
        Found { replaced, ..Found::of(Space::Kernel, names) }
    }

    fn may_be_a_program(&self, address: u64) -> bool {
        self.symbols.find(address).is_none_or(|found| found.module == Some(BPF))
    }

    fn newest_program(&self) -> Option<u32> {
        self.list.as_ref()?.newest_program()
    }

    /// The name of an address; none in a BPF program while it is unsure which program that is.
    fn name(&mut self, address: u64, is_unsure: bool) -> Name {
        let Some(found) = self.symbols.find(address) else {
            self.missed = true;
            return Err(Unnamed::Stripped);
        };
        if is_unsure && found.module == Some(BPF) {
            self.has_left_unsure = true;
            return Err(Unnamed::Late);
        }
        self.has_named_bpf |= found.module == Some(BPF);
        let lines = self.functions.entry(found.start).or_insert_with(|| {
            let function = Function { name: found.name.into(), ..Function::default() };
            Arc::new(Lines(Box::new([Line { function: Arc::new(function), line: 0 }])))
        });
        Ok(Arc::clone(lines))
    }

    /// Reads the symbols if they may have changed. True if they were read before.
    fn refresh(&mut self) -> bool {
        let Some(read) = self.read else {
            let _changed = self.modules_have_changed();
            self.read_symbols();
            if self.symbols.is_hidden() {
                tracing::warn!(
                    "The kernel hides its symbols (kptr_restrict, or no CAP_SYSLOG): kernel frames have no names."
                );
            }
            return false;
        };
        let is_due = if self.modules_have_changed() {
            self.patience = FIRST_PATIENCE;
            true
        } else if (self.missed || self.symbols.is_hidden() || self.fit.is_other())
            && read.elapsed() >= self.patience
        {
            self.patience = (2 * self.patience).min(LONGEST_PATIENCE);
            true
        } else {
            // Where the kernel does not show which program is the newest, any program may be another by now.
            let longest = if self.newest_program.is_none() { BPF_AGE } else { BPF_LONGEST_AGE };
            self.has_named_bpf && read.elapsed() >= longest
        };
        if is_due {
            self.read_symbols();
        }
        is_due
    }

    /// True if modules have come or gone since the last call.
    fn modules_have_changed(&mut self) -> bool {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return false;
        }
        self.looked = Some(Instant::now());
        // A kernel without modules has no list of them.
        let text = fs::read(self.proc.join("modules")).unwrap_or_default();
        let names = names_and_places(&text);
        std::mem::replace(&mut self.modules, names) != self.modules
    }

    fn read_symbols(&mut self) {
        let began = Instant::now();
        // This is asked first: a program that is loaded meanwhile may be in the symbols or not.
        self.newest_program = self.newest_program();
        let text = File::open(self.proc.join("kallsyms")).and_then(|file| {
            let mut text = Vec::new();
            file.take(MAX_TEXT).read_to_end(&mut text)?;
            Ok::<_, io::Error>(text)
        });
        self.symbols = text.map_or_else(
            |error| {
                tracing::debug!(%error, "Cannot read the kernel's symbols.");
                KernelSymbols::default()
            },
            |text| KernelSymbols::parse(&text),
        );
        if let Some(list) = self.list.as_ref().filter(|_| self.symbols.is_hidden()) {
            match list.symbols() {
                Ok(text) => self.symbols = KernelSymbols::parse(&text),
                Err(error) => tracing::debug!(%error, "Cannot list the kernel's symbols."),
            }
        }
        self.functions.clear();
        (self.missed, self.has_named_bpf, self.has_left_unsure) = (false, false, false);
        self.read = Some(Instant::now());
        self.pause = (REST_FACTOR * began.elapsed()).clamp(PROGRAMS_PAUSE, LONGEST_PROGRAMS_PAUSE);
        let outcome = if self.symbols.is_hidden() { "kernel_hidden" } else { "kernel" };
        metrics::table(outcome, began.elapsed());
        metrics::kernel_symbols(self.symbols.memory());
    }
}

/// The name, size and address of each module: the list's other columns change all the time.
fn names_and_places(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let fields: Vec<_> = line.split(|byte| *byte == b' ').collect();
        for field in [0, 1, 5] {
            out.extend_from_slice(fields.get(field).copied().unwrap_or_default());
            out.push(b' ');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::fit::ENOUGH_ELSEWHERE;
    use super::*;

    struct Proc(tempfile::TempDir);

    impl Proc {
        fn new(symbols: &str) -> Self {
            let proc = Self(tempfile::tempdir().unwrap());
            proc.write("kallsyms", symbols);
            proc
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.path().join(name), text).unwrap();
        }
    }

    /// A kernel that lists a symbol, and whose newest BPF program is that.
    #[derive(Debug, Default)]
    struct Listed(AtomicU32);

    impl ListSymbols for Listed {
        fn symbols(&self) -> io::Result<Vec<u8>> {
            Ok(b"ffffffffc0000000 t listed\t[a]\n".to_vec())
        }

        fn newest_program(&self) -> Option<u32> {
            Some(self.0.load(Ordering::Relaxed)).filter(|&number| number != u32::MAX)
        }
    }

    fn name(kernel: &mut Kernel, address: u64) -> (bool, Result<String, Unnamed>) {
        let Found { replaced, names, .. } = kernel.names(&[address]);
        let name = names.and_then(|names| names[0].1.clone());
        (replaced, name.map(|lines| lines.0[0].function.name.to_string()))
    }

    const AT: u64 = 0xffff_ffff_c000_0010;

    #[test]
    fn symbols_are_read_again_when_a_module_has_taken_the_place_of_another_and_only_then() {
        let proc = Proc::new("ffffffffc0000000 t old\t[a]\n");
        proc.write("modules", "a 4096 0 - Live 0xffffffffc0000000\n");
        let mut kernel = Kernel::new(proc.0.path(), None);
        assert_eq!(name(&mut kernel, AT), (false, Ok("old".to_owned())));
        proc.write("kallsyms", "ffffffffc0000000 t new\t[b]\n");
        kernel.looked = None;
        proc.write("modules", "a 4096 7 - Live 0xffffffffc0000000\n");
        assert_eq!(name(&mut kernel, AT), (false, Ok("old".to_owned())), "used more, but the same");
        kernel.looked = None;
        proc.write("modules", "b 4096 0 - Live 0xffffffffc0000000\n");
        assert_eq!(name(&mut kernel, AT), (true, Ok("new".to_owned())));
    }

    #[test]
    fn what_no_symbol_holds_has_symbols_read_again_but_ever_less_often() {
        let proc = Proc::new("ffffffff81000000 T start\n");
        let mut kernel = Kernel::new(proc.0.path(), None);
        assert_eq!(name(&mut kernel, AT), (false, Err(Unnamed::Stripped)));
        proc.write("kallsyms", "ffffffff81000000 T start\nffffffffc0000000 t bpf_prog_1\t[bpf]\n");
        assert_eq!(name(&mut kernel, AT), (false, Err(Unnamed::Stripped)));
        kernel.read = Some(Instant::now() - FIRST_PATIENCE);
        assert_eq!(name(&mut kernel, AT), (true, Ok("bpf_prog_1".to_owned())));
        assert_eq!(kernel.patience, 2 * FIRST_PATIENCE);
        kernel.read = Some(Instant::now() - BPF_AGE);
        assert!(name(&mut kernel, AT).0, "a BPF program may have another's place");
    }

    #[test]
    fn a_program_behind_another_has_no_name_before_its_own_is_known() {
        let proc = Proc::new("ffffffffc0000000 t older\t[bpf]\n");
        let listed = Arc::new(Listed::default());
        let mut kernel = Kernel::new(proc.0.path(), Some(Arc::clone(&listed) as Arc<_>));
        assert_eq!(name(&mut kernel, AT), (false, Ok("older".to_owned())));
        proc.write("kallsyms", "ffffffffc0000000 t older\t[bpf]\nffffffffc0000010 t newer\t[bpf]\n");
        listed.0.store(7, Ordering::Relaxed);
        assert_eq!(name(&mut kernel, AT), (false, Err(Unnamed::Late)), "symbols have been read just now");
        kernel.read = Some(Instant::now() - kernel.pause);
        assert_eq!(name(&mut kernel, AT), (true, Ok("newer".to_owned())));
    }

    #[test]
    fn names_of_programs_are_read_again_only_if_one_is_new_or_long_ago() {
        let proc = Proc::new("ffffffffc0000000 t bpf_prog_1\t[bpf]\n");
        let listed = Arc::new(Listed::default());
        let mut kernel = Kernel::new(proc.0.path(), Some(Arc::clone(&listed) as Arc<_>));
        let mut replaced_after = |age: Duration| {
            let _named_or_unsure = name(&mut kernel, AT);
            kernel.read = Some(Instant::now() - age);
            kernel.names(&[]).replaced
        };
        assert!(!replaced_after(BPF_AGE), "none is new");
        assert!(replaced_after(BPF_LONGEST_AGE));
        listed.0.store(8, Ordering::Relaxed);
        assert!(replaced_after(BPF_AGE));
        assert!(!replaced_after(BPF_AGE), "it is known by now");
        listed.0.store(u32::MAX, Ordering::Relaxed);
        assert!(replaced_after(BPF_AGE), "the kernel does not show which is the newest");
    }

    /// The text of the list begins and ends where none of the addresses is, which are those of a kernel elsewhere.
    #[test]
    fn symbols_of_another_kernel_name_nothing_and_those_of_this_one_do() {
        let list = "ffffffff81000000 T _stext\nffffffff81000000 T start\nffffffff81100000 T _etext\n";
        let proc = Proc::new(&format!("{list}ffffffffc0000000 t in_module\t[a]\n"));
        let mut kernel = Kernel::new(proc.0.path(), None);
        let elsewhere: Vec<u64> = (0..ENOUGH_ELSEWHERE as u64).map(|at| 0xffff_ffff_c000_0000 + at).collect();
        let (first, rest) = elsewhere.split_at(1);
        assert!(kernel.names(first).names.is_ok(), "one address shows nothing");
        let found = kernel.names(rest);
        assert!(found.replaced && found.names == Err(Unnamed::KernelOther));
        // The list is read again, and is that of this kernel.
        proc.write("kallsyms", &list.replace("ffffffff8", "ffffffffb"));
        kernel.read = Some(Instant::now() - LONGEST_PATIENCE);
        assert!(kernel.names(&[0xffff_ffff_b100_0010]).names.is_ok());
        assert!(kernel.names(&elsewhere).names.is_ok(), "addresses of modules may be many");
    }

    #[test]
    fn hidden_symbols_name_nothing() {
        let proc = Proc::new("0000000000000000 T start\n");
        let mut kernel = Kernel::new(proc.0.path(), None);
        assert_eq!(name(&mut kernel, AT), (false, Err(Unnamed::KernelHidden)));
        let list: Arc<dyn ListSymbols> = Arc::new(Listed::default());
        let mut kernel = Kernel::new(proc.0.path(), Some(Arc::clone(&list)));
        assert_eq!(name(&mut kernel, AT), (false, Ok("listed".to_owned())), "unless they can be listed");
        fs::remove_file(proc.0.path().join("kallsyms")).unwrap();
        assert_eq!(name(&mut Kernel::new(proc.0.path(), None), AT).1, Err(Unnamed::KernelHidden));
    }
}
