//! A made-up `/proc`, and the real one of this very process.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use pdata::{BootTime, Pid};
use tempfile::TempDir;

use super::*;

const KEY: ProcessKey = ProcessKey { pid: Pid(42), start_time: BootTime::from_nanos(50_000_000) };

/// `/proc/42` of a process that started 5 ticks after boot and runs `/srv/root/bin/a` in a chroot at
/// `/srv/root`, which lies under the temporary directory.
struct Tree {
    dir: TempDir,
    process: PathBuf,
    root: PathBuf,
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (process, root) = (dir.path().join("proc/42"), dir.path().join("srv/root"));
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("bin/a"), "program").unwrap();
        fs::create_dir_all(process.join("ns")).unwrap();
        fs::write(process.join("ns/mnt"), "").unwrap();
        symlink(&root, process.join("root")).unwrap();
        symlink(root.join("bin/a"), process.join("exe")).unwrap();
        fs::write(process.join("comm"), "a\n").unwrap();
        let tree = Self { dir, process, root };
        tree.stat(4_194_304, 5);
        tree
    }

    fn stat(&self, flags: u32, start: u64) {
        let text = format!("42 (a) S 1 42 42 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0\n");
        fs::write(self.process.join("stat"), text).unwrap();
    }

    fn source(&self) -> ProcSource {
        ProcSource::new(self.dir.path().join("proc"))
    }
}

fn files() -> Files {
    let mut files = Files::new(Arc::default());
    files.wait_for_answers(std::time::Duration::from_secs(60));
    files
}

#[test]
fn a_process_in_a_chroot_shows_both_views_of_its_path() {
    let tree = Tree::new();
    let snapshot = tree.source().snapshot(&mut files(), KEY, Tid(42)).unwrap();
    let executable = snapshot.executable.unwrap();
    assert_eq!(*executable.path, *tree.root.join("bin/a"));
    assert_eq!(executable.own_path.as_deref(), Some(Path::new("/bin/a")));
    assert_eq!(executable.state, FileState::Linked);
    assert_eq!(executable.inode, fs::metadata(tree.root.join("bin/a")).unwrap().ino());
    assert_eq!(snapshot.comm.as_bytes(), b"a");
}

#[test]
fn a_name_that_ends_like_a_mark_is_told_from_a_mark() {
    let tree = Tree::new();
    let named = tree.root.join("bin/a (deleted)");
    fs::rename(tree.root.join("bin/a"), &named).unwrap();
    fs::remove_file(tree.process.join("exe")).unwrap();
    symlink(&named, tree.process.join("exe")).unwrap();
    let executable = tree.source().snapshot(&mut files(), KEY, Tid(42)).unwrap().executable.unwrap();
    assert_eq!((&*executable.path, executable.state), (&*named, FileState::Linked));
}

#[test]
fn a_file_that_has_lost_the_name_it_was_opened_by_is_deleted_even_if_it_has_another() {
    let dir = tempfile::tempdir().unwrap();
    let (opened, other) = (dir.path().join("opened"), dir.path().join("other"));
    fs::copy("/bin/sleep", &opened).unwrap();
    let mut child = std::process::Command::new(&opened).arg("60").spawn().unwrap();
    fs::hard_link(&opened, &other).unwrap();
    fs::remove_file(&opened).unwrap();
    let seen = super::executable(&mut files(), Path::new(&format!("/proc/{}", child.id())));
    child.kill().unwrap();
    child.wait().unwrap();
    let executable = seen.unwrap();
    assert_eq!((&*executable.path, executable.state), (&*opened, FileState::Deleted));
}

#[test]
fn a_process_whose_leader_has_exited_is_seen_through_the_thread() {
    let tree = Tree::new();
    let thread = tree.process.join("task/43");
    fs::create_dir_all(thread.join("ns")).unwrap();
    for file in ["comm", "exe", "root", "ns/mnt"] {
        fs::rename(tree.process.join(file), thread.join(file)).unwrap();
    }
    assert!(matches!(tree.source().snapshot(&mut files(), KEY, Tid(42)), Err(ProcError::Gone)));
    let snapshot = tree.source().snapshot(&mut files(), KEY, Tid(43)).unwrap();
    assert_eq!(*snapshot.executable.unwrap().path, *tree.root.join("bin/a"));
    assert_eq!(tree.source().threads(KEY), [thread]);
}

