//! Random lives, random delivery, random acknowledgement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pdata::{Batch, ClockOffset, Event, ImageKind, KTime, ProcessKey, ProcessTransition, Sample, Watermark};
use proptest::prelude::*;

use super::world::{Delivered, Op, Truth, World, op};
use crate::config::Config;
use crate::request::ReadRequest;
use crate::sources::Users;
use crate::tracker::Tracker;

/// Operations between two batches, and the delivery of their events.
#[derive(Clone, Debug)]
struct Round {
    ops: Vec<Op>,
    /// Number of batches by which each event is late, in turns.
    delays: Vec<usize>,
    /// Number of batches by which the acknowledgement lags behind.
    ack_lag: usize,
}

fn round(delays: impl Strategy<Value = usize>) -> impl Strategy<Value = Round> {
    let ops = proptest::collection::vec(op(), 0..12);
    (ops, proptest::collection::vec(delays, 1..7), 0..4_usize).prop_map(|(ops, delays, ack_lag)| Round {
        ops,
        delays,
        ack_lag,
    })
}

fn config(max_exited_processes: usize, age: u64) -> Config {
    let max_exited_age = Duration::from_nanos(age);
    Config { max_exited_processes, max_exited_age, ..Config::default() }
}

fn unlimited() -> Config {
    config(1 << 20, 1 << 40)
}

/// The delivery of rounds to a tracker.
struct Delivery {
    world: World,
    tracker: Tracker,
    requests: Vec<ReadRequest>,
    /// Events of later batches, by number of the batch.
    delayed: BTreeMap<usize, Vec<Delivered>>,
    watermarks: Vec<KTime>,
    acked: KTime,
    batch: usize,
}

impl Delivery {
    fn new(config: &Config) -> Self {
        Self {
            world: World::default(),
            tracker: Tracker::new(config, Users::default()),
            requests: Vec::new(),
            delayed: BTreeMap::new(),
            watermarks: vec![KTime::ZERO],
            acked: KTime::ZERO,
            batch: 0,
        }
    }

    /// Delivers one batch. Returns its samples, as attributed, with their truths.
    fn deliver(&mut self, round: &Round, delayable: fn(&Event) -> bool) -> Vec<(Sample, Truth)> {
        round.ops.iter().for_each(|&op| self.world.apply(op));
        let delays = round.delays.iter().cycle();
        for (delivered, &delay) in self.world.delivered.drain(..).zip(delays) {
            let delay = if delayable(&delivered.event) { delay } else { 0 };
            self.delayed.entry(self.batch + delay).or_default().push(delivered);
        }
        let mut delivered = self.delayed.remove(&self.batch).unwrap_or_default();
        delivered.sort_by_key(|delivered| delivered.event.at());
        self.batch += 1;
        self.watermarks.push(self.world.next_stamp());
        self.send(delivered, Watermark::before(self.world.next_stamp()), round.ack_lag)
    }

    fn send(
        &mut self,
        delivered: Vec<Delivered>,
        watermark: Watermark,
        ack_lag: usize,
    ) -> Vec<(Sample, Truth)> {
        let (events, truths): (Vec<_>, Vec<_>) =
            delivered.into_iter().map(|delivered| (delivered.event, delivered.truth)).unzip();
        let clock = ClockOffset::default();
        let mut batch = Batch { events: Arc::new(events.into()), watermark, clock, ..Batch::default() };
        // The answer to an earlier batch: never to this one, which has not been passed on.
        let lag = (ack_lag + 1).min(self.watermarks.len() - 1);
        self.acked = self.acked.max(self.watermarks[self.watermarks.len() - 1 - lag]);
        self.tracker.acknowledge(Watermark::before(self.acked));
        self.tracker.apply(&mut batch, &mut self.requests);
        self.tracker.limit();
        let samples = batch.samples().cloned().zip(truths.into_iter().flatten());
        samples.collect()
    }

    /// Ends every process, delivers the events that are left, and acknowledges all of them.
    fn finish(&mut self) -> Vec<(Sample, Truth)> {
        self.world.end();
        let late = std::mem::take(&mut self.delayed).into_values().flatten();
        let mut delivered: Vec<Delivered> = late.chain(self.world.delivered.drain(..)).collect();
        delivered.sort_by_key(|delivered| delivered.event.at());
        let samples = self.send(delivered, Watermark::END, 0);
        self.tracker.acknowledge(Watermark::END);
        samples
    }
}

fn delivered(sample: &Sample) -> Option<String> {
    match &sample.image.as_ref()?.kind {
        ImageKind::User { executable, .. } => Some(executable.path.display().to_string()),
        ImageKind::Kernel(comm) => panic!("{comm} is no kernel thread"),
    }
}

/// The parents of a sample's image, and the executables that they ran.
fn parents(sample: &Sample) -> Vec<(ProcessKey, String)> {
    let image = sample.image.as_ref().unwrap();
    let parents = image.parents.iter().map(|parent| match parent.kind.as_ref().unwrap() {
        ImageKind::User { executable, .. } => (parent.process, executable.path.display().to_string()),
        ImageKind::Kernel(comm) => panic!("{comm} is no kernel thread"),
    });
    parents.collect()
}

