//! The stage that drops samples.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use pdata::{Batch, Event, Watermark};
use tower::{Layer, Service};

use crate::observed::Observed;
use crate::scope::Scope;

/// Makes the stage that drops the samples that do not belong to a recording.
#[derive(Clone, Debug)]
pub struct SelectionLayer {
    scope: Arc<Mutex<Scope>>,
    observed: Arc<Observed>,
}

impl SelectionLayer {
    /// A layer for one recording, which counts the samples in `observed`.
    #[must_use]
    pub fn new(scope: Scope, observed: Arc<Observed>) -> Self {
        Self { scope: Arc::new(Mutex::new(scope)), observed }
    }
}

impl<S> Layer<S> for SelectionLayer {
    type Service = Selection<S>;

    fn layer(&self, next: S) -> Selection<S> {
        Selection { layer: self.clone(), next }
    }
}

/// Drops the samples that do not belong to a recording. All other events pass.
#[derive(Debug)]
pub struct Selection<S> {
    layer: SelectionLayer,
    next: S,
}

impl<S> Service<Batch> for Selection<S>
where
    S: Service<Batch, Response = Watermark>,
{
    type Response = Watermark;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, batch: Batch) -> S::Future {
        let SelectionLayer { scope, observed } = &self.layer;
        // The scope is consistent between two events, so a lock that a panic has poisoned can be used.
        let mut scope = scope.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = select(&mut scope, observed, batch);
        drop(scope);
        self.next.call(batch)
    }
}

/// The batch without the samples outside the scope.
fn select(scope: &mut Scope, observed: &Observed, batch: Batch) -> Batch {
    let (mut kept, mut others, mut lost) = (0, 0, 0);
    let mut wanted = |event: &Event| -> bool {
        let concerned = scope.concerns(event);
        match event {
            Event::Sample(_) => {
                *if concerned { &mut kept } else { &mut others } += 1;
                concerned
            }
            Event::Loss(loss) => {
                lost += if loss.reason.is_sample() { loss.count } else { 0 };
                true
            }
            // Stages behind this one need to know of all processes.
            Event::Process(_) | Event::Census(_) => true,
        }
    };
    let events: Vec<_> = batch.events.iter().filter(|event| wanted(event)).cloned().collect();
    observed.add(kept, others, lost);
    scope.end_batch();
    observed.reached(batch.watermark.at(), scope.has_ended());
    Batch { events: Arc::new(events.into()), ..batch }
}

#[cfg(test)]
mod tests {
    use pdata::{
        BootTime, ClockOffset, ImageKey, KTime, Loss, LossReason, Pid, ProcessEvent, ProcessKey,
        ProcessTransition, Relatives, Sample,
    };

    use super::*;
    use crate::members::Members;

    fn image(pid: u32) -> ImageKey {
        let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(1) };
        ImageKey { process, ..ImageKey::default() }
    }

    fn sample(at: u64, pid: u32) -> Event {
        Event::Sample(Sample { at: KTime::from_nanos(at), key: image(pid), ..Sample::default() })
    }

    fn process(at: u64, pid: u32, transition: ProcessTransition) -> Event {
        Event::Process(ProcessEvent { at: KTime::from_nanos(at), image: image(pid), transition })
    }

    fn batch(events: Vec<Event>) -> Batch {
        let watermark = Watermark::before(KTime::from_nanos(100));
        Batch::new(events, watermark, ClockOffset::default())
    }

    #[test]
    fn samples_of_others_go_and_all_else_stays_in_order_whether_shared_or_not() {
        let (from, until) = (KTime::ZERO, KTime::from_nanos(9));
        let events = vec![
            sample(1, 1),
            sample(2, 2),
            process(3, 2, ProcessTransition::Fork { parent: image(1), relatives: Relatives::default() }),
            sample(4, 2),
            process(5, 3, ProcessTransition::Fork { parent: image(9), relatives: Relatives::default() }),
            sample(6, 3),
            Event::Loss(Loss { from, until, reason: LossReason::SampleRingFull, count: 7 }),
            Event::Loss(Loss { from, until, reason: LossReason::LifecycleRingFull, count: 8 }),
        ];
        for shared in [false, true] {
            let observed = Observed::default();
            let mut scope = Scope::Members(Members::trees([Pid(1)], BootTime::from_nanos(5)));
            let batch = batch(events.clone());
            let other = shared.then(|| batch.clone());
            let selected = select(&mut scope, &observed, batch);
            let stamps: Vec<_> = selected.samples().map(|sample| sample.at.as_nanos()).collect();
            assert_eq!((stamps, selected.events.len()), (vec![1, 4], 6));
            assert_eq!((observed.kept(), observed.others(), observed.lost()), (2, 2, 7));
            assert_eq!(observed.watermark().as_nanos(), 100);
            assert!(!observed.has_ended());
            assert!(other.is_none_or(|batch| batch.events.len() == events.len()));
        }
    }

    #[test]
    fn the_machine_is_all_of_it_and_never_ends() {
        let observed = Observed::default();
        let selected = select(&mut Scope::Machine, &observed, batch(vec![sample(1, 1), sample(2, 0)]));
        assert_eq!((selected.events.len(), observed.kept(), observed.has_ended()), (2, 2, false));
    }
}
