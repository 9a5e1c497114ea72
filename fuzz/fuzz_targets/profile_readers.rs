//! Any bytes are a profile of OTLP, pprof or folded stacks, or are refused: no panic, in bounded time and memory; and
//! what was read is written in every format.

#![no_main]

use libfuzzer_sys::fuzz_target;
use profile_formats::{Format, Quantity, read};

fuzz_target!(|bytes: &[u8]| {
    let Ok(profile) = read(bytes) else { return };
    let captured = profile.samples.captured();
    assert!(profile.captures.len() as u64 + profile.untimed <= captured);
    let mut merged = profile_formats::Profile::default();
    merged.merge(&profile, &profile_formats::Bounds::default());
    assert_eq!(merged.samples.captured(), captured);
    for format in Format::ALL {
        for quantity in [Quantity::Captures, profile.main_quantity()] {
            let mut out = Vec::new();
            // Formats may refuse numbers that they cannot hold; what is written is whole.
            let _written = format.write(&profile, quantity, &mut out);
        }
    }
    profile_page::html(&profile, profile.main_quantity()).expect("tables can be written");
});
