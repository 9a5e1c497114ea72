//! Lists of compiled functions, as processes that live and processes that are gone have written them.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use foreignfile::Quarantine;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use pdata::{BootTime, Pid, ProcessKey, Uid};
use procfs::ProcSource;

use crate::jit::Jits;
use crate::request::Unnamed;

const MIB: usize = 1 << 20;
/// Longer than anything takes, on whatever machine; a file system that is slow is not taken for one that is stuck.
const PATIENCE: Duration = Duration::from_secs(120);
/// Nanoseconds of a tick, in which `/proc` shows when a process started.
const TICK: u64 = 10_000_000;

/// The key of a process.
pub(super) fn key_of(pid: u32) -> ProcessKey {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields.split_whitespace().nth(19).unwrap().parse().unwrap();
    ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(ticks * TICK) }
}

/// A process that has a list, which this test writes.
struct Process {
    child: Child,
    path: PathBuf,
}

impl Process {
    fn start() -> Self {
        let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let path = PathBuf::from(format!("/tmp/perf-{}.map", child.id()));
        // Left by a process that had the pid before.
        let _none = fs::remove_file(&path);
        Self { child, path }
    }

    fn key(&self) -> ProcessKey {
        key_of(self.child.id())
    }

    fn write(&self, text: &str) {
        let mut list = OpenOptions::new().append(true).create(true).open(&self.path).unwrap();
        list.write_all(text.as_bytes()).unwrap();
    }

    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = (self.child.kill(), self.child.wait());
        let _gone = fs::remove_file(&self.path);
    }
}

/// Lists, and the process that reads them.
pub(super) struct JitReader {
    pub(super) jits: Jits,
    files: foreignfile::Files,
}

impl JitReader {
    pub(super) fn new(max_bytes: usize) -> Self {
        let jits = Jits::new(ProcSource::new("/proc"), max_bytes);
        let mut files = foreignfile::Files::new(Quarantine::of_this_process());
        files.wait_for_answers(PATIENCE);
        Self { jits, files }
    }

    pub(super) fn name(&mut self, process: ProcessKey, address: u64) -> Result<String, Unnamed> {
        let names = self.jits.names(&mut self.files, process, None, &[address]).names?;
        names[0].1.clone().map(|lines| lines.0[0].function.name.to_string())
    }

