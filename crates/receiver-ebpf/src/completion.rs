//! What ordered samples still lack: their files, and the rest of stacks that the kernel could not follow.

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

/// Bytes that a stack that waits takes beside its own, about: its registers, and each mapping with its file.
const BESIDE_BYTES: usize = 1 << 10;
const MAPPING_BYTES: usize = size_of::<(abi::SampleMapping, Option<MetFile>)>();

/// The files that samples refer to, and whoever follows their stacks.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) files: Files,
    pub(crate) cgroups: Cgroups,
    /// Builds unwind rows; `None` where stacks are followed by frame pointers alone.
    unwinder: Option<Unwinder>,
    /// Samples whose stacks are being followed, and what comes behind them.
    hold: Hold,
    /// Bytes of those stacks.
    stacks: StackBudget,
}

impl Completion {
    /// Knows no control group yet. Events of no more than so many bytes wait behind a sample whose stack is followed.
    pub(crate) fn new(files: Files, unwinder: Option<Unwinder>, max_held: usize) -> Self {
        let (cgroups, hold, stacks) = (Cgroups::default(), Hold::new(max_held), StackBudget::default());
        Self { files, cgroups, unwinder, hold, stacks }
    }

    /// True if samples wait for their stacks.
    pub(crate) fn is_waiting(&self) -> bool {
        self.hold.is_waiting()
    }

    /// Has begun what was asked for since the last call.
    pub(crate) fn wake(&mut self) {
        if let Some(unwinder) = &mut self.unwinder {
            unwinder.wake();
        }
    }

    /// Takes in a file.
    pub(crate) fn announce(&mut self, file: AnnouncedFile) {
        if let Some(unwinder) = &mut self.unwinder {
            unwinder.announced(file.key.identity(), file.file.build_id);
        }
        self.files.announce(file);
    }

    /// What a sample needs soon, whenever its turn comes: its files read, once for all samples that have met them, and
    /// room for its stack.
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
            // The last frame's is the one that is not known; those behind it have no frame yet.
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

    /// Takes events in order, of which `covered` is the watermark, and gives out what is complete by now: all of it, if
    /// somebody waits for this very batch.
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

    /// Takes the answers that there are, or waits for all, from some time on and not for ever.
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

/// Counts a stack that could be followed, had there been room for more of such.
fn not_followed(metrics: &Metrics, end: u16) {
    unwind::stacks("over_memory", 1);
    count_ends(metrics, &[end]);
}

/// Counts ends that the kernel has not counted, since they were still open there.
fn count_ends(metrics: &Metrics, ends: &[u16]) {
    let mut by_end = [0; abi::STACK_ENDS.len()];
    for end in ends {
        if let Some(count) = by_end.get_mut(usize::from(*end)) {
            *count += 1;
        }
    }
    metrics.stacks(by_end);
}
