//! Files that are left by crashes, or damaged, and directories that cannot be used.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::fault::tests::{in_memory, kill_after, without_links};
use crate::store::{Found, Store};
use crate::{Appended, Client, Config, FileStorage, OpenError, Record, Stored};

/// Longer than any of these tests takes.
const PATIENCE: Duration = Duration::from_secs(120);

fn config(directory: &Path) -> Config {
    Config {
        directory: directory.to_owned(),
        fsync: false,
        fsync_interval: Duration::ZERO,
        ..Config::default()
    }
}

fn storage(directory: &Path) -> FileStorage {
    FileStorage::open(config(directory)).unwrap()
}

/// A client, and the requests that it has found.
fn client(storage: &FileStorage) -> (Client, Vec<Stored>) {
    let (answer, answered) = mpsc::sync_channel(1);
    let client = storage.client("otlp", move |stored| answer.send(stored).unwrap()).unwrap();
    (client, answered.recv_timeout(PATIENCE).unwrap())
}

async fn append(client: &Client, request: &'static [u8], samples: u64) -> crate::Handle {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let handle =
        client.append(Bytes::from_static(request), samples, |appended| answer.send(appended).unwrap());
    assert_eq!(answered.await.unwrap(), Appended::Durably);
    handle
}

#[tokio::test]
async fn what_is_in_the_file_is_there_for_the_next_client() {
    let dir = TempDir::new().unwrap();
    let storage = storage(dir.path());
    let (first, found) = client(&storage);
    assert_eq!(found, []);
    let mut handles = Vec::new();
    for (request, samples) in [(b"one".as_slice(), 1), (b"two", 2), (b"three", 3)] {
        handles.push(append(&first, request, samples).await);
    }
    assert_eq!(first.read(handles[2]).await, Ok(Some(Bytes::from_static(b"three"))));
    first.remove(handles[1]);
    first.flush().await;
    assert_eq!(first.read(handles[1]).await, Ok(None), "removed");
    drop(first);
    let (second, found) = client(&storage);
    assert_eq!(
        found.iter().map(|stored| (stored.samples, stored.bytes)).collect::<Vec<_>>(),
        [(1, 3), (3, 5)]
    );
    assert!(found.iter().all(|stored| stored.age < PATIENCE));
    assert_eq!(second.read(found[0].handle).await, Ok(Some(Bytes::from_static(b"one"))));
}

/// A key is not used again by a later run, or a removed record could be taken for the new one when a file is salvaged.
#[tokio::test]
async fn a_key_is_not_used_again_by_a_later_run() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("exporter_otlp.redb");
    let mut keys = Vec::new();
    for _run in 0..2 {
        let storage = storage(dir.path());
        let (client, found) = client(&storage);
        found.iter().for_each(|stored| client.remove(stored.handle));
        append(&client, b"request", 1).await;
        client.close().await;
        let (store, contents) = Store::open(&path, false).unwrap();
        keys.extend(contents.records.iter().map(|found| found.key));
        store.close();
        let (client, found) = self::client(&storage);
        found.iter().for_each(|stored| client.remove(stored.handle));
        client.close().await;
    }
    assert_eq!(keys.len(), 2);
    assert!(keys[0] < keys[1], "{keys:?}");
}

#[test]
fn a_new_file_has_no_request_and_is_not_corrupt() {
    let dir = TempDir::new().unwrap();
    let (store, _) = Store::open(&dir.path().join("queue"), false).unwrap();
    assert!(matches!(store.read(1), Ok(None)));
}

/// A new file cannot be made, as on a full disk.
#[test]
fn a_corrupt_file_stays_until_what_is_whole_in_it_has_another() {
    let (records, mut bytes) = file_of(&[10, 5_000]);
    bytes[..8].fill(0);
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("queue");
    fs::write(&path, &bytes).unwrap();
    let in_the_way = dir.path().join("queue.new");
    fs::create_dir(&in_the_way).unwrap();
    assert!(Store::open(&path, false).is_err());
    assert_eq!(fs::read(&path).unwrap().len(), bytes.len());
    fs::remove_dir(&in_the_way).unwrap();
    let (store, contents) = Store::open(&path, false).unwrap();
    assert_eq!(
        (contents.records.len(), contents.moved),
        (records.len(), Some(dir.path().join("queue.corrupt-1")))
    );
    store.close();
    assert!(!in_the_way.exists());
}

/// A copy of the file at any moment is the file that a kill at that moment leaves.
#[tokio::test]
async fn what_was_told_to_be_there_survives_a_kill() {
    let (dir, after) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let storage = storage(dir.path());
    let (alive, _) = client(&storage);
    for number in 1..=20 {
        append(&alive, b"request", number).await;
        let copy = after.path().join(number.to_string());
        fs::create_dir(&copy).unwrap();
        let file = "exporter_otlp.redb";
        fs::copy(dir.path().join(file), copy.join(file)).unwrap();
        let found = Store::open(&copy.join(file), false).unwrap().1;
        let samples: Vec<_> = found.records.iter().map(|found| found.samples).collect();
        assert_eq!(samples, (1..=number).collect::<Vec<_>>());
        assert_eq!((found.corrupt, found.moved), (0, None));
    }
}

