//! Files that a process has mapped and may execute, found by their names.

use std::path::Path;

use foreignfile::{Files, ProcessMemory, Refusal};
use pdata::Pc;

use crate::maps::{ListedMapping, mappings};

/// The most bytes of a process's list of mappings that are looked through.
const MAX_MAPS: u32 = 8 << 20;

/// A mapping of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedMapping {
    /// First address of the mapping and the one after it.
    pub range: (Pc, Pc),
    /// Device of the file, major and minor.
    pub device: (u32, u32),
}

/// The first executable mapping of a process whose file has that name, in whatever directory. `process` is the
/// process's directory in `/proc`.
///
/// # Errors
/// The reason why the list of mappings is not to be read.
pub fn executable_mapping(
    files: &mut Files,
    process: &Path,
    name: &str,
) -> Result<Option<NamedMapping>, Refusal> {
    let maps = files.read_memory(process, ProcessMemory::Maps, 0, MAX_MAPS)?;
    Ok(find(&maps, name))
}

fn find(maps: &[u8], name: &str) -> Option<NamedMapping> {
    let is_it = |mapping: &ListedMapping<'_>| {
        let file = mapping.name.rsplit(|&byte| byte == b'/').next();
        mapping.is_executable && mapping.name.starts_with(b"/") && file == Some(name.as_bytes())
    };
    let ListedMapping { range, device, .. } = mappings(maps).find(is_it)?;
    Some(NamedMapping { range: (range.start, range.end), device })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_executable_mapping_of_that_name_is_found() {
        let found = NamedMapping { range: (Pc(0x7f00_0000_1000), Pc(0x7f00_0000_2000)), device: (0xfe, 1) };
        for (rest, expected) in [
            ("r-xp 00000000 fe:01 77                         /a b/jit-7.dump", Some(found)),
            ("r--p 00000000 fe:01 77                         /a b/jit-7.dump", None),
            ("r-xp 00000000 fe:01 77                         /a b/jit-77.dump", None),
            ("r-xp 00000000 fe:01 77                         /jit-7.dump (deleted)", None),
            ("r-xp 00000000 00:00 0 ", None),
            ("r-xp 00000000 00:00 0                          [jit-7.dump]", None),
        ] {
            let line = format!("7f0000001000-7f0000002000 {rest}");
            assert_eq!(find(line.as_bytes(), "jit-7.dump"), expected, "{line}");
        }
    }
}
