//! Windows against a model that knows only the contract.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pdata::*;
use proptest::prelude::*;

use super::make::{before, clock, file, image, loss, mapped, mapping, sample};
use super::read::{attributes, profiles, run};
use crate::{Finished, Windows};

const WINDOW: u64 = 100;

fn windows() -> Windows {
    Windows::new(Duration::from_nanos(WINDOW), usize::MAX)
}

fn batch(events: Vec<Event>, watermark: Watermark) -> Batch {
    super::make::batch(events, watermark)
}

fn at(at: u64) -> Event {
    Event::Sample(sample(at, None, Vec::new()))
}

/// Start and end of each profile, and its timestamps.
fn captures(finished: &Finished) -> Vec<(u64, u64, Vec<u64>)> {
    let profile = |request: &crate::ProfilesRequest| {
        let message = request.message().unwrap();
        let (_, profile) = profiles(&message).next().unwrap();
        let stamps =
            profile.samples.iter().flat_map(|s| s.timestamps_unix_nano.clone()).map(|t| t - 1_000_000);
        let from = profile.time_unix_nano - 1_000_000;
        (from, from + profile.duration_nano, stamps.collect())
    };
    finished.requests.iter().map(profile).collect()
}

#[test]
fn a_window_closes_when_the_watermark_reaches_its_end() {
    let mut windows = windows();
    let first = windows.push(&batch(vec![at(10), at(60)], before(109)));
    assert_eq!((captures(&first), first.acked), (vec![], before(10)), "holds the sample at 10");
    let second = windows.push(&batch(vec![at(109)], before(110)));
    assert_eq!((captures(&second), second.acked), (vec![(10, 110, vec![10, 60, 109])], before(110)));
    let third = windows.push(&batch(vec![], before(400)));
    assert_eq!((captures(&third), third.acked), (vec![], before(400)), "nothing is held");
    let fourth = windows.push(&batch(vec![at(433)], before(450)));
    assert_eq!(fourth.acked, before(433));
    let end = windows.push(&batch(vec![], Watermark::END));
    assert_eq!(
        (captures(&end), end.acked),
        (vec![(410, 450, vec![433])], Watermark::END),
        "as long as was looked at"
    );
}

#[test]
fn one_batch_can_close_several_windows_and_events_past_its_watermark_wait() {
    let mut windows = windows();
    let finished = windows.push(&batch(vec![at(0), at(150), at(350), at(420)], before(300)));
    assert_eq!(captures(&finished), [(0, 100, vec![0]), (100, 200, vec![150])]);
    assert_eq!(finished.acked, before(300));
    let end = windows.push(&batch(vec![at(430)], Watermark::END));
    assert_eq!(captures(&end), [(300, 400, vec![350]), (400, 431, vec![420, 430])]);
}

#[test]
fn a_late_sample_goes_to_the_open_window_and_moves_its_start() {
    let mut windows = windows();
    windows.push(&batch(vec![at(0)], before(250)));
    let finished = windows.push(&batch(vec![at(30), at(260)], before(270)));
    assert_eq!(finished.acked, before(260), "a late sample does not hold the answer");
    let finished = windows.push(&batch(vec![], before(300)));
    assert_eq!(captures(&finished), [(30, 300, vec![30, 260])]);
}

#[test]
fn all_times_of_a_profile_come_from_one_clock() {
    let mut windows = windows();
    windows.push(&Batch { clock: clock(1_000), ..batch(vec![at(0)], before(50)) });
    windows.push(&Batch { clock: clock(500), ..batch(vec![at(60)], before(90)) });
    let request =
        windows.push(&Batch { clock: clock(9_000), ..batch(vec![], before(100)) }).requests.remove(0);
    let message = request.message().unwrap();
    let (_, profile) = profiles(&message).next().unwrap();
    assert_eq!((profile.time_unix_nano, profile.duration_nano), (1_000, 100));
    assert_eq!(profile.samples[0].timestamps_unix_nano, [1_000, 1_060]);
}

