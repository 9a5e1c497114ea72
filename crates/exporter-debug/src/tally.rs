//! Samples of a window, counted.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use pdata::{
    Backing, ClockOffset, Code, Comm, FileState, Frame, Image, ImageKey, ImageKind, Line, Loss, Measure, Pc,
    Pid, Sample, Tid,
};
use windows::{Gather, Losses};

use crate::config::Verbosity;

/// Counts of one window.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) clock: ClockOffset,
    pub(crate) samples: u64,
    /// What the samples stand for.
    pub(crate) cpu: Duration,
    pub(crate) losses: Losses,
    pub(crate) images: HashMap<KnownImage, ImageTally>,
    /// Distinct samples, as an OTLP profile would have them.
    records: HashSet<Record>,
    verbosity: Verbosity,
}

/// An image, and whether it is known what it ran.
pub(crate) type KnownImage = (ImageKey, bool);

/// Counts of one image.
#[derive(Debug)]
pub(crate) struct ImageTally {
    /// What it ran, to print.
    pub(crate) name: String,
    pub(crate) samples: u64,
    pub(crate) cpu: Duration,
    /// Samples by where the CPU was.
    pub(crate) leaves: BTreeMap<String, u64>,
}

/// Counts of one executable.
#[derive(Debug, Default)]
pub(crate) struct ExecutableTally {
    pub(crate) samples: u64,
    pub(crate) cpu: Duration,
    pub(crate) pids: BTreeSet<Pid>,
}

/// Image, thread, its name, CPU, and addresses.
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

    /// Counts by executable, most samples first.
    pub(crate) fn executables(&self) -> Vec<(&str, ExecutableTally)> {
        let mut by_name: BTreeMap<&str, ExecutableTally> = BTreeMap::new();
        for ((key, _), image) in &self.images {
            let entry = by_name.entry(&image.name).or_default();
            entry.samples += image.samples;
            entry.cpu += image.cpu;
            entry.pids.insert(key.process.pid);
        }
        let mut executables: Vec<_> = by_name.into_iter().collect();
        // Stable: names in order among equals, so that a report depends on the samples alone.
        executables.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.samples));
        executables
    }

    /// Counts by image, most samples first.
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
        let who = (sample.image.as_ref().map_or(sample.key, |image| image.key), sample.image.is_some());
        let tally = self.images.entry(who).or_insert_with(|| ImageTally {
            name: name(sample),
            samples: 0,
            cpu: Duration::ZERO,
            leaves: BTreeMap::new(),
        });
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

/// What a sample's image runs: a path with what is special about it, or a name in brackets.
fn name(sample: &Sample) -> String {
    match sample.image.as_ref().map(Arc::as_ref) {
        None => sample.unresolved_name(),
        Some(Image { kind: kind @ ImageKind::Kernel(_), .. }) => kind.name().into_owned(),
        Some(Image { kind: ImageKind::User { executable, .. }, .. }) => {
            let path = executable.path.display();
            match executable.state {
                FileState::Deleted => format!("{path} (deleted)"),
                FileState::Linked | FileState::Memfd => path.to_string(),
            }
        }
    }
}

/// Where the CPU was: the file with an ELF address (or a file offset, until the file has been read),
/// or an address.
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

/// What holds a named function, in brackets.
fn within(code: &Code) -> String {
    match code {
        Code::Mapped(mapping) => format!(" ({})", mapping.backing.name()),
        Code::Kernel => " ([kernel])".to_owned(),
        Code::Unknown | Code::Interpreted(..) => String::new(),
    }
}
