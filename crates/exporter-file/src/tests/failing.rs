//! Files that cannot be written.

use std::process::Command;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use super::*;
use crate::format::Content;
use crate::open::sync_fault;
use crate::output::Output;
use crate::template::Template;
use crate::{Format, Fsync};

#[test]
fn a_file_that_cannot_be_opened_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none/profiles.jsonl");
    for format in [Format::Json, Format::Pprof] {
        let config = Config { format, ..config(&missing) };
        let error = FileExporter::open(&DeliverySettings::new("file"), config).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "path: cannot open {} for writing: create its directory, set create_directory: true, or name a file in \
                 one that exists",
                missing.display()
            )
        );
    }
    for result in [
        FileExporter::check(&config(directory.path())),
        FileExporter::open(&DeliverySettings::new("file"), config(directory.path())).map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(error.to_string().ends_with("it is a directory, name a file in it"), "{error}");
    }
}

#[test]
fn looking_whether_a_file_can_be_written_changes_nothing() {
    let (directory, path) = place("p.jsonl");
    for format in [Format::Json, Format::Pprof] {
        FileExporter::check(&Config { format, ..config(&path) }).unwrap();
        assert!(names(directory.path()).is_empty());
    }
    fs::write(&path, "kept").unwrap();
    FileExporter::check(&config(&path)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    let missing = directory.path().join("none/p.jsonl");
    FileExporter::check(&config(&missing)).unwrap_err();
    let deep = directory.path().join("none/%Y/p.pb.gz");
    for (path, format) in [(&missing, Format::Json), (&missing, Format::Pprof), (&deep, Format::Pprof)] {
        FileExporter::check(&Config { format, create_directory: true, ..config(path) }).unwrap();
    }
    let part = directory.path().join(".p.pb.gz.part");
    fs::write(&part, "of an exporter that runs").unwrap();
    FileExporter::check(&Config { format: Format::Pprof, ..config(&directory.path().join("p.pb.gz")) })
        .unwrap();
    assert_eq!(fs::read_to_string(&part).unwrap(), "of an exporter that runs");
    fs::remove_file(&part).unwrap();
    let below_file = directory.path().join("p.jsonl/none/p.jsonl");
    FileExporter::check(&Config { create_directory: true, ..config(&below_file) }).unwrap_err();
    assert_eq!(names(directory.path()), ["p.jsonl"]);
}

/// Samples that the exporter's metrics count as sent and as failed. Reading resets the counters.
fn counts(snapshotter: &Snapshotter) -> (u64, u64) {
    let all = snapshotter.snapshot().into_vec();
    let counter = |name: &str| {
        let mut found = all.iter().filter(|(key, ..)| key.key().name() == name).map(|(.., value)| value);
        match (found.next(), found.next()) {
            (Some(DebugValue::Counter(count)), None) => *count,
            other => panic!("{other:?}"),
        }
    };
    let names = ["sent", "send_failed"].map(|what| format!("otelcol_exporter_{what}_profile_samples"));
    (counter(&names[0]), counter(&names[1]))
}

/// Runs on this thread with a recorder of its own.
fn counted<T>(work: impl Future<Output = T>) -> (T, Snapshotter) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (metrics::with_local_recorder(&recorder, || runtime.block_on(work)), snapshotter)
}

#[test]
fn what_is_no_file_is_not_synced() {
    let ((), snapshotter) = counted(async {
        let mut exporter = open(Config { fsync: Fsync::Always, ..config(Path::new("/dev/null")) });
        send(&mut exporter, second(0, 3)).await;
    });
    assert_eq!(counts(&snapshotter), (3, 0));
}

#[test]
fn what_cannot_be_written_is_counted_and_given_up_on() {
    let (answer, snapshotter) = counted(async {
        let mut exporter = open(config(Path::new("/dev/full")));
        send(&mut exporter, second(0, 3)).await
    });
    assert_eq!(answer, Watermark::before(KTime::from_nanos(1_000_000_000)));
    assert_eq!(counts(&snapshotter), (0, 3));
}

/// A file system of 64 KiB, gone with this value.
struct Tiny(tempfile::TempDir);

