//! Bytes to profiles.

use proptest::prelude::*;

use super::*;
use crate::fixture::{any_profile, hostile, profile};
use crate::{Format, Quantity};

fn folded(profile: &Profile) -> String {
    let mut out = Vec::new();
    crate::folded::write(profile, Quantity::Captures, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn what_is_written_is_read_with_the_same_stacks_and_sums() {
    for original in [profile(), hostile()] {
        for format in [Format::Pprof, Format::Folded] {
            let mut bytes = Vec::new();
            format.write(&original, Quantity::Captures, &mut bytes).unwrap();
            let read = read(&bytes).unwrap();
            assert_eq!(folded(&read), folded(&original), "{format}");
            assert_eq!(read.samples.captured(), original.samples.captured(), "{format}");
        }
    }
    let mut bytes = Vec::new();
    crate::pprof::write(&profile(), &mut bytes).unwrap();
    let read = read(&bytes).unwrap();
    let cpu = read.quantity("cpu").unwrap();
    let sum: i64 = read.samples.iter().map(|(key, amount)| read.amount_of(cpu, key, amount)).sum();
    assert_eq!(sum, 300_000_000, "what is derived is derived again");
}

#[test]
fn a_fault_names_its_place() {
    assert!(matches!(read(b"a;b 1\na;b\n"), Err(ReadError::Folded { line: 2 })));
    assert!(matches!(read(b""), Err(ReadError::Empty)));
    assert!(matches!(read(b"\x1f\x8b\x00"), Err(ReadError::Compression { name: "gzip", .. })));
}

proptest! {
    /// Any bytes are a profile or are refused.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _read = read(&bytes);
    }

    /// Any profile that was written is read again, or is refused for what it refers to.
    #[test]
    fn damaged_profiles_are_read_or_refused(profile in any_profile(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = crate::pprof::encode(&profile);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _read = pprof::read(&bytes);
    }
}