#[test]
fn a_kernel_thread_has_no_executable() {
    let tree = Tree::new();
    tree.stat(0x0020_0000, 5);
    assert_eq!(tree.source().snapshot(&mut files(), KEY, Tid(42)).unwrap().executable, None);
}

#[test]
fn another_process_with_the_pid_is_told_from_this_one_and_from_none() {
    let tree = Tree::new();
    tree.stat(0, 900);
    assert!(matches!(tree.source().snapshot(&mut files(), KEY, Tid(42)), Err(ProcError::Ended)));
    fs::remove_dir_all(&tree.process).unwrap();
    assert!(matches!(tree.source().snapshot(&mut files(), KEY, Tid(42)), Err(ProcError::Ended)));
}

#[test]
fn this_process_is_seen_as_it_is() {
    let key = own_key();
    let before = crate::clock::now();
    let snapshot = ProcSource::new("/proc").snapshot(&mut files(), key, Tid(key.pid.0)).unwrap();
    let executable = snapshot.executable.unwrap();
    let own = std::env::current_exe().unwrap();
    assert_eq!((&*executable.path, executable.own_path), (&*own, None));
    assert_eq!(executable.inode, fs::metadata(&own).unwrap().ino());
    assert!(before <= crate::clock::now());
}

/// The identity of this process. Only the kernel shows its start: in the 22nd field of its stat.
fn own_key() -> ProcessKey {
    let text = fs::read("/proc/self/stat").unwrap();
    let after_name = text.rsplit(|&byte| byte == b')').next().unwrap();
    let ticks = String::from_utf8_lossy(after_name).split_whitespace().nth(19).unwrap().parse::<u64>();
    let start_time = BootTime::from_nanos(ticks.unwrap() * 10_000_000);
    ProcessKey { pid: Pid(std::process::id()), start_time }
}

#[test]
fn a_mapping_is_called_by_its_range() {
    let mapped = ProcSource::new("/proc").mapped(KEY, (Pc(0x1000), Pc(0xabc_d000)));
    assert_eq!(mapped, Path::new("/proc/42/map_files/1000-abcd000"));
}

/// A user makes an environment as large as the kernel allows.
#[test]
fn of_an_environment_no_more_is_taken_than_is_of_use() {
    let tree = Tree::new();
    let long = format!("OTEL_RESOURCE_ATTRIBUTES={}", "x".repeat(127 << 10));
    let variables = [&long, &long, "OTEL_SERVICE_NAME=a", "OTEL_SERVICE_NAME=b", "HOME=/", "OTEL_TEAM=c"];
    fs::write(tree.process.join("environ"), variables.map(|variable| format!("{variable}\0")).concat())
        .unwrap();
    let read = |prefixes: &[&str]| tree.source().variables(&mut files(), KEY, Tid(42), prefixes).unwrap();
    assert_eq!(read(&["OTEL_SERVICE_NAME=", "OTEL_RESOURCE_ATTRIBUTES="]), b"OTEL_SERVICE_NAME=a\0");
    assert_eq!(read(&["OTEL_"]), b"OTEL_SERVICE_NAME=a\0OTEL_TEAM=c\0");
    let many: String = (0..1000).map(|number| format!("A{number}={}\0", "x".repeat(1000))).collect();
    fs::write(tree.process.join("environ"), many).unwrap();
    assert_eq!(read(&["A"]).len(), 8 * 1004, "as many as there is room for");
}

proptest::proptest! {
    /// Any environment is read: no panic, a bounded part of it, only the wanted variables, and each name once.
    #[test]
    fn any_environment_is_read(text in "([AB=x]{0,4}\0|B{0,3}=x{0,900}\0){0,20}", bytes: Vec<u8>) {
        for environment in [text.as_bytes(), &bytes] {
            let taken = wanted(environment, &["A", "B="]);
            proptest::prop_assert!(taken.len() <= MAX_VARIABLES);
            let mut names: Vec<_> = taken.split_inclusive(|&byte| byte == 0).map(|variable| {
                assert!(variable.starts_with(b"A") || variable.starts_with(b"B="), "{variable:?}");
                variable[..variable.len() - 1].split(|&byte| byte == b'=').next().unwrap()
            }).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            proptest::prop_assert_eq!(names.len(), all);
        }
    }
}
