//! Conversion of the pipeline's batches to rows of the store.

use std::borrow::Cow;
use std::sync::Arc;

use foldhash::HashMap;
use pdata::{
    Batch, Code, Event, Frame, ImageKind, KTime, Mapping, Measure, ProcessEvent, ProcessTransition, Sample,
    Watermark,
};

use crate::frame::{FrameFlags, FrameText};
use crate::lineage::Lineage;
use crate::records::{Kind, Weight};
use crate::store::{Limits, Store};
use crate::task::{ProcessText, TaskText};
use crate::time::{TICK_NANOS, Tick};

/// Feeds a store with batches.
#[derive(Debug, Default)]
pub struct Feed {
    /// The kernel's time of the store's first step; `None` before the first batch.
    epoch: Option<KTime>,
    /// Highest watermark so far, apart from the final [`Watermark::END`].
    seen: KTime,
}

/// Numbers of the frames of one batch, by the addresses of the lines and the mapping that a frame shares, and its
/// program counter.
type Met = HashMap<(usize, usize, u64), Vec<u32>>;

impl Feed {
    /// Makes a store that follows processes, and its feed.
    #[must_use]
    pub fn start(limits: Limits) -> (Self, Store) {
        let mut store = Store::new(limits, 0);
        store.lineage = Some(Lineage::default());
        (Self::default(), store)
    }

    /// The watermark before which all events have come; `None` before the first batch.
    #[must_use]
    pub fn seen(&self) -> Option<KTime> {
        self.epoch.map(|_| self.seen)
    }

    /// Adds a batch's events and watermark to the store.
    pub fn take(&mut self, batch: &Batch, store: &mut Store) {
        self.begin(batch, store);
        let (mut met, mut number) = (Met::default(), store.number());
        for event in batch.events.iter() {
            if number != store.number() {
                (met, number) = (Met::default(), store.number());
            }
            match event {
                Event::Sample(sample) => self.sample(sample, store, &mut met),
                Event::Loss(loss) => {
                    store.lose(
                        self.tick(loss.until),
                        loss.reason.as_str(),
                        loss.reason.is_sample(),
                        loss.count,
                    );
                }
                Event::Process(event) => self.process(event, store),
                Event::Census(census) => {
                    let at = self.tick(census.at);
                    if let Some(lineage) = &mut store.lineage {
                        lineage.census(census, at);
                    }
                }
            }
        }
        if batch.watermark == Watermark::END {
            store.finish();
        } else if self.epoch.is_some() {
            self.seen = self.seen.max(batch.watermark.at());
            store.advance(self.tick(batch.watermark.at()));
        }
    }

    /// Sets the store's first step to the start of a second of the wall clock, by the first batch's clock: setting the
    /// clock later moves nothing.
    fn begin(&mut self, batch: &Batch, store: &mut Store) {
        if self.epoch.is_some() {
            return;
        }
        let first = batch.events.first().map(Event::at);
        let Some(first) = first.or_else(|| Some(batch.watermark.at()).filter(|&at| at != KTime::MAX)) else {
            return;
        };
        let unix = batch.clock.unix(first).as_nanos();
        let into_second = (unix % 1_000_000_000).min(first.as_nanos());
        self.epoch = Some(KTime::from_nanos(first.as_nanos() - into_second));
        store.set_epoch(unix - into_second);
    }

    fn tick(&self, at: KTime) -> Tick {
        let since = at.saturating_since(self.epoch.unwrap_or_default()).as_nanos();
        Tick::try_from(since / u128::from(TICK_NANOS)).unwrap_or(Tick::MAX)
    }

