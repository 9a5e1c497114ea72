//! A queue before a server that answers when the test lets it. Time is paused.

mod on_disk;
mod outage;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use otlp_profiles::ProfilesRequest;
use pdata::KTime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;

use super::interleave::tests::come_in_after;
use super::*;
use crate::Delivered;
use crate::config::{BatchConfig, Sizer};

/// Long enough for every task to do all it can, far shorter than any bound.
const SETTLE: Duration = Duration::from_millis(1);

type Sending = (Vec<ProfilesRequest>, oneshot::Sender<Result<Delivered, SendError>>);

/// The service that the queue sends by.
#[derive(Clone, Debug)]
struct Server(mpsc::Sender<Sending>);

impl Service<Group> for Server {
    type Response = Vec<Sent>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Vec<Sent>, SendError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Group { requests: group, .. }: Group) -> Self::Future {
        let server = self.0.clone();
        Box::pin(async move {
            let samples = group.iter().map(|request| request.samples).sum();
            let (respond, answer) = oneshot::channel();
            server.send((group, respond)).await.unwrap();
            let result = answer.await.expect("the test breaks off on purpose");
            Ok(vec![Sent { samples, result }])
        })
    }
}

struct Rig {
    queue: Queue,
    server: mpsc::Receiver<Sending>,
    metrics: Snapshotter,
    _recorder: ::metrics::LocalRecorderGuard<'static>,
}

impl Rig {
    fn new(config: &QueueConfig) -> Self {
        Self::over(config, &DeliverySettings::new("otlp"))
    }

    fn over(config: &QueueConfig, settings: &DeliverySettings) -> Self {
        let (sender, server) = mpsc::channel(100);
        Self { server, ..Self::before(config, settings, &Stop::default(), Server(sender)) }
    }

    /// A queue before a service of the test's own.
    fn before<S>(config: &QueueConfig, settings: &DeliverySettings, stop: &Stop, service: S) -> Self
    where
        S: Service<Group, Response = Vec<Sent>, Error = SendError> + Clone + Send + 'static,
        S::Future: Send,
    {
        let recorder: &'static DebuggingRecorder = Box::leak(Box::default());
        let _recorder = ::metrics::set_default_local_recorder(recorder);
        let queue = QueueLayer::new(settings, config, stop).layer(service);
        Self { queue, server: mpsc::channel(1).1, metrics: recorder.snapshotter(), _recorder }
    }

    /// Hands in a window of requests with these numbers of samples. Returns the acked watermark.
    async fn window(&mut self, until: u64, samples: &[u64]) -> Watermark {
        let answer = self.queue.ready().await.unwrap().call(finished(before(until), samples));
        let answer = answer.await.unwrap();
        sleep(SETTLE).await;
        answer
    }

    /// The watermark that has been acked by now.
    async fn answered(&mut self) -> Watermark {
        sleep(SETTLE).await;
        self.queue.ready().await.unwrap().call(finished(Watermark::NONE, &[])).await.unwrap()
    }

    /// The next request that is sent: its samples, and the sender for the server's response.
    async fn sent(&mut self) -> (u64, oneshot::Sender<Result<Delivered, SendError>>) {
        let (group, respond) = self.server.recv().await.unwrap();
        (group.iter().map(|request| request.samples).sum(), respond)
    }

    /// Metrics that are not zero. Reading resets counters.
    fn metrics(&self) -> Vec<(String, f64)> {
        let value = |value: DebugValue| match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(_) => 0.0,
        };
        let all = self.metrics.snapshot().into_vec().into_iter();
        let all = all.map(|(key, _, _, v)| {
            let name = key.key().name().trim_start_matches("otelcol_exporter_");
            (name.to_owned(), value(v))
        });
        let mut all: Vec<_> = all.filter(|(_, value)| *value != 0.0).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

fn before(nanos: u64) -> Watermark {
    Watermark::before(KTime::from_nanos(nanos))
}

fn finished(acked: Watermark, samples: &[u64]) -> Finished {
    let request = |&samples: &u64| ProfilesRequest { bytes: vec![7; 10].into(), samples };
    Finished { requests: samples.iter().map(request).collect(), acked }
}

fn taken() -> Result<Delivered, SendError> {
    Ok(Delivered::default())
}

fn metric(name: &str, value: f64) -> (String, f64) {
    (name.to_owned(), value)
}

#[tokio::test(start_paused = true)]
async fn the_answer_never_waits_and_comes_once_everything_before_is_over() {
    let mut rig = Rig::new(&QueueConfig::default());
    assert_eq!(rig.window(10, &[1, 2]).await, Watermark::NONE);
    assert_eq!(rig.window(20, &[4]).await, Watermark::NONE);
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.push(rig.sent().await);
    }
    sent.sort_by_key(|(samples, _)| *samples);
    let [(1, first), (2, second), (4, third)] = <[_; 3]>::try_from(sent).unwrap() else { panic!() };
    third.send(taken()).unwrap();
    second.send(Err(SendError::permanent("bad"))).unwrap();
    assert_eq!(rig.answered().await, Watermark::NONE, "the first is under way");
    first.send(taken()).unwrap();
    assert_eq!(rig.answered().await, before(20), "given up is done");
    let expected = [metric("queue_capacity", 1000.0), metric("send_failed_profile_samples", 2.0)];
    assert_eq!(rig.metrics(), [&expected[..], &[metric("sent_profile_samples", 5.0)]].concat());
}

