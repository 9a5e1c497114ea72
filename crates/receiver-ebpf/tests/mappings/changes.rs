//! Mappings that are made, changed and removed.

use std::ffi::c_void;
use std::fs;
use std::path::Path;
use std::time::Duration;

use pdata::{Backing, Code};
use procfs::clock::now;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

use crate::truth::{
    Mapped, PAGE, Run, SPIN, assert_true, code, cpu_time, directory, leaf, own_samples, run, watch,
};

/// Fault j: an address that was unmapped, and mapped again, is in the file that is mapped there now.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn an_address_that_is_mapped_again_is_in_what_is_mapped_there_now() {
    let (_directory, path) = directory();
    let (batches, runs) = watch(move || {
        let (a, b) = (code(&path.join("a"), 4), code(&path.join("b"), 4));
        let mut runs = Vec::new();
        let place = keep(std::ptr::null_mut(), MapFlags::PRIVATE);
        for round in 0..200 {
            let (file, page) = (if round % 2 == 0 { &a } else { &b }, round / 2 % 4);
            let mapped = Mapped::at(place, MapFlags::PRIVATE | MapFlags::FIXED, file, page * PAGE, 1);
            runs.push(run(&mapped, 0, file, page, Duration::from_millis(5)));
            // The page that is kept takes the place of the code, which is unmapped by that.
            std::mem::forget(mapped);
            keep(place, MapFlags::PRIVATE | MapFlags::FIXED);
        }
        runs
    });
    let found = assert_true(&batches, &runs);
    assert!(found > 300, "{found} samples");
}

/// Keeps a page of the address space for later: memory of another thread might come to be in a page that is free, and
/// code would be mapped over that.
fn keep(place: *mut c_void, flags: MapFlags) -> *mut c_void {
    // SAFETY: memory at an address of the kernel's choice, or in place of code that nobody runs any more.
    unsafe { mmap_anonymous(place, PAGE, ProtFlags::empty(), flags) }.unwrap()
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
        // The call splits the mapping around the page that runs, again and again, and joins it.
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

/// Fault g: of 60,000 mappings of a process each is found.
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

/// Code without a file, and the page of code that the kernel lends every process, are reported as such.
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
            // The loop reads a clock in the vDSO, without a system call.
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
