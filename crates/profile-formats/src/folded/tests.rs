//! Tests of profiles as folded stacks.

use proptest::prelude::*;

use super::*;
use crate::fixture::{Fixture, any_profile, hostile, profile};
use crate::{Profile, Quantity};

fn folded(profile: &Profile) -> String {
    let mut out = Vec::new();
    write(profile, Quantity::Captures, &mut out);
    String::from_utf8(out).unwrap()
}

/// Checks text against the input of `flamegraph.pl`: each line a stack without empty frames, a space, and a number.
/// Returns the sum of the numbers.
fn check(text: &str) -> u64 {
    let numbers = text.lines().map(|line| {
        let (stack, number) = line.rsplit_once(' ').expect("a number");
        assert!(stack.split(';').all(|frame| !frame.is_empty()), "{line:?}");
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        number.parse::<u64>().expect("a number")
    });
    numbers.sum()
}

#[test]
fn stacks_are_root_first_with_inlined_callers_and_addresses_for_want_of_names() {
    assert_eq!(
        folded(&profile()),
        "app;main;libx.so+0x1234 2\napp;main;outer;inlined\\x3bodd 3\nworker 1;[kernel] 1\n"
    );
}

#[test]
fn who_has_no_name_is_unknown() {
    let mut fixture = Fixture::new();
    let nobody = fixture.thread(1, "", None, "");
    fixture.sample(1, nobody, &[1]);
    fixture.sample(2, nobody, &[2]);
    let text = folded(&fixture.profile);
    assert!(text.lines().count() > 1);
    assert!(text.lines().any(|line| line.starts_with("[unknown];")), "{text}");
    assert!(!text.lines().any(|line| line.starts_with(';')), "{text}");
}

#[test]
fn hostile_names_stay_names() {
    assert_eq!(check(&folded(&hostile())), 72);
}

proptest! {
    /// The counts add up to the number of captures, however broken the profile is.
    #[test]
    fn counts_add_up(profile in any_profile()) {
        let sum: u64 = folded(&profile).lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
        prop_assert_eq!(sum, profile.samples.captured());
    }
}
