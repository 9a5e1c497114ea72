//! Tests that written requests can be read again.

use proptest::prelude::*;

use crate::fixture::{any_profile, hostile, profile};
use crate::model::{Loss, Profile};
use crate::{Format, Quantity, read};

fn written(profile: &Profile, format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    format.write(profile, Quantity::Captures, &mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_written_is_read_with_all_that_is_in_it() {
    let mut lossy = profile();
    lossy.add_loss("sample_ring_full", Loss { count: 7, samples: true });
    lossy.add_loss("map_full", Loss { count: 2, samples: false });
    // One capture more than there are instants.
    lossy.captures.pop();
    for original in [profile(), hostile(), lossy] {
        for format in [Format::Otlp, Format::OtlpJson] {
            let read = read(&written(&original, format)).unwrap();
            assert_eq!(written(&read, Format::Folded), written(&original, Format::Folded), "{format}");
            assert_eq!(read.summary(), original.summary(), "{format}");
            assert_eq!(read.captures.len(), original.captures.len(), "{format}");
            assert_eq!(
                read.losses.values().sum::<Sum>().0,
                original.losses.values().sum::<Sum>().0,
                "{format}"
            );
            let cpu = |profile: &Profile| {
                let cpu = profile.quantity("cpu").unwrap();
                profile.samples.iter().map(|(key, amount)| profile.amount_of(cpu, key, amount)).sum::<i64>()
            };
            assert_eq!(cpu(&read), cpu(&original), "{format}");
            assert_eq!((read.start, read.end), (original.start, original.end), "{format}");
        }
    }
}

/// A number of lost records.
struct Sum(u64);

impl<'a> std::iter::Sum<&'a Loss> for Sum {
    fn sum<I: Iterator<Item = &'a Loss>>(losses: I) -> Self {
        Self(losses.map(|loss| loss.count).sum())
    }
}

proptest! {
    /// Any profile can be written, and the written bytes can be read.
    #[test]
    fn any_profile_is_written(profile in any_profile()) {
        for format in [Format::Otlp, Format::OtlpJson] {
            read(&written(&profile, format)).unwrap();
        }
    }
}
