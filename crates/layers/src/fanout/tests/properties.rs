//! Properties of a fan-out whose exporters lag and fail at will.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However exporters lag, an answer is exactly the least watermark that they have acked so far, never goes back,
    /// and the last one is the end.
    #[test]
    fn an_answer_is_the_least_of_what_was_said(
        steps in prop::collection::vec((1_u64..20, 0_usize..6), 1..40),
        exporters in prop::collection::vec((0_u64..40, 0_u64..20), 2),
    ) {
        on_paused_time(async move {
            let said = [HighestAnswer::default(), HighestAnswer::default()];
            let settings = SinkBounds { queue_bytes: 1 << 20, ..SETTINGS };
            let sinks: Vec<_> = exporters.into_iter().zip(said.clone()).map(|((lag, delay), said)| {
                sink("x", service_fn(move |batch: Batch| {
                    let said = said.clone();
                    async move {
                        sleep(Duration::from_millis(delay)).await;
                        Ok::<_, BoxError>(said.say(batch.watermark.at().as_nanos().saturating_sub(lag)))
                    }
                }), settings)
            }).collect();
            let mut fan_out = FanOut::new(sinks.iter().map(Sink::open).collect(), DRAIN_WITHIN);
            let mut at = 0;
            for (step, samples) in steps {
                at += step;
                let least = said.iter().map(HighestAnswer::get).min().unwrap();
                let answer = fan_out.ready().await.unwrap().call(batch(before(at), samples)).await;
                assert_eq!(answer, Ok(least));
                sleep(Duration::from_millis(step)).await;
            }
            let end = fan_out.ready().await.unwrap().call(batch(Watermark::END, 0)).await;
            assert_eq!(end, Ok(Watermark::END));
        });
    }

    /// Whatever an exporter does, each sample is either delivered or counted, once.
    #[test]
    fn every_sample_is_delivered_or_counted(
        steps in prop::collection::vec((1_u64..20_000, 0_usize..8, 0_u8..4), 1..40),
    ) {
        on_paused_time(async move {
            let recorder: &'static DebuggingRecorder = Box::leak(Box::default());
            let _recorder = metrics::set_default_local_recorder(recorder);
            let delivered = Arc::new(AtomicU64::new(0));
            let total: usize = steps.iter().map(|(_, samples, _)| samples).sum();
            let mut turns = steps.clone().into_iter().map(|(.., turn)| turn).collect::<Vec<_>>().into_iter();
            let counter = delivered.clone();
            let exporter = service_fn(move |batch: Batch| {
                let (turn, delivered) = (turns.next().unwrap_or_default(), counter.clone());
                async move {
                    match turn {
                        1 => return Err(BoxError::from("broken")),
                        2 => std::future::pending().await,
                        3 => sleep(SETTINGS.give_up_after / 2).await,
                        _ => {}
                    }
                    delivered.fetch_add(batch.samples().count() as u64, Ordering::Relaxed);
                    Ok(batch.watermark)
                }
            });
            let mut fan_out = fan_out([&sink("x", exporter, SETTINGS)]);
            let mut at = 0;
            for (step, samples, _) in steps {
                at += step;
                let answer = fan_out.ready().await.unwrap().call(batch(before(at), samples)).await;
                assert!(answer.unwrap() <= before(at));
                sleep(Duration::from_millis(step)).await;
            }
            fan_out.ready().await.unwrap().call(batch(Watermark::END, 0)).await.unwrap();
            let counters = counters(&recorder.snapshotter());
            let counted: u64 = counters.iter().filter(|(key, _)| !key.starts_with(FANOUT_GIVEN_UP)).map(|(_, n)| n).sum();
            assert_eq!(delivered.load(Ordering::Relaxed) + counted, total as u64, "{counters:?}");
        });
    }
}

/// The highest watermark that an exporter has answered so far.
#[derive(Clone, Debug, Default)]
struct HighestAnswer(Arc<AtomicU64>);

impl HighestAnswer {
    fn say(&self, nanos: u64) -> Watermark {
        self.0.fetch_max(nanos, Ordering::Relaxed);
        before(nanos)
    }

    fn get(&self) -> Watermark {
        before(self.0.load(Ordering::Relaxed))
    }
}