#[tokio::test]
async fn a_client_waits_for_the_one_before_it() {
    let dir = TempDir::new().unwrap();
    let storage = storage(dir.path());
    let (first, _) = client(&storage);
    let (answer, answered) = mpsc::sync_channel(1);
    let second = storage.client("otlp", move |stored| answer.send(stored).unwrap()).unwrap();
    let waiting = tokio::spawn(async move { append(&second, b"later", 2).await });
    append(&first, b"first", 1).await;
    assert!(answered.try_recv().is_err());
    drop(first);
    assert_eq!(answered.recv_timeout(PATIENCE).unwrap().len(), 1);
    waiting.await.unwrap();
}

#[test]
fn a_directory_in_use_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let first = storage(dir.path());
    storage(dir.path());
    drop(first);
    let held = File::options().write(true).open(dir.path().join("lock")).unwrap();
    flock(&held, FlockOperation::NonBlockingLockExclusive).expect("nobody holds it any more");
    let error = FileStorage::open(Config { timeout: Duration::ZERO, ..config(dir.path()) }).unwrap_err();
    let path = fs::canonicalize(dir.path()).unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "directory: {} is in use by another agent (process {}): give each agent a directory of its own",
            path.display(),
            std::process::id()
        )
    );
}

#[test]
fn a_directory_that_is_missing_is_made_if_that_is_wanted() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a/b");
    assert!(matches!(FileStorage::open(config(&path)), Err(OpenError::Missing { .. })));
    let directory_permissions = "0700".to_owned();
    FileStorage::open(Config { create_directory: true, directory_permissions, ..config(&path) }).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_directory_that_cannot_be_written_is_reported() {
    // Even root cannot make a file there.
    let error = FileStorage::open(config(Path::new("/proc/self"))).unwrap_err();
    assert!(error.to_string().ends_with("name a directory that this user may write to"), "{error}");
    let create = Config { create_directory: true, ..config(Path::new("/proc/self/queue")) };
    let error = FileStorage::open(create).unwrap_err();
    assert!(error.to_string().ends_with("name one that this user may create"), "{error}");
}

/// A file with records of these lengths. Returns them, and the file's bytes.
fn file_of(lengths: &[usize]) -> (Vec<Record>, Vec<u8>) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("queue");
    let (mut store, _) = Store::open(&path, false).unwrap();
    let mut records = Vec::new();
    for (key, &length) in lengths.iter().enumerate() {
        let key = key as u64;
        // Bytes that no other record has.
        let request = (0..length).map(|at| (at as u64 * 7 + key * 13).to_le_bytes()[0]).collect();
        let record = Record { samples: key, created: 5, request };
        store.commit(&[(key, record.encode(key))], &[]).unwrap();
        records.push(record);
    }
    store.close();
    (records, fs::read(path).unwrap())
}

/// Opens a file that holds `bytes`. Returns the records that are whole, and whether any damage was reported.
fn open(bytes: &[u8]) -> (Vec<Record>, bool) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("queue");
    fs::write(&path, bytes).unwrap();
    let (store, contents) = Store::open(&path, false).unwrap();
    let read = |found: &Found| store.read(found.key).unwrap().expect("what was found is whole");
    let records = contents.records.iter().map(read).collect();
    if let Some(moved) = &contents.moved {
        assert!(fs::metadata(moved).unwrap().len() >= bytes.len() as u64, "the file is kept");
    }
    // The file is as good as new.
    store.close();
    let (_, again) = Store::open(&path, false).unwrap();
    assert_eq!((again.records, again.corrupt, again.moved), (contents.records, 0, None));
    (records, contents.corrupt > 0 || contents.moved.is_some())
}

fn check_damaged(records: &[Record], bytes: &[u8], lost_at_most: usize) {
    let (found, is_reported) = open(bytes);
    assert!(found.iter().all(|record| records.contains(record)), "none is made up");
    let lost = records.iter().filter(|record| !found.contains(record)).count();
    assert!(lost <= lost_at_most, "{lost} of {} are lost", records.len());
    assert!(lost == 0 || is_reported, "{lost} are lost without a word");
}

/// The first bytes of the file describe the structure of the rest.
#[test]
fn a_flipped_bit_at_the_start_of_the_file_loses_nothing() {
    let (records, sound) = file_of(&[10, 5_000, 100_000]);
    // The bits are one of every third byte, another one of the next; and two that make a sound file look empty.
    for bit in (0..320 * 8).step_by(25).chain([520, 833]) {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        check_damaged(&records, &bytes, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A flipped bit costs one record at most, the one it is in, and the loss is reported.
    #[test]
    fn a_flipped_bit_loses_one_record_at_most(
        lengths in prop::collection::vec(0_usize..40_000, 1..8), bit in any::<prop::sample::Index>()
    ) {
        let (records, mut bytes) = file_of(&lengths);
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        check_damaged(&records, &bytes, 1);
    }

    /// Whatever is done to a file, each record that comes out of it was in it, and the loss of any other is reported.
    #[test]
    fn any_damage_is_survived(
        lengths in prop::collection::vec(0_usize..20_000, 1..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<[u8; 16]>()), 0..20),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (records, mut bytes) = file_of(&lengths);
        for (at, with) in damage {
            let at = at.index(bytes.len() - with.len());
            bytes[at..at + with.len()].copy_from_slice(&with);
        }
        if let Some(cut) = cut {
            // An empty file is a new one.
            bytes.truncate(cut.index(bytes.len()).max(1));
        }
        check_damaged(&records, &bytes, records.len());
    }

    /// A file of any bytes is no queue, and is survived.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 1..10_000)) {
        check_damaged(&[], &bytes, 0);
    }
}

