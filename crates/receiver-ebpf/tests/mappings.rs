//! Mappings against the running kernel: each frame is in the file that its code came from, whatever becomes of files
//! and mappings.
//!
//! The truth is the test's own: it writes a few instructions to a file, maps that somewhere and calls it. So it knows
//! for any address in that mapping, at any time, which file and which byte of it must be found.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "mapping and calling code of one's own has no safe interface")]

mod support;

use std::ffi::c_void;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pdata::{
    Backing, Batch, Code, Event, FileOffset, FileState, Frame, KTime, Mapping, Measure, Pc, Pid, Sample, Tid,
};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};
use rustix::time::{ClockId, clock_gettime};
use support::{burn, record_watched};

/// A loop that counts its argument down to zero, and returns.
#[cfg(target_arch = "x86_64")]
const SPIN: &[u8] = &[0x48, 0xff, 0xcf, 0x75, 0xfb, 0xc3];
#[cfg(target_arch = "aarch64")]
const SPIN: &[u8] = &[0x00, 0x04, 0x00, 0xf1, 0xe1, 0xff, 0xff, 0x54, 0xc0, 0x03, 0x5f, 0xd6];
const PAGE: usize = 4096;

fn now() -> KTime {
    let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap();
    KTime::from_nanos(now.as_nanos().try_into().unwrap())
}

/// What this thread has used of a CPU.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// A file of so many pages, each of which begins with the loop.
fn code(path: &Path, pages: usize) -> File {
    let mut page = vec![0; PAGE];
    page[..SPIN.len()].copy_from_slice(SPIN);
    fs::write(path, page.repeat(pages)).unwrap();
    File::open(path).unwrap()
}

/// Code that is mapped, until it is dropped.
struct Mapped {
    start: *mut c_void,
    bytes: usize,
}

// SAFETY: memory that nobody writes to, unmapped by whoever drops it last.
unsafe impl Send for Mapped {}

impl Mapped {
    fn new(file: &File, offset: usize, pages: usize) -> Self {
        Self::at(std::ptr::null_mut(), MapFlags::PRIVATE, file, offset, pages)
    }

    fn at(place: *mut c_void, flags: MapFlags, file: &File, offset: usize, pages: usize) -> Self {
        let protection = ProtFlags::READ | ProtFlags::EXEC;
        // SAFETY: a mapping at an address of the kernel's choice, or over one that the caller has made.
        let start =
            unsafe { mmap(place, pages * PAGE, protection, flags, file.as_fd(), offset as u64) }.unwrap();
        Self { start, bytes: pages * PAGE }
    }

    /// Runs the loop of a page until that has used so much CPU time, however busy the machine is. Returns when it began
    /// and ended.
    fn spin(&self, page: usize, time: Duration) -> (KTime, KTime) {
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

    fn contains(&self, pc: Pc) -> bool {
        (self.start.addr() as u64..(self.start.addr() + self.bytes) as u64).contains(&pc.0)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the range that was mapped; nobody runs in it any more.
        unsafe { munmap(self.start, self.bytes) }.unwrap();
    }
}

fn own_samples(batches: &[Batch]) -> impl Iterator<Item = &Sample> {
    let own = Pid(std::process::id());
    batches.iter().flat_map(Batch::samples).filter(move |sample| sample.key.process.pid == own)
}

/// The user frame where a sample was taken.
fn leaf(sample: &Sample) -> Option<&Frame> {
    sample.stack.frames.iter().find(|frame| !frame.code.is_kernel())
}

fn file(mapping: &Mapping) -> &Arc<pdata::MappedFile> {
    match &mapping.backing {
        Backing::File(file) => file,
        other => panic!("{other:?} is no file"),
    }
}

fn lost(batches: &[Batch]) -> Vec<&Event> {
    let events = batches.iter().flat_map(|batch| batch.events.iter());
    events
        .filter(
            |event| matches!(event, Event::Loss(loss) if loss.reason != pdata::LossReason::SampleTimerMissed),
        )
        .collect()
}

/// What ran at one address from one instant to another.
#[derive(Debug)]
struct Run {
    tid: Tid,
    from: KTime,
    until: KTime,
    pc: Pc,
    inode: u64,
    offset: FileOffset,
}

/// Runs the loop, and says what a sample of that must show.
fn run(mapped: &Mapped, page: usize, file: &File, file_page: usize, time: Duration) -> Run {
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

/// Every sample with its leaf in the loop of a run is in that run's file, at that byte. Returns how many there are.
fn assert_true(batches: &[Batch], runs: &[Run]) -> usize {
    let mut found = 0;
    for run in runs {
        let in_time = own_samples(batches)
            .filter(|sample| sample.tid == run.tid && run.from <= sample.at && sample.at <= run.until);
        for sample in in_time {
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

/// What `work` returns, and what the receiver saw of it at 997 Hz.
fn watch<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (Vec<Batch>, T) {
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
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    burn(Duration::from_millis(1));
                }
            });
            recorder.wait_until("the rate", |batches| batches.iter().flat_map(Batch::samples).any(is_faster));
            done.store(true, Ordering::Relaxed);
        });
        *here.lock().unwrap() = Some(work());
    });
    let result = result.lock().unwrap().take().unwrap();
    (batches, result)
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    (directory, path)
}

