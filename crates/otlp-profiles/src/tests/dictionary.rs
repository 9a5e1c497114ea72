//! The tables of whole windows.

use std::sync::Arc;
use std::time::Duration;

use pdata::{BuildId, Event, FileFacts, MappedFile, Watermark};
use proptest::prelude::*;

use super::make::{batch, before, mapped, mapping, sample, samples, segment};
use super::read::{captures, check_tables, only_request, run};
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

    /// Tables stay clean if a file is read while the window is open, or if only one of two files of one path is.
    #[test]
    fn tables_stay_clean_when_files_are_read_late(
        picks in prop::collection::vec((0..3_usize, 0..0x40_u64), 1..40),
        read_after in 0..40_usize,
        kernel_id: bool,
    ) {
        let new = || {
            let build_id = BuildId::new(&[7]).filter(|_| kernel_id);
            let path = std::path::Path::new("/a");
            Arc::new(MappedFile { build_id, ..MappedFile::at(path) })
        };
        let (read, unread) = (new(), new());
        let mappings = [
            mapping(&read, 0x1_0000, 0x1_1000, 0x1000),
            mapping(&read, 0x2_0000, 0x2_1000, 0x1000),
            mapping(&unread, 0x3_0000, 0x3_1000, 0x1000),
        ];
        let events: Vec<_> = picks.iter().map(|&(which, into)| {
            let mapping = Arc::clone(&mappings[which]);
            let frame = mapped(mapping.start.0 + into, &mapping);
            Event::Sample(sample(1, None, vec![frame]))
        }).collect();
        let (first, second) = events.split_at(read_after.min(events.len()));
        let mut windows = Windows::new(Duration::from_secs(1), usize::MAX);
        windows.push(&batch(first.to_vec(), before(2)));
        // The segment holds half of the addresses sampled.
        let segments = Box::new([segment(0x1000, 0x20, 0x9000)]);
        read.facts.set(FileFacts { segments, ..FileFacts::default() }).unwrap();
        let requests = windows.push(&batch(second.to_vec(), Watermark::END)).requests;
        check_tables(&requests[0].message().unwrap());
        prop_assert_eq!(requests[0].samples, picks.len() as u64);
    }

    /// The same samples in the same order make the same bytes.
    #[test]
    fn output_depends_on_input_alone(samples in samples(1_000, 30)) {
        let events: Vec<_> = samples.into_iter().map(Event::Sample).collect();
        let once = || run(&mut Windows::new(Duration::from_nanos(100), 2_000),
            &[batch(events.clone(), Watermark::END)]);
        let messages = |requests: Vec<crate::ProfilesRequest>| requests.into_iter().map(|r| r.message().unwrap()).collect::<Vec<_>>();
        prop_assert_eq!(messages(once()), messages(once()));
    }
}

#[test]
fn captures_of_one_identity_share_a_sample() {
    let world = super::make::world();
    let one = |at, image: usize, cpu| {
        let mut sample = sample(at, world.images[image].clone(), Vec::new());
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
    assert_eq!(captures(&request).len(), 5);
}