#[test]
fn a_stack_that_is_cut_short_says_why() {
    let image = super::make::world().images[0].clone();
    let ends = [StackEnd::Root, StackEnd::DepthLimit, StackEnd::NotReported, StackEnd::DepthLimit];
    let events = (1..).zip(ends).map(|(at, end)| {
        let stack = Stack { frames: Box::default(), end };
        Event::Sample(Sample { stack, ..sample(at, image.clone(), Vec::new()) })
    });
    let requests = windows().push(&batch(events.collect(), before(200))).requests;
    let message = requests[0].message().unwrap();
    let tables = message.dictionary.as_ref().unwrap();
    let samples: Vec<_> = profiles(&message)
        .flat_map(|(_, profile)| &profile.samples)
        .map(|sample| {
            let said = attributes(&sample.attribute_indices, tables);
            let said = said.into_iter().find(|said| said.starts_with("profile.stack."));
            (said, sample.timestamps_unix_nano.len())
        })
        .collect();
    assert_eq!(samples, [(None, 2), (Some("profile.stack.truncated=depth_limit".to_owned()), 2)]);
}

#[test]
fn time_off_the_cpu_is_a_profile_of_its_own_with_a_value_beside_each_timestamp() {
    let image = super::make::world().images[0].clone();
    let off_cpu = |at, nanos, reason| {
        let measure = Measure::OffCpu { blocked: Duration::from_nanos(nanos), reason };
        Event::Sample(Sample { measure, ..sample(at, image.clone(), Vec::new()) })
    };
    let events = vec![
        off_cpu(1, 70, OffCpuReason::Sleep),
        Event::Sample(sample(2, image.clone(), Vec::new())),
        off_cpu(3, 0, OffCpuReason::Sleep),
        off_cpu(4, 5, OffCpuReason::Preempted),
    ];
    let requests = windows().push(&batch(events, before(200))).requests;
    let message = requests[0].message().unwrap();
    super::read::check_tables(&message);
    let tables = message.dictionary.as_ref().unwrap();
    let captures: Vec<_> = profiles(&message)
        .flat_map(|(_, profile)| profile.samples.iter().map(move |sample| (profile.period, sample)))
        .map(|(period, sample)| {
            let reason = attributes(&sample.attribute_indices, tables).into_iter().nth(3);
            (period, sample.values.clone(), sample.timestamps_unix_nano.len(), reason)
        })
        .collect();
    let reason = |reason: &str| Some(format!("profile.off_cpu.reason={reason}"));
    let period = i64::try_from(super::make::PERIOD.as_nanos()).unwrap();
    let expected = [
        (1, vec![70, 0], 2, reason("sleep")),
        (1, vec![5], 1, reason("preempted")),
        (period, vec![], 1, None),
    ];
    assert_eq!(captures, expected);
}

#[test]
fn every_profile_tells_what_its_window_lost() {
    let mut windows = windows();
    let events = vec![
        at(0),
        loss(10, LossReason::SampleRingFull, 3),
        loss(20, LossReason::SampleTimerMissed, 4),
        loss(30, LossReason::LifecycleRingFull, 9),
        Event::Sample(sample(40, super::make::world().images[0].clone(), Vec::new())),
    ];
    let requests = windows.push(&batch(events, before(100))).requests;
    let message = requests[0].message().unwrap();
    let captures: Vec<_> = profiles(&message)
        .map(|(_, p)| attributes(&p.attribute_indices, message.dictionary.as_ref().unwrap()))
        .collect();
    let expected = vec![
        "profile.window.samples.expected=IntValue(9)",
        "profile.window.samples.lost=IntValue(7)",
        "profile.window.samples.lost.sample_ring_full=IntValue(3)",
        "profile.window.samples.lost.sample_timer_missed=IntValue(4)",
        "profile.window.records.lost.lifecycle_ring_full=IntValue(9)",
    ];
    assert_eq!(captures, [expected.clone(), expected]);
}

