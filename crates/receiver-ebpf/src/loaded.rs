//! The BPF programs of the machine, by whatever process they were loaded.

use std::os::fd::AsFd as _;

use aya::programs::{ProgramError, ProgramInfo, loaded_programs};
use pdata::Pc;

use crate::sys::{self, ProgramCode};

/// The most programs that are read: no machine that is known has more.
const MAX_PROGRAMS: usize = 4096;

/// The machine code of a BPF program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadedProgram {
    /// The number of the program.
    pub(crate) id: u32,
    /// The name that the kernel's symbols have for its first function: with a digest of its instructions.
    pub(crate) name: String,
    /// Start and length of each of the program's functions.
    pub(crate) functions: Vec<(Pc, u64)>,
}

/// The machine code of every BPF program, as far as the kernel shows it to this agent.
pub(crate) fn programs() -> Vec<LoadedProgram> {
    loaded_programs().take(MAX_PROGRAMS).filter_map(|program| loaded(&program.ok()?).ok()).collect()
}

/// True if there is a program with a higher number than this: numbers are assigned in ascending order. False if the
/// kernel does not show it to this agent.
pub(crate) fn has_newer_program(newest: u32) -> bool {
    sys::next_program(newest).is_ok()
}

fn loaded(program: &ProgramInfo) -> Result<LoadedProgram, ProgramError> {
    let ProgramCode { tag, functions } = sys::program_code(program.fd()?.as_fd())?;
    let (tag, name) = (u64::from_be_bytes(tag), String::from_utf8_lossy(program.name()));
    let name = if name.is_empty() { String::new() } else { format!("_{name}") };
    Ok(LoadedProgram { id: program.id(), name: format!("bpf_prog_{tag:016x}{name}"), functions })
}

/// The number of the newest BPF program that is loaded: another number than before means that there may be code where
/// other code was. `None` if there is none, or the kernel does not show it to this agent (without `CAP_SYS_ADMIN`).
#[must_use]
pub(crate) fn newest_bpf_program() -> Option<u32> {
    let mut newest = None;
    for program in loaded_programs() {
        match program {
            // Numbers are assigned in ascending order, and used again only after two thousand millions.
            Ok(program) => newest = newest.max(Some(program.id())),
            // The program has been unloaded since it was listed.
            Err(error) if is_gone(&error) => {}
            Err(_refused) => return None,
        }
    }
    newest
}

fn is_gone(error: &ProgramError) -> bool {
    let cause = textline::causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Mutex, PoisonError};

    use procfs::ListSymbols as _;

    use super::*;

    /// A lock that a test holds while it loads programs: those of one test come and go while another one looks.
    static ALONE: Mutex<()> = Mutex::new(());

    /// The kernel's own names of the functions of BPF programs, by address.
    fn bpf_symbols() -> HashMap<u64, String> {
        let listed = String::from_utf8(crate::symbols::SymbolList.symbols().unwrap()).unwrap();
        let of_bpf = listed.lines().filter(|line| line.ends_with("\t[bpf]"));
        let symbol = |line: &str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            (u64::from_str_radix(fields[0], 16).unwrap(), fields[2].to_owned())
        };
        of_bpf.map(symbol).collect()
    }

    #[test]
    #[ignore = "needs root: loads BPF programs"]
    fn a_program_that_is_loaded_is_the_newest() {
        use crate::config::UnwindConfig;
        use crate::loader::Programs;

        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = newest_bpf_program();
        let programs = Programs::load((1, 1), &UnwindConfig::default(), crate::room::Room::find()).unwrap();
        let with_ours = newest_bpf_program();
        assert!(with_ours > before, "{with_ours:?}, {before:?}");
        drop(programs);
    }

    /// The kernel's own list of symbols has each function where this list has it, and a program's first function under
    /// the program's name.
    #[test]
    #[ignore = "needs root: loads BPF programs"]
    fn each_function_of_a_program_is_where_the_kernels_symbols_have_it() {
        use crate::config::UnwindConfig;
        use crate::loader::Programs;

        /// The number of lists to read at most: the kernel goes on by position, so that a list leaves a symbol out when
        /// a program is unloaded meanwhile.
        const LOOKS: usize = 20;
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = Programs::load((1, 1), &UnwindConfig::default(), crate::room::Room::find()).unwrap();
        let before = programs();
        let mut symbols: HashMap<u64, String> = HashMap::new();
        let starts = || before.iter().flat_map(|program| &program.functions).map(|(start, _)| start.0);
        for _ in 0..LOOKS {
            if starts().all(|start| symbols.contains_key(&start)) {
                break;
            }
            symbols.extend(bpf_symbols());
        }
        // Other programs come and go.
        let programs: Vec<_> = programs().into_iter().filter(|program| before.contains(program)).collect();
        assert!(programs.iter().any(|program| program.name.ends_with("_sample_cpu")), "{programs:?}");
        for LoadedProgram { name, functions, .. } in &programs {
            let found: Vec<_> = functions.iter().map(|(start, _)| symbols.get(&start.0)).collect();
            assert!(found.iter().all(Option::is_some), "{name}: {functions:?} {found:?}");
            // Symbols have names that are longer than those of programs can be.
            assert!(found.first().is_none_or(|first| first.unwrap().starts_with(name)), "{name}: {found:?}");
        }
        drop(loaded);
    }
}
