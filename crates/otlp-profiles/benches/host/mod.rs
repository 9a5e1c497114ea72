//! A busy host, made up: 60 processes that share CPU time as 1/rank, stacks that recur as 1/rank, 30 frames deep on
//! average. The same for every run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench, like a test, may panic")]
#![allow(dead_code, reason = "not every user needs all of it")]

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pdata::*;

/// Number of processes on the host.
pub(crate) const PROCESSES: u64 = 60;
/// Number of libraries that the processes share.
pub(crate) const LIBRARIES: u64 = 8;
/// Number of distinct stacks that a process can show; a short look sees fewer of them.
const STACKS: f64 = 2_000.0;
/// Number of threads of a process.
const THREADS: u64 = 8;

/// A made-up host with `cpus` busy CPUs, as a sampler at 19 Hz sees it.
pub(crate) struct Host {
    cpus: u64,
    programs: Vec<(Arc<Image>, Vec<Arc<Mapping>>)>,
    random: u64,
    /// Number of samples taken so far.
    taken: u64,
}

impl Host {
    /// The host at its first sample.
    pub(crate) fn new(cpus: u64) -> Self {
        let libraries: Vec<_> = (0..LIBRARIES)
            .map(|n| file(1_000 + n, &format!("/usr/lib/x86_64-linux-gnu/lib{n}.so")))
            .collect();
        let programs = (0..PROCESSES).map(|n| program(n, &libraries)).collect();
        Self { cpus, programs, random: 0x9e37_79b9_7f4a_7c15, taken: 0 }
    }

    /// Returns the next `samples` samples, in batches of a thousand.
    pub(crate) fn batches(&mut self, samples: u64) -> Vec<Batch> {
        let events: Vec<_> = (0..samples).map(|_| Event::Sample(self.sample())).collect();
        events.chunks(1_000).map(batch).collect()
    }

    /// Returns copies of `batches` whose events and watermarks are `later`.
    pub(crate) fn again(batches: &[Batch], later: Duration) -> Vec<Batch> {
        let moved = |event: &Event| match event {
            Event::Sample(sample) => {
                Event::Sample(Sample { at: sample.at.saturating_add(later), ..sample.clone() })
            }
            other => other.clone(),
        };
        batches.iter().map(|old| batch(&old.events.iter().map(moved).collect::<Vec<_>>())).collect()
    }

    fn sample(&mut self) -> Sample {
        let process = self.zipf(PROCESSES as f64);
        let stack = self.zipf(STACKS);
        let thread = self.uniform(THREADS);
        let cpu = self.uniform(self.cpus);
        let (image, mappings) = &self.programs[usize::try_from(process).unwrap()];
        let period = Duration::from_nanos(1_000_000_000 / 19);
        let nanos = self.taken * u64::try_from(period.as_nanos()).unwrap() / self.cpus;
        self.taken += 1;
        Sample {
            at: KTime::from_nanos(nanos),
            key: image.key,
            measure: Measure::OnCpu { period },
            tid: Tid(image.key.process.pid.0 + u32::try_from(thread).unwrap()),
            cpu: u32::try_from(cpu).unwrap(),
            comm: Comm(if thread == 0 { *b"program\0\0\0\0\0\0\0\0\0" } else { *b"worker-pool\0\0\0\0\0" }),
            context: Context::default(),
            running: Running::Program,
            stack: frames(mappings, process, stack),
            image: Some(Arc::clone(image)),
        }
    }

    /// Returns a number below `ranks`, each as likely as 1/(n + 1).
    #[allow(clippy::cast_possible_truncation, reason = "a rank is small and not negative")]
    fn zipf(&mut self, ranks: f64) -> u64 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((ranks + 1.0).powf(uniform) - 1.0) as u64
    }

    fn uniform(&mut self, below: u64) -> u64 {
        (self.next() >> 16) % below
    }

    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// A batch of these events that moves the watermark just past them.
