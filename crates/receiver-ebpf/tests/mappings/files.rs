//! Files that are replaced, written, unlinked and many.

use std::fs;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pdata::{Backing, Batch, Code, FileState, Mapping};
use procfs::clock::now;

use crate::support::Ends;
use crate::truth::{Mapped, SPIN, assert_true, code, directory, file, leaf, lost, own_samples, run, watch};

/// A file that takes another's name does not take its samples; and neither does a file that is written in place.
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
            // The bytes are the same, but no reader can know that: the file has been written to.
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

/// Fault b: each of many memfds has its own identity, and none costs more than its record.
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

/// Fault a: file names as long as they get, and ever new ones, stay within the ring's share of announcements.
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
            let _ends = Ends(&done);
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
            (0..200).map(|_| run(&mapped, 0, &file, 0, Duration::from_millis(10))).collect::<Vec<_>>()
        })
    });
    let found = assert_true(&batches, &runs);
    assert!(found > 300, "{found} samples");
    assert_eq!(lost(&batches).len(), 0, "{:?}", lost(&batches));
}

/// A program that ends before anyone can look has its path and its build ID all the same.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_file_that_is_gone_when_its_sample_is_read_has_path_and_build_id() {
    // A second of CPU time, however fast the machine is.
    const SOURCE: &str = "#include <time.h>\nint main() { while (clock() < CLOCKS_PER_SEC) \
                          for (volatile long i = 0; i < 10000000; i++); }";
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
        // Whoever profiles this machine may have a file open there.
        shell("umount --lazy merged layers");
        (runs, name)
    });
    let found = assert_true(&batches, &runs);
    assert!(found > 200, "{found} samples");
    let in_run = runs[0].samples(&batches).filter_map(leaf).filter_map(|frame| match &frame.code {
        Code::Mapped(mapping) if frame.pc.0 & !0xfff == runs[0].pc.0 => Some(mapping),
        _ => None,
    });
    for mapping in in_run {
        assert_eq!(*file(mapping).path, *name);
    }
}
