//! Any bytes in the place of an API server's answers: what the fuzz target `pods` tries, and what it has found.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use k8s::{Config, PodChange, PodExtract, PodSight, Pods, changes_of_list, changes_of_watch};
use pdata::KTime;
use proptest::prelude::*;

const MOST_PODS: usize = 4;
const MOST_LINE: usize = 2048;

fn all() -> PodExtract {
    let any = vec!["*".to_owned()];
    let config = Config { labels: any.clone(), annotations: any, ..Config::default() };
    PodExtract::new(&config, "a", |_| true)
}

/// The inputs that the fuzz target begins with.
fn seeds() -> Vec<Vec<u8>> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/pods");
    fs::read_dir(directory).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// Reads an answer as list and as watch, and keeps the pods. Returns the number of changes of each.
fn read(answer: &[u8], part: usize) -> (usize, usize) {
    let extract = all();
    let listed = changes_of_list(answer, &extract);
    let watched = changes_of_watch(answer.chunks(part), MOST_LINE, &extract);
    assert_eq!(watched, changes_of_watch([answer], MOST_LINE, &extract), "parts do not matter");
    let counts = (listed.len(), watched.len());
    for changes in [listed, watched] {
        keep(changes);
    }
    counts
}

fn keep(changes: Vec<PodChange>) {
    let mut pods = Pods::new(MOST_PODS, Duration::from_nanos(3));
    for (now, change) in (1..).zip(changes) {
        let (uid, now) = (uid(&change), KTime::from_nanos(now));
        pods.apply(change, now);
        if let Some(uid) = uid {
            let is_known = matches!(pods.find(&[uid], &["c".into()], now), PodSight::Known(_));
            assert!(is_known || pods.counts().0 == MOST_PODS, "a pod is missed while there is room");
        }
        assert!(pods.counts().0 <= MOST_PODS && pods.bytes() <= pods.most_bytes());
    }
    pods.expire(KTime::from_nanos(u64::MAX));
    assert_eq!(pods.counts().1, 0, "no deleted pod is kept for ever");
}

fn uid(change: &PodChange) -> Option<Arc<str>> {
    match change {
        PodChange::Present(pod) | PodChange::Deleted(pod) => Some(Arc::clone(pod.uid())),
        PodChange::ListBegan | PodChange::ListEnded => None,
    }
}

/// The seeds are what they are called: lists and watches of pods of this node.
#[test]
fn seeds_are_answers() {
    let counts: Vec<_> = seeds().iter().map(|seed| read(seed, 7)).collect();
    assert!(counts.iter().any(|(listed, _)| *listed > 2), "no list with a pod: {counts:?}");
    assert!(counts.iter().any(|(_, watched)| *watched > 2), "no watch with events: {counts:?}");
}

proptest! {
    /// Any bytes are an answer or none: no panic, and the table keeps its bounds.
    #[test]
    fn any_bytes_are_read_or_refused(answer: Vec<u8>, part in 1..300_usize) {
        read(&answer, part);
    }

    /// So are answers of which something is cut out, doubled or changed.
    #[test]
    fn any_change_of_an_answer_is_read_or_refused(
        seed in 0..100_usize,
        from in 0..4000_usize,
        length in 0..200_usize,
        place in 0..4000_usize,
        bytes in prop::collection::vec(any::<u8>(), 0..4),
        part in 1..300_usize,
    ) {
        let seeds = seeds();
        let mut answer = seeds[seed % seeds.len()].clone();
        let from = from % (answer.len() + 1);
        let piece: Vec<u8> = answer.drain(from..answer.len().min(from + length)).collect();
        let place = place % (answer.len() + 1);
        // The piece is gone if `bytes` take its place.
        let put = if bytes.is_empty() { [&*piece, &*piece].concat() } else { bytes };
        answer.splice(place..place, put);
        read(&answer, part);
    }
}
