//! The samples of one window, gathered in order of arrival.

use std::sync::Arc;
use std::time::Duration;

use ::windows::{Gather, Grouping, Lives, Losses};
use pdata::{
    ClockOffset, Comm, ContextKey, Image, ImageKey, KTime, Loss, Measure, OffCpuReason, ProcessEvent,
    Resource, Sample,
};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::content::{self, Content, Profile, count};
use crate::dictionary::Value;
use crate::frames::Frames;
use crate::resource::Unresolved;
use crate::rollup::{Identities, ProfileOwner, ProfileSource};
use crate::table::{clear, recycle};
use crate::wire::Writer;
use crate::{attributes, losses};

/// Name of the instrumentation scope.
const SCOPE: &str = "pipeline";
/// Schema of the semantic conventions that attribute names follow.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// The profiles of a window. Once emptied, it keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct Window {
    clock: ClockOffset,
    /// Attributes that every resource has beside those of its process.
    host: Arc<Resource>,
    content: Content,
    frames: Frames,
    /// Image and span of each profile.
    sources: Vec<ProfileSource>,
    grouping: Grouping,
    lives: Lives,
    /// Profile of one measure of an image, by the image's address in memory; the image is held so that no other takes
    /// the address.
    by_pointer: FxHashMap<(usize, Measured), (Arc<Image>, u32)>,
    /// Profile of one measure of an image in one context, by the image's identity and whether it is resolved.
    by_key: FxHashMap<((ImageKey, ContextKey), bool, Measured), u32>,
    /// Samples by identity; the value is the sample's number in the content.
    samples: foldhash::HashMap<Identity, u32>,
    /// Attribute of a thread's name; `None` for an empty one.
    names: foldhash::HashMap<Comm, Option<i32>>,
    /// Attribute of a thread's number.
    tids: FxHashMap<u32, i32>,
    /// Attribute of a CPU's number.
    cpus: FxHashMap<u32, i32>,
    /// Attribute of each reason for which threads were off the CPU.
    reasons: FxHashMap<OffCpuReason, i32>,
    /// Attribute of each reason for which stacks are cut short.
    truncations: FxHashMap<&'static str, i32>,
    losses: Losses,
    /// A buffer that is kept between calls for its memory.
    scratch: Vec<u8>,
}

/// The identity of a sample within a profile: OTLP's stack and set of attributes. Captures with one identity are one
/// sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    profile: u32,
    stack: i32,
    name: Option<i32>,
    tid: u32,
    cpu: u32,
    reason: Option<OffCpuReason>,
    truncated: Option<&'static str>,
}

/// The measure of a profile: CPU time at one period, or time off the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Measured {
    /// CPU time; each capture stands for this much of it.
    OnCpu(Duration),
    /// Time off the CPU; each capture has a value of its own.
    OffCpu,
}

impl Gather for Window {
    fn sample(&mut self, sample: &Sample) {
        let (measured, reason) = match sample.measure {
            Measure::OnCpu { period } => (Measured::OnCpu(period), None),
            Measure::OffCpu { reason, .. } => (Measured::OffCpu, Some(reason)),
        };
        let profile = self.profile_of(sample, measured);
        let identity = Identity {
            profile,
            stack: self.frames.stack(sample, &mut self.content.dictionary),
            name: self.name_of(sample.comm),
            tid: sample.tid.0,
            cpu: sample.cpu,
            reason,
            truncated: sample.stack.end.cut(),
        };
        let number = match self.samples.get(&identity) {
            Some(&number) => number,
            None => self.new_sample(identity),
        };
        let at = self.clock.unix(sample.at).as_nanos();
        match sample.measure {
            Measure::OnCpu { .. } => self.content.capture(number, at),
            Measure::OffCpu { blocked, .. } => self.content.capture_value(number, at, nanos(blocked)),
        }
        if let Some(source) = self.source(profile) {
            let (first, last) = source.span;
            source.span = (at.min(first), at.max(last));
        }
    }

    fn loss(&mut self, loss: &Loss) {
        self.losses.add(loss);
    }

    fn process(&mut self, event: &ProcessEvent) {
        self.lives.process(event);
    }
}

impl Window {
    /// Starts an empty window.
    ///
    /// All times of the window are converted by one `clock`, that of the batch with its first event, so that a step of
    /// the wall clock falls between profiles and not into one. The same goes for the attributes that that batch's
    /// `host` adds to every resource.
    pub(crate) fn start(self, clock: ClockOffset, host: Arc<Resource>, grouping: Grouping) -> Self {
        Self { clock, host, grouping, ..self }
    }

    /// Empties the window, and drops the images and mappings in it.
    pub(crate) fn clear(&mut self) {
        self.content.clear();
        self.frames.clear();
        recycle(&mut self.sources);
        self.lives.clear();
        clear(&mut self.by_pointer);
        clear(&mut self.by_key);
        clear(&mut self.samples);
        clear(&mut self.names);
        clear(&mut self.tids);
        clear(&mut self.cpus);
        clear(&mut self.reasons);
        clear(&mut self.truncations);
        self.losses = Losses::default();
    }

    /// True if no sample has been gathered.
    pub(crate) fn is_empty(&self) -> bool {
        self.content.samples.is_empty()
    }

    /// Losses of the window, to be added to.
    pub(crate) fn losses(&mut self) -> &mut Losses {
        &mut self.losses
    }