impl Tiny {
    fn mount() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=64k", "tiny"]).arg(directory.path());
        assert!(mount.status().unwrap().success());
        Self(directory)
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _best = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// A batch that is too large for a small file system in any format.
fn too_much(number: u64) -> Batch {
    let mut batch = second(number, 0);
    let start = number * 1_000_000_000;
    // Every stack has other addresses, which no compression makes small.
    let stack = |n: u64| {
        let pc = |frame: u64| Pc((n * 20 + frame + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8);
        (0..20).map(|frame| Frame::exact(pc(frame), Code::Unknown)).collect()
    };
    let comm = |n: u64| {
        let mut comm = [0; 16];
        comm[..11].copy_from_slice(format!("worker {n:04}").as_bytes());
        Comm(comm)
    };
    let event = |n: u64| Event::Sample(Sample { stack: stack(n), comm: comm(n), ..sample(start + n) });
    batch.events = Arc::new((0..2_000).map(event).collect());
    batch
}

#[test]
#[ignore = "needs root: mounts a tmpfs"]
fn a_full_disk_costs_whole_windows_and_is_over_when_there_is_room() {
    for (format, name) in [
        (Format::Json, "p.jsonl"),
        (Format::Proto, "p.bin"),
        (Format::Folded, "p.folded"),
        (Format::Pprof, "p.pb.gz"),
    ] {
        let tiny = Tiny::mount();
        let path = tiny.0.path().join(name);
        let ((), snapshotter) = counted(async {
            let mut exporter = open(Config { format, ..config(&path) });
            send(&mut exporter, second(0, 1)).await;
            send(&mut exporter, too_much(1)).await;
            send(&mut exporter, second(2, 2)).await;
        });
        assert_eq!(counts(&snapshotter), (3, 2_000), "{format:?}");
        match format {
            Format::Json => assert_eq!(samples(&path), [1, 2]),
            Format::Proto => assert_eq!(formats::frames(&fs::read(&path).unwrap()).len(), 2),
            Format::Folded => assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2),
            Format::Pprof => assert_eq!(names(tiny.0.path()).len(), 2),
        }
    }
}

/// The receiver may fail to start after the exporter: the last run's profiles are still there then.
#[tokio::test]
async fn a_start_alone_changes_nothing() {
    let (directory, path) = place("p.jsonl");
    fs::write(&path, "{}\n").unwrap();
    let mut exporter = open(config(&path));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n");
    send(&mut exporter, second(0, 3)).await;
    assert_eq!(samples(&path), [3]);
    let deep = directory.path().join("none/p.jsonl");
    open(Config { create_directory: true, ..config(&deep) });
    assert_eq!(names(directory.path()), ["p.jsonl"]);
}

/// Neither a pipe that nobody has opened nor one that nobody reads holds up more than its own windows.
#[tokio::test]
async fn a_pipe_without_a_reader_holds_up_nothing() {
    let (_directory, path) = place("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut exporter = open(config(&path));
    send(&mut exporter, second(0, 3)).await;
    let reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    send(&mut exporter, second(1, 4)).await;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(reader), &mut line).unwrap();
    assert_eq!(samples_of(&serde_json::from_str(&line).unwrap()), 4);
}

/// A reader that stands still holds up one window for some seconds, and no other. Once it reads on, it finds whole
/// records: the rest of the one that it had a part of, and those that come from then on.
#[test]
fn a_full_pipe_holds_up_one_window_and_breaks_none() {
    let (_directory, path) = place("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let (lines, snapshotter) = counted(async {
        let mut exporter = open(config(&path));
        // Larger than the pipe.
        send(&mut exporter, too_much(0)).await;
        let stood = std::time::Instant::now();
        for number in 1..=20 {
            send(&mut exporter, second(number, 1)).await;
        }
        // Each would take five seconds if it were waited for.
        assert!(stood.elapsed() < Duration::from_secs(50), "{:?}", stood.elapsed());
        let reading = std::thread::spawn(move || {
            let lines = std::io::BufRead::lines(std::io::BufReader::new(reader));
            lines.take(2).map(Result::unwrap).collect::<Vec<_>>()
        });
        // The reader may need some time for its start.
        let mut next = 21;
        while !reading.is_finished() {
            send(&mut exporter, second(next, 4)).await;
            next += 1;
        }
        reading.join().unwrap()
    });
    let counts_of = |line: &String| samples_of(&serde_json::from_str(line).unwrap());
    assert_eq!(lines.iter().map(counts_of).collect::<Vec<_>>(), [2_000, 4]);
    let (sent, failed) = counts(&snapshotter);
    assert!(sent >= 4 && failed >= 2_020, "{sent} {failed}");
}

/// In a directory that others can write to, a file of ours may have a name that is theirs.
#[tokio::test]
async fn no_link_of_another_user_is_written_through() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let (directory, victim) = place("victim");
    fs::write(&victim, "kept").unwrap();
    let shared = directory.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    symlink(&victim, shared.join("p.jsonl")).unwrap();
    let error =
        FileExporter::open(&DeliverySettings::new("file"), config(&shared.join("p.jsonl"))).unwrap_err();
    assert!(error.to_string().contains("cannot open"), "{error}");
    symlink(&victim, shared.join(".p.pb.gz.part")).unwrap();
    let mut exporter = open(Config { format: Format::Pprof, ..config(&shared.join("p.pb.gz")) });
    send(&mut exporter, second(0, 3)).await;
    assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
}

/// Once its disk has failed for good, a file is neither written to nor kept open: the next window goes to the file that
/// the path names then, such as that on the disk that has been put in its place.
#[test]
fn a_file_that_the_disk_does_not_keep_is_let_go_of() {
    let (directory, path) = place("p.jsonl");
    let mut windows = otlp_profiles::Windows::new(Duration::from_secs(1), usize::MAX);
    let mut request = |n| Content::Request(windows.push(&second(n, n + 1)).requests.remove(0));
    let config = Config { fsync: Fsync::Interval, append: true, ..config(&path) };
    let mut output = Output::open(config, Template::new(&path).unwrap()).unwrap();
    output.write(&request(0)).unwrap();
    sync_fault::set(Some(std::io::ErrorKind::Other));
    output.sync().unwrap_err();
    assert!(!output.wants_sync(), "it is not asked for again");
    // Somebody moves the broken file away while the disk still fails.
    output.write(&request(1)).unwrap();
    let old = directory.path().join("old.jsonl");
    fs::rename(&path, &old).unwrap();
    output.write(&request(2)).unwrap();
    sync_fault::set(None);
    output.sync().unwrap();
    assert_eq!((samples(&old), samples(&path)), (vec![1, 2], vec![3]));
}
