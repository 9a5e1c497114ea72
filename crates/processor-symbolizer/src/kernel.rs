//! Names of the kernel's functions, and when they are read again.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use pdata::{Function, Line, Lines};
use symbolize::KernelSymbols;

use crate::metrics;
use crate::request::{Found, Name, Space, Unnamed};

/// The most bytes of symbols that are read: a hundred times what a kernel has.
const MAX_TEXT: u64 = 512 << 20;
/// Time between two looks at the list of modules.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time after which symbols are read again because an address was in none of them. Doubled each time, since some never
/// are.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_PATIENCE: Duration = Duration::from_secs(300);
/// Longest that names of BPF programs are believed before it is asked whether another has the place of one.
const BPF_AGE: Duration = Duration::from_secs(60);
/// Longest that they are believed although no program is new: trampolines, which lead to programs, come and go too.
const BPF_LONGEST_AGE: Duration = Duration::from_secs(900);
/// The module of BPF programs.
const BPF: &str = "bpf";

/// Returns the number of the newest BPF program that is loaded; `None` if that cannot be found out. A new program has
/// a new number.
pub type NewestBpfProgram = fn() -> Option<u32>;

/// The kernel's functions.
#[derive(Debug)]
pub(crate) struct Kernel {
    proc: PathBuf,
    symbols: KernelSymbols,
    /// Names by the first address of their functions.
    functions: HashMap<u64, Arc<Lines>>,
    /// When the symbols were read; `None` before the first time.
    read: Option<Instant>,
    modules: Vec<u8>,
    looked: Option<Instant>,
    patience: Duration,
    /// Whether, since the symbols were read, an address was in none of them, and one in a BPF program.
    missed: bool,
    has_named_bpf: bool,
    newest_bpf_program: NewestBpfProgram,
    /// The newest BPF program when the symbols were read, and when that was last compared.
    bpf_program_read: Option<u32>,
    bpf_compared: Option<Instant>,
}

impl Kernel {
    /// The kernel that a mounted proc filesystem shows.
    pub(crate) fn new(proc: &Path, newest_bpf_program: NewestBpfProgram) -> Self {
        Self {
            proc: proc.to_owned(),
            symbols: KernelSymbols::default(),
            functions: HashMap::default(),
            read: None,
            modules: Vec::new(),
            looked: None,
            patience: FIRST_PATIENCE,
            missed: false,
            has_named_bpf: false,
            newest_bpf_program,
            bpf_program_read: None,
            bpf_compared: None,
        }
    }

    /// Names addresses of the kernel; says so if names that it gave before hold no longer.
    pub(crate) fn names(&mut self, addresses: &[u64]) -> Found {
        let replaced = self.refresh();
        let names = match self.symbols.is_hidden() {
            true => Err(Unnamed::KernelHidden),
            false => Ok(addresses.iter().map(|&address| (address, self.name(address))).collect()),
        };
        Found { space: Space::Kernel, replaced, names }
    }

    fn name(&mut self, address: u64) -> Name {
        let Some(found) = self.symbols.find(address) else {
            self.missed = true;
            return Err(Unnamed::Stripped);
        };
        self.has_named_bpf |= found.module == Some(BPF);
        let lines = self.functions.entry(found.start).or_insert_with(|| {
            let function = Function { name: found.name.into(), ..Function::default() };
            Arc::new(Lines(Box::new([Line { function: Arc::new(function), line: 0 }])))
        });
        Ok(Arc::clone(lines))
    }

    /// Reads the symbols if they may be others by now. True if they were read before.
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
        } else if (self.missed || self.symbols.is_hidden()) && read.elapsed() >= self.patience {
            self.patience = (2 * self.patience).min(LONGEST_PATIENCE);
            true
        } else {
            self.has_named_bpf && read.elapsed() >= BPF_AGE && self.bpf_programs_may_be_others(read)
        };
        if is_due {
            self.read_symbols();
        }
        is_due
    }

    /// True if a BPF program may have the place of one that was there when the symbols were read. Reading them all
    /// takes a tenth of a second of CPU time, so the kernel is asked for the newest program's number first.
    fn bpf_programs_may_be_others(&mut self, read: Instant) -> bool {
        if self.bpf_compared.is_some_and(|compared| compared.elapsed() < BPF_AGE) {
            return false;
        }
        self.bpf_compared = Some(Instant::now());
        let newest = (self.newest_bpf_program)();
        newest.is_none() || newest != self.bpf_program_read || read.elapsed() >= BPF_LONGEST_AGE
    }

    /// True if modules have come or gone since this was last found out.
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
        // Before the symbols: a program that is loaded in between is taken for a new one at the next comparison.
        self.bpf_program_read = (self.newest_bpf_program)();
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
        self.functions.clear();
        (self.missed, self.has_named_bpf) = (false, false);
        self.read = Some(Instant::now());
        let outcome = if self.symbols.is_hidden() { "kernel_hidden" } else { "kernel" };
        metrics::table(outcome, began.elapsed());
        metrics::kernel_symbols(self.symbols.memory());
    }
}

/// The name, size and address of each module: what else the list has changes all the time.
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
        let mut kernel = Kernel::new(proc.0.path(), || None);
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
        let mut kernel = Kernel::new(proc.0.path(), || None);
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
    fn names_of_bpf_programs_are_read_again_only_if_one_is_new() {
        static NEWEST: AtomicU32 = AtomicU32::new(7);
        let newest = || Some(NEWEST.load(Ordering::Relaxed)).filter(|&id| id > 0);
        let proc = Proc::new("ffffffffc0000000 t bpf_prog_1\t[bpf]\n");
        let mut kernel = Kernel::new(proc.0.path(), newest);
        assert_eq!(name(&mut kernel, AT), (false, Ok("bpf_prog_1".to_owned())));
        proc.write("kallsyms", "ffffffffc0000000 t bpf_prog_2\t[bpf]\n");
        let mut after = |age: Duration| {
            (kernel.read, kernel.bpf_compared) = (Some(Instant::now() - age), None);
            name(&mut kernel, AT)
        };
        assert_eq!(after(BPF_AGE), (false, Ok("bpf_prog_1".to_owned())), "none is new");
        NEWEST.store(8, Ordering::Relaxed);
        assert_eq!(after(BPF_AGE / 2), (false, Ok("bpf_prog_1".to_owned())), "not asked yet");
        assert_eq!(after(BPF_AGE), (true, Ok("bpf_prog_2".to_owned())));
        assert!(!after(BPF_AGE).0);
        assert!(after(BPF_LONGEST_AGE).0);
        NEWEST.store(0, Ordering::Relaxed);
        assert!(after(BPF_AGE).0, "the kernel does not show which is the newest");
    }

    #[test]
    fn hidden_symbols_name_nothing() {
        let proc = Proc::new("0000000000000000 T start\n");
        let mut kernel = Kernel::new(proc.0.path(), || None);
        assert_eq!(name(&mut kernel, AT), (false, Err(Unnamed::KernelHidden)));
        fs::remove_file(proc.0.path().join("kallsyms")).unwrap();
        assert_eq!(name(&mut Kernel::new(proc.0.path(), || None), AT).1, Err(Unnamed::KernelHidden));
    }
}
