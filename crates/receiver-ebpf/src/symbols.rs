//! The kernel's symbols for when `/proc/kallsyms` hides their addresses.

use std::io::{self, Read as _};

use aya::EbpfLoader;
use aya::programs::Iter;
use procfs::ListSymbols;

use crate::error::{StartError, attach};
use crate::kernel_types::KernelTypes;
use crate::loaded::newest_bpf_program;
use crate::verifier;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/symbols.bpf.o"));
/// The program, and the kernel's list that it iterates over.
const PROGRAM: (&str, &str) = ("list_symbol", "ksym");
/// The most bytes of symbols that are read: a hundred times what a kernel has.
const MAX_TEXT: u64 = 512 << 20;

/// Lists the kernel's symbols by `ebpf/symbols.bpf.c`, which is loaded for each list and unloaded after it:
/// `kptr_restrict=2` hides their addresses in `/proc/kallsyms` from everybody. Takes Linux 6.0 and the privileges that
/// sampling takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SymbolList;

impl SymbolList {
    fn read() -> Result<Vec<u8>, StartError> {
        let load = |error| StartError::Load(Box::new(error));
        let (name, target) = PROGRAM;
        let btf = KernelTypes::read().map_err(|error| load(error.into()))?;
        let mut ebpf = EbpfLoader::new().btf(Some(&btf)).load(OBJECT).map_err(load)?;
        let program = ebpf.program_mut(name).ok_or(StartError::Missing(name))?;
        let program: &mut Iter = program.try_into().map_err(attach(name))?;
        verifier::load(name, || program.load(target, &btf))?;
        let link = program.attach().and_then(|id| program.take_link(id)).map_err(attach(name))?;
        let failed = |error: io::Error| StartError::Snapshot(error.into());
        let file = link.into_file().map_err(|error| StartError::Snapshot(error.into()))?;
        let mut text = Vec::new();
        file.take(MAX_TEXT).read_to_end(&mut text).map_err(failed)?;
        Ok(text)
    }
}

impl ListSymbols for SymbolList {
    fn symbols(&self) -> io::Result<Vec<u8>> {
        Self::read().map_err(io::Error::other)
    }

    fn newest_program(&self) -> Option<u32> {
        newest_bpf_program()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs root: loads a BPF program"]
    fn the_list_has_each_function_where_the_kernel_shows_it() {
        let shown = std::fs::read_to_string("/proc/kallsyms").unwrap();
        let listed = String::from_utf8(SymbolList.symbols().unwrap()).unwrap();
        let functions = |text: &str| -> std::collections::BTreeSet<(u64, String)> {
            let fields = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let is_function = |fields: &Vec<&str>| ["t", "T"].contains(&fields[1]) && fields.len() == 3;
            let of = |fields: Vec<&str>| (u64::from_str_radix(fields[0], 16).unwrap(), fields[2].to_owned());
            fields.filter(is_function).map(of).collect()
        };
        let (shown, listed) = (functions(&shown), functions(&listed));
        assert!(shown.len() > 10_000 && shown.iter().any(|(address, _)| *address != 0));
        assert_eq!(shown, listed);
    }
}
