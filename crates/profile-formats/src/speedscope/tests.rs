//! Tests of profiles in speedscope's format.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::fixture::{any_profile, hostile, profile};

fn json(profile: &Profile) -> Value {
    let mut out = Vec::new();
    write(profile, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// Checks a file against the schema, and that every number is within its table. Returns the total of each profile.
fn check(file: &Value) -> Vec<(String, i64)> {
    let frames = file["shared"]["frames"].as_array().unwrap().len() as u64;
    let profiles = file["profiles"].as_array().unwrap();
    assert!(file["activeProfileIndex"].as_u64().unwrap() < profiles.len() as u64);
    let totals = profiles.iter().map(|profile| {
        let (samples, weights) =
            (profile["samples"].as_array().unwrap(), profile["weights"].as_array().unwrap());
        assert_eq!(samples.len(), weights.len());
        for frame in samples.iter().flat_map(|sample| sample.as_array().unwrap()) {
            assert!(frame.as_u64().unwrap() < frames);
        }
        (profile["name"].as_str().unwrap().to_owned(), profile["endValue"].as_i64().unwrap())
    });
    totals.collect()
}

#[test]
fn each_kind_of_value_is_a_profile_with_its_sum() {
    let file = json(&profile());
    assert_eq!(check(&file), [("samples".to_owned(), 6), ("cpu".to_owned(), 300_000_000)]);
    let stack: Vec<_> = file["profiles"][0]["samples"][0].as_array().unwrap().iter().collect();
    let names: Vec<_> = stack
        .iter()
        .map(|at| {
            file["shared"]["frames"][usize::try_from(at.as_u64().unwrap()).unwrap()]["name"].as_str().unwrap()
        })
        .collect();
    assert_eq!(names, ["app", "main", "outer", "inlined;odd"]);
}

#[test]
fn hostile_names_stay_names() {
    assert_eq!(check(&json(&hostile()))[0].1, 72);
}

proptest! {
    /// Any profile, however broken, becomes a sound file.
    #[test]
    fn any_profile_becomes_a_sound_one(profile in any_profile()) {
        check(&json(&profile));
    }
}
