//! Samples of a window, counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use pdata::{
    Backing, ClockOffset, Code, Comm, ContextKey, Frame, Image, ImageKey, Line, Loss, Measure, Pc, Sample,
    Tid,
};
use windows::{Gather, Group, Grouping, Losses, Member};

use crate::config::Verbosity;

/// Counts of one window.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) clock: ClockOffset,
    pub(crate) samples: u64,
    /// The CPU time that the samples stand for.
    pub(crate) cpu: Duration,
    pub(crate) losses: Losses,
    pub(crate) images: HashMap<KnownImage, ImageTally>,
    /// Distinct samples, as an OTLP profile would have them.
    records: HashSet<Record>,
    verbosity: Verbosity,
}

/// The key of an image in a context, and whether the executable is known.
pub(crate) type KnownImage = ((ImageKey, ContextKey), bool);

/// Counts of one image.
#[derive(Debug)]
pub(crate) struct ImageTally {
    /// The image by its latest description; `None` if its executable is not known.
    image: Option<Arc<Image>>,
    /// The name of the thread that was sampled first.
    thread_name: String,
    pub(crate) samples: u64,
    pub(crate) cpu: Duration,
    /// Samples by the place in the code where the CPU was.
    pub(crate) leaves: BTreeMap<String, u64>,
}

/// Counts of the images that share a row.
#[derive(Debug)]
pub(crate) struct RowTally {
    /// Text of the attributes that the images have in common.
    pub(crate) label: String,
    pub(crate) samples: u64,
    pub(crate) cpu: Duration,
    pub(crate) processes: usize,
}

/// The identity of a sample: image, thread, its name, CPU, and addresses.
type Record = (KnownImage, Tid, Comm, u32, Box<[Pc]>);

impl Tally {
    pub(crate) fn new(verbosity: Verbosity, clock: ClockOffset) -> Self {
        Self {
            clock,
            samples: 0,
            cpu: Duration::ZERO,
            losses: Losses::default(),
            images: HashMap::new(),
            records: HashSet::new(),
            verbosity,
        }
    }

    /// Distinct samples; 0 unless the verbosity is [`Verbosity::Basic`], which alone shows them.
    pub(crate) fn records(&self) -> usize {
        self.records.len()
    }

    /// Counts of the rows, most samples first.
    pub(crate) fn rows(&self, grouping: &Grouping) -> Vec<RowTally> {
        let mut groups = grouping.groups();
        let mut sums: Vec<(u64, Duration)> = Vec::new();
        for (who, image) in self.images() {
            let number = groups.add(&image.as_member(who));
            sums.resize(groups.all().len(), Default::default());
            if let Some((samples, cpu)) = sums.get_mut(number) {
                *samples += image.samples;
                *cpu += image.cpu;
            }
        }
        let row = |(group, (samples, cpu)): (&Group, _)| RowTally {
            label: group.label(),
            samples,
            cpu,
            processes: group.processes(),
        };
        let mut rows: Vec<_> = groups.all().iter().zip(sums).map(row).collect();
        rows.sort_by(|a, b| (b.samples, &a.label).cmp(&(a.samples, &b.label)));
        rows
    }

    /// Counts of the images, most samples first.
    pub(crate) fn images(&self) -> Vec<(&KnownImage, &ImageTally)> {
        let mut images: Vec<_> = self.images.iter().collect();
        images.sort_by_key(|&(who, tally)| (std::cmp::Reverse(tally.samples), who));
        images
    }
}

impl Gather for Tally {
    fn sample(&mut self, sample: &Sample) {
        // The report is of CPU time, of which a thread that is off the CPU uses none.
        let Measure::OnCpu { period } = sample.measure else { return };
        self.samples += 1;
        self.cpu += period;
        let image = sample.image.as_ref();
        let identity = image.map_or((sample.key, ContextKey::default()), |image| image.identity());
        let who = (identity, image.is_some());
        let tally = self.images.entry(who).or_insert_with(|| ImageTally::new(sample));
        // The latest description has the most facts.
        if let (Some(known), Some(image)) = (&mut tally.image, image)
            && !Arc::ptr_eq(known, image)
        {
            *known = Arc::clone(image);
        }
        tally.samples += 1;
        tally.cpu += period;
        match self.verbosity {
            Verbosity::Basic => {
                let pcs = sample.stack.frames.iter().map(|frame| frame.pc).collect();
                self.records.insert((who, sample.tid, sample.comm, sample.cpu, pcs));
            }
            Verbosity::Normal => {}
            Verbosity::Detailed => *tally.leaves.entry(leaf(sample)).or_default() += 1,
        }
    }

    fn loss(&mut self, loss: &Loss) {
        self.losses.add(loss);
    }
}

impl ImageTally {
    fn new(sample: &Sample) -> Self {
        let (image, thread_name) = (sample.image.clone(), sample.thread_name());
        Self { image, thread_name, samples: 0, cpu: Duration::ZERO, leaves: BTreeMap::new() }
    }

    pub(crate) fn as_member(&self, &((key, _), _): &KnownImage) -> Member<'_> {
        Member { key, image: self.image.as_deref(), thread_name: &self.thread_name }
    }
}

/// The place where the CPU was: the file with an ELF address (or a file offset, until the file has been read), or an
/// address.
fn leaf(sample: &Sample) -> String {
    let Some(Frame { pc, code, lines, .. }) = sample.stack.frames.first() else {
        return "no frames".to_owned();
    };
    if let Some(Line { function, line }) = lines.as_ref().and_then(|lines| lines.0.first()) {
        let place = match (&function.file, line) {
            (Some(file), 0) => format!(" {file}"),
            (Some(file), line) => format!(" {file}:{line}"),
            (None, _) => String::new(),
        };
        return format!("{}{place}{}", function.name, within(code));
    }
    match code {
        Code::Kernel => format!("[kernel] {:#x}", pc.0),
        Code::Unknown => format!("[unknown] {:#x}", pc.0),
        Code::Interpreted(function, 0) => function.name.to_string(),
        Code::Interpreted(function, line) => format!("{}:{line}", function.name),
        Code::Mapped(mapping) => match &mapping.backing {
            Backing::File(file) => {
                let (path, offset) = (file.path.display(), mapping.offset_of(*pc));
                match file.elf_address(offset) {
                    Some(address) => format!("{path} {:#x}", address.0),
                    None => format!("{path} offset {:#x}", offset.0),
                }
            }
            other => format!("{} {:#x}", other.name(), pc.0),
        },
    }
}

/// The file or the kernel that holds a named function, in brackets.
fn within(code: &Code) -> String {
    match code {
        Code::Mapped(mapping) => format!(" ({})", mapping.backing.name()),
        Code::Kernel => " ([kernel])".to_owned(),
        Code::Unknown | Code::Interpreted(..) => String::new(),
    }
}