/// A file that takes another's name does not take its samples; and neither does what is written in its place.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_replaced_file_and_one_written_in_place_are_files_of_their_own() {
    const EACH: Duration = Duration::from_millis(300);
    let (_directory, path) = directory();
    let name = path.join("code");
    let (batches, (runs, changed)) = watch({
        let name = name.clone();
        move || {
            let old = code(&name, 1);
            let old_code = Mapped::new(&old, 0, 1);
            let mut runs = vec![run(&old_code, 0, &old, 0, EACH)];
            code(&name.with_extension("new"), 1);
            fs::rename(name.with_extension("new"), &name).unwrap();
            let new = File::open(&name).unwrap();
            let new_code = Mapped::new(&new, 0, 1);
            runs.push(run(&new_code, 0, &new, 0, EACH));
            runs.push(run(&old_code, 0, &old, 0, EACH));
            // The same bytes, but who could know: the file has been written to.
            fs::OpenOptions::new().write(true).open(&name).unwrap().write_all(SPIN).unwrap();
            let changed = now();
            runs.push(run(&new_code, 0, &new, 0, EACH));
            (runs, changed)
        }
    });
    let found = assert_true(&batches, &runs);
    assert!(found > 400, "{found} samples");
    let mut versions: Vec<_> = own_samples(&batches)
        .filter_map(|sample| match &leaf(sample)?.code {
            Code::Mapped(mapping) => match &mapping.backing {
                Backing::File(file) if file.identity.inode == runs[1].inode => {
                    Some((sample.at > changed, file.identity.modified))
                }
                _ => None,
            },
            _ => None,
        })
        .collect();
    versions.sort_unstable();
    versions.dedup();
    assert!(matches!(versions[..], [(false, old), (true, new)] if old != new), "{versions:?}");
    assert_eq!(lost(&batches).len(), 0, "{:?}", lost(&batches));
}

/// Fault j: an address that was unmapped, and mapped again, is in what is mapped there now.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn an_address_that_is_mapped_again_is_in_what_is_mapped_there_now() {
    let (_directory, path) = directory();
    let (batches, runs) = watch(move || {
        let (a, b) = (code(&path.join("a"), 4), code(&path.join("b"), 4));
        let mut runs = Vec::new();
        let place = Mapped::new(&a, 0, 4).start;
        for round in 0..200 {
            let (file, page) = (if round % 2 == 0 { &a } else { &b }, round / 2 % 4);
            let mapped = Mapped::at(place, MapFlags::PRIVATE | MapFlags::FIXED, file, page * PAGE, 1);
            runs.push(run(&mapped, 0, file, page, Duration::from_millis(5)));
        }
        runs
    });
    let found = assert_true(&batches, &runs);
    assert!(found > 300, "{found} samples");
}

