//! Arrivals: the times at which profiles appear in a file that grows.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// A file of lines to which another process appends.
#[derive(Debug)]
pub struct Growing {
    file: File,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
}

/// A line, and the time at which its end was first seen.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The line, without its end.
    pub line: Vec<u8>,
    /// Time since the Unix epoch.
    pub at: Duration,
}

impl Growing {
    /// Reads `path` from its start on.
    ///
    /// # Errors
    /// The operating system's error, if the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, partial: Vec::new() })
    }

    /// The lines that have become whole since the last look.
    ///
    /// # Errors
    /// The operating system's error, if the file cannot be read.
    pub fn look(&mut self) -> io::Result<Vec<Arrived>> {
        let from = self.partial.len();
        self.file.read_to_end(&mut self.partial)?;
        #[allow(
            clippy::disallowed_methods,
            reason = "the experiment compares with the profiles' wall-clock times"
        )]
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Some(end) = self.partial.iter().skip(from).rposition(|&byte| byte == b'\n') else {
            return Ok(Vec::new());
        };
        let rest = self.partial.split_off(from + end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        let lines = whole.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        Ok(lines.map(|line| Arrived { line: line.to_vec(), at }).collect())
    }
}

/// The end of the window of a line of OTLP JSON, since the Unix epoch: the latest end of its profiles. `None` if it is
/// no such line.
#[must_use]
pub fn window_end(line: &[u8]) -> Option<Duration> {
    let request: Value = serde_json::from_slice(line).ok()?;
    let profiles = request.get("resourceProfiles")?.as_array()?.iter();
    let profiles = profiles.filter_map(|resource| resource.get("scopeProfiles")?.as_array()).flatten();
    let profiles = profiles.filter_map(|scope| scope.get("profiles")?.as_array()).flatten();
    let nanos = |profile: &Value, key| profile.get(key)?.as_str()?.parse::<u64>().ok();
    let ends = profiles
        .filter_map(|profile| nanos(profile, "timeUnixNano")?.checked_add(nanos(profile, "durationNano")?));
    ends.max().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_come_whole_and_once() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut growing = Growing::open(file.path()).unwrap();
        let mut look = |text: &str| {
            file.write_all(text.as_bytes()).unwrap();
            let lines = growing.look().unwrap().into_iter();
            lines.map(|arrived| String::from_utf8(arrived.line).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(look("a\nb"), ["a"]);
        assert!(look("c").is_empty());
        assert_eq!(look("\nd\ne\n"), ["bc", "d", "e"]);
        assert!(look("").is_empty());
    }

    #[test]
    fn a_window_ends_with_the_last_of_its_profiles() {
        let line = br#"{"resourceProfiles":[{"scopeProfiles":[{"profiles":[
            {"timeUnixNano":"10","durationNano":"5"},{"timeUnixNano":"11","durationNano":"7"}]}]}]}"#;
        assert_eq!(window_end(line), Some(Duration::from_nanos(18)));
    }

    proptest! {
        /// Any line has a window's end or none.
        #[test]
        fn any_line_is_read_or_refused(line: Vec<u8>) {
            let _any = window_end(&line);
        }
    }
}
