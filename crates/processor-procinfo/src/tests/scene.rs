//! A scene: a tracker that is handed single events, as a test wants them.

use std::sync::Arc;
use std::time::Duration;

use pdata::{
    Batch, BootTime, ClockOffset, Comm, Event, ExecCount, ImageKey, ImageKind, KTime, Measure, Pid,
    ProcessEvent, ProcessKey, ProcessTransition, Relatives, Sample, Tid, UnixNanos, Watermark,
};

use super::world::executable;
use crate::config::Config;
use crate::metrics::Tally;
use crate::reader::{Looked, ProcessAnswer};
use crate::request::{ProcessRequest, ReadRequest};
use crate::sources::Users;
use crate::tracker::{Repairs, Tracker};
use procfs::{ProcError, Snapshot};

pub(super) const AT: fn(u64) -> KTime = KTime::from_nanos;

pub(super) fn image(pid: u32, start: u64, count: u32) -> ImageKey {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(start) };
    ImageKey { process, exec_count: ExecCount(count) }
}

pub(super) fn process(at: u64, image: ImageKey, transition: ProcessTransition) -> Event {
    Event::Process(ProcessEvent { at: AT(at), image, transition })
}

pub(super) fn exec(at: u64, image: ImageKey, path: &str) -> Event {
    let executable = Box::new(executable(path));
    let filename = Box::default();
    let comm = Comm::default();
    process(
        at,
        image,
        ProcessTransition::Exec {
            executable,
            comm,
            filename,
            interpreter: None,
            environment: None,
            arguments: Box::default(),
            relatives: Relatives::default(),
        },
    )
}

pub(super) fn seen(at: u64, image: ImageKey, path: &str) -> Event {
    let executable = Some(Box::new(executable(path)));
    process(
        at,
        image,
        ProcessTransition::Seen { executable, comm: Comm::default(), relatives: Relatives::default() },
    )
}

pub(super) fn sample(at: u64, key: ImageKey) -> Sample {
    let measure = Measure::OnCpu { period: Duration::from_millis(10) };
    Sample { measure, at: AT(at), key, tid: Tid(99), ..Sample::default() }
}

/// A tracker, the reads it asks for, and the samples it has attributed.
pub(super) struct Scene {
    pub(super) tracker: Tracker,
    pub(super) repairs: Repairs,
    pub(super) requests: Vec<ReadRequest>,
    /// Nanoseconds that the wall clock showed at boot.
    pub(super) booted: u64,
}

impl Scene {
    pub(super) fn new() -> Self {
        let limits = (100, Duration::from_secs(1));
        let config = Config { max_exited_processes: limits.0, max_exited_age: limits.1, ..Config::default() };
        Self {
            tracker: Tracker::new(&config, Users::default()),
            repairs: Repairs::default(),
            requests: Vec::new(),
            booted: 1_000,
        }
    }

    pub(super) fn batch(&mut self, watermark: u64, events: Vec<Event>) -> Vec<Sample> {
        let (boot, unix) = (BootTime::from_nanos(0), UnixNanos::from_nanos(self.booted));
        let clock = ClockOffset::from_readings(KTime::ZERO, boot, unix);
        let watermark = Watermark::before(AT(watermark));
        let mut batch = Batch { events: Arc::new(events.into()), watermark, clock, ..Batch::default() };
        self.tracker.apply(&mut batch, &mut self.requests);
        self.repairs.apply(watermark, &mut self.tracker);
        batch.samples().cloned().collect()
    }

    /// Sends one sample of that image, after all events so far.
    pub(super) fn ask(&mut self, at: u64, key: ImageKey) -> Option<String> {
        path(&self.batch(at + 1, vec![Event::Sample(sample(at, key))])[0])
    }

    /// The processes that `/proc` has been asked about since the last call.
    pub(super) fn looked_up(&mut self) -> Vec<ProcessRequest> {
        let requests = self.requests.drain(..).filter_map(|request| match request {
            ReadRequest::Process(request) => Some(request),
            ReadRequest::File(_) | ReadRequest::Environment(_) | ReadRequest::Context(..) => None,
        });
        requests.collect()
    }

    pub(super) fn answer(&mut self, image: ImageKey, before: u64, outcome: Result<Snapshot, ProcError>) {
        self.repairs.push(ProcessAnswer { image, before: AT(before), outcome: Looked::Process(outcome) });
    }

    pub(super) fn tally(&mut self) -> Tally {
        self.tracker.take_tally()
    }
}

pub(super) fn path(sample: &Sample) -> Option<String> {
    match &sample.image.as_ref()?.kind {
        ImageKind::User { executable, .. } => Some(executable.path.display().to_string()),
        ImageKind::Kernel(comm) => Some(format!("[{comm}]")),
    }
}

pub(super) fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(super) fn snapshot(path: &str) -> Snapshot {
    Snapshot { executable: Some(executable(path)), comm: Comm::default() }
}