/// Threads that map, protect, split and unmap at one time: every leaf is right all the same.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn every_leaf_is_right_while_eight_threads_change_mappings() {
    const THREADS: usize = 8;
    /// CPU time of each thread.
    const TIME: Duration = Duration::from_millis(1_500);
    let (_directory, path) = directory();
    let (batches, runs) = watch(move || {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let path = path.join(format!("code{thread}"));
                std::thread::spawn(move || churn(&path, TIME))
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let found = assert_true(&batches, &runs);
    println!("{found} samples in {} runs", runs.len());
    assert!(found > 1500, "{found} samples");
}

fn churn(path: &Path, time: Duration) -> Vec<Run> {
    let (file, begun, mut runs) = (code(path, 8), cpu_time(), Vec::new());
    while cpu_time() - begun < time {
        let mapped = Mapped::new(&file, 0, 8);
        // Splits the mapping around the page that runs, again and again, and joins it.
        for page in 0..8 {
            // SAFETY: protects pages of our own mapping, in which nobody runs but us, later.
            unsafe {
                mprotect(mapped.start, 3 * PAGE, MprotectFlags::READ).unwrap();
                mprotect(mapped.start, 3 * PAGE, MprotectFlags::READ | MprotectFlags::EXEC).unwrap();
            }
            runs.push(run(&mapped, page, &file, page, Duration::from_micros(700)));
        }
    }
    runs
}

/// Fault g: of 60,000 mappings each is found.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_process_of_60_000_mappings_has_every_one_of_them_found() {
    const MAPPINGS: usize = 60_000;
    let (_directory, path) = directory();
    let (batches, runs) = watch(move || {
        let file = code(&path.join("code"), 64);
        // Neighbours are of different pages, so that the kernel does not join them.
        let mappings: Vec<_> = (0..MAPPINGS).map(|index| Mapped::new(&file, index % 64 * PAGE, 1)).collect();
        let count = fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        assert!(count > MAPPINGS * 9 / 10, "{count} mappings");
        (0..3000)
            .map(|round| round * 7919 % MAPPINGS)
            .map(|index| run(&mappings[index], 0, &file, index % 64, Duration::from_millis(1)))
            .collect::<Vec<_>>()
    });
    let found = assert_true(&batches, &runs);
    assert!(found > 1000, "{found} samples");
}

/// Fault b: memfds without number, each with its own identity, and none costs more than its record.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn each_of_many_memfds_is_a_file_of_its_own() {
    let (batches, runs) = watch(|| {
        (0..1500)
            .map(|_| {
                let memfd = rustix::fs::memfd_create("same-name", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
                let mut file = File::from(memfd);
                file.write_all(SPIN).unwrap();
                run(&Mapped::new(&file, 0, 1), 0, &file, 0, Duration::from_millis(2))
            })
            .collect::<Vec<_>>()
    });
    let found = assert_true(&batches, &runs);
    assert!(found > 1000, "{found} samples");
    let memfds = own_samples(&batches).filter_map(leaf).filter_map(|frame| match &frame.code {
        Code::Mapped(mapping) => Some(mapping),
        _ => None,
    });
    let is_memfd = |mapping: &&Arc<Mapping>| matches!(&mapping.backing, Backing::File(file) if file.state == FileState::Memfd);
    let names: Vec<_> = memfds.filter(is_memfd).map(|mapping| file(mapping).path.clone()).collect();
    assert!(names.len() > 1000, "{} samples", names.len());
    assert!(names.iter().all(|name| **name == *Path::new("/memfd:same-name")));
}

/// Fault a: names as long as they get, ever new ones. What is announced stays within its share of the ring.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn files_of_ever_new_long_names_cost_no_other_process_its_samples() {
    let (_directory, path) = directory();
    let (batches, runs) = watch(move || {
        let mut deep = path;
        for _ in 0..14 {
            deep.push("d".repeat(250));
            fs::create_dir(&deep).unwrap();
        }
        let steady = code(&deep.join("steady"), 1);
        let steady_code = Mapped::new(&steady, 0, 1);
        let mut runs = Vec::new();
        for round in 0..1000 {
            let name = deep.join(format!("{round:0>250}"));
            let file = code(&name, 1);
            runs.push(run(&Mapped::new(&file, 0, 1), 0, &file, 0, Duration::from_millis(1)));
            runs.push(run(&steady_code, 0, &steady, 0, Duration::from_millis(1)));
            fs::remove_file(name).unwrap();
        }
        runs
    });
    let found = assert_true(&batches, &runs);
    assert!(found > 1000, "{found} samples");
    assert_eq!(lost(&batches).len(), 0, "{:?}", lost(&batches));
}

/// Fault c: a program that renames itself without end takes nothing from others.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_storm_of_names_costs_nobody_a_mapping_or_a_record() {
    let (_directory, path) = directory();
    let (batches, runs) = watch(move || {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        rustix::thread::set_name(c"storm-a").unwrap();
                        rustix::thread::set_name(c"storm-b").unwrap();
                    }
                });
            }
            let file = code(&path.join("code"), 1);
            let mapped = Mapped::new(&file, 0, 1);
            let runs: Vec<_> =
                (0..200).map(|_| run(&mapped, 0, &file, 0, Duration::from_millis(10))).collect();
            done.store(true, Ordering::Relaxed);
            runs
        })
    });
    let found = assert_true(&batches, &runs);
    assert!(found > 300, "{found} samples");
    assert_eq!(lost(&batches).len(), 0, "{:?}", lost(&batches));
}

