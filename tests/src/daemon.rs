//! A process that a test starts, watches and stops.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::lines::Lines;
use crate::wait;
pub use crate::wait::PATIENCE;

/// Longest time that a process may work on a busy machine.
const LONGEST: Duration = Duration::from_secs(600);

/// Starts `command`, whose program this process may have written just now.
///
/// # Panics
/// If the program does not start.
pub fn spawn(command: &mut Command) -> Child {
    let began = Instant::now();
    loop {
        match command.spawn() {
            // A child of another thread, which has not called exec yet, holds the file open for writing.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && began.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome.unwrap_or_else(|error| panic!("{command:?}: {error}")),
        }
    }
}

/// A running process. If it is dropped it is killed, and its log is printed if the test has failed.
#[derive(Debug)]
pub struct Daemon {
    name: &'static str,
    child: Child,
    /// The lines that the process prints to standard output.
    pub out: Lines,
    /// The lines that the process prints to standard error.
    pub log: Lines,
}

/// The end of a process: its status and its output.
#[derive(Debug)]
pub struct Ended {
    /// The exit status.
    pub status: ExitStatus,
    /// All lines that the process has printed to standard output.
    pub out: Vec<String>,
    /// All lines that the process has printed to standard error.
    pub log: Vec<String>,
}

impl Daemon {
    /// Starts `command`; messages about the process have `name`.
    ///
    /// # Panics
    /// If the process does not start.
    pub fn start(name: &'static str, command: &mut Command) -> Self {
        let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let out = child.stdout.take().map(Lines::of).unwrap_or_default();
        let log = child.stderr.take().map(Lines::of).unwrap_or_default();
        Self { name, child, out, log }
    }

    /// The process's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process's standard input, if `command` asked for a pipe; only the first call returns it.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits until the process's log has a line that holds `text`, and returns the line.
    ///
    /// # Panics
    /// If the line does not come.
    pub fn wait_for_log(&self, text: &str) -> String {
        self.log.wait_for(text, PATIENCE).unwrap_or_else(|| panic!("{} has not logged {text:?}", self.name))
    }

    /// Waits until the process's log has `count` lines that hold `text`.
    ///
    /// # Panics
    /// If the lines do not come.
    pub fn wait_for_logs(&self, text: &str, count: u64) {
        let last = self.log.wait_for_nth(text, usize::try_from(count).unwrap_or(usize::MAX), PATIENCE);
        assert!(last.is_some(), "{} has not logged {text:?} {count} times", self.name);
    }

    /// Sends the process `signal`.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("signal to {}: {error}", self.name));
    }

    /// Waits for the process's end for as long as it makes progress: until it has used no CPU time for [`PATIENCE`].
    /// Its computing takes as long as the machine's other work makes it.
    ///
    /// # Panics
    /// If the process does not end.
    pub fn wait_while_it_works(mut self) -> Ended {
        let mut used = Duration::ZERO;
        let (mut moved, started) = (Instant::now(), Instant::now());
        while matches!(self.child.try_wait(), Ok(None)) {
            let now = cpu_time(self.pid());
            if now > used {
                (used, moved) = (now, Instant::now());
            }
            let stands = moved.elapsed() > PATIENCE || started.elapsed() > LONGEST;
            assert!(!stands, "{} does not end, with {used:?} of CPU time used", self.name);
            thread::sleep(Duration::from_millis(20));
        }
        self.wait()
    }

    /// Waits for the process's end.
    ///
    /// # Panics
    /// If the process does not end.
    pub fn wait(mut self) -> Ended {
        let what = format!("the end of {}", self.name);
        let status = wait::until(&what, || self.child.try_wait().ok(), |ended| *ended != Some(None));
        let status = status.flatten().unwrap_or_else(|| panic!("{} cannot be waited for", self.name));
        Ended { status, out: self.out.all(PATIENCE), log: self.log.all(PATIENCE) }
    }
}

/// CPU time of a process so far, in the kernel's ticks of 10 ms; zero if the process has ended. Source: proc(5),
/// `stat`.
fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before the last parenthesis may hold anything; utime and stime are the 12th and 13th field after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- log of {}:\n{}\n---", self.name, self.log.all(PATIENCE).join("\n"));
        }
    }
}

impl Ended {
    /// Asserts that the process ended with exit code `code`.
    ///
    /// # Panics
    /// If it ended otherwise; the message has the log.
    pub fn assert_code(&self, code: i32) {
        let (status, signal) = (self.status, self.status.signal());
        assert!(status.code() == Some(code), "{status}, signal {signal:?}, log:\n{}", self.log.join("\n"));
    }
}
