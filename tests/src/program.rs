//! Programs to profile: `fixtures/burn.c` under any path, with a build ID of the test's choice.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::daemon::{Daemon, PATIENCE};
use crate::workspace;

/// Compiles the CPU burner to `path` with `build_id`, in lower-case hex.
///
/// Static, so that it runs in an empty root; with frame pointers, so that its stacks are whole.
///
/// # Panics
/// If the burner does not compile.
pub fn compile(path: &Path, build_id: &str) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("the program's directory is made");
    }
    let status = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-O2", "-static", "-fno-omit-frame-pointer"])
        .arg(format!("-Wl,--build-id=0x{build_id}"))
        .arg("-o")
        .arg(path)
        .arg(workspace::file("fixtures/burn.c"))
        .status()
        .expect("a C compiler (`cc`, from build-essential) starts");
    assert!(status.success(), "burn.c does not compile");
}

/// A step of the CPU burner; `fixtures/burn.c` describes each.
#[derive(Clone, Debug)]
pub enum Step {
    /// The burner waits for [`Burner::go`].
    Wait,
    /// The burner uses this much CPU time.
    Cpu(Duration),
    /// The burner uses CPU time until [`Burner::go`].
    Busy,
    /// The burner publishes the name of its service in memory: its process context.
    Publish(&'static str),
    /// The burner makes a directory its root.
    Chroot(PathBuf),
    /// The burner becomes another program, which does the following steps.
    Exec(PathBuf),
}

/// A running CPU burner.
#[derive(Debug)]
pub struct Burner {
    daemon: Daemon,
    go: std::process::ChildStdin,
}

impl Burner {
    /// Starts the burner at `path`. Returns once it waits, if it has such a step.
    ///
    /// # Panics
    /// If the burner does not start.
    #[must_use]
    pub fn start(path: &Path, steps: &[Step]) -> Self {
        Self::start_with(path, steps, &[])
    }

    /// The same as [`start`](Self::start), with more variables in the burner's environment.
    ///
    /// # Panics
    /// If the burner does not start.
    #[must_use]
    pub fn start_with(path: &Path, steps: &[Step], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(path);
        command.stdin(Stdio::piped()).envs(environment.iter().copied());
        for step in steps {
            match step {
                Step::Wait => command.arg("wait"),
                Step::Cpu(time) => command.arg("cpu").arg(format!("{:.9}", time.as_secs_f64())),
                Step::Busy => command.arg("busy"),
                Step::Publish(name) => command.arg("publish").arg(name),
                Step::Chroot(root) => command.arg("chroot").arg(root),
                Step::Exec(path) => command.arg("exec").arg(path),
            };
        }
        let mut daemon = Daemon::start("burn", &mut command);
        let go = daemon.stdin().expect("its standard input is a pipe");
        if steps.iter().any(|step| matches!(step, Step::Wait)) {
            daemon.out.wait_for("ready", PATIENCE).expect("the program gets to its wait");
        }
        Self { daemon, go }
    }

    /// The burner's pid, which stays the same over exec.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Ends the burner's wait.
    ///
    /// # Panics
    /// If the burner has ended.
    pub fn go(&mut self) {
        self.go.write_all(b"\n").expect("the program waits");
    }

    /// Waits for the burner's end. Returns the CPU time of each image that it was, by the kernel's count.
    ///
    /// # Panics
    /// If the burner fails.
    #[must_use]
    pub fn finish(self) -> Vec<Duration> {
        let ended = self.daemon.wait_while_it_works();
        ended.assert_code(0);
        let used = ended.out.iter().filter_map(|line| line.strip_prefix("used "));
        used.map(|nanos| Duration::from_nanos(nanos.parse().expect("burn prints nanoseconds"))).collect()
    }
}
