//! Exporters that fail, stall, panic or never answer, and properties of the others, which see nothing of it.
//!
//! Time is paused: a sleep runs everything until all of it waits, then moves the clock.

mod properties;
mod swap;

use std::future::ready;
use std::sync::Arc;

use componentstatus::{Board, Kind};
use metrics_util::CompositeKey;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use pdata::{
    Backing, Code, Event, FileOffset, Frame, KTime, Loss, LossReason, MappedFile, Mapping, Pc, Sample, Stack,
    Tid,
};
use tokio::runtime;
use tokio::time::{Instant, sleep};
use tower::{BoxError, ServiceExt as _, service_fn};
use tower_test::mock::{self, Handle};

use super::*;
use crate::SinkBounds;
use crate::metrics::{FANOUT_DROPPED, FANOUT_GIVEN_UP, FANOUT_GIVEN_UP_SAMPLES};

/// Long enough for every task to do all it can, far shorter than any bound.
const SETTLE: Duration = Duration::from_millis(1);

/// Room for a batch of ten samples.
const SETTINGS: SinkBounds = SinkBounds {
    queue_bytes: size_of::<Batch>() + 10 * size_of::<Event>(),
    give_up_after: Duration::from_secs(30),
};

const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// A running exporter.
fn sink<S>(name: &str, service: S, settings: SinkBounds) -> Arc<Sink>
where
    S: Service<Batch, Response = Watermark, Error = BoxError, Future: Send> + Send + 'static,
{
    let stage = Board::default().stage(Kind::Exporter, name, &[]);
    Sink::spawn(stage, ready(service), settings)
}

/// A fan-out to these sinks.
fn fan_out<const N: usize>(sinks: [&Arc<Sink>; N]) -> FanOut {
    FanOut::new(sinks.map(Sink::open).into(), DRAIN_WITHIN)
}

fn before(nanos: u64) -> Watermark {
    Watermark::before(KTime::from_nanos(nanos))
}

fn batch(watermark: Watermark, samples: usize) -> Batch {
    let sample = Sample { at: KTime::ZERO, tid: Tid(1), ..Sample::default() };
    Batch { events: Arc::new(vec![Event::Sample(sample); samples].into()), watermark, ..Batch::default() }
}

/// A fan-out over two exporters, driven by hand.
struct Rig {
    fan_out: FanOut,
    a: Handle<Batch, Watermark>,
    b: Handle<Batch, Watermark>,
    metrics: Snapshotter,
    _recorder: metrics::LocalRecorderGuard<'static>,
}

impl Rig {
    fn new() -> Self {
        let recorder: &'static DebuggingRecorder = Box::leak(Box::default());
        let _recorder = metrics::set_default_local_recorder(recorder);
        let ((a, a_handle), (b, b_handle)) = (mock::pair(), mock::pair());
        let sinks = [sink("a", a, SETTINGS), sink("b", b, SETTINGS)];
        let fan_out = fan_out(sinks.each_ref());
        Self { fan_out, a: a_handle, b: b_handle, metrics: recorder.snapshotter(), _recorder }
    }

    async fn call(&mut self, batch: Batch) -> Watermark {
        let answer = self.fan_out.ready().await.unwrap().call(batch).await.unwrap();
        sleep(SETTLE).await;
        answer
    }

    /// The answer to an empty batch: the watermark that has been acked so far.
    async fn acked(&mut self, at: u64) -> Watermark {
        self.call(batch(before(at), 0)).await
    }

    fn b_acknowledged(&self) -> Watermark {
        self.fan_out.outlets.state().open[1].acked()
    }

    fn counters(&self) -> Vec<(String, u64)> {
        counters(&self.metrics)
    }
}

/// Counters that are not zero, by name and the values of their labels. Reading resets them.
fn counters(metrics: &Snapshotter) -> Vec<(String, u64)> {
    let value = |(key, _, _, value): (CompositeKey, _, _, DebugValue)| {
        let labels: Vec<_> = key.key().labels().map(metrics::Label::value).collect();
        match value {
            DebugValue::Counter(count) if count > 0 => {
                Some((format!("{} {}", key.key().name(), labels.join(" ")), count))
            }
            _ => None,
        }
    };
    let mut found: Vec<_> = metrics.snapshot().into_vec().into_iter().filter_map(value).collect();
    found.sort();
    found
}

