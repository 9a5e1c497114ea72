//! Names in the vDSO, code that the kernel gives each process.

use std::sync::Arc;

use foldhash::HashMap;
use pdata::{Function, Line, Lines};
use symbolize::{Limits, SymbolFile};

use crate::metrics;
use crate::request::{Found, Name, Space, Unnamed};

/// The most memory that the vDSO's symbols may take: there are some dozen.
const LIMITS: Limits = Limits { memory: 1 << 20 };

/// The vDSO, read from this process.
#[derive(Debug, Default)]
pub(crate) struct Vdso {
    /// The vDSO's bytes and symbols; `None` until it has been asked for, `Some(None)` if it cannot
    /// be read.
    image: Option<Option<(Vec<u8>, SymbolFile)>>,
    /// Names by the first address of their functions.
    functions: HashMap<u64, Arc<Lines>>,
}

impl Vdso {
    /// The names of addresses, which are relative to the start of the mapping.
    pub(crate) fn names(&mut self, addresses: &[u64]) -> Found {
        let Self { image, functions } = self;
        let image = image.get_or_insert_with(|| {
            let image = procfs::own_vdso().ok();
            let symbols =
                image.and_then(|image| Some((SymbolFile::open(image.as_slice(), LIMITS).ok()?, image)));
            metrics::table_without_time(if symbols.is_some() { "vdso" } else { "vdso_unreadable" });
            symbols.map(|(symbols, image)| (image, symbols))
        });
        let names = match image {
            None => Err(Unnamed::Unreadable),
            Some((image, symbols)) => {
                let name = |&address: &u64| (address, name(image, symbols, functions, address));
                Ok(addresses.iter().map(name).collect())
            }
        };
        Found::of(Space::Vdso, names)
    }
}

fn name(image: &[u8], symbols: &SymbolFile, functions: &mut HashMap<u64, Arc<Lines>>, offset: u64) -> Name {
    let address = symbols.address_of(offset).ok_or(Unnamed::Stripped)?;
    let found = symbols.resolve(image, address).map_err(|_error| Unnamed::Unreadable)?;
    let found = found.ok_or(Unnamed::Stripped)?;
    let lines = functions.entry(found.start).or_insert_with(|| {
        let function = Function { name: found.name.into(), ..Function::default() };
        Arc::new(Lines(Box::new([Line { function: Arc::new(function), line: 0 }])))
    });
    Ok(Arc::clone(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_this_machine_is_named() {
        let image = procfs::own_vdso().unwrap();
        let symbols = SymbolFile::open(image.as_slice(), LIMITS).unwrap();
        // The vDSO has some dozen functions in some thousand bytes.
        let addresses: Vec<u64> = (0..image.len() as u64).step_by(16).collect();
        let names = Vdso::default().names(&addresses).names.unwrap();
        let named = |name: &str| {
            names
                .iter()
                .any(|(_, found)| found.as_ref().is_ok_and(|lines| lines.0[0].function.name.contains(name)))
        };
        assert!(symbols.symbols() > 0 && named("clock_gettime"), "{}", symbols.symbols());
    }
}
