//! The directory: who makes room, who stays, and who may use it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::scene::{bytes, id, names};
use crate::cache::{Cache, name_of};
use crate::error::FetchError;
use crate::part::Part;

const KIB: usize = 1 << 10;

/// Puts a file of that size into the cache.
fn put(cache: &Cache, number: u8, size: usize) -> Result<(), FetchError> {
    let mut part = Part::create(cache, id(number), Some(size as u64))?;
    part.write(&vec![number; size])?;
    part.keep()
}

/// Makes the last use of a file so many seconds past a time of long ago.
fn used(directory: &Path, number: u8, at: u64) {
    let file = fs::File::options().append(true).open(directory.join(name_of(&id(number)))).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + at)).unwrap();
}

#[test]
fn the_file_used_longest_ago_makes_room_unless_it_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), 64 * KIB as u64).unwrap();
    (1..=4).for_each(|number| put(&cache, number, 16 * KIB).unwrap());
    [(1, 30), (2, 10), (3, 20), (4, 40)].into_iter().for_each(|(number, at)| used(dir.path(), number, at));
    let in_use = cache.file(&id(2)).unwrap();
    used(dir.path(), 2, 10);
    put(&cache, 5, 16 * KIB).unwrap();
    assert_eq!(names(dir.path()), [1, 2, 4, 5].map(|number| name_of(&id(number))));
    let _also_in_use = [1, 4, 5].map(|number| cache.file(&id(number)).unwrap());
    assert!(matches!(put(&cache, 6, 16 * KIB), Err(FetchError::NoRoom)));
    assert_eq!(names(dir.path()), [1, 2, 4, 5].map(|number| name_of(&id(number))));
    assert_eq!(bytes(in_use), [2; 16 * KIB]);
    put(&cache, 6, 16 * KIB).unwrap();
    assert_eq!(names(dir.path()), [1, 4, 5, 6].map(|number| name_of(&id(number))));
}

/// The metric shows the size of the directory as it is after the last file, which may be the last for long.
#[test]
fn the_size_of_the_directory_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        let cache = Cache::open(dir.path(), 64 * KIB as u64).unwrap();
        (1..=3).for_each(|number| put(&cache, number, 16 * KIB).unwrap());
    });
    let shown =
        recorder.snapshotter().snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
            (key.key().name().rsplit("debuginfod_").next().unwrap().to_owned(), value)
        });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [("cache_bytes".to_owned(), DebugValue::Gauge((48.0 * KIB as f64).into()))]
    );
}

/// A file whose size nobody knows before makes room as it grows, and never takes more than there is.
#[test]
fn a_file_of_unknown_size_stays_within_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), 64 * KIB as u64).unwrap();
    (1..=4).for_each(|number| put(&cache, number, 16 * KIB).unwrap());
    let total = || -> u64 {
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    };
    let mut part = Part::create(&cache, id(5), None).unwrap();
    for _piece in 0..60 {
        part.write(&[5; KIB]).unwrap();
        assert!(total() <= 64 * KIB as u64);
    }
    let all = (0..8).try_for_each(|_piece| part.write(&[5; KIB]));
    assert!(matches!(all, Err(FetchError::NoRoom)), "{all:?}");
    drop(part);
    assert_eq!(total(), 0);
}

#[test]
fn an_agent_that_starts_again_finds_the_files_and_removes_what_was_left_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), 64 * KIB as u64).unwrap();
    put(&cache, 1, KIB).unwrap();
    let written = Part::create(&cache, id(2), None).unwrap();
    fs::write(dir.path().join(".left.1.0.part"), "half").unwrap();
    fs::write(dir.path().join("notes.txt"), "not ours").unwrap();
    let again = Cache::open(dir.path(), 64 * KIB as u64).unwrap();
    assert_eq!(bytes(again.file(&id(1)).unwrap()), [1; KIB]);
    let kept = [".".to_owned() + &id(2).to_string(), name_of(&id(1)), "notes.txt".to_owned()];
    let found = names(dir.path());
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with(&kept[0]) && found[1..] == kept[1..], "{found:?}");
    written.keep().unwrap();
    assert!(again.file(&id(2)).is_some());
}

#[test]
fn the_directory_is_made_for_its_user_alone_and_one_that_others_can_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    let cache = Cache::open(&path, 1 << 20).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    put(&cache, 1, KIB).unwrap();
    let file = path.join(name_of(&id(1)));
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    Cache::open(&link, 1 << 20).unwrap_err();
    fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
    assert_eq!(Cache::open(&path, 1 << 20).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}

/// Links, pipes and directories under the name of a file are none of ours, and nobody waits for them.
#[test]
fn what_is_no_regular_file_is_not_there_and_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), 1 << 20).unwrap();
    let (victim, path) = (dir.path().join("victim"), dir.path().join(name_of(&id(1))));
    fs::write(&victim, "kept").unwrap();
    symlink(&victim, &path).unwrap();
    assert!(cache.file(&id(1)).is_none());
    put(&cache, 1, KIB).unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"kept");
    assert!(cache.file(&id(1)).is_some());
    let pipe = dir.path().join(name_of(&id(2)));
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    assert!(cache.file(&id(2)).is_none());
}