    /// Completes the window; no more samples may be added.
    pub(crate) fn finish(&mut self, from: KTime, until: KTime) -> &Content {
        let content = &mut self.content;
        if let Some(stacks) = self.frames.settle(&mut content.dictionary) {
            content.restack(&stacks);
        }
        let (grouping, lives, clock) = (&self.grouping, &self.lives, self.clock);
        let identities = Identities { grouping, lives, clock, host: &self.host };
        let spans = identities.settle(content, &self.sources);
        let delivered = content.captures().len() as u64;
        let tables = &mut content.dictionary;
        let attributes = losses::attributes(&self.losses, delivered, tables);
        let nanoseconds = tables.string("nanoseconds");
        let on_cpu =
            ((tables.string("samples"), tables.string("count")), (tables.string("cpu"), nanoseconds));
        // Every nanosecond is measured: the period is one of them.
        let off_cpu = (tables.string("off_cpu"), nanoseconds);
        let scope = scope(&mut self.scratch);
        let scope = tables.blobs.intern(scope);
        let schema = tables.blobs.intern(SCHEMA_URL.as_bytes());
        let (from, until) = (self.clock.unix(from).as_nanos(), self.clock.unix(until).as_nanos());
        for (profile, (first, last)) in content.profiles.iter_mut().zip(spans) {
            // Moved apart to hold late samples. Half open: the end is after the last sample.
            let time = from.min(first);
            let end = until.max(last.saturating_add(1));
            let (sample_type, period_type) = if profile.valued { (off_cpu, off_cpu) } else { on_cpu };
            // Attributes of a group alone go after those of all profiles.
            let attributes = match profile.attributes {
                0 => attributes,
                own => tables.join_lists(attributes, own),
            };
            *profile = Profile {
                resource_schema: schema,
                scope,
                scope_schema: schema,
                sample_type,
                period_type,
                time,
                duration: end.saturating_sub(time),
                attributes,
                ..*profile
            };
        }
        content
    }

    fn profile_of(&mut self, sample: &Sample, measured: Measured) -> u32 {
        let Some(image) = &sample.image else {
            return self.profile_by_key(sample, measured, false);
        };
        let pointer = (Arc::as_ptr(image).addr(), measured);
        if let Some(&(_, profile)) = self.by_pointer.get(&pointer) {
            return profile;
        }
        let profile = self.profile_by_key(sample, measured, true);
        // Another description of the same image in that context: a later one has more facts. An image first met inside
        // execve, say, has no script until the exec is complete.
        if let Some(source) = self.source(profile) {
            source.who = ProfileOwner::Known(Arc::clone(image));
        }
        self.by_pointer.insert(pointer, (Arc::clone(image), profile));
        profile
    }

    fn profile_by_key(&mut self, sample: &Sample, measured: Measured, resolved: bool) -> u32 {
        let image = sample.image.as_ref();
        let key = image.map_or((sample.key, ContextKey::default()), |image| image.identity());
        if let Some(&profile) = self.by_key.get(&(key, resolved, measured)) {
            return profile;
        }
        let who = match image {
            Some(image) => ProfileOwner::Known(Arc::clone(image)),
            None => ProfileOwner::Unresolved(Box::new(Unresolved {
                key: sample.key,
                created: self.clock.unix_from_boot(sample.key.process.start_time),
                name: sample.thread_name(),
                kernel: sample.running.is_kernel(),
            })),
        };
        let profile = count(self.content.profiles.len());
        let (period, valued) = match measured {
            Measured::OnCpu(period) => (nanos(period), false),
            Measured::OffCpu => (1, true),
        };
        self.content.profiles.push(Profile { period, valued, ..Profile::default() });
        self.sources.push(ProfileSource { span: (u64::MAX, 0), who });
        self.by_key.insert((key, resolved, measured), profile);
        profile
    }

    fn source(&mut self, profile: u32) -> Option<&mut ProfileSource> {
        self.sources.get_mut(usize::try_from(profile).ok()?)
    }

    fn name_of(&mut self, comm: Comm) -> Option<i32> {
        *self.names.entry(comm).or_insert_with(|| {
            let name = String::from_utf8_lossy(comm.as_bytes());
            let tables = &mut self.content.dictionary;
            (!name.is_empty()).then(|| tables.text_attribute(attributes::THREAD_NAME, &name))
        })
    }

    fn new_sample(&mut self, identity: Identity) -> u32 {
        let Identity { profile, stack, name, tid, cpu, reason, truncated } = identity;
        let tables = &mut self.content.dictionary;
        let mut attribute = |key, number: u32| tables.attribute(key, Value::Int(number.into()));
        let tid = *self.tids.entry(tid).or_insert_with(|| attribute(attributes::THREAD_ID, tid));
        let cpu = *self.cpus.entry(cpu).or_insert_with(|| attribute(attributes::CPU_LOGICAL_NUMBER, cpu));
        let reason = reason.map(|reason| {
            let text = || tables.text_attribute(attributes::OFF_CPU_REASON, reason.as_str());
            *self.reasons.entry(reason).or_insert_with(text)
        });
        let truncated = truncated.map(|truncated| {
            let text = || tables.text_attribute(attributes::STACK_TRUNCATED, truncated);
            *self.truncations.entry(truncated).or_insert_with(text)
        });
        let list: SmallVec<[i32; 5]> =
            [Some(tid), name, Some(cpu), reason, truncated].into_iter().flatten().collect();
        let attributes = tables.lists.intern(&list);
        let number = self.content.push(content::Sample { profile, stack, attributes, link: 0 });
        self.samples.insert(identity, number);
        number
    }
}

/// A span in nanoseconds; one that is too long is as long as an `i64` holds.
fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// Writes an `InstrumentationScope`, and returns its bytes.
fn scope(out: &mut Vec<u8>) -> &[u8] {
    out.clear();
    let mut writer = Writer(out);
    writer.bytes(1, SCOPE.as_bytes());
    writer.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
    out
}
