//! Programs that change their mappings, and report which code ran when and where: each sample in them must be in that
//! file, at that byte.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use pdata::{Backing, Batch, Code, KTime, MappedFile, Pid};
use support::record_controlled;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/changing.c");
/// Bytes for which the working function is alone.
const FUNCTION: u64 = 64;

/// Compiles the program, or the library, without a build ID: a file is known by the kernel's identity alone.
fn compile(options: &[&str], to: &Path) {
    let compiler = Command::new("cc")
        .args(["-O2", "-Wl,--build-id=none"])
        .args(options)
        .arg("-o")
        .args([to, Path::new(SOURCE)])
        .arg("-ldl")
        .status();
    assert!(compiler.unwrap().success());
}

/// A program's report of one run of its function.
#[derive(Debug)]
struct Run {
    pid: Pid,
    begin: KTime,
    end: KTime,
    pc: u64,
    inode: u64,
    offset: u64,
}

/// Runs a program to its end, and returns the runs that it reports.
fn run(command: &mut Command) -> Vec<Run> {
    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let pid = Pid(child.id());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let run = |line: &str| {
        let words: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        let [begin, end, pc, inode, offset] = words[..] else { panic!("{line}") };
        Run { pid, begin: KTime::from_nanos(begin), end: KTime::from_nanos(end), pc, inode, offset }
    };
    text.lines().map(run).collect()
}

/// The files of the samples in a run's function. Each sample has a mapping, of the run's file, at the run's byte.
fn files(batches: &[Batch], run: &Run) -> Vec<Arc<MappedFile>> {
    let samples = batches.iter().flat_map(Batch::samples);
    let in_time = samples
        .filter(|sample| sample.key.process.pid == run.pid && (run.begin..=run.end).contains(&sample.at));
    let mut files = Vec::new();
    for sample in in_time {
        let leaf = sample.stack.frames.iter().find(|frame| !frame.code.is_kernel());
        let Some(frame) = leaf.filter(|frame| (run.pc..run.pc + FUNCTION).contains(&frame.pc.0)) else {
            continue;
        };
        let Code::Mapped(mapping) = &frame.code else { panic!("{sample:?} has no mapping in {run:?}") };
        let Backing::File(file) = &mapping.backing else { panic!("{mapping:?} is no file in {run:?}") };
        assert_eq!(file.identity.inode, run.inode, "{mapping:?} {run:?}");
        assert_eq!(mapping.offset_of(frame.pc).0 - run.offset, frame.pc.0 - run.pc, "{mapping:?} {run:?}");
        files.push(Arc::clone(file));
    }
    files
}

/// The result of `work`, and the batches of the receiver meanwhile, at 997 Hz.
fn watch<T: Send + 'static>(work: impl FnOnce(PathBuf) -> T + Send + 'static) -> (Vec<Batch>, T) {
    let result = Arc::new(Mutex::new(None));
    let here = Arc::clone(&result);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    let batches = record_controlled(move |control| {
        control.set_samples_per_second(997);
        *here.lock().unwrap() = Some(work(path));
    });
    let result = result.lock().unwrap().take().unwrap();
    (batches, result)
}

/// Text that a program has copied into anonymous memory is its executable's all the same, at the byte that it was
/// copied from.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn text_on_huge_pages_is_its_executable_s() {
    let (batches, (runs, name)) = watch(|path| {
        let name = path.join("changing");
        compile(&[], &name);
        (run(Command::new(&name).arg("copied")), name)
    });
    let files = files(&batches, &runs[0]);
    assert!(files.len() > 200, "{} samples", files.len());
    assert!(files.iter().all(|file| *file.path == *name));
}

/// Libraries that take each other's place at one address are distinguished.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn libraries_that_come_and_go_are_distinguished() {
    let (batches, (runs, libraries)) = watch(|path| {
        let (name, libraries) = (path.join("changing"), [path.join("a.so"), path.join("b.so")]);
        compile(&[], &name);
        compile(&["-shared", "-fPIC", "-DSHARED"], &libraries[0]);
        fs::copy(&libraries[0], &libraries[1]).unwrap();
        (run(Command::new(&name).arg("dlopen").args(&libraries)), libraries)
    });
    assert_eq!(runs.len(), 150);
    let mut found = [0, 0];
    for (round, run) in runs.iter().enumerate() {
        let files = files(&batches, run);
        assert!(files.iter().all(|file| *file.path == *libraries[round % 2]));
        found[round % 2] += files.len();
    }
    assert!(found.iter().all(|&found| found > 100), "{found:?} samples");
}

/// Fault e: two files of one path, each in a mount namespace of its own, neither with a build ID.
#[test]
#[ignore = "needs root: loads BPF programs, and mounts"]
fn files_of_one_path_in_two_containers_are_two() {
    let (batches, (runs, name)) = watch(|path| {
        let (built, name) = (path.join("changing"), path.join("root/changing"));
        fs::create_dir(path.join("root")).unwrap();
        compile(&[], &built);
        let container = || {
            let path = path.clone();
            std::thread::spawn(move || {
                let script = "mount -t tmpfs none root; cp changing root/; exec \"$PWD\"/root/changing plain";
                let unshare = ["--mount", "--propagation", "private", "sh", "-ec", script];
                run(Command::new("unshare").args(unshare).current_dir(path)).remove(0)
            })
        };
        let containers = [container(), container()];
        (containers.map(|container| container.join().unwrap()), name)
    });
    let files = [files(&batches, &runs[0]), files(&batches, &runs[1])];
    assert!(files.iter().all(|files| files.len() > 100), "{} and {} samples", files[0].len(), files[1].len());
    let identities = [0, 1].map(|container| {
        let first = files[container][0].identity;
        assert!(files[container].iter().all(|file| file.identity == first && *file.path == *name));
        first
    });
    assert_ne!(identities[0].device, identities[1].device);
    assert!(!Arc::ptr_eq(&files[0][0], &files[1][0]));
}