/// Code without a file, and the page of code that the kernel lends everyone.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn anonymous_code_and_the_vdso_are_what_they_are() {
    let (batches, mapped) = watch(|| {
        // SAFETY: memory at an address of the kernel's choice, which is ours to write to.
        let start = unsafe {
            let all = ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC;
            let start = mmap_anonymous(std::ptr::null_mut(), PAGE, all, MapFlags::PRIVATE).unwrap();
            start.cast::<u8>().copy_from_nonoverlapping(SPIN.as_ptr(), SPIN.len());
            start
        };
        let mapped = Mapped { start, bytes: PAGE };
        mapped.spin(0, Duration::from_millis(500));
        let begun = cpu_time();
        while cpu_time() - begun < Duration::from_millis(500) {
            // Reads a clock in the vDSO, without a system call.
            for _ in 0..1_000 {
                std::hint::black_box(now());
            }
        }
        mapped
    });
    let mut kinds: Vec<_> = own_samples(&batches)
        .filter_map(leaf)
        .filter_map(|frame| match &frame.code {
            Code::Mapped(mapping) => match &mapping.backing {
                Backing::File(_) => None,
                other => Some((other.name().into_owned(), mapped.contains(frame.pc))),
            },
            _ => None,
        })
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, [("//anon".to_owned(), true), ("[vdso]".to_owned(), false)]);
}

/// A program that ends before anyone can look has its path and its build ID all the same.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_file_that_is_gone_when_its_sample_is_read_has_path_and_build_id() {
    const SOURCE: &str = "int main() { for (volatile long i = 0; i < 200000000; i++); }";
    let (_directory, path) = directory();
    let expected = "0123456789abcdef0123456789abcdef01234567";
    let (batches, name) = watch(move || {
        let (source, name) = (path.join("burn.c"), path.join("burn"));
        fs::write(&source, SOURCE).unwrap();
        let build_id = format!("-Wl,--build-id=0x{expected}");
        assert!(
            Command::new("cc")
                .args(["-O1", &build_id, "-o"])
                .args([&name, &source])
                .status()
                .unwrap()
                .success()
        );
        let mut child = Command::new(&name).spawn().unwrap();
        fs::remove_file(&name).unwrap();
        child.wait().unwrap();
        name
    });
    let files: Vec<_> = batches
        .iter()
        .flat_map(Batch::samples)
        .filter_map(leaf)
        .filter_map(|frame| match &frame.code {
            Code::Mapped(mapping) => match &mapping.backing {
                Backing::File(file) if *file.path == *name => Some(file),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert!(files.len() > 50, "{} samples", files.len());
    let first = files[0].build_id.map(|id| id.to_string());
    assert_eq!(first.as_deref(), Some(expected));
}

/// In an overlay a mapping is of a file in a layer; it goes by the name under which it was opened.
#[test]
#[ignore = "needs root: loads BPF programs, and mounts"]
fn a_file_of_an_overlay_has_the_name_it_was_opened_by_and_the_identity_of_its_layer() {
    let (_directory, path) = directory();
    let (batches, (runs, name)) = watch(move || {
        for name in ["layers", "merged"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        let shell = |script: &str| {
            assert!(Command::new("sh").args(["-ec", script]).current_dir(&path).status().unwrap().success());
        };
        // Layers of a file system that an overlay takes, whatever the directory itself is on.
        shell("mount -t tmpfs none layers; mkdir layers/low layers/up layers/work");
        let layer = code(&path.join("layers/low/code"), 1);
        shell("mount -t overlay -o lowerdir=layers/low,upperdir=layers/up,workdir=layers/work none merged");
        let name = path.join("merged/code");
        let file = File::open(&name).unwrap();
        let runs = vec![run(&Mapped::new(&file, 0, 1), 0, &layer, 0, Duration::from_millis(500))];
        drop((file, layer));
        // The receiver may be reading a file there, for a moment.
        shell("timeout 60 sh -c 'for dir in merged layers; do until umount $dir; do sleep 0.1; done; done'");
        (runs, name)
    });
    let found = assert_true(&batches, &runs);
    assert!(found > 200, "{found} samples");
    let in_run = own_samples(&batches).filter_map(leaf).filter_map(|frame| match &frame.code {
        Code::Mapped(mapping) if frame.pc.0 & !0xfff == runs[0].pc.0 => Some(mapping),
        _ => None,
    });
    for mapping in in_run {
        assert_eq!(*file(mapping).path, *name);
    }
}
