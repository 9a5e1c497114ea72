//! Tests of bytes read as profiles.

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

/// Two bytes of pprof are an empty sample, of which a decoder of whole messages makes a hundred bytes.
#[test]
fn parts_of_pprof_are_read_one_by_one_and_bounded() {
    let empty_samples = [b"\x32\x00".as_slice(), &b"\x12\x00".repeat(1 << 20)].concat();
    assert_eq!(read(&empty_samples).unwrap().samples.captured(), 0);
    let sample = |part: &[u8]| {
        let size = part.len();
        let length =
            [size & 0x7f | 0x80, size >> 7 & 0x7f | 0x80, size >> 14].map(|byte| byte.to_le_bytes()[0]);
        [b"\x32\x00\x12".as_slice(), &length, part].concat()
    };
    let labels = b"\x1a\x00".repeat(1 << 19);
    assert!(read(&sample(&labels[..labels.len() - 2])).is_ok());
    let fault = read(&sample(&b"\x1a\x00".repeat((1 << 19) + 1))).unwrap_err().to_string();
    assert!(fault.contains("more than a megabyte"), "{fault}");
    let fault = read(&[b"\x32\x00".as_slice(), &b"\x0a\x00".repeat(65)].concat()).unwrap_err().to_string();
    assert!(fault.contains("64 kinds of values"), "{fault}");
    let fault = read(&b"\x32\x00".repeat((1 << 22) + 1)).unwrap_err().to_string();
    assert!(fault.contains("4 million"), "{fault}");
}

proptest! {
    /// Any bytes are read as a profile, or are refused.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _read = read(&bytes);
    }

    /// A written profile with a damaged byte is read again, or is refused for a dangling reference.
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
