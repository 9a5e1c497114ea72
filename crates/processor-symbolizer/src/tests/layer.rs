//! The stage between its neighbours.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use pdata::{Batch, Code, Frame, KTime, Pc, Watermark};
use proptest::prelude::*;
use tower::{Layer as _, Service, ServiceExt as _};

use super::make::{batch, first_offset, frame, names, own_program, sample, second_offset};
use crate::hold::Lookups;
use crate::layer::{Symbolizer, SymbolizerLayer};
use crate::resolver::Resolver;
use crate::{Config, StoppedError};

/// A stage that keeps its batches and acks each at once.
#[derive(Clone, Debug, Default)]
struct Keep(Arc<Mutex<Vec<Batch>>>);

impl Keep {
    fn taken(&self) -> Vec<Batch> {
        self.0.lock().unwrap().clone()
    }
}

impl Service<Batch> for Keep {
    type Response = Watermark;
    type Error = Infallible;
    type Future = Ready<Result<Watermark, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        self.0.lock().unwrap().push(batch.clone());
        ready(Ok(batch.watermark))
    }
}

/// A stage whose lookups nobody answers, and the receiver that keeps them from being refused.
fn unanswered(keep: Keep, config: &Config) -> (Symbolizer, impl Sized + use<>) {
    let (resolver, requests) = Resolver::without_thread();
    let (answer, answers) = tokio::sync::mpsc::channel(1);
    (Symbolizer::new(config, keep, Some(Lookups { resolver, answers })), (requests, answer))
}

async fn pass(stage: &mut Symbolizer, batch: Batch) -> Watermark {
    stage.ready().await.unwrap().call(batch).await.unwrap()
}

fn end() -> Batch {
    Batch { watermark: Watermark::END, ..batch(vec![], 0) }
}

#[tokio::test]
async fn frames_leave_with_the_names_of_their_functions_and_all_else_as_it_came() {
    let (keep, program) = (Keep::default(), own_program());
    // However slow the machine is.
    let config = Config { timeout: Duration::from_secs(120), ..Config::default() };
    let mut stage = SymbolizerLayer::new(&config).layer(keep.clone());
    let (first, second) = (first_offset(), second_offset());
    let caller = Frame { kind: pdata::AddressKind::Return, ..frame(&program, second + 1) };
    let unknown = Frame::exact(Pc(7), Code::Unknown);
    let frames = vec![frame(&program, first), caller, unknown, frame(&program, 3)];
    pass(&mut stage, batch(vec![sample(1, frames)], 10)).await;
    assert_eq!(pass(&mut stage, end()).await, Watermark::END);
    let taken = keep.taken();
    assert_eq!(taken.len(), 2);
    assert_eq!(taken[0].watermark, Watermark::before(KTime::from_nanos(10)));
    let names = names(&taken[0]);
    assert!(names[0].as_ref().unwrap().ends_with("first_function_to_name"), "{names:?}");
    assert!(names[1].as_ref().unwrap().ends_with("second_function_to_name"), "{names:?}");
    assert_eq!(names[2..], [None, None]);
}

#[tokio::test]
async fn frames_at_one_function_share_its_lines() {
    let (keep, program) = (Keep::default(), own_program());
    let config = Config { timeout: Duration::from_secs(120), ..Config::default() };
    let mut stage = SymbolizerLayer::new(&config).layer(keep.clone());
    let at = first_offset();
    for watermark in [10, 20] {
        let frames = vec![frame(&program, at), frame(&program, at + 1)];
        pass(&mut stage, batch(vec![sample(watermark - 1, frames)], watermark)).await;
    }
    pass(&mut stage, end()).await;
    let taken = keep.taken();
    let lines: Vec<_> = taken
        .iter()
        .flat_map(Batch::samples)
        .flat_map(|sample| &sample.stack.frames)
        .map(|frame| frame.lines.clone().unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|each| Arc::ptr_eq(each, &lines[0])));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_answers_leaves_without_a_name_when_the_time_is_over_and_not_before() {
    let (keep, program) = (Keep::default(), own_program());
    let config = Config::default();
    let (mut stage, _kept) = unanswered(keep.clone(), &config);
    let began = tokio::time::Instant::now();
    pass(&mut stage, batch(vec![sample(1, vec![frame(&program, first_offset())])], 10)).await;
    tokio::time::sleep(config.timeout / 2).await;
    assert_eq!(keep.taken().len(), 0);
    assert_eq!(pass(&mut stage, end()).await, Watermark::END);
    // The clock is the test's own: it passes only while all wait.
    assert!(began.elapsed() < config.timeout + Duration::from_millis(10));
    assert_eq!(names(&keep.taken()[0]), [None]);
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_what_the_next_stage_is_done_with() {
    let (keep, program) = (Keep::default(), own_program());
    let (mut stage, _kept) = unanswered(keep.clone(), &Config::default());
    assert_eq!(pass(&mut stage, batch(vec![], 10)).await, Watermark::NONE);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(keep.taken().len(), 1, "without frames there is nothing to wait for");
    let held = batch(vec![sample(1, vec![frame(&program, 3)])], 20);
    assert_eq!(pass(&mut stage, held).await, Watermark::before(KTime::from_nanos(10)));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let watermark = pass(&mut stage, batch(vec![], 30)).await;
    assert_eq!(watermark, Watermark::before(KTime::from_nanos(10)), "20 is held");
    assert_eq!(pass(&mut stage, end()).await, Watermark::END);
}

/// A stage that is broken.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("broken")]
struct Broken;

#[tokio::test]
async fn the_error_of_the_next_stage_comes_back_once_and_then_the_stage_has_stopped() {
    let inner = tower::service_fn(|_: Batch| ready(Err::<Watermark, _>(Broken)));
    let mut stage = SymbolizerLayer::new(&Config::default()).layer(inner);
    let error = stage.ready().await.unwrap().call(end()).await.unwrap_err();
    assert!(error.is::<Broken>(), "{error}");
    let error = loop {
        // The task may not be gone yet.
        match stage.ready().await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(error.is::<StoppedError>(), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever comes, with names or without, leaves once and in order, and acked watermarks never
    /// go back.
    #[test]
    fn batches_leave_once_and_in_order(steps in prop::collection::vec((0usize..3, 0u64..1500), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let (keep, program) = (Keep::default(), own_program());
            let (mut stage, _kept) = unanswered(keep.clone(), &Config::default());
            let (mut last, mut sent) = (Watermark::NONE, Vec::new());
            for (index, (frames, pause)) in (1u64..).zip(steps) {
                let frames = (0..frames).map(|offset| frame(&program, offset as u64)).collect();
                let each = batch(vec![sample(index * 10, frames)], index * 10 + 1);
                sent.push(each.watermark);
                let answer = pass(&mut stage, each).await;
                assert!(answer >= last && sent.contains(&answer) || answer == Watermark::NONE);
                last = answer;
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            pass(&mut stage, end()).await;
            sent.push(Watermark::END);
            let taken: Vec<_> = keep.taken().iter().map(|batch| batch.watermark).collect();
            assert_eq!(taken, sent);
        });
    }
}