    /// Asks until an address has that name.
    pub(super) fn wait_for(&mut self, process: ProcessKey, address: u64, name: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.name(process, address);
            if found.as_deref() == Ok(name) {
                return;
            }
            assert!(Instant::now() < until, "{address:#x}: {found:?}, expected {name}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Number of searches for lists with that outcome in `run`.
fn outcomes(outcome: &str, run: impl FnOnce()) -> u64 {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, run);
    let all = snapshotter.snapshot().into_vec();
    let counts = all.into_iter().filter_map(|(key, _, _, value)| {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        let is_it = key.key().name() == "otelcol_processor_symbolizer_jit_lists_total" && labels == [outcome];
        match value {
            DebugValue::Counter(count) if is_it => Some(count),
            _ => None,
        }
    });
    counts.sum()
}

#[test]
fn a_list_names_functions_as_it_grows_and_when_it_is_written_anew() {
    let process = Process::start();
    let (key, mut reader) = (process.key(), JitReader::new(MIB));
    assert_eq!(reader.name(key, 0x1000), Err(Unnamed::NoFile), "there is no list yet");
    process.write("1000 100 first\n2000 100 cut o");
    reader.wait_for(key, 0x10ff, "first");
    assert_eq!(reader.name(key, 0x2000), Err(Unnamed::NoFile), "the line has not ended");
    process.write("ff\n");
    reader.wait_for(key, 0x2000, "cut off");
    fs::write(&process.path, "1000 100 anew, and longer than the list was before\n").unwrap();
    reader.wait_for(key, 0x1000, "anew, and longer than the list was before");
    let until = Instant::now() + PATIENCE;
    while reader.name(key, 0x2000).is_ok() {
        assert!(Instant::now() < until, "the list has it no longer");
    }
}

#[test]
fn what_a_list_has_gained_before_its_process_ended_is_read_from_the_list_itself() {
    let mut process = Process::start();
    let (key, mut reader) = (process.key(), JitReader::new(MIB));
    process.write("1000 100 first\n");
    reader.wait_for(key, 0x1000, "first");
    process.write("2000 100 second\n");
    process.end();
    let is_held = reader.jits.held().1 == 1;
    fs::remove_file(&process.path).unwrap();
    // Another's list at that path is none of this process.
    fs::write(&process.path, "1000 100 other\n2000 100 other\n").unwrap();
    assert_eq!(reader.name(key, 0x1000).as_deref(), Ok("first"));
    // A list is not held open if its file system may ask others when it is read. A list that is held is read at once:
    // these samples are the last.
    if is_held {
        assert_eq!(reader.name(key, 0x2000).as_deref(), Ok("second"));
    }
    assert_eq!(reader.jits.held().1, 0, "there is nothing left to read");
    assert_eq!(reader.name(key, 0x1000).as_deref(), Ok("first"));
}

/// A deleted list takes room on its disk for as long as it is open.
#[test]
fn a_list_that_is_not_used_any_more_is_closed_and_opened_again_for_new_samples() {
    let process = Process::start();
    let (key, mut reader) = (process.key(), JitReader::new(MIB));
    process.write("1000 100 first\n");
    reader.wait_for(key, 0x1000, "first");
    let now = Instant::now();
    assert_eq!(reader.jits.close_old(now), reader.jits.held().1 == 1, "it has just been used");
    reader.jits.was_stopped(Duration::from_secs(5));
    let later = now + Duration::from_secs(11);
    assert_eq!(reader.jits.close_old(later), reader.jits.held().1 == 1, "the agent was stopped meanwhile");
    assert!(!reader.jits.close_old(later + Duration::from_secs(5)));
    assert_eq!(reader.jits.held().1, 0);
    process.write("2000 100 second\n");
    reader.wait_for(key, 0x2000, "second");
    assert_eq!(reader.name(key, 0x1000).as_deref(), Ok("first"));
}

/// In a container the same small pids come back at once, so a list may be an earlier process's.
#[test]
fn a_list_that_an_earlier_process_has_left_names_nothing_until_it_is_written_to() {
    let process = Process::start();
    process.write("1000 100 old\n");
    let list = OpenOptions::new().append(true).open(&process.path).unwrap();
    list.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    let mut reader = JitReader::new(MIB);
    let count = outcomes("stale", || {
        assert_eq!(reader.name(process.key(), 0x1000), Err(Unnamed::NoFile));
    });
    assert_eq!(count, 1);
    fs::write(&process.path, "1000 100 own\n").unwrap();
    reader.wait_for(process.key(), 0x1000, "own");
}

#[test]
fn lists_of_a_user_who_has_had_much_read_wait_for_their_turn() {
    let process = Process::start();
    let (key, mut reader) = (process.key(), JitReader::new(MIB));
    let (user, other, now) = (Some(Uid(1)), Some(Uid(2)), Instant::now());
    assert!(reader.jits.is_quick(key, user, now));
    reader.jits.have_read(user, Duration::from_secs(1));
    assert!(!reader.jits.is_quick(key, user, now) && reader.jits.is_quick(key, other, now));
    process.write("1000 100 first\n");
    reader.wait_for(key, 0x1000, "first");
    assert!(reader.jits.is_quick(key, user, now), "what has been read is answered at once");
}

#[test]
fn what_is_no_list_names_nothing_and_is_counted() {
    let process = Process::start();
    let target = tempfile::NamedTempFile::new().unwrap();
    fs::write(target.path(), "1000 100 secret\n").unwrap();
    let too_large = || {
        process.write("1000 100 first\n");
        File::options().write(true).open(&process.path).unwrap().set_len(10 << 30).unwrap();
    };
    let pipe = || {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &process.path, kind, mode, 0).unwrap();
    };
    let link = || std::os::unix::fs::symlink(target.path(), &process.path).unwrap();
    let directory = || fs::create_dir(&process.path).unwrap();
    let all: [(&dyn Fn(), &str); 4] =
        [(&too_large, "refused"), (&link, "missing"), (&pipe, "missing"), (&directory, "missing")];
    for (index, (put, outcome)) in all.into_iter().enumerate() {
        put();
        let count = outcomes(outcome, || {
            assert_eq!(JitReader::new(MIB).name(process.key(), 0x1000), Err(Unnamed::NoFile));
        });
        assert_eq!(count, 1, "{index}");
        let _gone = fs::remove_file(&process.path).or_else(|_directory| fs::remove_dir(&process.path));
    }
}

#[test]
#[ignore = "needs root: gives a file to another user"]
fn a_list_of_another_user_names_nothing() {
    let process = Process::start();
    process.write("1000 100 planted\n");
    chown(&process.path, Some(65534), Some(65534)).unwrap();
    let count = outcomes("refused", || {
        assert_eq!(JitReader::new(MIB).name(process.key(), 0x1000), Err(Unnamed::NoFile));
    });
    assert_eq!(count, 1);
    chown(&process.path, Some(0), Some(0)).unwrap();
    JitReader::new(MIB).wait_for(process.key(), 0x1000, "planted");
}

#[test]
fn a_list_that_is_too_long_takes_no_more_room_than_it_may_and_processes_make_room_for_each_other() {
    let processes: Vec<_> = (0..3).map(|_| Process::start()).collect();
    let text: String = (1..2000).map(|at| format!("{:x} 10 function number {at}\n", at * 0x10)).collect();
    let room = 64 << 10;
    let mut reader = JitReader::new(room);
    for process in &processes {
        process.write(&text);
        reader.wait_for(process.key(), 0x10, "function number 1");
        let (held, _, bytes) = reader.jits.held();
        assert!(bytes <= room && held >= 1, "{held} {bytes}");
    }
    assert_eq!(reader.name(processes[2].key(), 0x10 * 1999), Err(Unnamed::NoFile), "it is full");
    assert!(reader.jits.held().0 < 3);
}
