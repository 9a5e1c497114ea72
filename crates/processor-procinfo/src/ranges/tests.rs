//! Ranges against a model that keeps every record for ever.

use pdata::{Backing, FileOffset};
use proptest::prelude::*;

use super::*;

const AT: fn(u64) -> KTime = KTime::from_nanos;

fn mapping(start: u64, end: u64, name: usize) -> Arc<Mapping> {
    let backing = Backing::Special(name.to_string().into());
    Arc::new(Mapping { start: Pc(start), end: Pc(end), file_offset: FileOffset(start), backing })
}

fn name(mapping: &Arc<Mapping>) -> String {
    match &mapping.backing {
        Backing::Special(name) => name.to_string(),
        other => panic!("{other:?}"),
    }
}

/// What was told to be mapped when: at each address the last one made by then holds; of two made at
/// the same instant the one told last.
#[derive(Debug, Default)]
struct Model(Vec<(u64, Arc<Mapping>)>);

impl Model {
    fn find(&self, pc: u64, at: u64) -> Option<String> {
        let holding = self.0.iter().filter(|(since, mapping)| *since <= at && mapping.contains(Pc(pc)));
        holding.max_by_key(|(since, _)| *since).map(|(_, mapping)| name(mapping))
    }
}

fn assert_same(ranges: &Ranges, model: &Model, from: u64) -> Result<(), TestCaseError> {
    for pc in 0..24 {
        for at in from..32 {
            let found = ranges.find(Pc(pc), AT(at)).map(name);
            prop_assert_eq!(found, model.find(pc, at), "pc {} at {}", pc, at);
        }
    }
    prop_assert!(ranges.live.windows(2).all(|pair| pair[0].end <= pair[1].start), "{:?}", ranges);
    Ok(())
}

proptest! {
    /// Mappings told in any order, late ones too, are found by address and time as in the model;
    /// and forgetting what the watermark has passed changes no answer about what it has not.
    #[test]
    fn the_mapping_at_an_address_and_instant_is_the_models(
        told in proptest::collection::vec((0..30_u64, 0..20_u64, 1..8_u64), 0..25),
        acked in 0..32_u64,
    ) {
        let (mut ranges, mut model) = (Ranges::default(), Model::default());
        for (name, (at, start, len)) in told.into_iter().enumerate() {
            let mapping = mapping(start, start + len, name);
            ranges.map(AT(at), Arc::clone(&mapping));
            model.0.push((at, mapping));
        }
        assert_same(&ranges, &model, 0)?;
        ranges.forget(AT(acked));
        assert_same(&ranges, &model, acked)?;
        ranges.forget(KTime::MAX);
        prop_assert!(ranges.past.is_empty());
    }

    /// What `/proc` shows goes where nothing is known, and overrides nothing.
    #[test]
    fn filling_changes_no_answer_that_there_was(
        told in proptest::collection::vec((1..30_u64, 0..20_u64, 1..8_u64, 0..4_usize), 0..12),
        fill in (0..20_u64, 1..8_u64),
    ) {
        let mut ranges = Ranges::default();
        for (at, start, len, name) in told {
            ranges.map(AT(at), mapping(start, start + len, name));
        }
        let before = ranges.clone();
        ranges.fill(AT(0), mapping(fill.0, fill.0 + fill.1, 9));
        for pc in 0..30 {
            let filled = fill.0 <= pc && pc < fill.0 + fill.1;
            let expected = match before.find(Pc(pc), AT(31)).map(name) {
                None if filled => Some("9".to_owned()),
                known => known,
            };
            prop_assert_eq!(ranges.find(Pc(pc), AT(31)).map(name), expected, "pc {}", pc);
        }
    }
}

#[test]
fn a_fork_shares_what_is_mapped_until_either_side_changes() {
    let mut parent = Ranges::default();
    parent.map(AT(1), mapping(0, 10, 1));
    let mut child = parent.inherit();
    assert!(Arc::ptr_eq(&parent.live, &child.live));
    child.map(AT(2), mapping(0, 10, 2));
    assert_eq!(parent.find(Pc(5), AT(3)).map(name).as_deref(), Some("1"));
    assert_eq!(child.find(Pc(5), AT(3)).map(name).as_deref(), Some("2"));
}

#[test]
fn a_range_reported_again_unchanged_is_no_change() {
    let mut ranges = Ranges::default();
    assert!(!ranges.map(AT(1), mapping(0, 10, 1)));
    assert!(!ranges.map(AT(2), mapping(0, 10, 1)));
    assert!(ranges.past.is_empty());
    assert!(ranges.map(AT(3), mapping(0, 10, 2)), "another mapping is one");
}

#[test]
fn a_process_that_always_maps_elsewhere_holds_a_bounded_number() {
    let mut ranges = Ranges::default();
    for place in 0..2 * MAX_PIECES as u64 {
        ranges.map(AT(place), mapping(2 * place, 2 * place + 1, 1));
        assert!(ranges.live.len() <= MAX_PIECES);
        assert!(ranges.find(Pc(2 * place), AT(place)).is_some(), "the newest is among them");
    }
}

#[test]
fn too_many_mappings_of_one_age_do_not_push_each_other_all_out() {
    let mut ranges = Ranges::default();
    for place in 0..=MAX_PIECES as u64 {
        ranges.fill(AT(0), mapping(2 * place, 2 * place + 1, 1));
    }
    assert_eq!(ranges.live.len(), MAX_PIECES / 2);
}
