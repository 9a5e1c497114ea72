//! Paths with a window's time in them.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use pdata::UnixNanos;

/// Two instants that differ in all their parts, from the century to the nanosecond.
const EARLY: UnixNanos = UnixNanos::from_nanos(0);
const LATE: UnixNanos = UnixNanos::from_nanos(1_600_000_000_123_456_789);

/// A path with strftime's conversions, filled in with a window's start in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    Fixed(PathBuf),
    Timed(String),
}

/// A reason why a path is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    NotText,
    Conversion(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("holds a percent sign and is not UTF-8, expected text"),
            Self::Conversion(why) => {
                write!(f, "{why}, expected conversions of strftime like %Y, or %% for a percent sign")
            }
        }
    }
}

impl Template {
    /// Reads a path. A path without a percent sign is taken as it is, whatever its bytes.
    pub(crate) fn new(path: &Path) -> Result<Self, Fault> {
        if !path.as_os_str().as_encoded_bytes().contains(&b'%') {
            return Ok(Self::Fixed(path.to_owned()));
        }
        let text = path.to_str().ok_or(Fault::NotText)?.to_owned();
        // If the format works for one instant it does for all: no conversion depends on the value.
        let first = format(&text, EARLY).map_err(Fault::Conversion)?;
        let later = format(&text, LATE).map_err(Fault::Conversion)?;
        Ok(if first == later { Self::Fixed(first.into()) } else { Self::Timed(text) })
    }

    /// True if the path differs from one time to another.
    pub(crate) fn has_time(&self) -> bool {
        matches!(self, Self::Timed(_))
    }

    /// One path in the directory of all paths, if they have but one directory.
    pub(crate) fn in_known_directory(&self) -> Option<PathBuf> {
        let [early, late] = [EARLY, LATE].map(|at| self.path(at));
        (early.parent() == late.parent()).then_some(early)
    }

    /// The path for a window that starts at `at`.
    pub(crate) fn path(&self, at: UnixNanos) -> PathBuf {
        match self {
            Self::Fixed(path) => path.clone(),
            // The format has been tried, so that this does not fail; its text is a path as well.
            Self::Timed(text) => format(text, at).unwrap_or_else(|_| text.clone()).into(),
        }
    }
}

fn format(text: &str, at: UnixNanos) -> Result<String, String> {
    let zoned = timestamp(at).to_zoned(TimeZone::UTC);
    strtime::format(text, &zoned).map_err(|error| error.to_string())
}

/// An instant as jiff's type. All that fit in 64 bits are within its range.
pub(crate) fn timestamp(at: UnixNanos) -> Timestamp {
    Timestamp::from_nanosecond(at.as_nanos().into()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_time_is_filled_in_as_utc() {
        let template = Template::new(Path::new("/var/%Y-%m-%d/%H%M%S%%.jsonl")).unwrap();
        assert!(template.has_time());
        let at = UnixNanos::from_nanos(1_700_000_000_000_000_000);
        assert_eq!(template.path(at), Path::new("/var/2023-11-14/221320%.jsonl"));
    }

    #[test]
    fn a_path_without_conversions_stays_as_it_is() {
        for (path, becomes) in [("a/b.jsonl", "a/b.jsonl"), ("100%%.jsonl", "100%.jsonl")] {
            let template = Template::new(Path::new(path)).unwrap();
            assert_eq!(template, Template::Fixed(becomes.into()));
        }
    }

    proptest! {
        /// Any path is a template or is refused, and one that is yields a path for any time.
        #[test]
        fn any_path_is_read_or_refused(path in "[%a-zA-Z0-9:._/-]{0,12}", nanos: u64) {
            if let Ok(template) = Template::new(Path::new(&path)) {
                let filled = template.path(UnixNanos::from_nanos(nanos));
                prop_assert!(!template.has_time() || filled != Path::new(&path), "{:?}", path);
            }
        }
    }
}