#[test]
fn losses_of_a_window_without_samples_are_told_by_the_next_with_one() {
    let mut windows = windows();
    let finished = windows.push(&batch(vec![loss(10, LossReason::SampleRingFull, 3)], before(200)));
    assert!(finished.requests.is_empty());
    assert_eq!(finished.acked, before(200), "a loss holds nothing");
    let finished = windows.push(&batch(vec![at(220), loss(230, LossReason::SampleRingFull, 1)], before(310)));
    assert_eq!(lost(&finished), [(5, 4)]);
    let finished = windows.push(&batch(vec![at(320)], Watermark::END));
    assert_eq!(lost(&finished), [(1, 0)], "reported once");
}

#[test]
fn a_window_that_has_been_told_lets_go_of_what_it_knew() {
    let image = image(10, "/usr/bin/a");
    let mapping = mapping(&file("/usr/bin/a", None), 0x1000, 0x2000, 0);
    let frame = mapped(0x1004, &mapping);
    let held = |image: &Arc<_>, mapping: &Arc<_>| (Arc::strong_count(image), Arc::strong_count(mapping));
    let mut windows = windows();
    let event = Event::Sample(sample(1, Some(Arc::clone(&image)), vec![frame]));
    windows.push(&batch(vec![event], before(50)));
    assert_eq!(
        held(&image, &mapping),
        (3, 2),
        "so that nothing else takes their addresses, and to be described"
    );
    assert_eq!(windows.push(&batch(vec![], before(200))).requests.len(), 1);
    assert_eq!(held(&image, &mapping), (1, 1));
}

#[test]
fn the_last_instant_of_the_clock_overflows_nothing() {
    let mut windows = windows();
    let events = vec![at(0), at(u64::MAX - 1), at(u64::MAX)];
    let requests = run(&mut windows, &[batch(events, before(5)), batch(vec![], Watermark::END)]);
    assert_eq!(requests.iter().map(|request| request.samples).sum::<u64>(), 3);
}

/// Expected and lost samples of each request's window.
fn lost(finished: &Finished) -> Vec<(u64, u64)> {
    let number = |text: &str| text.split(['(', ')']).nth(1).unwrap().parse().unwrap();
    let one = |request: &crate::ProfilesRequest| {
        let message = request.message().unwrap();
        let (_, profile) = profiles(&message).next().unwrap();
        let captures = attributes(&profile.attribute_indices, message.dictionary.as_ref().unwrap());
        (number(&captures[0]), number(&captures[1]))
    };
    finished.requests.iter().map(one).collect()
}

#[derive(Clone, Debug)]
struct Step {
    /// Distance of each event from the watermark before, some of them late.
    events: Vec<(i64, Option<u64>)>,
    /// Nanoseconds by which the watermark moves past the last event.
    advance: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let event = (-150_i64..400, prop::option::weighted(0.2, 0..5_u64));
    let step = (prop::collection::vec(event, 0..8), 0..250_u64);
    prop::collection::vec(step.prop_map(|(events, advance)| Step { events, advance }), 1..20)
}

proptest! {
    /// Each sample is in exactly one request, with its own timestamp within its profile; windows close
    /// as soon as the watermark allows and not before; the answer covers all that is done, nothing that
    /// is held, and never goes back; losses are reported exactly once.
    #[test]
    fn windows_keep_the_contract(steps in steps(), max_bytes in prop::sample::select(vec![500, usize::MAX])) {
        let mut windows = Windows::new(Duration::from_nanos(WINDOW), max_bytes);
        let mut model = Model::default();
        let mut watermark = 1_000_u64;
        for step in steps {
            let mut stamps: Vec<_> = step.events.iter()
                .map(|(distance, loss)| (watermark.saturating_add_signed(*distance), *loss)).collect();
            stamps.sort_unstable();
            // The contract of a batch: its events are before its watermark.
            watermark = stamps.last().map_or(watermark, |last| watermark.max(last.0 + 1)) + step.advance;
            model.step(&mut windows, &stamps, before(watermark))?;
        }
        model.step(&mut windows, &[], Watermark::END)?;
        prop_assert!(model.held.is_empty());
        prop_assert_eq!(model.reported_lost + model.unreported(), model.lost);
    }
}

