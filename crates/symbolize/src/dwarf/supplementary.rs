//! `.debug_sup`: the section of DWARF 5 by which a file knows the supplementary file that it shares debug information
//! with others in (section 7.3.6 of the standard). `dwz -5` writes it into both.

use elffile::read;
use gimli::{EndianSlice, Reader as _, RunTimeEndian};
use object::Endianness;

use super::window::PART;
use crate::ByteSource;
use crate::elf::Elf;

const NAME: &[u8] = b".debug_sup";
/// The most bytes of the section: a path and a checksum.
const MAX_SIZE: u64 = 4 << 10;

/// The contents of the section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Supplementary {
    /// True in the supplementary file itself.
    pub(super) is_supplementary: bool,
    /// Path of the supplementary file; empty in that file itself.
    pub(super) path: Box<str>,
    /// The number by which the supplementary file is known, whatever its maker has computed it from.
    pub(super) checksum: Box<[u8]>,
}

impl Supplementary {
    /// The contents of a file's section; `None` if the file has none, or one of another form.
    pub(super) fn of(source: &dyn ByteSource, elf: &Elf) -> Option<Self> {
        let mut sections = elf.sections.iter();
        let section = sections.find(|section| elf.name_of(section) == NAME && section.has_bytes())?;
        let bytes = read::bytes(source, section.offset, section.size.min(MAX_SIZE), PART).ok()?;
        let endian = match elf.endian {
            Endianness::Little => RunTimeEndian::Little,
            Endianness::Big => RunTimeEndian::Big,
        };
        Self::parse(&bytes, endian)
    }

    fn parse(bytes: &[u8], endian: RunTimeEndian) -> Option<Self> {
        let mut rest = EndianSlice::new(bytes, endian);
        // The standard has 2 here, and dwz writes 5.
        let _version = rest.read_u16().ok()?;
        let is_supplementary = match rest.read_u8().ok()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let path = rest.read_null_terminated_slice().ok()?;
        let path = std::str::from_utf8(path.slice()).ok()?;
        let length = usize::try_from(rest.read_uleb128().ok()?).ok()?;
        let checksum = rest.split(length).ok()?.slice();
        // Without it, any file could be the one.
        (!checksum.is_empty()).then(|| Self {
            is_supplementary,
            path: path.into(),
            checksum: checksum.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn section(version: u16, is_supplementary: u8, path: &str, checksum: &[u8]) -> Vec<u8> {
        let mut bytes = version.to_le_bytes().to_vec();
        bytes.push(is_supplementary);
        bytes.extend(path.bytes().chain([0, u8::try_from(checksum.len()).unwrap()]));
        bytes.extend(checksum);
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Supplementary> {
        Supplementary::parse(bytes, RunTimeEndian::Little)
    }

    #[test]
    fn a_section_without_a_checksum_or_of_another_form_is_none() {
        let whole = section(2, 0, "path", &[1, 2, 3]);
        assert!(parse(&whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None);
        }
        assert_eq!(parse(&section(2, 0, "path", &[])), None);
        assert_eq!(parse(&section(2, 7, "path", &[1])), None);
    }

    proptest! {
        /// A section is read as it was written, and any bytes are a section or none.
        #[test]
        fn any_bytes_are_a_section_or_none(
            version: u16, is_supplementary: bool, path in "[a-z./]{0,40}",
            checksum in prop::collection::vec(any::<u8>(), 1..100), any in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let found = parse(&section(version, is_supplementary.into(), &path, &checksum)).unwrap();
            let expected = Supplementary { is_supplementary, path: path.into(), checksum: checksum.into() };
            prop_assert_eq!(found, expected);
            let _found = parse(&any);
        }
    }
}
