//! The formats that a recording can be written in.

use std::collections::BTreeMap;
use std::path::Path;

use profile_formats::{Profile, Settings};

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

    /// What a profile is to hold for this format.
    pub(super) fn settings(self) -> Settings {
        Settings::default()
    }

    /// A profile in this format.
    pub(super) fn encode(self, profile: &Profile) -> Vec<u8> {
        let mut lines = BTreeMap::<String, u64>::new();
        for (key, amount) in profile.samples.iter() {
            let frames: Vec<_> = profile.tables.stack_frames(key.stack).map(|frame| frame.name).collect();
            let names: Vec<_> = frames.iter().rev().map(|name| &**name).collect();
            *lines.entry(names.join(";")).or_default() += amount.count;
        }
        lines.iter().map(|(line, count)| format!("{line} {count}\n")).collect::<String>().into_bytes()
    }
}
