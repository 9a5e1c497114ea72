//! `perf record`, the profiler to compare with.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A running `perf record` of the whole machine, with stacks, which is killed if the value is dropped.
#[derive(Debug)]
pub struct Perf(Child);

impl Perf {
    /// True if there is a `perf` to run.
    #[must_use]
    pub fn is_installed() -> bool {
        Command::new("perf").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    /// Starts sampling.
    ///
    /// # Errors
    /// The operating system's error, if `perf` cannot be run.
    pub fn start(hz: u32, output: &Path) -> io::Result<Self> {
        let child = Command::new("perf")
            .args(["record", "-q", "-a", "-g", "-e", "cpu-clock", "-F", &hz.to_string(), "-o"])
            .arg(output)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // `perf` has no sign of being ready; opening its events takes a tenth of a second.
        thread::sleep(Duration::from_millis(700));
        Ok(Self(child))
    }

    /// Lets `perf` end well.
    ///
    /// # Errors
    /// The operating system's error, if `perf` cannot be waited for.
    pub fn stop(mut self) -> io::Result<()> {
        if let Some(pid) = Pid::from_raw(self.0.id().cast_signed()) {
            let _gone = kill_process(pid, Signal::INT);
        }
        self.0.wait().map(|_status| ())
    }
}

impl Drop for Perf {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _gone = self.0.kill();
            let _gone = self.0.wait();
        }
    }
}
