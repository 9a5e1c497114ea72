//! The component as a tower layer.

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

use pdata::{Batch, Event, Events, KTime, Loss, LossReason, Watermark};
use tower::{Layer, Service};

use crate::config::Config;
use crate::error::StartError;
use crate::limits::Limits;
use crate::machine::Machine;
use crate::meter::Meters;
use crate::metrics::Samples;
use crate::settings::LimiterSettings;
use crate::watch::Watch;

/// Makes services that keep the agent within its memory. The layer stands first in a pipeline: samples that it drops
/// cost no stage behind it.
#[derive(Clone, Debug)]
pub struct MemoryLimiterLayer {
    watch: Watch,
    samples: Samples,
}

impl MemoryLimiterLayer {
    /// Looks at the memory in use, and starts the thread that goes on doing so. The thread ends with the last service.
    ///
    /// The configuration is taken to be valid.
    ///
    /// # Errors
    /// [`StartError`] if the memory in use, or the memory that a percentage is of, cannot be read.
    pub fn start(config: &Config, settings: LimiterSettings) -> Result<Self, StartError> {
        let machine = Machine::new(Path::new("/"));
        let total = machine.total();
        let limits = Limits::of(config, total)?;
        let Limits { soft, hard } = limits;
        tracing::info!(soft, hard, total, "Memory limiter configured.");
        if total.is_some_and(|total| hard > total) {
            tracing::warn!(hard, total, "The memory limit is above what there is.");
        }
        let samples = Samples::of(&settings.id);
        let meters = Meters::new(machine, config, limits);
        if let Some(Limits { soft, hard }) = meters.group_limits() {
            tracing::info!(soft, hard, "What is charged to the control group is limited, too.");
        }
        Ok(Self { watch: Watch::start(settings, meters, config.check_interval)?, samples })
    }
}

impl<S> Layer<S> for MemoryLimiterLayer {
    type Service = MemoryLimiter<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MemoryLimiter { inner, watch: self.watch.clone(), samples: self.samples.clone() }
    }
}

/// Drops samples, and reports them as a [`Loss`], while the agent is above its hard limit. All other events pass.
#[derive(Debug)]
pub struct MemoryLimiter<S> {
    inner: S,
    watch: Watch,
    samples: Samples,
}

impl<S> Service<Batch> for MemoryLimiter<S>
where
    S: Service<Batch, Response = Watermark>,
{
    type Response = Watermark;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut batch: Batch) -> Self::Future {
        batch.flush |= self.watch.take_flush();
        if self.watch.dropping() {
            self.samples.refused.increment(batch.sample_count());
            drop_samples(&mut batch.events);
        } else {
            self.samples.accepted.increment(batch.sample_count());
        }
        self.inner.call(batch)
    }
}

/// Replaces the samples by one loss, at the place of the last of them.
///
/// The events that stay are copied, rather than the samples taken out: other pipelines may share the events, and there
/// is no memory left for a copy of the samples.
fn drop_samples(events: &mut Arc<Events>) {
    let (count, mut kept) = (events.sample_count(), Vec::new());
    // Times of the first and of the last sample, and the number of kept events before the last.
    let mut span: Option<(KTime, KTime, usize)> = None;
    for event in events.iter() {
        if let Event::Sample(sample) = event {
            let from = span.map_or(sample.at, |(from, ..)| from);
            span = Some((from, sample.at, kept.len()));
        } else {
            kept.push(event.clone());
        }
    }
    if let Some((from, until, place)) = span {
        let reason = LossReason::SampleMemoryLimit;
        // `place` is no more than the number of kept events.
        kept.insert(place, Event::Loss(Loss { from, until, reason, count }));
        *events = Arc::new(kept.into());
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Ready, ready};

    use pdata::{ImageKey, ProcessEvent, ProcessTransition, Sample};
    use proptest::prelude::*;

    use super::*;

    /// A stage that keeps the batches that it takes.
    struct Keep(Vec<Batch>);

    impl Service<Batch> for &mut Keep {
        type Response = Watermark;
        type Error = Infallible;
        type Future = Ready<Result<Watermark, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, batch: Batch) -> Self::Future {
            self.0.push(batch.clone());
            ready(Ok(batch.watermark))
        }
    }

    fn sample(at: u64) -> Event {
        Event::Sample(Sample { at: KTime::from_nanos(at), ..Sample::default() })
    }

    fn fact(at: u64) -> Event {
        let (at, image) = (KTime::from_nanos(at), ImageKey::default());
        Event::Process(ProcessEvent { at, image, transition: ProcessTransition::Exit })
    }

    fn batch(events: Vec<Event>) -> Batch {
        Batch {
            events: Arc::new(events.into()),
            watermark: Watermark::before(KTime::from_nanos(1000)),
            flush: true,
            ..Batch::default()
        }
    }

    /// The batch that comes out for `events`.
    async fn pass(dropping: bool, events: Vec<Event>) -> Batch {
        let mut keep = Keep(Vec::new());
        let mut limiter = MemoryLimiter {
            inner: &mut keep,
            watch: Watch::fixed(dropping),
            samples: Samples::of("memory_limiter"),
        };
        let batch = batch(events);
        assert_eq!(limiter.call(batch.clone()).await, Ok(batch.watermark));
        keep.0.remove(0)
    }

    #[tokio::test]
    async fn within_limits_everything_passes() {
        let passed = pass(false, vec![fact(1), sample(2)]).await;
        assert_eq!((passed.events.len(), passed.samples().count(), passed.flush), (2, 1, true));
    }

    #[tokio::test]
    async fn above_the_hard_limit_facts_pass_and_samples_become_one_loss() {
        let passed = pass(true, vec![sample(1), fact(2), sample(3), fact(3), fact(4)]).await;
        let [Event::Process(_), Event::Loss(loss), Event::Process(_), Event::Process(_)] = passed.events[..]
        else {
            panic!("{:?}", passed.events)
        };
        let (from, until) = (KTime::from_nanos(1), KTime::from_nanos(3));
        assert_eq!(loss, Loss { from, until, reason: LossReason::SampleMemoryLimit, count: 2 });
        assert!(pass(true, vec![]).await.events.is_empty());
    }

    proptest! {
        /// Only samples are dropped, each is counted, and order stays.
        #[test]
        fn only_samples_go_and_each_is_counted(mut events in proptest::collection::vec((0u64..50, any::<bool>()), 0..60)) {
            events.sort_unstable();
            let samples = events.iter().filter(|(_, is_sample)| *is_sample).count() as u64;
            let all: Vec<_> = events.into_iter()
                .map(|(at, is_sample)| if is_sample { sample(at) } else { fact(at) })
                .collect();
            let facts = all.len() as u64 - samples;
            let shared = Arc::new(Events::from(all));
            let mut events = Arc::clone(&shared);
            drop_samples(&mut events);
            prop_assert_eq!(events.sample_count(), 0);
            prop_assert!(events.is_sorted_by_key(Event::at));
            let told: u64 = events.iter().map(|event| if let Event::Loss(loss) = event { loss.count } else { 0 }).sum();
            prop_assert_eq!(told, samples);
            let left = events.iter().filter(|event| matches!(event, Event::Process(_))).count() as u64;
            prop_assert_eq!(left, facts);
            prop_assert_eq!(shared.len() as u64, samples + facts, "others keep theirs");
        }
    }
}
