//! The list of a process's mappings, line by line: proc_pid_maps(5). Names in it are the process's word.

use std::ops::Range;

use pdata::Pc;

/// A mapping as a line of `maps` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMapping<'a> {
    /// First address of the mapping, and the one after it.
    pub range: Range<Pc>,
    /// True if the process may execute what is mapped.
    pub is_executable: bool,
    /// Device of the file, major and minor; zeros without a file.
    pub device: (u32, u32),
    /// The file's path as the process sees it, or a name in brackets; empty for anonymous memory without a name.
    pub name: &'a [u8],
}

/// The mappings of a list; lines that are cut short are left out.
pub fn mappings(maps: &[u8]) -> impl Iterator<Item = ListedMapping<'_>> {
    maps.split(|&byte| byte == b'\n').filter_map(mapping)
}

/// Reads a line: address range, permissions, offset, device, inode, and a name that is padded.
fn mapping(line: &[u8]) -> Option<ListedMapping<'_>> {
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let (start, end) = pair(fields.next()?, '-')?;
    let is_executable = fields.next()?.get(2) == Some(&b'x');
    let (major, minor) = pair(fields.nth(1)?, ':')?;
    let name = fields.nth(1).unwrap_or_default().trim_ascii_start();
    let half = |number: u64| u32::try_from(number).ok();
    let device = (half(major)?, half(minor)?);
    Some(ListedMapping { range: Pc(start)..Pc(end), is_executable, device, name })
}

/// Two hexadecimal numbers with a character between them.
fn pair(text: &[u8], between: char) -> Option<(u64, u64)> {
    let (first, second) = std::str::from_utf8(text).ok()?.split_once(between)?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(first)?, number(second)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_read_field_by_field() {
        let maps = b"\
7f0000001000-7f0000002000 r-xp 00000000 fe:01 77                         /a b/jit-7.dump
7f00-7f01 rw-p 00000000 00:00 0
7f02-7f03 rw-p 00000000 00:00 0                          [anon:OTEL_CTX]
7f04-7f0";
        let all: Vec<_> = mappings(maps).collect();
        let names: Vec<_> = all.iter().map(|mapping| mapping.name).collect();
        assert_eq!(names, [&b"/a b/jit-7.dump"[..], b"", b"[anon:OTEL_CTX]"]);
        let [first, second, _] = &*all else { panic!("{all:?}") };
        assert_eq!(first.range, Pc(0x7f00_0000_1000)..Pc(0x7f00_0000_2000));
        assert_eq!((first.is_executable, first.device), (true, (0xfe, 1)));
        assert_eq!((second.is_executable, second.device), (false, (0, 0)));
    }

    proptest! {
        #[test]
        fn any_list_is_read(
            text in "([0-9a-f]{0,17}-?[0-9a-f]{0,17} [rwxp-]{0,4} 0 [0-9a-f]{0,9}:?[0-9a-f]{0,9} 7 .{0,40}\n?){0,3}",
            bytes: Vec<u8>,
        ) {
            for maps in [text.as_bytes(), &bytes] {
                let _count = mappings(maps).count();
            }
        }
    }
}