proptest! {
    /// With every event in time, each sample is attributed to its own executable and its own parents, whatever its
    /// process has become since, and however often its pid is used again. Only those processes and images are held that
    /// the acknowledged watermark has not passed.
    #[test]
    fn every_sample_is_attributed_to_its_image(rounds in proptest::collection::vec(round(Just(0)), 1..25)) {
        let mut delivery = Delivery::new(&unlimited());
        let mut freed: Vec<(KTime, ProcessKey)> = Vec::new();
        for round in &rounds {
            round.ops.iter().for_each(|&op| delivery.world.apply(op));
            freed.extend(delivery.world.delivered.iter().filter_map(freed_at));
            let samples = delivery.deliver(&Round { ops: Vec::new(), ..round.clone() }, |_| false);
            for (sample, truth) in samples {
                prop_assert_eq!(delivered(&sample), Some(truth.executable));
                prop_assert_eq!(parents(&sample), truth.parents);
            }
            // An end reported in this batch, and acknowledged by then, is seen at the next acknowledgement.
            delivery.tracker.acknowledge(Watermark::before(delivery.acked));
            let held = freed.iter().filter(|(at, _)| *at > delivery.acked).count();
            let (there, exited) = delivery.world.count();
            prop_assert_eq!(delivery.tracker.counts(), (there + held, exited + held));
        }
        delivery.tracker.acknowledge(Watermark::before(delivery.world.next_stamp()));
        prop_assert!(delivery.tracker.is_lean(), "{:?}", delivery.tracker);
        delivery.finish();
        prop_assert_eq!(delivery.tracker.counts(), (0, 0));
        prop_assert_eq!(delivery.tracker.take_tally().misses, Default::default());
        prop_assert!(delivery.tracker.is_empty(), "{:?}", delivery.tracker);
    }

    /// Samples may be however late: one stamped at or after the acked watermark gets the truth; one before it gets the
    /// truth or, if its process has been forgotten, nothing. Each late one is counted.
    #[test]
    fn a_late_sample_is_attributed_to_its_image_until_its_time_is_acknowledged(
        rounds in proptest::collection::vec(round(0..5_usize), 1..25),
    ) {
        let mut delivery = Delivery::new(&unlimited());
        let (mut hits, mut misses, mut late) = (0, 0, 0);
        for round in &rounds {
            let before = delivery.watermarks[delivery.batch];
            for (sample, truth) in delivery.deliver(round, |event| matches!(event, Event::Sample(_))) {
                late += u64::from(sample.at < before);
                if sample.at >= delivery.acked {
                    prop_assert_eq!(delivered(&sample), Some(truth.executable));
                    hits += 1;
                } else if let Some(executable) = delivered(&sample) {
                    prop_assert_eq!(executable, truth.executable);
                    hits += 1;
                } else {
                    misses += 1;
                }
            }
        }
        let tally = delivery.tracker.take_tally();
        prop_assert_eq!((tally.hits, tally.late), (hits, late));
        prop_assert_eq!(tally.misses.forgotten + tally.misses.image, misses);
        delivery.finish();
        prop_assert!(delivery.tracker.is_empty(), "{:?}", delivery.tracker);
    }

    /// Events may be however late: a sample may get nothing, but never another executable; and in the end no process is
    /// taken to run for ever.
    #[test]
    fn no_lateness_tells_a_sample_a_wrong_executable(
        rounds in proptest::collection::vec(round(0..4_usize), 1..25),
    ) {
        let mut delivery = Delivery::new(&unlimited());
        for round in &rounds {
            for (sample, truth) in delivery.deliver(round, |_| true) {
                prop_assert!(delivered(&sample).is_none_or(|executable| executable == truth.executable));
            }
        }
        for (sample, truth) in delivery.finish() {
            prop_assert!(delivered(&sample).is_none_or(|executable| executable == truth.executable));
        }
        let (known, held) = delivery.tracker.counts();
        prop_assert_eq!(known, held, "whatever is left is known to have exited, so limits will take it");
    }

    /// With nothing acknowledged, limits hold after every batch, and still no sample gets a wrong executable.
    #[test]
    fn limits_hold_when_nothing_is_acknowledged(
        rounds in proptest::collection::vec(round(0..3_usize), 1..25),
        processes in 1..4_usize,
        age in 5..200_u64,
    ) {
        let mut delivery = Delivery::new(&config(processes, age));
        for round in &rounds {
            let round = Round { ack_lag: usize::MAX - 1, ..round.clone() };
            for (sample, truth) in delivery.deliver(&round, |event| matches!(event, Event::Sample(_))) {
                prop_assert!(delivered(&sample).is_none_or(|executable| executable == truth.executable));
            }
            let (_, held) = delivery.tracker.counts();
            prop_assert!(held <= processes, "{} held", held);
            prop_assert!(delivery.tracker.replaced_len() <= processes);
        }
    }
}

fn freed_at(delivered: &Delivered) -> Option<(KTime, ProcessKey)> {
    match &delivered.event {
        Event::Process(event) if event.transition == ProcessTransition::Freed => {
            Some((event.at, event.image.process))
        }
        _ => None,
    }
}
