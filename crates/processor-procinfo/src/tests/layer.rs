//! The layer between a mock of the stage before and one of the stage after.

use std::sync::Arc;
use std::task::{Context, Waker};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use pdata::{
    Batch, BootTime, Comm, Event, ExecCount, ImageKey, KTime, Pid, ProcessEvent, ProcessKey,
    ProcessTransition, Relatives, Watermark,
};
use tower::{Layer, Service};
use tower_test::mock;

use super::world::executable;
use crate::{Config, ProcInfo, ProcInfoLayer};

const KEY: ImageKey = ImageKey {
    process: ProcessKey { pid: Pid(5), start_time: BootTime::from_nanos(1) },
    exec_count: ExecCount(1),
};

fn batch(watermark: u64, events: Vec<(u64, ProcessTransition)>) -> Batch {
    let event =
        |(at, transition)| Event::Process(ProcessEvent { at: KTime::from_nanos(at), image: KEY, transition });
    Batch {
        events: Arc::new(events.into_iter().map(event).collect()),
        watermark: before(watermark),
        ..Batch::default()
    }
}

fn before(at: u64) -> Watermark {
    Watermark::before(KTime::from_nanos(at))
}

fn seen() -> ProcessTransition {
    ProcessTransition::Seen {
        executable: Some(Box::new(executable("/bin/a"))),
        comm: Comm::default(),
        relatives: Relatives::default(),
    }
}

fn gauge(snapshotter: &Snapshotter, name: &str) -> Option<f64> {
    snapshotter.snapshot().into_vec().into_iter().find_map(|(key, _, _, value)| match value {
        DebugValue::Gauge(value) if key.key().name() == name => Some(value.0),
        _ => None,
    })
}

type Mock = mock::Mock<Batch, Watermark>;

/// Sends a batch through, and has the inner service ack that watermark.
async fn exchange(
    service: &mut ProcInfo<Mock>,
    handle: &mut mock::Handle<Batch, Watermark>,
    batch: Batch,
    answer: Result<Watermark, &'static str>,
) -> Result<Watermark, String> {
    std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    let sent = batch.watermark;
    let call = service.call(batch);
    let (passed_on, reply) = handle.next_request().await.unwrap();
    assert_eq!(passed_on.watermark, sent, "the watermark travels unchanged");
    match answer {
        Ok(watermark) => reply.send_response(watermark),
        Err(error) => reply.send_error(error),
    }
    call.await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn answers_travel_back_and_a_process_is_forgotten_exactly_after_the_one_that_passes_its_end() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let (inner, mut handle) = mock::pair::<Batch, Watermark>();
    handle.allow(100);
    let mut service = ProcInfoLayer::new(&Config::default()).layer(inner);
    let held = || gauge(&snapshotter, "otelcol_processor_procinfo_held_processes");

    let lived = vec![(10, seen()), (20, ProcessTransition::Exit), (30, ProcessTransition::Freed)];
    let answers = [(40, 29), (50, 29), (60, 30), (70, 30)].map(|(sent, answer)| (sent, before(answer)));
    let mut events = Some(lived);
    let mut held_at = Vec::new();
    for (sent, answer) in answers {
        let batch = batch(sent, events.take().unwrap_or_default());
        assert_eq!(exchange(&mut service, &mut handle, batch, Ok(answer)).await, Ok(answer));
        held_at.push(held());
    }
    // The answer "before 30" is that to the third batch: the fourth finds the process forgotten.
    assert_eq!(held_at, [Some(1.0), Some(1.0), Some(1.0), Some(0.0)]);
}

#[tokio::test]
async fn an_error_travels_back_and_gives_the_batch_up() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let (inner, mut handle) = mock::pair::<Batch, Watermark>();
    handle.allow(100);
    let mut service = ProcInfoLayer::new(&Config::default()).layer(inner);

    let lived = vec![(10, seen()), (20, ProcessTransition::Exit), (30, ProcessTransition::Freed)];
    let answer = exchange(&mut service, &mut handle, batch(40, lived), Err("broken")).await;
    assert_eq!(answer, Err("broken".to_owned()));
    exchange(&mut service, &mut handle, batch(50, vec![]), Ok(before(0))).await.unwrap();
    assert_eq!(gauge(&snapshotter, "otelcol_processor_procinfo_held_processes"), Some(0.0));
}

#[tokio::test]
async fn readiness_is_the_inner_services() {
    let (inner, mut handle) = mock::pair::<Batch, Watermark>();
    handle.allow(0);
    let mut service = ProcInfoLayer::new(&Config::default()).layer(inner);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_pending());
    handle.allow(1);
    assert!(service.poll_ready(&mut cx).is_ready());
}