    fn sample(&self, sample: &Sample, store: &mut Store, met: &mut Met) {
        let executable = executable(sample);
        let cgroup = container(sample);
        let thread = sample.comm.to_string();
        let process = ProcessText { key: sample.key.process, executable: &executable };
        let task = TaskText { process, tid: sample.tid.0, thread: &thread, container: &cgroup };
        let truncated = sample.stack.end.cut().is_some();
        let mut stack = crate::stacks::ROOT;
        if truncated {
            let frame = store.frame(&FrameText::TRUNCATED);
            stack = store.push(stack, frame);
        }
        for frame in sample.stack.frames.iter().rev() {
            // A frame's lines and mapping are shared, so their addresses stay the same for as long as the batch lives.
            let shared = frame.lines.as_ref().map_or(0, |lines| Arc::as_ptr(lines).addr());
            let module =
                if let Code::Mapped(mapping) = &frame.code { Arc::as_ptr(mapping).addr() } else { 0 };
            let key = (shared, module, frame.lookup_pc().0);
            let ids = met.entry(key).or_insert_with(|| rows(frame, &executable, store));
            for &id in ids.iter() {
                stack = store.push(stack, id);
            }
        }
        let (kind, value) = match sample.measure {
            Measure::OnCpu { period } => (Kind::OnCpu, period),
            Measure::OffCpu { blocked, .. } => (Kind::OffCpu, blocked),
        };
        let value = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        let cpu = u16::try_from(sample.cpu).unwrap_or(u16::MAX);
        store.record(self.tick(sample.at), cpu, &task, stack, Weight { kind, truncated, samples: 1, value });
    }

    fn process(&self, event: &ProcessEvent, store: &mut Store) {
        let (process, at) = (event.image.process, event.at);
        let tick = self.tick(at);
        let Some(lineage) = &mut store.lineage else { return };
        match &event.transition {
            ProcessTransition::Fork { parent, .. } => lineage.fork(process, parent.process, at),
            ProcessTransition::Exec { executable, relatives, .. } => {
                lineage.runs(process, &executable.path.to_string_lossy(), at);
                lineage.descends(process, relatives.parent, at);
            }
            ProcessTransition::Seen { executable, comm, relatives } => {
                let name = executable.as_ref().map(|executable| executable.path.to_string_lossy());
                lineage.runs(process, &name.unwrap_or_else(|| comm.in_brackets().into()), at);
                lineage.descends(process, relatives.parent, at);
            }
            ProcessTransition::Exit | ProcessTransition::Freed => lineage.end(process, tick),
            ProcessTransition::Rename { .. } => {}
        }
    }
}

/// The rows of a frame, outermost first: an inlined function comes after the function that it was inlined into.
fn rows(frame: &Frame, executable: &str, store: &mut Store) -> Vec<u32> {
    let module = module(frame);
    let (build_id, address) = match &frame.code {
        Code::Mapped(mapping) => build_id_and_address(frame, mapping),
        _ => (String::new(), frame.lookup_pc().0),
    };
    let mut flags = FrameFlags::NONE;
    if frame.code.is_kernel() {
        flags = flags.and(FrameFlags::KERNEL);
    } else if *module == *executable {
        flags = flags.and(FrameFlags::PROGRAM);
    }
    let text = FrameText { module: &module, build_id: &build_id, flags, ..FrameText::default() };
    if let Code::Interpreted(function, _) = &frame.code {
        return vec![store.frame(&named(text, function))];
    }
    let lines = frame.lines.as_deref().map(|lines| &*lines.0).unwrap_or_default();
    if lines.iter().all(|line| line.function.name.is_empty()) {
        return vec![store.frame(&FrameText { address, ..text })];
    }
    let outermost = lines.len() - 1;
    let rows = lines.iter().enumerate().rev().map(|(depth, line)| {
        let inline = if depth < outermost { FrameFlags::INLINE } else { FrameFlags::NONE };
        store.frame(&named(FrameText { flags: flags.and(inline), ..text }, &line.function))
    });
    rows.collect()
}

fn named<'a>(text: FrameText<'a>, function: &'a pdata::Function) -> FrameText<'a> {
    let file = function.file.as_deref().unwrap_or_default();
    FrameText { name: &function.name, file, line: function.start_line, ..text }
}

fn module(frame: &Frame) -> Cow<'_, str> {
    match &frame.code {
        Code::Kernel => Cow::Borrowed("[kernel]"),
        Code::Unknown => Cow::Borrowed("[unknown]"),
        Code::Mapped(mapping) => mapping.backing.name(),
        Code::Interpreted(..) => Cow::Borrowed("[interpreted]"),
    }
}

