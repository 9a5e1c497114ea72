//! The formats that a recording can be written in.

use std::path::Path;

/// Format of a file of profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// pprof, for `go tool pprof` and many others (.pb.gz, .pprof).
    Pprof,
    /// Folded stacks, a line each (.folded).
    Folded,
}

impl Format {
    /// The format that a file's name asks for.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let endings = [(".pb.gz", Self::Pprof), (".pprof", Self::Pprof), (".folded", Self::Folded)];
        endings.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| format)
    }
}
