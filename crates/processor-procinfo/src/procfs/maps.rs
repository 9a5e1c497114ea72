//! proc_pid_maps(5).

use pdata::{FileOffset, MappingRecord, Pc};

use super::ParseError;

/// Parses `/proc/PID/maps`: the executable mappings, in address order, names as the kernel has them.
///
/// # Errors
/// [`ParseError`] for the first line that is not as in proc(5).
pub(crate) fn parse(text: &[u8]) -> Result<Vec<MappingRecord>, ParseError> {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let records = lines.map(|line| parse_line(line).ok_or_else(|| ParseError::new("maps", line)));
    records.filter_map(Result::transpose).collect()
}

/// One line; the inner `None` stands for a mapping that is not executable.
fn parse_line(line: &[u8]) -> Option<Option<MappingRecord>> {
    // start-end perms offset device inode, then spaces up to the name, which may have spaces itself.
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let mut range = fields.next()?.splitn(2, |&byte| byte == b'-');
    let (start, end) = (hex(range.next()?)?, hex(range.next()?)?);
    let permissions = fields.next()?;
    let file_offset = FileOffset(hex(fields.next()?)?);
    let (_device, _inode) = (fields.next()?, fields.next()?);
    let name = unescape(fields.next().unwrap_or_default().trim_ascii_start());
    if start >= end {
        return None;
    }
    let record = MappingRecord { start: Pc(start), end: Pc(end), file_offset, name, build_id: None };
    Some((*permissions.get(2)? == b'x').then_some(record))
}

/// The kernel writes a newline in a name as `\012`, and nothing else so.
fn unescape(name: &[u8]) -> Box<[u8]> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, tail)) = rest.split_first() {
        match rest.strip_prefix(b"\\012") {
            Some(tail) => {
                plain.push(b'\n');
                rest = tail;
            }
            None => {
                plain.push(byte);
                rest = tail;
            }
        }
    }
    plain.into()
}

fn hex(text: &[u8]) -> Option<u64> {
    let digits = text.first().is_some_and(u8::is_ascii_hexdigit);
    u64::from_str_radix(std::str::from_utf8(text).ok().filter(|_| digits)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `cat /proc/PID/maps` on Linux 6.18, shortened; the third name has a newline and a space.
    const MAPS: &[u8] = b"\
562f34cc9000-562f34ccb000 r--p 00000000 fe:00 247278                     /usr/bin/head\n\
562f34ccb000-562f34cd1000 r-xp 00002000 fe:00 247278                     /usr/bin/head\n\
7f0000000000-7f0000001000 rwxp 00001000 fe:00 11                         /tmp/a\\012b c (deleted)\n\
7f2c5042b000-7f2c5042d000 rwxp 00000000 00:00 0 \n\
7f2c50433000-7f2c50435000 r-xp 00000000 00:00 0                          [vdso]\n\
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

    #[test]
    fn the_executable_mappings_come_in_order_with_their_names() {
        let records = parse(MAPS).unwrap();
        let names: Vec<_> = records.iter().map(|record| String::from_utf8_lossy(&record.name)).collect();
        assert_eq!(names, ["/usr/bin/head", "/tmp/a\nb c (deleted)", "", "[vdso]", "[vsyscall]"]);
        let head = &records[0];
        assert_eq!((head.start, head.end), (Pc(0x562f_34cc_b000), Pc(0x562f_34cd_1000)));
        assert_eq!(head.file_offset, FileOffset(0x2000));
    }

    #[test]
    fn a_line_that_is_none_is_refused_with_its_text() {
        for line in ["garbage", "1-2 r-xp", "2-1 r-xp 0 0:0 0 /a", "+1-2 r-xp 0 0:0 0 /a", "1-2 r 0 0:0 0 /a"]
        {
            assert!(parse(line.as_bytes()).unwrap_err().to_string().contains(line), "{line}");
        }
    }

    proptest! {
        /// Any bytes parse or are refused.
        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&text);
        }

        /// Any damage to real text parses or is refused.
        #[test]
        fn no_damage_panics(at in 0..MAPS.len(), byte: u8, cut in 0..MAPS.len()) {
            let mut text = MAPS.to_vec();
            text[at] = byte;
            text.truncate(cut);
            let _ = parse(&text);
        }
    }
}