/// Takes the next batch from an exporter's end and answers it.
async fn answer(handle: &mut Handle<Batch, Watermark>, answer: Watermark) -> Batch {
    let (batch, respond) = handle.next_request().await.unwrap();
    respond.send_response(answer);
    batch
}

#[tokio::test(start_paused = true)]
async fn every_exporter_gets_every_batch_and_the_answer_is_the_least_of_theirs() {
    let mut rig = Rig::new();
    assert_eq!(rig.call(batch(before(10), 3)).await, Watermark::NONE, "nobody has answered yet");
    assert_eq!(answer(&mut rig.a, before(10)).await.samples().count(), 3);
    assert_eq!(answer(&mut rig.b, before(4)).await.samples().count(), 3);
    sleep(SETTLE).await;
    assert_eq!(rig.acked(20).await, before(4));
    assert_eq!(rig.counters(), []);
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_never_answers_is_given_up_on_and_does_not_stop_the_other() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 3)).await;
    answer(&mut rig.a, before(10)).await;
    let (_batch, _never) = rig.b.next_request().await.unwrap();
    sleep(SETTLE).await;
    assert_eq!(rig.acked(20).await, Watermark::NONE, "the other holds it back");
    assert_eq!(answer(&mut rig.a, before(20)).await.watermark, before(20), "but is not held up itself");
    sleep(SETTINGS.give_up_after).await;
    let (_batch, _never) = rig.b.next_request().await.unwrap();
    assert_eq!(rig.acked(30).await, before(10), "given up is done");
    assert_eq!(
        rig.counters(),
        [(format!("{FANOUT_GIVEN_UP_SAMPLES} b"), 3), (format!("{FANOUT_GIVEN_UP} b timeout"), 1)]
    );
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_is_never_ready_is_given_up_on_too() {
    let mut rig = Rig::new();
    rig.b.allow(0);
    rig.call(batch(before(10), 3)).await;
    answer(&mut rig.a, before(10)).await;
    sleep(SETTINGS.give_up_after).await;
    assert_eq!(rig.acked(20).await, before(10));
    assert_eq!(
        rig.counters(),
        [(format!("{FANOUT_GIVEN_UP_SAMPLES} b"), 3), (format!("{FANOUT_GIVEN_UP} b timeout"), 1)]
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_counts_what_was_given_and_not_acknowledged_and_the_next_batch_is_tried() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 3)).await;
    rig.call(batch(before(20), 2)).await;
    for at in [10, 20] {
        answer(&mut rig.a, before(at)).await;
    }
    answer(&mut rig.b, before(5)).await;
    let (_batch, respond) = rig.b.next_request().await.unwrap();
    respond.send_error("broken");
    sleep(SETTLE).await;
    assert_eq!(rig.acked(30).await, before(20));
    assert_eq!(
        rig.counters(),
        [(format!("{FANOUT_GIVEN_UP_SAMPLES} b"), 5), (format!("{FANOUT_GIVEN_UP} b error"), 1)]
    );
    assert_eq!(answer(&mut rig.b, before(30)).await.watermark, before(30));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_for_its_exporter_alone_and_acknowledges_once_the_rest_is_done() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 8)).await;
    let (_working, respond) = rig.b.next_request().await.unwrap();
    answer(&mut rig.a, before(10)).await;
    sleep(SETTLE).await;
    rig.call(batch(before(20), 4)).await;
    assert_eq!(rig.counters(), [(format!("{FANOUT_DROPPED} b"), 4)], "8 and 4 samples do not fit into 10");
    assert_eq!(answer(&mut rig.a, before(20)).await.samples().count(), 4);
    sleep(SETTLE).await;
    assert_eq!(rig.b_acknowledged(), Watermark::NONE, "the first batch is still at work");
    respond.send_response(before(9));
    sleep(SETTLE).await;
    assert_eq!(rig.b_acknowledged(), before(9), "all before the dropped batch is not done");
    rig.call(batch(before(30), 0)).await;
    answer(&mut rig.b, before(30)).await;
    sleep(SETTLE).await;
    assert_eq!(rig.b_acknowledged(), before(30));
}

