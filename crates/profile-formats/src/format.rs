//! The names and file extensions of the formats that profiles are written in.

use std::fmt;
use std::io;

use crate::model::{Profile, Quantity};
use crate::{firefox, folded, otlp, pprof, speedscope, svg};

/// A format that profiles are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// gzip'd `perftools.profiles.Profile`, for `go tool pprof` and other tools that read its format.
    Pprof,
    /// Folded stacks, for `flamegraph.pl` and other tools that read its format.
    Folded,
    /// Interactive flame graph.
    Svg,
    /// speedscope's own format.
    Speedscope,
    /// One line of OTLP/JSON, as exporters append them to files.
    OtlpJson,
    /// One message of OTLP.
    Otlp,
    /// The Firefox Profiler's processed format.
    Firefox,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] = [
        Self::Pprof,
        Self::Folded,
        Self::Svg,
        Self::Speedscope,
        Self::OtlpJson,
        Self::Otlp,
        // The last, since `.json` also ends the extensions of other formats.
        Self::Firefox,
    ];

    /// The format's name on the command line and in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pprof => "pprof",
            Self::Folded => "folded",
            Self::Svg => "svg",
            Self::Speedscope => "speedscope",
            Self::OtlpJson => "otlp_json",
            Self::Otlp => "otlp",
            Self::Firefox => "firefox",
        }
    }

    /// The file extensions of the format, the usual one first.
    #[must_use]
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Pprof => &[".pb.gz", ".pprof", ".pb"],
            Self::Folded => &[".folded", ".collapsed"],
            Self::Svg => &[".svg"],
            Self::Speedscope => &[".speedscope.json"],
            Self::OtlpJson => &[".jsonl", ".otlp.json"],
            Self::Otlp => &[".otlp", ".binpb"],
            Self::Firefox => &[".json"],
        }
    }

    /// The format of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format of a file, by the extension of its name.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ends = |format: &Self| format.extensions().iter().any(|end| name.ends_with(end));
        Self::ALL.into_iter().find(ends)
    }

    /// Appends a profile in this format. Formats that hold one kind of value hold `quantity`; pprof and OTLP hold all
    /// kinds.
    ///
    /// # Errors
    /// An error of the format's encoder; none is expected.
    pub fn write(self, profile: &Profile, quantity: Quantity, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Pprof => pprof::write(profile, out)?,
            Self::Folded => folded::write(profile, quantity, out),
            Self::Svg => svg::write(profile, quantity, out),
            Self::Speedscope => speedscope::write(profile, out)?,
            Self::OtlpJson => otlp::write_json(profile, out),
            Self::Otlp => otlp::write(profile, out),
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
