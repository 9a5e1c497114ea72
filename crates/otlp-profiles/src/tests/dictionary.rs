//! The tables of whole windows.

use pdata::{Event, Watermark};
use proptest::prelude::*;

use super::make::{batch, samples};
use super::read::{check_tables, only_request, run, told};
use crate::Windows;

proptest! {
    /// Whatever is sampled, no table has an entry twice or one that nothing uses, and each starts with
    /// its zero value.
    #[test]
    fn tables_have_neither_duplicates_nor_orphans(samples in samples(1_000, 60)) {
        prop_assume!(!samples.is_empty());
        let events = samples.into_iter().map(Event::Sample).collect();
        check_tables(&only_request(&[batch(events, Watermark::END)]));
    }

    /// The same samples in the same order make the same bytes.
    #[test]
    fn output_depends_on_input_alone(samples in samples(1_000, 30)) {
        let events: Vec<_> = samples.into_iter().map(Event::Sample).collect();
        let once = || run(&mut Windows::new(std::time::Duration::from_nanos(100), 2_000),
            &[batch(events.clone(), Watermark::END)]);
        let messages = |requests: Vec<crate::Request>| requests.into_iter().map(|r| r.message).collect::<Vec<_>>();
        prop_assert_eq!(messages(once()), messages(once()));
    }
}

#[test]
fn captures_of_one_identity_share_a_sample() {
    let world = super::make::world();
    let one = |at, image: usize, cpu| {
        let mut sample = super::make::sample(at, world.images[image].clone(), Vec::new());
        sample.cpu = cpu;
        Event::Sample(sample)
    };
    // Images 0 and 3 are equal but not the same in memory.
    let events = vec![one(1, 0, 0), one(2, 3, 0), one(3, 0, 1), one(4, 1, 0), one(5, 0, 0)];
    let request = only_request(&[batch(events, Watermark::END)]);
    check_tables(&request);
    let shape: Vec<Vec<usize>> = super::read::profiles(&request)
        .map(|(_, profile)| profile.samples.iter().map(|s| s.timestamps_unix_nano.len()).collect())
        .collect();
    assert_eq!(shape, [vec![3, 1], vec![1]]);
    assert_eq!(told(&request).len(), 5);
}
