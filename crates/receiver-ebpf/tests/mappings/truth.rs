//! The truth of the tests: code of our own, mapped and run, and the samples that must come of it.

use std::ffi::c_void;
use std::fs;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pdata::{
    Backing, Batch, Code, Event, FileOffset, Frame, KTime, LossReason, Mapping, Measure, Pc, Pid, Sample, Tid,
};
use procfs::clock::now;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::time::{ClockId, clock_gettime};

use crate::support::{Ends, burn, record_watched};

/// A loop that counts its argument down to zero, and returns.
#[cfg(target_arch = "x86_64")]
pub(crate) const SPIN: &[u8] = &[0x48, 0xff, 0xcf, 0x75, 0xfb, 0xc3];
#[cfg(target_arch = "aarch64")]
pub(crate) const SPIN: &[u8] = &[0x00, 0x04, 0x00, 0xf1, 0xe1, 0xff, 0xff, 0x54, 0xc0, 0x03, 0x5f, 0xd6];
pub(crate) const PAGE: usize = 4096;

/// CPU time that this thread has used.
pub(crate) fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// Makes a file of `pages` pages, each of which begins with the loop.
pub(crate) fn code(path: &Path, pages: usize) -> File {
    let mut page = vec![0; PAGE];
    page[..SPIN.len()].copy_from_slice(SPIN);
    fs::write(path, page.repeat(pages)).unwrap();
    File::open(path).unwrap()
}

/// Code that is mapped, until it is dropped.
pub(crate) struct Mapped {
    pub(crate) start: *mut c_void,
    pub(crate) bytes: usize,
}

// SAFETY: memory that nobody writes to, unmapped by whoever drops it last.
unsafe impl Send for Mapped {}

impl Mapped {
    pub(crate) fn new(file: &File, offset: usize, pages: usize) -> Self {
        Self::at(std::ptr::null_mut(), MapFlags::PRIVATE, file, offset, pages)
    }

    pub(crate) fn at(place: *mut c_void, flags: MapFlags, file: &File, offset: usize, pages: usize) -> Self {
        let protection = ProtFlags::READ | ProtFlags::EXEC;
        // SAFETY: a mapping at an address of the kernel's choice, or over one that the caller has made.
        let start =
            unsafe { mmap(place, pages * PAGE, protection, flags, file.as_fd(), offset as u64) }.unwrap();
        Self { start, bytes: pages * PAGE }
    }

    /// Runs the loop of a page until it has used `time` of a CPU, however busy the machine is. Returns the instants at
    /// which it began and ended.
    pub(crate) fn spin(&self, page: usize, time: Duration) -> (KTime, KTime) {
        // SAFETY: each page begins with the instructions of such a function.
        let spin = unsafe {
            std::mem::transmute::<*mut c_void, extern "C" fn(u64)>(self.start.byte_add(page * PAGE))
        };
        let (begun, before) = (now(), cpu_time());
        while cpu_time() - before < time {
            spin(100_000);
        }
        (begun, now())
    }

    pub(crate) fn contains(&self, pc: Pc) -> bool {
        (self.start.addr() as u64..(self.start.addr() + self.bytes) as u64).contains(&pc.0)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the range that was mapped; nobody runs in it any more.
        unsafe { munmap(self.start, self.bytes) }.unwrap();
    }
}

pub(crate) fn own_samples(batches: &[Batch]) -> impl Iterator<Item = &Sample> {
    let own = Pid(std::process::id());
    batches.iter().flat_map(Batch::samples).filter(move |sample| sample.key.process.pid == own)
}

/// The user frame at which a sample was taken.
pub(crate) fn leaf(sample: &Sample) -> Option<&Frame> {
    sample.stack.frames.iter().find(|frame| !frame.code.is_kernel())
}

pub(crate) fn file(mapping: &Mapping) -> &Arc<pdata::MappedFile> {
    match &mapping.backing {
        Backing::File(file) => file,
        other => panic!("{other:?} is no file"),
    }
}

/// The losses, but for samples that nobody took: while the machine stood still, or a CPU was not seen to be there.
pub(crate) fn lost(batches: &[Batch]) -> Vec<&Event> {
    let was_taken = |event: &&Event| match event {
        Event::Loss(loss) => {
            !matches!(loss.reason, LossReason::SampleTimerMissed | LossReason::SampleCpuUnattended)
        }
        _ => false,
    };
    batches.iter().flat_map(|batch| batch.events.iter()).filter(was_taken).collect()
}

/// The code that ran at one address from one instant to another.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) tid: Tid,
    pub(crate) from: KTime,
    pub(crate) until: KTime,
    pub(crate) pc: Pc,
    pub(crate) inode: u64,
    pub(crate) offset: FileOffset,
}

impl Run {
    /// The samples of the thread that ran, while it did: other tests may map other files at the same address.
    pub(crate) fn samples<'b>(&self, batches: &'b [Batch]) -> impl Iterator<Item = &'b Sample> + use<'_, 'b> {
        own_samples(batches)
            .filter(|sample| sample.tid == self.tid && self.from <= sample.at && sample.at <= self.until)
    }
}

/// Runs the loop, and returns what its samples must show.
pub(crate) fn run(mapped: &Mapped, page: usize, file: &File, file_page: usize, time: Duration) -> Run {
    let (from, until) = mapped.spin(page, time);
    Run {
        tid: Tid(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()),
        from,
        until,
        pc: Pc((mapped.start.addr() + page * PAGE) as u64),
        inode: file.metadata().unwrap().ino(),
        offset: FileOffset((file_page * PAGE) as u64),
    }
}

/// Every sample with its leaf in the loop of a run is in that run's file, at that byte. Returns the number of those
/// samples.
pub(crate) fn assert_true(batches: &[Batch], runs: &[Run]) -> usize {
    let mut found = 0;
    for run in runs {
        for sample in run.samples(batches) {
            let Some(frame) = leaf(sample) else { continue };
            let pc = frame.pc;
            let Some(into) = pc.0.checked_sub(run.pc.0).filter(|into| *into < SPIN.len() as u64) else {
                continue;
            };
            let Code::Mapped(mapping) = &frame.code else { panic!("{sample:?} has no mapping in {run:?}") };
            assert_eq!(file(mapping).identity.inode, run.inode, "{sample:?} {run:?}");
            assert_eq!(mapping.offset_of(pc).0, run.offset.0 + into, "{sample:?} {run:?}");
            found += 1;
        }
    }
    found
}

/// The result of `work`, and the batches of the receiver meanwhile, at 997 Hz. One test runs after the other: they
/// share a process, and files that one of them announces without end are losses of another.
pub(crate) fn watch<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (Vec<Batch>, T) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let result = Arc::new(Mutex::new(None));
    let here = Arc::clone(&result);
    let batches = record_watched(move |control, recorder| {
        control.set_samples_per_second(997);
        let is_faster = |sample: &Sample| match sample.measure {
            Measure::OnCpu { period } => period == Duration::from_secs(1) / 997,
            Measure::OffCpu { .. } => false,
        };
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _ends = Ends(&done);
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    burn(Duration::from_millis(1));
                }
            });
            recorder.wait_until("the rate", |batches| batches.iter().flat_map(Batch::samples).any(is_faster));
        });
        *here.lock().unwrap() = Some(work());
    });
    let result = result.lock().unwrap().take().unwrap();
    (batches, result)
}

pub(crate) fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    (directory, path)
}
