//! Files that user space opens, compared with those that samples were in, by the kernel's own identities.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File, FileTimes};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use pdata::{Backing, Batch, Code, FileIdentity, Pid};
use receiver_ebpf::{Config, Control};
use support::{Recorder, run};

/// A time long enough for any machine.
const LONG: Duration = Duration::from_secs(300);
const EXT4_SUPER_MAGIC: i64 = 0xef53;

/// Starts a copy of a shell that works until it is killed.
fn start(path: &Path) -> Child {
    fs::copy("/bin/sh", path).unwrap();
    let begun = Instant::now();
    loop {
        match Command::new(path).args(["-c", "while :; do :; done"]).spawn() {
            // A child of another test, which has not called exec yet, holds the copy open for writing.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && begun.elapsed() < LONG => {
                thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome.unwrap(),
        }
    }
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The identity of the executable of a process, by its name, once a sample has brought it.
fn identity(recorder: &Recorder, child: &Child, name: &str) -> FileIdentity {
    let pid = Pid(child.id());
    let begun = Instant::now();
    loop {
        let batches: Vec<Batch> = recorder.0.lock().unwrap().drain(..).collect();
        let samples = batches.iter().flat_map(Batch::samples).filter(|sample| sample.key.process.pid == pid);
        let frames = samples.flat_map(|sample| &sample.stack.frames);
        let found = frames.filter_map(|frame| match &frame.code {
            Code::Mapped(mapping) => match &mapping.backing {
                Backing::File(file) if file.path.ends_with(name) => Some(file.identity),
                _ => None,
            },
            _ => None,
        });
        if let Some(identity) = found.last() {
            return identity;
        }
        assert!(begun.elapsed() < LONG, "no sample in {name}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs `work` beside a receiver whose batches it can read.
fn beside(work: impl FnOnce(&Control, &Recorder) + Send + 'static) {
    let recorder = Recorder::default();
    let seen = recorder.clone();
    run(Config::default(), recorder, move |control| work(control, &seen));
}

/// True if this process has a file open that had this name.
fn is_held(name: &Path) -> bool {
    let gone = [name.as_os_str().as_encoded_bytes(), b" (deleted)"].concat();
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    open.filter_map(|open| fs::read_link(open.path()).ok())
        .any(|to| to.as_os_str().as_encoded_bytes() == &*gone)
}

/// A file under another's name, with its inode number, size and time, is not taken for it: only its generation differs.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_file_that_has_taken_another_s_name_and_inode_number_is_not_taken_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().canonicalize().unwrap().join("worker");
    beside(move |control, recorder| {
        let begun = Instant::now();
        loop {
            let child = start(&name);
            let old = identity(recorder, &child, "worker");
            let opened = File::open(&name).unwrap();
            let before = opened.metadata().unwrap();
            assert_eq!(control.is_file(&opened, old), Some(true));
            let other = FileIdentity { generation: old.generation.wrapping_add(1), ..old };
            assert_eq!(control.is_file(&opened, other), Some(false), "the generation counts");
            drop(opened);
            end(child);
            fs::remove_file(&name).unwrap();
            // The receiver is in this process. A file that any process has open keeps its number.
            while is_held(&name) {
                assert!(begun.elapsed() < LONG, "the receiver keeps it for ever");
                thread::sleep(Duration::from_millis(50));
            }
            fs::copy("/bin/sh", &name).unwrap();
            let times = FileTimes::new().set_modified(before.modified().unwrap());
            File::options().write(true).open(&name).unwrap().set_times(times).unwrap();
            let opened = File::open(&name).unwrap();
            let now = opened.metadata().unwrap();
            assert_eq!(control.is_file(&opened, old), Some(false));
            assert_eq!((now.len(), now.modified().unwrap()), (before.len(), before.modified().unwrap()));
            // ext4 gives the number of a file that has gone to the next file, unless another program is first.
            let reuses = rustix::fs::statfs(&name).unwrap().f_type == EXT4_SUPER_MAGIC;
            if !reuses || now.ino() == before.ino() {
                return;
            }
            assert!(begun.elapsed() < LONG, "the number is never given again");
        }
    });
}

/// A file that is written in place is another than before; a file that others link or read is not.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_file_that_was_written_in_place_is_not_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().canonicalize().unwrap().join("worker");
    beside(move |control, recorder| {
        let child = start(&name);
        let old = identity(recorder, &child, "worker");
        end(child);
        fs::hard_link(&name, name.with_extension("link")).unwrap();
        fs::read(&name).unwrap();
        assert_eq!(control.is_file(&File::open(&name).unwrap(), old), Some(true));
        let bytes = fs::read(&name).unwrap();
        fs::write(&name, bytes).unwrap();
        assert_eq!(control.is_file(&File::open(&name).unwrap(), old), Some(false));
    });
}

/// In an overlay a sample is in the file of a layer. Opened by its name there, the file is that of the layer, which
/// neither its device nor its inode number show.
#[test]
#[ignore = "needs root: loads BPF programs, and mounts"]
fn a_file_of_an_overlay_is_known_by_its_layer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    beside(move |control, recorder| {
        let shell = |script: &str| {
            assert!(Command::new("sh").args(["-ec", script]).current_dir(&path).status().unwrap().success());
        };
        shell("mkdir layers merged; mount -t tmpfs none layers; mkdir layers/low layers/up layers/work");
        shell("cp /bin/sh layers/low/worker; cp /bin/sh layers/low/other");
        shell("mount -t overlay -o lowerdir=layers/low,upperdir=layers/up,workdir=layers/work none merged");
        let merged = path.join("merged");
        let child = Command::new(merged.join("worker")).args(["-c", "while :; do :; done"]).spawn().unwrap();
        let worker = identity(recorder, &child, "worker");
        assert_eq!(control.is_file(&File::open(merged.join("worker")).unwrap(), worker), Some(true));
        assert_eq!(control.is_file(&File::open(path.join("layers/low/worker")).unwrap(), worker), Some(true));
        assert_eq!(control.is_file(&File::open(merged.join("other")).unwrap(), worker), Some(false));
        end(child);
        // Whoever profiles this machine may have a file open there.
        shell("umount --lazy merged layers");
    });
}
