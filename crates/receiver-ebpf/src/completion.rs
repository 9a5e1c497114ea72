//! The completion of ordered samples: their files, and the rest of stacks that the kernel could not follow.

use std::time::{Duration, Instant};

use foldhash::HashSet;
use pdata::{Event, FileIdentity, Watermark};

use crate::abi;
use crate::cgroups::Cgroups;
use crate::decode::{AnnouncedFile, RawSample};
use crate::files::Files;
use crate::hold::{Hold, Released};
use crate::metrics::{Metrics, unwind};
use crate::order::Pending;
use crate::stack_budget::StackBudget;
use crate::unwind::{MetFile, PATIENCE, Unwinder};

/// Bytes that a waiting stack takes beside its own, about: its registers, and each mapping with its file.
const BESIDE_BYTES: usize = 1 << 10;
const MAPPING_BYTES: usize = size_of::<(abi::SampleMapping, Option<MetFile>)>();

/// The files that samples refer to, and the thread that follows their stacks.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) files: Files,
    pub(crate) cgroups: Cgroups,
    /// The thread that builds unwind rows; `None` if stacks are followed by frame pointers alone.
    unwinder: Option<Unwinder>,
    /// Samples whose stacks are being followed, and the events behind them.
    hold: Hold,
    /// Bytes of the stacks that are being followed.
    stacks: StackBudget,
}

impl Completion {
    /// A completion that knows no control group yet. No more than `max_held` bytes of events wait behind a sample whose
    /// stack is followed.
    pub(crate) fn new(files: Files, unwinder: Option<Unwinder>, max_held: usize) -> Self {
        let (cgroups, hold, stacks) = (Cgroups::default(), Hold::new(max_held), StackBudget::default());
        Self { files, cgroups, unwinder, hold, stacks }
    }

    /// True if samples wait for their stacks.
    pub(crate) fn is_waiting(&self) -> bool {
        self.hold.is_waiting()
    }

    /// Has the unwinder begin the requests that were made since the last call.
    pub(crate) fn wake(&mut self) {
        if let Some(unwinder) = &mut self.unwinder {
            unwinder.wake();
        }
    }

    /// Takes in an announced file.
    pub(crate) fn announce(&mut self, file: AnnouncedFile) {
        if let Some(unwinder) = &mut self.unwinder {
            unwinder.announced(file.key.identity(), file.file.build_id);
        }
        self.files.announce(file);
    }

    /// Makes the requests of a sample that cannot wait for its turn: to read its files, once for all samples that have
    /// met them, and for room for its stack.
    pub(crate) fn prepare(
        &mut self,
        sample: &mut RawSample,
        unread: &mut HashSet<FileIdentity>,
        metrics: &Metrics,
    ) {
        if let Some(unwinder) = &mut self.unwinder
            && sample.end == abi::END_FILE_PENDING
        {
            let process = sample.sample.key.process;
            // The file of the last frame is the one that is not known; mappings behind it have no frame yet.
            let used = sample.user.iter().filter_map(|frame| sample.mappings.get(frame.mapping?));
            let met = used.filter_map(|mapping| self.files.met(mapping, process));
            met.filter(|met| unread.insert(met.identity)).for_each(|met| unwinder.read(met));
        }
        if let Some(rest) = &mut sample.rest {
            let last = sample.user.last().and_then(|frame| sample.mappings.get(frame.mapping?));
            let user = sample.sample.context.user.unwrap_or_default();
            let holder = (user, last.map_or(0, |mapping| mapping.file));
            rest.counted = self
                .stacks
                .admit(rest.bytes.len() + BESIDE_BYTES + sample.mappings.len() * MAPPING_BYTES, holder);
            if rest.counted.is_none() {
                sample.rest = None;
                not_followed(metrics, sample.end);
            }
        }
    }

    /// Takes events in order, of which `covered` is the watermark, and returns the events that are complete by now: all
    /// of them, if `waits` is true, since somebody waits for this very batch.
    pub(crate) fn take(
        &mut self,
        events: Vec<Pending>,
        covered: Watermark,
        waits: bool,
        metrics: &Metrics,
    ) -> Released {
        let since = Instant::now();
        for pending in events {
            match pending {
                Pending::Event(event) => self.hold.push(event),
                Pending::Sample(sample) => self.take_sample(*sample, since, metrics),
            }
        }
        self.wake();
        self.take_answers(waits.then_some(since));
        let now = if waits { since + PATIENCE } else { Instant::now() };
        let released = self.hold.release(covered, now);
        let all = released.ends.len() as u64;
        let is_pending = |end: &&u16| matches!(**end, abi::END_FILE_PENDING | abi::END_PAGE_PENDING);
        let pending = released.ends.iter().filter(is_pending).count() as u64;
        unwind::stacks("late", released.late);
        unwind::stacks("pending", pending.saturating_sub(released.late));
        unwind::stacks("followed", all.saturating_sub(pending));
        count_ends(metrics, &released.ends);
        released
    }

    fn take_sample(&mut self, mut sample: RawSample, since: Instant, metrics: &Metrics) {
        sample.sample.context.cgroup = self.cgroups.resolve(sample.cgroup);
        let Some((rest, unwinder)) = sample.rest.take().zip(self.unwinder.as_mut()) else {
            let sample = self.files.open(sample).close();
            return self.hold.push(Event::Sample(sample));
        };
        let process = sample.sample.key.process;
        let code = sample.mappings.iter().map(|mapping| (*mapping, self.files.met(mapping, process)));
        let asked = unwinder.follow(rest, code.collect(), sample.user.len(), since);
        let open = self.files.open(sample);
        if let Some(ticket) = asked {
            self.hold.wait(ticket, since, open);
        } else {
            not_followed(metrics, open.end());
            self.hold.push(Event::Sample(open.close()));
        }
    }

    /// Takes the answers that there are; with `waits_since`, waits for all of them, until [`PATIENCE`] after that
    /// instant.
    fn take_answers(&mut self, waits_since: Option<Instant>) {
        let Some(unwinder) = &self.unwinder else { return };
        loop {
            let waits = waits_since.filter(|_| !self.hold.is_complete(Instant::now()));
            let within = waits.map_or(Duration::ZERO, |since| PATIENCE.saturating_sub(since.elapsed()));
            let Some((ticket, followed)) = unwinder.followed(within) else { return };
            self.hold.answer(ticket, followed);
        }
    }
}

/// Counts a stack that could have been followed, had there been room for more copies.
fn not_followed(metrics: &Metrics, end: u16) {
    unwind::stacks("over_memory", 1);
    count_ends(metrics, &[end]);
}

/// Counts ends of stacks that the kernel has not counted, since those stacks were still open there.
fn count_ends(metrics: &Metrics, ends: &[u16]) {
    let mut by_end = [0; abi::STACK_ENDS.len()];
    for end in ends {
        if let Some(count) = by_end.get_mut(usize::from(*end)) {
            *count += 1;
        }
    }
    metrics.stacks(by_end);
}