/// The losses that a batch holds, with their counts.
fn losses(batch: &Batch) -> Vec<(LossReason, u64)> {
    let reported = |event: &Event| match event {
        Event::Loss(loss) => Some((loss.reason, loss.count)),
        _ => None,
    };
    batch.events.iter().filter_map(reported).collect()
}

#[tokio::test(start_paused = true)]
async fn an_exporter_is_told_what_it_was_not_given_and_the_others_are_not() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 8)).await;
    answer(&mut rig.a, before(10)).await;
    let (_working, respond) = rig.b.next_request().await.unwrap();
    for at in [20, 30] {
        sleep(SETTLE).await;
        let mut dropped = batch(before(at), 4);
        let (from, until) = (KTime::from_nanos(at - 5), KTime::from_nanos(at - 1));
        let loss = Loss { from, until, reason: LossReason::SampleRingFull, count: 3 };
        dropped.report_losses([loss]);
        rig.call(dropped).await;
        assert_eq!(losses(&answer(&mut rig.a, before(at)).await), [(LossReason::SampleRingFull, 3)]);
    }
    respond.send_response(before(10));
    sleep(SETTLE).await;
    rig.call(batch(before(40), 1)).await;
    rig.call(batch(before(50), 0)).await;
    let reported = answer(&mut rig.b, before(40)).await;
    assert_eq!(losses(&reported), [(LossReason::SampleRingFull, 6), (LossReason::SampleQueueFull, 8)]);
    assert!(
        reported.events.iter().filter(|event| matches!(event, Event::Loss(_))).is_sorted_by_key(|e| e.at())
    );
    assert_eq!(reported.samples().count(), 1);
    assert_eq!(losses(&answer(&mut rig.b, before(50)).await), [], "reported once");
    assert_eq!(losses(&answer(&mut rig.a, before(40)).await), []);
}

#[tokio::test(start_paused = true)]
async fn an_exporter_is_told_what_it_was_not_ready_for() {
    let mut rig = Rig::new();
    rig.b.allow(0);
    rig.call(batch(before(10), 3)).await;
    sleep(SETTINGS.give_up_after).await;
    rig.b.allow(2);
    rig.call(batch(before(20), 1)).await;
    rig.call(batch(before(30), 1)).await;
    assert_eq!(losses(&answer(&mut rig.b, before(20)).await), [(LossReason::SampleQueueFull, 3)]);
    assert_eq!(losses(&answer(&mut rig.b, before(30)).await), [], "reported once");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_batch_is_acknowledged_without_waiting_for_another() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 8)).await;
    let (_working, respond) = rig.b.next_request().await.unwrap();
    rig.call(batch(before(20), 4)).await;
    respond.send_response(before(10));
    sleep(SETTLE).await;
    assert_eq!(rig.b_acknowledged(), before(20));
}

/// A batch of one sample, which alone holds a file of this path.
fn batch_with_path(watermark: Watermark, path: &str) -> Batch {
    let backing = Backing::File(Arc::new(MappedFile::at(path.as_ref())));
    let mapping = Mapping { start: Pc(0), end: Pc(1), file_offset: FileOffset(0), backing };
    let stack =
        Stack { frames: [Frame::exact(Pc(0), Code::Mapped(Arc::new(mapping)))].into(), ..Stack::default() };
    let events = vec![Event::Sample(Sample { stack, ..Sample::default() })];
    Batch { events: Arc::new(events.into()), watermark, ..Batch::default() }
}