fn build_id_and_address(frame: &Frame, mapping: &Mapping) -> (String, u64) {
    let pc = frame.lookup_pc();
    let pdata::Backing::File(file) = &mapping.backing else { return (String::new(), pc.0) };
    let offset = mapping.offset_of(pc);
    let address = file.elf_address(offset).map_or(offset.0, |address| address.0);
    (file.any_build_id().map(|id| id.to_string()).unwrap_or_default(), address)
}

/// The path of the sample's executable, or the name of an image without a file.
fn executable(sample: &Sample) -> Cow<'_, str> {
    match sample.image.as_deref().map(|image| &image.kind) {
        Some(ImageKind::User { executable, .. }) => executable.path.to_string_lossy(),
        Some(kind @ ImageKind::Kernel(_)) => kind.name(),
        None => Cow::Owned(sample.unresolved_name()),
    }
}

/// The path of the sample's control group; empty for the root group.
fn container(sample: &Sample) -> String {
    let path = sample.context.cgroup.as_ref().map(|cgroup| cgroup.path.to_string_lossy());
    path.filter(|path| path != "/").map(Cow::into_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pdata::{BootTime, ExecCount, ImageKey, Pid, ProcessKey, Relatives};

    use super::*;
    use crate::query::{Filter, ProcessSet, Query};
    use crate::time::Span;

    fn image(pid: u32) -> ImageKey {
        let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(pid.into()) };
        ImageKey { process, exec_count: ExecCount(0) }
    }

    fn sample(at: u64, pid: u32) -> Event {
        let at = KTime::from_nanos(at * 1_000_000_000);
        Event::Sample(Sample { at, key: image(pid), ..Sample::default() })
    }

    fn seen(at: u64, pid: u32, parent: u32) -> Event {
        let relatives = Relatives { parent: image(parent).process, ..Relatives::default() };
        let transition = ProcessTransition::Seen { executable: None, comm: Default::default(), relatives };
        Event::Process(ProcessEvent {
            at: KTime::from_nanos(at * 1_000_000_000),
            image: image(pid),
            transition,
        })
    }

    /// A process's parent is known once an event names it, even after its first sample; the parent that a fork names
    /// outlasts all later ones.
    #[test]
    fn parents_are_learnt_whenever_they_become_known() {
        let limits = Limits { max_bytes: 8 << 20, retention: 3_600 * 50 };
        let (mut feed, mut store) = Feed::start(limits);
        let fork = ProcessTransition::Fork { parent: image(3), relatives: Relatives::default() };
        let fork = ProcessEvent { at: KTime::from_nanos(1_000_000_000), image: image(4), transition: fork };
        let events = vec![
            sample(1, 7),
            Event::Process(fork),
            seen(2, 3, 2),
            seen(2, 7, 3),
            // The process was adopted since by another parent.
            seen(2, 4, 1),
            sample(3, 7),
            sample(3, 4),
            sample(3, 9),
        ];
        feed.take(
            &Batch { events: Arc::new(events.into()), watermark: Watermark::END, ..Batch::default() },
            &mut store,
        );
        let of = |ancestor| {
            let filter =
                Filter { ancestor: Some(ProcessSet { pid: ancestor, start: None }), ..Filter::default() };
            crate::status(&store, &Query { span: Span::ALL, filter, ..Query::default() }).total.samples
        };
        assert_eq!([2, 3, 7, 4, 1, 9].map(of), [3, 3, 2, 1, 0, 1]);
        assert_eq!(store.is_gone(image(2).process), Some(false), "it had a child just now");
        let rows = crate::processes(&store, &Query { span: Span::ALL, ..Query::default() }).rows;
        let tree: Vec<_> = rows.iter().map(|row| (row.depth, row.pid, row.total.samples)).collect();
        assert_eq!(tree, [(0, 2, 3), (1, 3, 3), (2, 7, 2), (2, 4, 1), (0, 9, 1)]);
    }
}
