//! Applies events in order to the table of processes, and attributes samples to images.

mod ancestry;
mod lifecycle;
mod repair;

use std::sync::Arc;

use pdata::{Batch, Context, Event, Image, ImageKind, KTime, Running, Sample, Watermark};

use crate::config::{Config, Metadata};
use crate::loader;
use crate::metrics::{self, Tally};
use crate::process::Process;
use crate::replaced::Replaced;
use crate::request::{ProcessRequest, Reads};
use crate::sources::{Sources, Subject, Users};
use crate::table::{Limits, Table};
use crate::unread_files::UnreadFiles;
use crate::wall_clock::WallClock;

#[cfg(test)]
pub(crate) use self::lifecycle::user;
pub(crate) use self::repair::Repairs;

/// All state of the component. The tracker reads nothing itself: it asks a [`Reads`], and time is that of the events.
#[derive(Debug)]
pub(crate) struct Tracker {
    table: Table<Process>,
    files: UnreadFiles,
    replaced: Replaced,
    acked: Watermark,
    /// Watermark of the batch before.
    forwarded: Watermark,
    clock: WallClock,
    tally: Tally,
    sources: Sources,
    /// True if environments or arguments are to be read.
    wants_environment: bool,
    /// True if variables are to be read of environments.
    wants_variables: bool,
    /// True if processes are searched for the contexts that programs publish of themselves.
    wants_contexts: bool,
    /// True if the arguments of every program are of use, not of interpreters alone.
    keeps_arguments: bool,
}

impl Tracker {
    pub(crate) fn new(config: &Config, users: Users) -> Self {
        let limits = Limits { processes: config.max_exited_processes, age: config.max_exited_age };
        Self {
            table: Table::new(limits),
            files: UnreadFiles::default(),
            replaced: Replaced::new(limits),
            acked: Watermark::NONE,
            forwarded: Watermark::NONE,
            clock: WallClock::default(),
            tally: Tally::default(),
            sources: Sources::new(config, users),
            wants_environment: !config.variables().is_empty() || config.argument_bytes() > 0,
            wants_variables: !config.variables().is_empty(),
            wants_contexts: config.metadata.contains(&Metadata::Service),
            keeps_arguments: config.metadata.contains(&Metadata::CommandArgs),
        }
    }

    /// Notes that everything downstream is done with the events before `acked`.
    pub(crate) fn acknowledge(&mut self, acked: Watermark) {
        self.acked = self.acked.max(acked);
        self.table.release(self.acked);
        while let Some((at, key)) = self.replaced.pop_acked(self.acked) {
            if let Some(process) = self.table.get_mut(key) {
                process.forget(at);
            }
        }
    }

    /// Applies a batch: each sample is attributed to its image, by the description that the events before it make.
    pub(crate) fn apply(&mut self, batch: &mut Batch, reads: &mut impl Reads) {
        if self.clock.follow(batch.clock) {
            let clock = &self.clock;
            self.table.for_each(|key, process| process.follow(clock, key));
        }
        for event in batch.events_mut() {
            let late = self.forwarded.covers(event.at());
            self.tally.late += u64::from(late);
            match event {
                Event::Sample(sample) => self.sample(sample, late, reads),
                Event::Process(event) => self.process_event(event),
                Event::Loss(_) => {}
                Event::Census(census) => self.tally.reconciled += self.table.reconcile(census),
            }
        }
        // The end of the stream is no instant: nothing grows old by it.
        if batch.watermark != Watermark::END {
            self.forwarded = self.forwarded.max(batch.watermark);
        }
    }

    /// Takes in what has become of pods, heard of at `now`. Images in their control groups are described anew. Returns
    /// true if all pods are to be listed again: some did not fit, and there is room for them.
    pub(crate) fn learn_of_pods(
        &mut self,
        changes: impl IntoIterator<Item = k8s::PodChange>,
        now: KTime,
    ) -> bool {
        for change in changes {
            self.sources.apply(change, now);
        }
        let changed = self.sources.take_changed(now);
        if !changed.is_empty() {
            let is_changed = |context: &Context| {
                context.cgroup.as_ref().is_some_and(|cgroup| changed.contains(&cgroup.id))
            };
            self.table.for_each(|_, process| process.images.describe_anew(is_changed));
        }
        self.sources.take_room()
    }

    /// Forgets the processes and images that hit a limit. After a batch, not before: its own samples may be the last
    /// ones.
    pub(crate) fn limit(&mut self) {
        let now = self.forwarded.at();
        self.sources.expire(now);
        self.tally.evicted += self.table.evict(now, self.acked);
        while let Some((at, key)) = self.replaced.pop_over_limit(now) {
            if let Some(process) = self.table.get_mut(key) {
                process.forget(at);
                self.tally.evicted_replaced += 1;
            }
        }
    }

    /// The counts since the last call.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Adds the counts to the metrics.
    pub(crate) fn publish(&mut self) {
        self.take_tally().publish();
        metrics::processes(self.table.known(), self.table.held());
    }