pub(crate) fn batch(events: &[Event]) -> Batch {
    let until = events.last().map_or(KTime::ZERO, |last| last.at().saturating_add(Duration::from_nanos(1)));
    let clock = ClockOffset::from_readings(
        KTime::ZERO,
        BootTime::from_nanos(0),
        UnixNanos::from_nanos(1_785_578_400_000_000_000),
    );
    Batch {
        events: Arc::new(events.to_vec().into()),
        watermark: Watermark::before(until),
        clock,
        ..Batch::default()
    }
}

/// A batch that ends the stream.
pub(crate) fn end() -> Batch {
    Batch { watermark: Watermark::END, ..batch(&[]) }
}

/// Returns a stack of 10 to 50 frames: one in four begins in the kernel, and many stacks share the callers near the
/// root.
fn frames(mappings: &[Arc<Mapping>], process: u64, stack: u64) -> Stack {
    let mix = |n: u64| (n ^ (process << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let depth = 10 + mix(stack) % 41;
    let kernel = if mix(stack + 1) % 4 == 0 { depth / 3 } else { 0 };
    let kind = |from_root| match from_root + 1 == depth || from_root + 1 == depth - kernel {
        true => AddressKind::Exact,
        false => AddressKind::Return,
    };
    let frame = |from_root: u64| {
        // The further from the root, the more there is to call.
        let which = stack % (1 + from_root * from_root / 32);
        let into = mix((which << 8) | from_root) % 0xf_0000;
        if from_root >= depth - kernel {
            let pc = Pc(0xffff_ffff_8100_0000 + (from_root * 0x1000 + which % 50 * 0x40));
            return Frame { pc, kind: kind(from_root), code: Code::Kernel, lines: None };
        }
        // Calls stay in a file for a while.
        let file = mix(((which / 2) << 8) | (from_root / 6)) % mappings.len() as u64;
        let mapping = &mappings[usize::try_from(file).unwrap()];
        let code = Code::Mapped(Arc::clone(mapping));
        Frame { pc: Pc(mapping.start.0 + into), kind: kind(from_root), code, lines: None }
    };
    (0..depth).rev().map(frame).collect()
}

fn program(number: u64, libraries: &[Arc<MappedFile>]) -> (Arc<Image>, Vec<Arc<Mapping>>) {
    let path = format!("/opt/services/service-{number}/bin/program-{number}");
    let mut files = vec![file(number, &path)];
    files.extend(libraries.iter().take(2 + usize::try_from(number % 6).unwrap()).cloned());
    let mapping = |(n, file): (u64, Arc<MappedFile>)| {
        let start = 0x5555_0000_0000 + (number << 32) + (n << 24);
        Arc::new(Mapping {
            start: Pc(start),
            end: Pc(start + 0x10_0000),
            file_offset: FileOffset(0),
            backing: Backing::File(file),
        })
    };
    let mappings = (0..).zip(files).map(mapping).collect();
    let executable =
        Executable { device: 1, inode: number, mount_namespace: 1, ..Executable::at(Path::new(&path)) };
    let kind = ImageKind::User { executable: Arc::new(executable), script: None, loader: None };
    let pid = Pid(u32::try_from(1_000 + number * 16).unwrap());
    let process = ProcessKey { pid, start_time: BootTime::from_nanos(number) };
    let key = ImageKey { process, exec_count: ExecCount(1) };
    (Arc::new(Image::new(key, UnixNanos::from_nanos(1_785_570_000_000_000_000 + number), kind)), mappings)
}

fn file(number: u64, path: &str) -> Arc<MappedFile> {
    let segment = Segment { file_offset: FileOffset(0), size: 0x10_0000, address: ElfAddress(0x40_0000) };
    let mut htlhash = [0x5a; 16];
    htlhash[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let facts = FileFacts { htlhash, segments: [segment].into(), ..FileFacts::default() };
    let mut id = [0xc3; 20];
    id[..8].copy_from_slice(&number.wrapping_mul(0xd134_2543_de82_ef95).to_be_bytes());
    let build_id = BuildId::new(&id);
    Arc::new(MappedFile { build_id, facts: OnceLock::from(facts), ..MappedFile::at(Path::new(path)) })
}