#[test]
fn a_kill_at_any_step_of_a_salvage_loses_nothing() {
    check_killed_salvages();
}

/// The corrupt file is kept as a copy then, which may be cut.
#[test]
fn a_kill_at_any_step_of_a_salvage_loses_nothing_where_files_have_one_name() {
    without_links(check_killed_salvages);
}

/// Whichever step is the last, the records of the corrupt file are found by the next run.
fn check_killed_salvages() {
    let (records, mut bytes) = file_of(&[10, 5_000, 300]);
    bytes[..8].fill(0);
    let mut steps = 0;
    loop {
        let dir = in_memory();
        let path = dir.path().join("queue");
        fs::write(&path, &bytes).unwrap();
        let is_killed = kill_after(steps, || {
            if let Ok((store, _)) = Store::open(&path, true) {
                store.close();
            }
        });
        let (_, contents) = Store::open(&path, false).unwrap();
        assert_eq!(contents.records.len(), records.len(), "killed after {steps} steps");
        if !is_killed {
            break;
        }
        steps += 1;
    }
    assert!(steps > 10, "{steps}");
}

/// Whichever step is the last, acknowledged requests are there, and those whose removal was acknowledged are not.
#[test]
fn a_kill_at_any_step_of_the_work_loses_nothing_that_was_acknowledged() {
    let record = |key: u64| {
        let record = Record { samples: key, created: 5, request: vec![7; 2_000].into() };
        (key, record.encode(key))
    };
    let mut steps = 0;
    loop {
        let dir = in_memory();
        let path = dir.path().join("queue");
        let mut acknowledged = Vec::new();
        // Changes that a kill in the middle of the last transaction may leave: all or nothing.
        let mut under_way = Vec::new();
        let is_killed = kill_after(steps, || {
            let Ok((mut store, _)) = Store::open(&path, true) else { return };
            for key in 1..=4_u64 {
                let removed: Vec<_> = if key % 3 == 0 { vec![key - 1] } else { Vec::new() };
                under_way = acknowledged.iter().copied().filter(|known| !removed.contains(known)).collect();
                under_way.push(key);
                if store.commit(&[record(key)], &removed).is_err() {
                    break;
                }
                acknowledged.clone_from(&under_way);
            }
            store.close();
        });
        let (_, contents) = Store::open(&path, false).unwrap();
        let found: Vec<_> = contents.records.iter().map(|found| found.key).collect();
        let is_as_before_or_after = found == acknowledged || found == under_way;
        // Removed records may be there again in a salvaged file.
        let is_salvaged = contents.moved.is_some() && acknowledged.iter().all(|key| found.contains(key));
        assert!(is_as_before_or_after || is_salvaged, "{found:?} of {acknowledged:?} after {steps} steps");
        if !is_killed {
            break;
        }
        steps += 1;
    }
    assert!(steps > 20, "{steps}");
}

/// Whoever owns a directory above could put another in the place of the storage's after it has been looked at.
#[test]
fn a_directory_whose_place_others_decide_is_refused() {
    let dir = TempDir::new().unwrap();
    let above = dir.path().join("above");
    let directory = above.join("storage");
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&above, fs::Permissions::from_mode(0o777)).unwrap();
    let error = FileStorage::open(config(&directory)).unwrap_err();
    assert!(matches!(error, OpenError::Unwritable { .. }), "{error}");
    FileStorage::check(&config(&directory)).unwrap_err();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    let error =
        FileStorage::open(Config { create_directory: true, ..config(&above.join("new")) }).unwrap_err();
    assert!(matches!(error, OpenError::Create { .. }), "{error}");
    assert!(!above.join("new").exists());
    // What is in a directory as /tmp is its owner's.
    fs::set_permissions(&above, fs::Permissions::from_mode(0o1777)).unwrap();
    FileStorage::open(config(&directory)).unwrap();
}

/// `lock` may be a link to a file of root's, and the file of a queue may hold requests that another user has made up.
#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let dir = TempDir::new().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "kept").unwrap();
    let shared = dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    std::os::unix::fs::symlink(&victim, shared.join("lock")).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let error = FileStorage::open(config(&shared)).unwrap_err();
    assert!(matches!(error, OpenError::Unwritable { .. }), "{error}");
    FileStorage::check(&config(&shared)).unwrap_err();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
}
