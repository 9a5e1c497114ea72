//! The state of one stage of a pipeline.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pdata::{KTime, Watermark};
use procfs::clock::now;

use crate::rate::Rate;
use crate::status::{Failure, Status};

/// The kind of a stage: its position in the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The stage that samples come from.
    Receiver,
    /// A stage between the receiver and the exporters.
    Processor,
    /// The stage that samples leave by.
    Exporter,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receiver => "receiver",
            Self::Processor => "processor",
            Self::Exporter => "exporter",
        })
    }
}

/// Counts, marks and the last error of one stage. The graph writes them.
#[derive(Debug)]
pub struct Stage {
    kind: Kind,
    id: Arc<str>,
    pipelines: Vec<String>,
    since: KTime,
    batches: AtomicU64,
    samples: AtomicU64,
    dropped: AtomicU64,
    /// Watermark of the last batch that passed, nanoseconds; 0 before the first.
    forwarded: AtomicU64,
    /// Time of the last batch that was forwarded.
    forwarded_at: AtomicU64,
    /// The highest watermark that the stage has acked; 0 before the first.
    acked: AtomicU64,
    queue_used: AtomicU64,
    /// The most bytes that the stage's queue holds; 0 if the stage has no queue.
    queue_capacity: AtomicU64,
    /// Nanoseconds that the stage has worked.
    worked: AtomicU64,
    /// True once somebody has measured the time that the stage works.
    is_measured: AtomicBool,
    rate: Mutex<Rate>,
    status: Arc<Status>,
}

/// Bytes queued in front of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Bytes in the queue, including those that are being worked on.
    pub used_bytes: u64,
    /// The most bytes that fit.
    pub capacity_bytes: u64,
}

/// A stage at one moment.
#[derive(Clone, Debug)]
pub struct StageView {
    /// The stage's kind.
    pub kind: Kind,
    /// Component id of the stage, such as `otlp_grpc/backup`.
    pub id: Arc<str>,
    /// Ids of the pipelines that the stage is part of.
    pub pipelines: Vec<String>,
    /// Batches that have passed the stage.
    pub batches: u64,
    /// Samples that the stage has forwarded: of a receiver and a processor, samples that it passed on; of an exporter,
    /// samples that it took.
    pub samples: u64,
    /// Samples a second, over the last ten seconds.
    pub samples_per_second: f64,
    /// Samples that the stage's queue had no room for.
    pub dropped: u64,
    /// The stage's queue, if it has one.
    pub queue: Option<Queue>,
    /// Time that the stage has worked on batches since it was made, without the stages after it; `None` if nobody
    /// measures that.
    pub worked: Option<Duration>,
    /// Time since a batch last passed; since the stage was made, if none has.
    pub idle: Duration,
    /// Time by which the watermark of the last batch that passed is behind now; before the first, the age of the stage.
    /// `None` at the end.
    pub watermark_lag: Option<Duration>,
    /// Time by which the acked watermark is behind now: an exporter is done with everything before it. Up to a window
    /// more than `watermark_lag` is normal. `None` before the first ack, and at the end.
    pub acked_lag: Option<Duration>,
    /// The last failure, if there was one.
    pub last_failure: Option<Failure>,
}

impl Stage {
    /// A stage that has done nothing yet, part of these pipelines.
    #[must_use]
    pub fn new(kind: Kind, id: &str, pipelines: &[String]) -> Self {
        Self::since(kind, id, pipelines, now())
    }

    pub(crate) fn since(kind: Kind, id: &str, pipelines: &[String], since: KTime) -> Self {
        Self {
            kind,
            id: id.into(),
            pipelines: pipelines.to_vec(),
            since,
            batches: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            forwarded: AtomicU64::new(0),
            forwarded_at: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            queue_used: AtomicU64::new(0),
            queue_capacity: AtomicU64::new(0),
            worked: AtomicU64::new(0),
            is_measured: AtomicBool::new(false),
            rate: Mutex::default(),
            status: Arc::default(),
        }
    }

    /// Counts a batch of `samples` samples with this watermark, which has passed.
    pub fn forwarded(&self, samples: u64, watermark: Watermark) {
        self.forwarded_at(samples, watermark, now());
    }

    pub(crate) fn forwarded_at(&self, samples: u64, watermark: Watermark, now: KTime) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.samples.fetch_add(samples, Ordering::Relaxed);
        self.forwarded.fetch_max(watermark.at().as_nanos(), Ordering::Relaxed);
        self.forwarded_at.store(now.as_nanos(), Ordering::Relaxed);
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).add(samples, now);
    }

    /// Notes that the stage has acked this watermark.
    pub fn acked(&self, watermark: Watermark) {
        self.acked.fetch_max(watermark.at().as_nanos(), Ordering::Relaxed);
    }

    /// Notes the fill of the stage's queue.
    pub fn queue(&self, queue: Queue) {
        self.queue_used.store(queue.used_bytes, Ordering::Relaxed);
        self.queue_capacity.store(queue.capacity_bytes, Ordering::Relaxed);
    }

    /// Counts samples that did not fit into the stage's queue.
    pub fn dropped(&self, samples: u64) {
        self.dropped.fetch_add(samples, Ordering::Relaxed);
    }

    /// Adds time that the stage has worked on a batch.
    pub fn worked(&self, time: Duration) {
        self.is_measured.store(true, Ordering::Relaxed);
        self.worked.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Status to which the stage reports its failures; for the settings of an exporter.
    #[must_use]
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// The stage's kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Component id of the stage.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The state of the stage at `now`.
    #[must_use]
    pub fn view(&self, now: KTime) -> StageView {
        let load = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let watermark = |of: &AtomicU64| Watermark::before(KTime::from_nanos(load(of)));
        let lag = |mark: Watermark| (mark != Watermark::END).then(|| now.saturating_since(mark.at()));
        let forwarded = Some(watermark(&self.forwarded)).filter(|mark| *mark != Watermark::NONE);
        let acked = Some(watermark(&self.acked)).filter(|mark| *mark != Watermark::NONE);
        let queue = Queue { used_bytes: load(&self.queue_used), capacity_bytes: load(&self.queue_capacity) };
        let last = KTime::from_nanos(load(&self.forwarded_at)).max(self.since);
        StageView {
            kind: self.kind,
            id: self.id.clone(),
            pipelines: self.pipelines.clone(),
            batches: load(&self.batches),
            samples: load(&self.samples),
            samples_per_second: self.rate.lock().unwrap_or_else(PoisonError::into_inner).per_second(now),
            dropped: load(&self.dropped),
            worked: self
                .is_measured
                .load(Ordering::Relaxed)
                .then(|| Duration::from_nanos(load(&self.worked))),
            queue: (queue.capacity_bytes > 0).then_some(queue),
            idle: now.saturating_since(last),
            watermark_lag: lag(forwarded.unwrap_or(Watermark::before(self.since))),
            acked_lag: acked.and_then(lag),
            last_failure: self.status.last_failure(),
        }
    }
}