/// Users choose how long the paths of their programs are: of equal batches, one with a long path takes more room.
#[tokio::test(start_paused = true)]
async fn a_queue_has_room_for_bytes_and_not_for_events() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 1)).await;
    let (_working, _respond) = rig.b.next_request().await.unwrap();
    answer(&mut rig.a, before(10)).await;
    sleep(SETTLE).await;
    let long = "/a".repeat(SETTINGS.queue_bytes / 2);
    rig.call(batch_with_path(before(20), &long)).await;
    assert_eq!(rig.counters(), [(format!("{FANOUT_DROPPED} b"), 1)]);
    answer(&mut rig.a, before(20)).await;
    sleep(SETTLE).await;
    // One event again, and a small one: the room that the large one found too little is enough for it.
    rig.call(batch_with_path(before(30), "/a")).await;
    assert_eq!(rig.counters(), []);
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_the_queue_still_passes() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 1000)).await;
    assert_eq!(answer(&mut rig.a, before(10)).await.samples().count(), 1000);
    assert_eq!(rig.counters(), []);
}

#[tokio::test(start_paused = true)]
async fn an_answer_beyond_what_was_given_is_taken_for_what_was_given() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 1)).await;
    answer(&mut rig.a, Watermark::END).await;
    answer(&mut rig.b, before(99)).await;
    sleep(SETTLE).await;
    assert_eq!(rig.acked(20).await, before(10));
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_every_exporter() {
    let mut rig = Rig::new();
    let started = Instant::now();
    let end = rig.fan_out.ready().await.unwrap().call(batch(Watermark::END, 2));
    let end = tokio::spawn(end);
    answer(&mut rig.a, Watermark::END).await;
    let (last, respond) = rig.b.next_request().await.unwrap();
    sleep(DRAIN_WITHIN / 2).await;
    assert!(!end.is_finished());
    assert_eq!(last.samples().count(), 2);
    respond.send_response(Watermark::END);
    assert_eq!(end.await.unwrap(), Ok(Watermark::END));
    assert!(started.elapsed() < DRAIN_WITHIN);
    assert_eq!(rig.counters(), []);
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_no_longer_than_its_bound_and_counts_what_is_left() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 4)).await;
    let (_batch, _never) = rig.b.next_request().await.unwrap();
    let started = Instant::now();
    let end = tokio::spawn(rig.fan_out.ready().await.unwrap().call(batch(Watermark::END, 3)));
    for _ in 0..2 {
        answer(&mut rig.a, Watermark::END).await;
    }
    assert_eq!(end.await.unwrap(), Ok(Watermark::END));
    assert_eq!(started.elapsed(), DRAIN_WITHIN);
    assert_eq!(
        rig.counters(),
        [(format!("{FANOUT_GIVEN_UP_SAMPLES} b"), 7), (format!("{FANOUT_GIVEN_UP} b shutdown"), 1)]
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_batch_finds_room_in_a_full_queue() {
    let mut rig = Rig::new();
    rig.call(batch(before(10), 9)).await;
    let end = tokio::spawn(rig.fan_out.ready().await.unwrap().call(batch(Watermark::END, 3)));
    for handle in [&mut rig.a, &mut rig.b] {
        answer(handle, before(10)).await;
        assert_eq!(answer(handle, Watermark::END).await.samples().count(), 3);
    }
    assert_eq!(end.await.unwrap(), Ok(Watermark::END));
    assert_eq!(rig.counters(), []);
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_panics_holds_nobody_back_and_without_any_the_fan_out_fails() {
    let panics = || service_fn(|_: Batch| async { panic!("broken") as Result<Watermark, BoxError> });
    let (sound, mut handle) = mock::pair::<Batch, Watermark>();
    let mut one = fan_out([&sink("a", panics(), SETTINGS), &sink("b", sound, SETTINGS)]);
    one.ready().await.unwrap().call(batch(before(10), 1)).await.unwrap();
    answer(&mut handle, before(10)).await;
    sleep(SETTLE).await;
    assert_eq!(one.ready().await.unwrap().call(batch(before(20), 1)).await, Ok(before(10)));

    let mut none = fan_out([&sink("a", panics(), SETTINGS)]);
    none.ready().await.unwrap().call(batch(before(10), 1)).await.unwrap();
    sleep(SETTLE).await;
    assert_eq!(none.ready().await.unwrap().call(batch(before(20), 1)).await, Err(NoBranchLeft));
}

fn on_paused_time(test: impl Future<Output = ()>) {
    runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test);
}
