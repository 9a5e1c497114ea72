//! Old files: their names, and the choice of those that are kept. As in the Collector, `name-TIME.ext` stands beside
//! `name.ext`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use pdata::UnixNanos;

use crate::config::Rotation;
use crate::template::timestamp;

/// Format of the time in a name, to the millisecond.
const TIME: &str = "%Y-%m-%dT%H-%M-%S.%3f";
/// Length of the time in a name, in bytes.
const TIME_LENGTH: usize = 23;
/// Number of milliseconds that are tried for a name that is not taken.
const TRIES: u64 = 10_000;

/// Names that old files of one path have.
#[derive(Clone, Debug)]
pub(crate) struct Backups {
    directory: PathBuf,
    /// The part of an old file's name before the time, its hyphen included.
    before: OsString,
    /// The part of an old file's name after the time: the extension with its dot.
    after: OsString,
    zone: TimeZone,
}

impl Backups {
    /// Names beside `path`, with times of this host's zone or UTC.
    pub(crate) fn of(path: &Path, localtime: bool) -> Self {
        let name = path.file_name().unwrap_or_default();
        let (stem, after) = match extension(name.as_encoded_bytes()) {
            Some(at) => (path_part(name, ..at), path_part(name, at..)),
            None => (name.to_owned(), OsString::new()),
        };
        let mut before = stem;
        before.push("-");
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Self {
            directory: directory.unwrap_or(Path::new(".")).to_owned(),
            before,
            after,
            zone: if localtime { TimeZone::system() } else { TimeZone::UTC },
        }
    }

    /// The path for an old file of that time.
    pub(crate) fn path(&self, at: UnixNanos) -> PathBuf {
        let zoned = timestamp(at).to_zoned(self.zone.clone());
        // The format is a constant with conversions of a time that has all they need.
        let time = strtime::format(TIME, &zoned).unwrap_or_default();
        let mut name = self.before.clone();
        name.push(time);
        name.push(&self.after);
        self.directory.join(name)
    }