    /// Number of known processes, and of exited ones among them.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.table.known(), self.table.held())
    }

    #[cfg(test)]
    pub(crate) fn replaced_len(&self) -> usize {
        self.replaced.len()
    }

    /// True if no replaced image is held: each process has the image it has now.
    #[cfg(test)]
    pub(crate) fn is_lean(&self) -> bool {
        self.replaced.len() == 0 && self.table.values().all(Process::is_lean)
    }

    /// True if no process is held.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.counts() == (0, 0) && self.replaced.len() == 0
    }

    fn sample(&mut self, sample: &mut Sample, late: bool, reads: &mut impl Reads) {
        self.tally.unmapped += self.files.read_unread(sample, reads);
        let Some(process) = self.table.get_mut(sample.key.process) else {
            return self.sample_of_unknown(sample, late, reads);
        };
        match process.images.get(sample.key.exec_count) {
            Some(image) if is_renamed(image, sample) => self.kernel_sample(sample),
            Some(image) => {
                if let Some(found) = loader::find_program(image, sample) {
                    process.images.redescribe(sample.key.exec_count, Arc::new(found));
                }
                let is_due = process.environment_due;
                let is_new = self.attribute(sample);
                if (is_new || is_due) && self.wants_environment {
                    let is_there = !late && sample.running == Running::Program;
                    let request = ProcessRequest { image: sample.key, tid: sample.tid };
                    self.ask_environment(request, is_there, reads);
                }
                if self.wants_contexts && !late && sample.running == Running::Program {
                    let request = ProcessRequest { image: sample.key, tid: sample.tid };
                    self.ask_context(request, sample.at, reads);
                }
            }
            None => {
                self.sample_of_unknown_image(sample);
                if !late {
                    self.ask_repair(ProcessRequest { image: sample.key, tid: sample.tid }, reads);
                }
            }
        }
    }

    fn sample_of_unknown(&mut self, sample: &mut Sample, late: bool, reads: &mut impl Reads) {
        if self.table.has_forgotten(sample.key.process) {
            self.tally.misses.forgotten += 1;
        } else if is_kernel_thread(sample) {
            // Nothing is lost: a kernel thread is its name.
            self.kernel_sample(sample);
        } else {
            self.tally.misses.process += 1;
            // A late sample may be of a process that has ended for good, and no event would report that.
            if !late && self.enter(sample.key, KTime::ZERO, sample.at).is_some() {
                self.ask_repair(ProcessRequest { image: sample.key, tid: sample.tid }, reads);
            }
        }
    }

    fn sample_of_unknown_image(&mut self, sample: &mut Sample) {
        let Some(process) = self.table.get(sample.key.process) else { return };
        if is_kernel_thread(sample) {
            self.kernel_sample(sample);
        } else if process.images.is_empty() {
            self.tally.misses.process += 1;
        } else {
            self.tally.misses.image += 1;
        }
    }

    /// Describes a kernel thread that is not known, or not by this name.
    fn kernel_sample(&mut self, sample: &mut Sample) {
        let Some(process) = self.enter(sample.key, KTime::ZERO, sample.at) else { return };
        let (key, created, kind) = (sample.key, process.created, ImageKind::Kernel(sample.comm));
        let image = Arc::new(Image::new(key, created, kind));
        process.images.see(key.exec_count, Arc::clone(&image));
        process.images.redescribe(key.exec_count, image);
        self.attribute(sample);
    }

    /// Attributes a sample to its image, which is known; the image is described first if it is new in the sample's
    /// context. Returns true if it was new.
    fn attribute(&mut self, sample: &mut Sample) -> bool {
        let key = sample.key;
        let Some(images) = self.table.get(key.process).map(|process| &process.images) else { return false };
        self.tally.hits += 1;
        if let Some(image) = images.described(key.exec_count, &sample.context) {
            sample.image = Some(Arc::clone(image));
            return false;
        }
        let Some(image) = images.get(key.exec_count).cloned() else { return false };
        let mut image = Image {
            parents: self.parents_of(key.process),
            context: Some(sample.context.clone()),
            ..Arc::unwrap_or_clone(image)
        };
        if let Some(process) = self.table.get(key.process) {
            let environment = process.environment(key.exec_count).map_or(&[][..], |variables| variables);
            let arguments = process.arguments(key.exec_count).map_or(&[][..], |arguments| arguments);
            let relatives = process.relatives.as_ref();
            let published = process.context.attributes(key.exec_count);
            let subject = Subject { image: &image, relatives, environment, published, pod: None, arguments };
            image.attributes = self.sources.describe(&subject, sample.at);
        }
        let image = Arc::new(image);
        if let Some(process) = self.table.get_mut(key.process) {
            process.images.describe(key.exec_count, Arc::clone(&image));
        }
        sample.image = Some(image);
        true
    }
}

/// True if the image is a kernel thread that has another name now.
fn is_renamed(image: &Image, sample: &Sample) -> bool {
    is_kernel_thread(sample) && matches!(image.kind, ImageKind::Kernel(comm) if comm != sample.comm)
}

fn is_kernel_thread(sample: &Sample) -> bool {
    sample.running.is_kernel()
}
