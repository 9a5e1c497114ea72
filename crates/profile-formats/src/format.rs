//! The formats that profiles are written in, by name.

use std::fmt;
use std::io;

use crate::model::{Profile, Quantity};
use crate::{firefox, folded, pprof, speedscope, svg};

/// A format that profiles are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// gzip'd `perftools.profiles.Profile`, for `go tool pprof` and all that read its format.
    Pprof,
    /// Folded stacks, for `flamegraph.pl` and all that read its format.
    Folded,
    /// Interactive flame graph.
    Svg,
    /// speedscope's own format.
    Speedscope,
    /// The Firefox Profiler's processed format.
    Firefox,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Pprof, Self::Folded, Self::Svg, Self::Speedscope, Self::Firefox];

    /// The name by which people ask for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pprof => "pprof",
            Self::Folded => "folded",
            Self::Svg => "svg",
            Self::Speedscope => "speedscope",
            Self::Firefox => "firefox",
        }
    }

    /// How names of files in this format end, the usual one first.
    #[must_use]
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Pprof => &[".pb.gz", ".pprof", ".pb"],
            Self::Folded => &[".folded", ".collapsed"],
            Self::Svg => &[".svg"],
            Self::Speedscope => &[".speedscope.json"],
            Self::Firefox => &[".json"],
        }
    }

    /// The format of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format that the name of a file says it is in.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ends = |format: &Self| format.extensions().iter().any(|end| name.ends_with(end));
        Self::ALL.into_iter().find(ends)
    }

    /// Appends a profile in this format. Of formats that hold one kind of value that is `quantity`; pprof holds all.
    ///
    /// # Errors
    /// Those of an encoder; none is expected.
    pub fn write(self, profile: &Profile, quantity: Quantity, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Pprof => pprof::write(profile, out)?,
            Self::Folded => folded::write(profile, quantity, out),
            Self::Svg => svg::write(profile, quantity, out),
            Self::Speedscope => speedscope::write(profile, out)?,
            Self::Firefox => firefox::write(profile, out)?,
        }
        Ok(())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
