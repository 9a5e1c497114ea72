//! Kernel settings that a run changes and restores.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The setting of the most processes alive at once, and so of the highest pid.
pub const PID_MAX: &str = "/proc/sys/kernel/pid_max";
/// The setting by which the kernel measures the run time of BPF programs.
pub const BPF_STATS_ENABLED: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// A setting that gets its value back when the `Restored` is dropped, also by a panic.
#[derive(Debug)]
pub struct Restored {
    path: PathBuf,
    before: String,
}

impl Restored {
    /// Remembers the setting in the file `path`.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn remember(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let before = fs::read_to_string(&path)?.trim().to_owned();
        Ok(Self { path, before })
    }

    /// Sets another value for now.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn set(&self, value: &str) -> io::Result<()> {
        fs::write(&self.path, value)
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let now = fs::read_to_string(&self.path).unwrap_or_default();
        if now.trim() != self.before
            && let Err(error) = fs::write(&self.path, &self.before)
        {
            eprintln!("{} could not be set back to {}: {error}", self.path.display(), self.before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_restored_also_by_a_panic() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "32768\n").unwrap();
        let path = file.path().to_owned();
        let result = std::panic::catch_unwind(|| {
            let setting = Restored::remember(&path).unwrap();
            setting.set("1200").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "1200");
            panic!("in the middle of a storm");
        });
        assert!(result.is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "32768");
    }
}
