//! Files that are whole, and files that are not.

use proptest::prelude::*;
use symbolize::build_id_of_whole;

use super::scene::{elf, id};

/// However much of a file is missing, it is refused.
#[test]
fn a_file_that_was_cut_short_is_refused_wherever_it_was_cut() {
    let file = elf(&id(1), 100);
    assert_eq!(build_id_of_whole(file.as_slice()).unwrap().as_deref(), Some(id(1).as_bytes()));
    for length in 0..file.len() {
        let cut = build_id_of_whole(&file[..length]);
        assert!(cut.is_err(), "{length} of {}: {cut:?}", file.len());
    }
}

proptest! {
    /// Any damage is read or refused, without a panic.
    #[test]
    fn a_damaged_file_is_read_or_refused(damage in prop::collection::vec((0..460_usize, any::<u8>()), 1..8)) {
        let mut file = elf(&id(1), 100);
        for (at, byte) in damage {
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
        }
        let _any = build_id_of_whole(file.as_slice());
    }
}
