//! The receiver as the pipeline sees it.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pdata::{Batch, Watermark};
use procfs::clock;
use tokio::sync::mpsc;
use tower::{Service, ServiceExt};

use crate::census::Censuses;
use crate::completion::Completion;
use crate::config::Config;
use crate::control::Control;
use crate::counters::Counters;
use crate::cpus;
use crate::error::{ReceiverError, StartError};
use crate::files::Files;
use crate::horizon::Horizon;
use crate::kernel::KernelImages;
use crate::loader::Programs;
use crate::metrics::Metrics;
use crate::order::Orderer;
use crate::pace::Pace;
use crate::preflight;
use crate::reader::RingReader;
use crate::rest::Waker;
use crate::room::Room;
use crate::sampler::Sampler;
use crate::skipped::Skipped;
use crate::statistics::Statistics;
use crate::unwind::Unwinder;

/// A sampler that is running. Dropping it detaches everything.
pub struct Receiver {
    reader: RingReader,
    batches_in_flight: usize,
}

impl Receiver {
    /// Loads, attaches and starts sampling every CPU that is online, at the rate that `control` asks for.
    ///
    /// First the hooks, then the snapshot of what already runs, then the sampler: so every image that a sample can be
    /// of is known, in kernel-time order, before the sample.
    ///
    /// # Errors
    /// [`StartError`], which names what the machine lacks and the remedy. Nothing stays attached.
    pub fn start(config: &Config, control: Control) -> Result<Self, StartError> {
        preflight::check()?;
        let images = KernelImages::begin();
        let cpus = cpus::online()?;
        let possible = cpus::possible()?;
        let numbers = possible.last().map_or(1, |highest| highest + 1);
        let room = Room::find();
        let unwind = room.unwind(&config.unwind);
        let (mut programs, maps, identifier) = Programs::load((cpus.len(), numbers), &unwind, room)?;
        let identifier = Arc::new(identifier);
        let start = |walk| Unwinder::start(walk, &unwind, Arc::clone(&identifier));
        let unwinder = maps.walk.map(start).transpose()?;
        let mut environments = maps.environments;
        // The wanted facts are set before the first exec that is reported.
        environments.apply(control.take_wanted());
        programs.attach_lifecycle()?;
        let horizon = Horizon::new(maps.barrier);
        let waker = Waker::new().map_err(StartError::Waker)?;
        control.applied_by(waker.clone());
        control.identifies_by(identifier);
        let (now, period) = (clock::now(), control.period());
        let mut reader = RingReader {
            control,
            skipped: Skipped::new(&programs),
            programs,
            sampler: Sampler::new(period),
            samples: maps.samples,
            lifecycle: maps.lifecycle,
            announced: maps.announced_files,
            completion: Completion::new(Files::new(images.finish()), unwinder, room.held(cpus.len())),
            announced_cgroups: maps.announced_cgroups,
            environments,
            counters: Counters::new(maps.counters, possible),
            censuses: Censuses::new(now),
            orderer: Orderer::default(),
            horizon,
            waker,
            wakeups: maps.wakeups,
            pace: Pace::new(config.poll_interval),
            metrics: Metrics::register(),
            statistics: Statistics::default(),
            checked: now,
            most_late: Duration::ZERO,
        };
        reader.read_snapshot()?;
        reader.sampler.start(&mut reader.programs)?;
        Ok(Self { reader, batches_in_flight: room.batches_in_flight() })
    }

    /// Passes batches to `next`, one at a time and in order, until `stop` is done; then passes the last one, with
    /// [`Watermark::END`].
    ///
    /// # Errors
    /// [`ReceiverError`] if `next` fails, or the reader's thread does.
    pub async fn run<S>(self, mut next: S, stop: impl Future<Output = ()>) -> Result<(), ReceiverError>
    where
        S: Service<Batch, Response = Watermark>,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (sender, mut batches) = mpsc::channel(self.batches_in_flight);
        let control = self.reader.control.clone();
        let stopping = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stopping);
        let thread = thread::Builder::new()
            .name("ebpf-reader".to_owned())
            .spawn(move || self.reader.run(&sender, &seen))
            .map_err(ReceiverError::Spawn)?;
        let mut stop = pin!(stop);
        loop {
            let batch = tokio::select! {
                () = &mut stop, if !stopping.load(Ordering::Relaxed) => {
                    stopping.store(true, Ordering::Relaxed);
                    control.wake();
                    continue;
                }
                batch = batches.recv() => batch,
            };
            let Some(batch) = batch else { break };
            let next = next.ready().await.map_err(|error| ReceiverError::Downstream(error.into()))?;
            next.call(batch).await.map_err(|error| ReceiverError::Downstream(error.into()))?;
        }
        // The thread's channel is closed, so it has returned or is about to.
        thread.join().map_err(|panic| ReceiverError::ReaderPanicked(panic_text(&*panic)))
    }
}

impl fmt::Debug for Receiver {
    /// Writes only the settings: maps and programs have no text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("control", &self.reader.control).finish_non_exhaustive()
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
