//! Any bytes are what a process publishes of itself, or are refused: no panic, and no more attributes than may be.

#![no_main]

use libfuzzer_sys::fuzz_target;
use processor_procinfo::process_context_attributes;

fuzz_target!(|payload: &[u8]| {
    let attributes = process_context_attributes(payload);
    assert!(attributes.len() <= 32);
    for attribute in &*attributes {
        assert!((1..=255).contains(&attribute.key.len()) && !attribute.key.starts_with("process."));
    }
});