#[tokio::test(start_paused = true)]
async fn no_more_are_sent_at_a_time_than_there_are_consumers() {
    let mut rig = Rig::new(&QueueConfig { num_consumers: 2, ..QueueConfig::default() });
    rig.window(10, &[1, 2, 3]).await;
    let _first = rig.sent().await;
    let (_, second) = rig.sent().await;
    assert!(rig.server.try_recv().is_err());
    assert_eq!(rig.metrics().iter().find(|(name, _)| name == "in_flight_requests").unwrap().1, 2.0);
    second.send(taken()).unwrap();
    assert_eq!(rig.sent().await.0, 3);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_dropped_and_counted_by_each_sizer() {
    for (sizer, queue_size) in [(Sizer::Requests, 2), (Sizer::Items, 8), (Sizer::Bytes, 20)] {
        let mut rig = Rig::new(&QueueConfig { sizer, queue_size, ..QueueConfig::default() });
        rig.window(10, &[4, 4]).await;
        rig.window(20, &[2]).await;
        let refused = rig.metrics();
        assert!(refused.contains(&metric("enqueue_failed_profile_samples", 2.0)), "{sizer:?}: {refused:?}");
        assert!(refused.contains(&metric("queue_size", queue_size as f64)), "{sizer:?}: {refused:?}");
        assert_eq!((rig.queue.take_lost(), rig.queue.take_lost()), (2, 0));
        // A request that is being sent takes room until it is over.
        let (_, respond) = rig.sent().await;
        rig.window(30, &[2]).await;
        assert_eq!(rig.queue.take_lost(), 2);
        respond.send(taken()).unwrap();
        sleep(SETTLE).await;
        rig.window(40, &[2]).await;
        assert_eq!(rig.queue.take_lost(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_is_done_with_once_everything_before_it_is() {
    let mut rig = Rig::new(&QueueConfig { queue_size: 1, ..QueueConfig::default() });
    rig.window(10, &[1]).await;
    assert_eq!(rig.window(20, &[1]).await, Watermark::NONE);
    rig.sent().await.1.send(taken()).unwrap();
    assert_eq!(rig.answered().await, before(20));
}

#[tokio::test(start_paused = true)]
async fn when_told_to_wait_for_room_nothing_is_dropped() {
    let config = QueueConfig { queue_size: 1, block_on_overflow: true, ..QueueConfig::default() };
    let mut rig = Rig::new(&config);
    rig.window(10, &[1, 2]).await;
    let mut ready = tokio_test::task::spawn(std::future::poll_fn(|cx| rig.queue.poll_ready(cx)));
    assert!(ready.poll().is_pending());
    let (group, respond) = rig.server.recv().await.unwrap();
    assert_eq!(group[0].samples, 1);
    respond.send(taken()).unwrap();
    sleep(SETTLE).await;
    assert!(ready.is_woken());
    assert!(ready.poll().is_ready(), "the second has come in");
    drop(ready);
    assert_eq!(rig.sent().await.0, 2);
    assert_eq!(rig.queue.take_lost(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_can_never_fit_is_dropped_even_then() {
    let (sizer, queue_size) = (Sizer::Items, 5);
    let config = QueueConfig { queue_size, sizer, block_on_overflow: true, ..QueueConfig::default() };
    let mut rig = Rig::new(&config);
    assert_eq!(rig.window(10, &[6]).await, before(10));
    assert_eq!(rig.queue.take_lost(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_its_requests_if_told_to() {
    let mut rig = Rig::new(&QueueConfig { wait_for_result: true, ..QueueConfig::default() });
    let answer = tokio::spawn(rig.queue.ready().await.unwrap().call(finished(before(10), &[1])));
    sleep(SETTLE).await;
    assert!(!answer.is_finished());
    rig.sent().await.1.send(taken()).unwrap();
    assert_eq!(answer.await.unwrap().unwrap(), before(10));
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_the_next_window_waits() {
    let mut rig = Rig::new(&QueueConfig { enabled: false, ..QueueConfig::default() });
    rig.window(10, &[1, 2]).await;
    let mut ready = tokio_test::task::spawn(std::future::poll_fn(|cx| rig.queue.poll_ready(cx)));
    for samples in [1, 2] {
        assert!(ready.poll().is_pending());
        let (group, respond) = rig.server.recv().await.unwrap();
        assert_eq!(group[0].samples, samples);
        respond.send(taken()).unwrap();
        sleep(SETTLE).await;
    }
    assert!(ready.poll().is_ready());
    drop(ready);
    assert_eq!(rig.answered().await, before(10));
    assert!(rig.metrics().iter().all(|(name, _)| !name.starts_with("queue")));
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_until_all_that_is_left_has_been_tried() {
    let mut rig = Rig::new(&QueueConfig { num_consumers: 1, queue_size: 2, ..QueueConfig::default() });
    rig.window(10, &[1, 2]).await;
    let end = finished(Watermark::END, &[3]);
    let end = tokio::spawn(rig.queue.ready().await.unwrap().call(end));
    for samples in [1, 2, 3] {
        assert!(!end.is_finished());
        let (sent, respond) = rig.sent().await;
        assert_eq!(sent, samples, "the last window fits into a full queue");
        respond.send(if sent == 2 { Err(SendError::retryable("gone")) } else { taken() }).unwrap();
        sleep(SETTLE).await;
    }
    assert_eq!(end.await.unwrap().unwrap(), Watermark::END);
    assert!(rig.queue.stop.has_ended());
    let expected = [metric("queue_capacity", 2.0), metric("send_failed_profile_samples", 2.0)];
    assert_eq!(rig.metrics(), [&expected[..], &[metric("sent_profile_samples", 4.0)]].concat());
    assert_eq!(rig.window(20, &[]).await, Watermark::END, "it stays so");
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_sending_panics_is_counted_and_holds_up_nobody() {
    let mut rig = Rig::new(&QueueConfig { num_consumers: 1, ..QueueConfig::default() });
    rig.window(10, &[1]).await;
    drop(rig.sent().await.1);
    assert_eq!(rig.answered().await, before(10));
    assert!(rig.metrics().contains(&metric("send_failed_profile_samples", 1.0)));
    rig.window(20, &[2]).await;
    rig.sent().await.1.send(taken()).unwrap();
    assert_eq!(rig.answered().await, before(20));
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_others_until_there_are_enough_or_it_takes_too_long() {
    let batch = BatchConfig { min_size: 10, ..BatchConfig::default() };
    let mut rig = Rig::new(&QueueConfig { batch: Some(batch.clone()), ..QueueConfig::default() });
    rig.window(10, &[4]).await;
    rig.window(20, &[4]).await;
    assert!(rig.server.try_recv().is_err());
    rig.window(30, &[4]).await;
    let (samples, respond) = rig.sent().await;
    assert_eq!(samples, 12);
    respond.send(taken()).unwrap();
    assert_eq!(rig.answered().await, before(30));
    let began = Instant::now();
    rig.window(40, &[4]).await;
    assert_eq!(rig.sent().await.0, 4);
    assert_eq!(began.elapsed(), batch.flush_timeout);
}

#[tokio::test(start_paused = true)]
async fn requests_do_not_wait_for_others_at_the_end() {
    let batch = BatchConfig { flush_timeout: Duration::from_secs(3600), ..BatchConfig::default() };
    let mut rig = Rig::new(&QueueConfig { batch: Some(batch), ..QueueConfig::default() });
    rig.window(10, &[4]).await;
    let began = Instant::now();
    let end = tokio::spawn(rig.queue.ready().await.unwrap().call(finished(Watermark::END, &[3])));
    let (samples, respond) = rig.sent().await;
    assert_eq!(samples, 7);
    respond.send(taken()).unwrap();
    assert_eq!(end.await.unwrap().unwrap(), Watermark::END);
    assert!(began.elapsed() < Duration::from_secs(1));
}

/// While one exporter's server stalls for a minute, the windows of the other go out as they come.
#[tokio::test(start_paused = true)]
async fn a_stalled_server_does_not_hold_up_what_feeds_it() {
    let mut rig = Rig::new(&QueueConfig::default());
    let began = Instant::now();
    for window in 1..=60 {
        rig.window(window, &[1]).await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "no call waits for the server");
}

/// The end comes from another thread while the sending task looks for work: whatever the task has just looked at, it
/// must not take the end for known and the last window for absent. The two share nothing but what is under one lock, so
/// the end comes before each time that the task takes the lock, and after the last.
#[test]
fn the_last_window_is_not_overlooked_whenever_the_end_comes() {
    let mut context = Context::from_waker(std::task::Waker::noop());
    for points in 0.. {
        let shared =
            Arc::new(shared::QueueState::new(&DeliverySettings::new("otlp"), &QueueConfig::default()));
        let other = Arc::clone(&shared);
        let end = move || {
            let Finished { requests, acked } = finished(Watermark::END, &[1]);
            other.offer(requests, acked);
        };
        let mut next = std::pin::pin!(shared.next());
        let (first, has_come) = come_in_after(points, end.clone(), || next.as_mut().poll(&mut context));
        let taken = match first {
            Poll::Ready(taken) => taken,
            Poll::Pending => {
                if !has_come {
                    end();
                }
                // The end has notified the task, so that it looks again.
                let Poll::Ready(taken) = next.as_mut().poll(&mut context) else { panic!("after {points}") };
                taken
            }
        };
        let taken = taken.unwrap_or_else(|| {
            panic!("the end has come after {points} points, and the window is overlooked")
        });
        assert_eq!(taken.samples, 1);
        let mut last = std::pin::pin!(shared.next());
        assert!(matches!(last.as_mut().poll(&mut context), Poll::Ready(None)), "after {points}");
        if !has_come {
            assert!(points >= 1);
            return;
        }
    }
}