    /// Moves `file` to a path of that time, or the next millisecond for which there is none yet.
    pub(crate) fn take(&self, file: &Path, at: UnixNanos) -> io::Result<PathBuf> {
        for later in 0..TRIES {
            let at = UnixNanos::from_nanos(at.as_nanos().saturating_add(later * 1_000_000));
            let path = self.path(at);
            if rename_to_new(file, &path)? {
                return Ok(path);
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Deletes old files but the newest, and those past their age at `now`.
    pub(crate) fn prune(&self, rotation: &Rotation, now: UnixNanos) -> io::Result<()> {
        let mut old = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            if let Some(time) = self.time(name.as_encoded_bytes()) {
                old.push((time, name));
            }
        }
        old.sort_unstable_by(|a, b| b.cmp(a));
        let most = if rotation.max_backups == 0 { usize::MAX } else { rotation.max_backups as usize };
        let age = Duration::from_secs(u64::from(rotation.max_days) * 24 * 60 * 60);
        for (number, (time, name)) in old.into_iter().enumerate() {
            let too_old = !age.is_zero() && timestamp(now).duration_since(time).unsigned_abs() > age;
            if number >= most || (too_old && time < timestamp(now)) {
                fs::remove_file(self.directory.join(name))?;
            }
        }
        Ok(())
    }

    /// The time in the name of an old file of this path; `None` if it is no such name.
    fn time(&self, name: &[u8]) -> Option<Timestamp> {
        let rest = name.strip_prefix(self.before.as_encoded_bytes())?;
        let time = rest.strip_suffix(self.after.as_encoded_bytes())?;
        let text = str::from_utf8(time).ok().filter(|text| text.len() == TIME_LENGTH)?;
        let time = DateTime::strptime("%Y-%m-%dT%H-%M-%S.%f", text).ok()?;
        Some(self.zone.to_ambiguous_zoned(time).compatible().ok()?.timestamp())
    }
}

/// Index of the dot at which the extension of a name starts; the extension of `p.pb.gz` is `.pb.gz`.
fn extension(name: &[u8]) -> Option<usize> {
    let last = name.iter().rposition(|&byte| byte == b'.').filter(|&at| at > 0)?;
    let before = name.get(..last)?;
    Some(if before.ends_with(b".pb") && last > 3 { last - 3 } else { last })
}

/// A part of a name that is cut at a dot.
fn path_part(name: &std::ffi::OsStr, range: impl std::slice::SliceIndex<[u8], Output = [u8]>) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(name.as_encoded_bytes().get(range).unwrap_or_default().to_vec())
}

/// Renames a file unless the new name is taken; false if it is taken.
pub(crate) fn rename_to_new(from: &Path, to: &Path) -> io::Result<bool> {
    // A second name, then the first one removed: unlike a rename, a link replaces nothing.
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // Not every file system has links; a name that is free now is then as good as can be had.
        Err(_no_links) if !to.try_exists()? => fs::rename(from, to).map(|()| true),
        Err(_no_links) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;

    fn at(nanos: u64) -> UnixNanos {
        UnixNanos::from_nanos(nanos)
    }

    #[test]
    fn the_time_goes_before_the_extension() {
        let time = at(1_663_131_734_173_000_000);
        for (path, old) in [
            ("/v/data.json", "/v/data-2022-09-14T05-02-14.173.json"),
            ("data", "./data-2022-09-14T05-02-14.173"),
            ("/v/p.pb.gz", "/v/p-2022-09-14T05-02-14.173.pb.gz"),
            ("/v/.hidden", "/v/.hidden-2022-09-14T05-02-14.173"),
        ] {
            assert_eq!(Backups::of(Path::new(path), false).path(time), Path::new(old));
        }
    }

    #[test]
    fn old_files_are_kept_by_number_and_age_and_others_are_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.jsonl");
        let backups = Backups::of(&path, false);
        let now = 100 * DAY;
        for days in 0..6 {
            fs::write(&path, days.to_string()).unwrap();
            backups.take(&path, at(now - days * DAY)).unwrap();
        }
        for other in
            ["p-old.jsonl", "q-2022-09-14T05-02-14.173.jsonl", "p-2022-09-14T05-02-14.173.json", "p.jsonl"]
        {
            fs::write(directory.path().join(other), "other").unwrap();
        }
        let left = || {
            let files = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
            let mut left: Vec<_> = files.map(|file| fs::read_to_string(file).unwrap()).collect();
            left.retain(|text| text != "other");
            left.sort();
            left.concat()
        };
        backups.prune(&Rotation { max_backups: 0, ..Rotation::default() }, at(now)).unwrap();
        assert_eq!(left(), "012345");
        backups.prune(&Rotation { max_backups: 0, max_days: 4, ..Rotation::default() }, at(now)).unwrap();
        assert_eq!(left(), "01234");
        backups.prune(&Rotation { max_backups: 2, ..Rotation::default() }, at(now)).unwrap();
        assert_eq!(left(), "01");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2 + 4);
    }

    #[test]
    fn a_name_that_is_taken_is_left_and_the_next_one_used() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.jsonl");
        let backups = Backups::of(&path, false);
        for expected in ["p-1970-01-01T00-00-01.000.jsonl", "p-1970-01-01T00-00-01.001.jsonl"] {
            fs::write(&path, "x").unwrap();
            let taken = backups.take(&path, at(1_000_000_000)).unwrap();
            assert_eq!(taken, directory.path().join(expected));
            assert!(!path.exists());
        }
    }

    proptest! {
        /// The time that is written in a name is read back, to the millisecond.
        #[test]
        fn a_name_tells_its_time(nanos in 0..7_000_000_000_000_000_000_u64, path in "[a-z]{1,5}(\\.[a-z]{1,3}){0,2}") {
            let backups = Backups::of(Path::new(&path), false);
            let name = backups.path(at(nanos));
            let time = backups.time(name.file_name().unwrap().as_encoded_bytes()).unwrap();
            prop_assert_eq!(time.as_millisecond(), i64::try_from(nanos / 1_000_000).unwrap());
        }

        /// Any name is one of an old file or is not.
        #[test]
        fn any_name_is_read_or_refused(name in prop::collection::vec(any::<u8>(), 0..40), text in "p-[0-9T.-]{20,26}\\.json") {
            let backups = Backups::of(Path::new("p.json"), false);
            let _any = (backups.time(&name), backups.time(text.as_bytes()));
        }
    }
}
