//! The truth about a storm, as its processes themselves wrote it down.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

/// A storm: the first line of a truth file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storm {
    /// The seed that the storm was drawn from.
    pub seed: u64,
    /// True if `kernel.pid_max` was lowered, so that pids were used again.
    pub pid_reuse: bool,
    /// The clocks when the storm began.
    pub begin: Clocks,
    /// The clocks when the last process was reaped.
    pub end: Clocks,
}

/// Two clocks read at the same instant, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// `CLOCK_MONOTONIC`.
    pub monotonic: u64,
    /// `CLOCK_REALTIME`.
    pub unix: u64,
}

/// A process of the storm: each further line of a truth file. Times are `CLOCK_MONOTONIC`, ns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The row of the table that the process counts in.
    pub mode: String,
    /// The other special feature of a process older than the profiler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The process's number in the launcher's pid namespace, which should be the profiler's.
    pub pid: u32,
    /// Time just before the process was made.
    pub born: u64,
    /// Time just before the process called exec for its first own image; `None` if that is not known (`posix_spawn`).
    pub exec_at: Option<u64>,
    /// Time from which on CPU time is counted: `born`, or later if the process is older than the profiler.
    pub counted_from: u64,
    /// Time just after the process's end was known (`wait4`).
    pub reaped: u64,
    /// CPU time that the process used from `counted_from` on, ns. Source: `wait4`.
    pub cpu_ns: u64,
    /// The image that the process ran until its first exec: its parent's.
    pub inherited: Inherited,
    /// The images that the process ran then, in order.
    pub images: Vec<Image>,
    /// The name that the process took while it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rename: Option<Rename>,
}

/// An image that a process got by fork.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inherited {
    /// Path of the image's executable.
    pub path: String,
    /// The thread's name in the image.
    pub comm: String,
}

/// An image: the program that a process runs between two execs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Path that `readlink /proc/PID/exe` shows in the launcher's mount namespace, without the mark ` (deleted)`.
    pub path: String,
    /// The path as the process sees it, if that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_path: Option<String>,
    /// The states that may be reported. There are several if the state changes while the image runs.
    pub states: Vec<State>,
    /// The script, if the executable is an interpreter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The thread's name at the image's start, as the kernel had it.
    pub comm: String,
    /// Time of the start of the image's `main`.
    pub enter: u64,
    /// Time just before the image's exec or exit.
    pub leave: u64,
    /// CPU time of the process between `enter` and `leave`, ns.
    pub cpu_ns: u64,
    /// The path that the link really showed; only in storms that verify.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
}

/// Whether a path still names the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The path names the file.
    Linked,
    /// The path does not name the file any more.
    Deleted,
    /// The file never had a name.
    Memfd,
}

impl State {
    /// The state's name in the truth and in the profiler's output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Deleted => "deleted",
            Self::Memfd => "memfd",
        }
    }
}

/// A change of a thread's name at some instant in `[from, until]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// Time just before the change.
    pub from: u64,
    /// Time just after the change.
    pub until: u64,
    /// The name that the thread took.
    pub comm: String,
}

/// A whole truth file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The storm itself.
    pub storm: Storm,
    /// The storm's processes, in the order of their ends.
    pub processes: Vec<Process>,
}

impl Truth {
    /// Reads JSON lines as [`Truth::write`] writes them.
    ///
    /// # Errors
    /// Errors of the reader; `InvalidData` for a line that is not of a truth file, or if there is none.
    pub fn read(input: impl BufRead) -> io::Result<Self> {
        let mut lines = input.lines();
        let first =
            lines.next().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "empty truth file"))??;
        let storm = serde_json::from_str(&first)?;
        let processes = lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect::<io::Result<_>>()?;
        Ok(Self { storm, processes })
    }

    /// Writes JSON lines: the storm, then each process.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut out, &self.storm)?;
        for process in &self.processes {
            out.write_all(b"\n")?;
            serde_json::to_writer(&mut out, process)?;
        }
        out.write_all(b"\n")
    }

    /// Length of the storm, ns.
    #[must_use]
    pub const fn wall_ns(&self) -> u64 {
        self.storm.end.monotonic.saturating_sub(self.storm.begin.monotonic)
    }

    /// Kernel time of a wall-clock time, by a line through both readings of the clocks: ntpd may be slewing one of
    /// them.
    #[must_use]
    pub fn monotonic(&self, unix: u64) -> u64 {
        let (begin, end) = (self.storm.begin, self.storm.end);
        let offset = |clocks: Clocks| i128::from(clocks.unix) - i128::from(clocks.monotonic);
        let span = i128::from(end.unix.saturating_sub(begin.unix)).max(1);
        let into = i128::from(unix) - i128::from(begin.unix);
        let drift = (offset(end) - offset(begin)) * into / span;
        u64::try_from(i128::from(unix) - offset(begin) - drift).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storm() -> Storm {
        Storm {
            seed: 1,
            pid_reuse: false,
            begin: Clocks { monotonic: 1_000, unix: 51_000 },
            end: Clocks { monotonic: 2_000, unix: 52_010 },
        }
    }

    #[test]
    fn wall_clock_times_become_kernel_times_even_while_a_clock_is_slewed() {
        let truth = Truth { storm: storm(), processes: Vec::new() };
        assert_eq!(truth.monotonic(51_000), 1_000);
        assert_eq!(truth.monotonic(52_010), 2_000);
        assert_eq!(truth.monotonic(51_505), 1_500);
        assert_eq!(truth.monotonic(0), 0, "before the kernel's clock began");
    }

    #[test]
    fn what_is_written_is_read() {
        let image = Image {
            path: "/a \"b\"/ü".into(),
            own_path: Some("/ü".into()),
            states: vec![State::Linked, State::Deleted],
            script: None,
            comm: "c".into(),
            enter: 1,
            leave: 2,
            cpu_ns: 1,
            observed: None,
        };
        let process = Process {
            mode: "spawn".into(),
            variant: None,
            pid: 1,
            born: 0,
            exec_at: Some(1),
            counted_from: 0,
            reaped: 3,
            cpu_ns: 2,
            inherited: Inherited { path: "/l".into(), comm: "l".into() },
            images: vec![image],
            rename: Some(Rename { from: 1, until: 2, comm: "d".into() }),
        };
        let truth = Truth { storm: storm(), processes: vec![process] };
        let mut file = Vec::new();
        truth.write(&mut file).unwrap();
        assert_eq!(Truth::read(file.as_slice()).unwrap(), truth);
    }

    #[test]
    fn an_empty_or_garbled_file_is_refused() {
        assert_eq!(Truth::read(&b""[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(Truth::read(&b"{}\n"[..]).is_err());
    }
}