/// The state that the contract of windows makes known to whoever pushes batches.
#[derive(Default)]
struct Model {
    origin: Option<u64>,
    watermark: u64,
    /// Number of the first window that earlier watermarks have left open.
    first_open: u64,
    acked: u64,
    /// Held samples: thread number to stamp, and the number of the window that takes it.
    held: BTreeMap<u32, (u64, u64)>,
    next_thread: u32,
    lost: u64,
    reported_lost: u64,
    /// Losses by window, as long as the window has reported none.
    losses: BTreeMap<u64, u64>,
}

impl Model {
    fn step(
        &mut self,
        windows: &mut Windows,
        stamps: &[(u64, Option<u64>)],
        end: Watermark,
    ) -> Result<(), TestCaseError> {
        let events = stamps.iter().map(|&(at, lost)| self.event(at, lost)).collect();
        let finished = windows.push(&batch(events, end));
        self.watermark = end.at().as_nanos();
        self.requests(&finished)?;
        self.first_open = self.first_open.max(self.number(self.watermark));
        for &(at, window) in self.held.values() {
            prop_assert!(
                end != Watermark::END && window >= self.first_open,
                "sample of {at} should have left"
            );
        }
        // A sample stamped before an earlier answer was late and holds nothing.
        let holds = self.held.values().map(|held| held.0).filter(|&at| at >= self.acked).min();
        self.acked = self.acked.max(self.watermark.min(holds.unwrap_or(u64::MAX)));
        prop_assert_eq!(finished.acked.at().as_nanos(), self.acked);
        Ok(())
    }

    fn event(&mut self, at: u64, lost: Option<u64>) -> Event {
        self.origin.get_or_insert(at);
        let window = self.number(at).max(self.first_open);
        match lost {
            Some(count) => {
                self.lost += count;
                *self.losses.entry(window).or_default() += count;
                loss(at, LossReason::SampleRingFull, count)
            }
            None => {
                self.next_thread += 1;
                self.held.insert(self.next_thread, (at, window));
                Event::Sample(Sample { tid: Tid(self.next_thread), ..sample(at, None, Vec::new()) })
            }
        }
    }

    fn number(&self, at: u64) -> u64 {
        self.origin.map_or(0, |origin| at.saturating_sub(origin) / WINDOW)
    }

    fn requests(&mut self, finished: &Finished) -> Result<(), TestCaseError> {
        let mut told_windows = BTreeMap::new();
        for (request, counts) in finished.requests.iter().zip(lost(finished)) {
            let message = request.message().unwrap();
            let tables = message.dictionary.as_ref().unwrap();
            let mut samples = 0;
            let mut window = None;
            for (_, profile) in profiles(&message) {
                let span = profile.time_unix_nano..profile.time_unix_nano + profile.duration_nano;
                for sample in &profile.samples {
                    let captures = attributes(&sample.attribute_indices, tables);
                    let thread = captures[0].split(['(', ')']).nth(1).unwrap().parse::<u32>().unwrap();
                    let Some((at, of)) = self.held.remove(&thread) else {
                        return Err(TestCaseError::fail(format!("thread {thread} twice or never")));
                    };
                    prop_assert_eq!(&sample.timestamps_unix_nano, &[at + 1_000_000]);
                    prop_assert!(span.contains(&(at + 1_000_000)));
                    prop_assert_eq!(*window.get_or_insert(of), of, "samples of two windows");
                    samples += 1;
                }
            }
            prop_assert_eq!(request.samples, samples);
            let entry = told_windows.entry(window.unwrap()).or_insert((0, counts));
            entry.0 += samples;
            prop_assert_eq!(entry.1, counts, "parts of a window report the same");
        }
        for (window, (delivered, (expected, lost))) in told_windows {
            let due: u64 = self.losses.range(..=window).map(|(_, count)| count).sum();
            self.losses = self.losses.split_off(&(window + 1));
            prop_assert_eq!((expected, lost), (delivered + due, due));
            self.reported_lost += lost;
        }
        Ok(())
    }

    fn unreported(&self) -> u64 {
        self.losses.values().sum()
    }
}
