//! The toolbox of an unprivileged user against a profiler: the tools of `c/hostile/`, each bounded in time and
//! processes.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use tempfile::TempDir;

use crate::payload::{HOSTILE, TINY};

/// The first user of the tools, each of which has one: limits of processes count by user. No system assigns these
/// numbers.
const FIRST_USER: u32 = 64_300;

/// A way to trouble a profiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Tool {
    /// Threads and files take other names as fast as they can.
    Renames,
    /// Code of many files is mapped, run and unmapped; tens of thousands of mappings at a time.
    Mappings,
    /// Programs whose path is longer than any system call takes.
    LongNames,
    /// One path is now this file and now another.
    Twins,
    /// Files that claim to be ELF, grow, shrink and vanish.
    ForgedElf,
    /// Devices and files of the kernel mounted over a program that runs, in a user namespace.
    Sysfs,
    /// Every process makes others.
    ForkBomb,
    /// Thousands of programs, each with its own path and build ID.
    Programs,
    /// Names that are no text, or text that readers take for more.
    Names,
    /// A file system whose server falls silent.
    StuckFuse,
    /// Lists of functions that are compiled at run time: overlapping, endless, links, pipes, and none of them true.
    Lists,
    /// A megabyte of environment, and services whose names are no text.
    Environments,
}

impl Tool {
    /// Name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Tools at work, all of whose processes end when the value is dropped.
#[derive(Debug)]
pub struct Toolbox {
    running: Vec<Running>,
    cgroup: Option<UserGroup>,
    // The directory is dropped after the processes that use it are gone.
    _dir: TempDir,
}

#[derive(Debug)]
struct Running {
    tool: Tool,
    child: Child,
}

/// The reason why a tool has not done its work.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum ToolboxError {
    /// A tool's files could not be made, or it could not be started.
    #[error("cannot start the tools; is this root?")]
    Start(#[from] io::Error),
    /// A tool ended badly.
    #[error("{tool} failed: {log}")]
    Failed { tool: String, log: String },
}

impl Toolbox {
    /// Starts `tools` for `span`. [`Tool::Programs`] makes as many programs as `programs`.
    ///
    /// # Errors
    /// [`ToolboxError::Start`].
    pub fn start(tools: &[Tool], span: Duration, programs: usize) -> Result<Self, ToolboxError> {
        let dir = tempfile::Builder::new().prefix("hostile-").tempdir()?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        let binary = dir.path().join("hostile");
        write_program(&binary, HOSTILE)?;
        let mut toolbox = Self { running: Vec::new(), cgroup: None, _dir: dir };
        for (&tool, user) in tools.iter().zip(FIRST_USER..) {
            let home = binary.with_file_name(tool.name());
            fs::create_dir(&home)?;
            chown(&home, Some(user), Some(user))?;
            write_program(&home.join("tiny"), TINY)?;
            if tool == Tool::Names {
                toolbox.cgroup = UserGroup::make(user);
            }
            let cgroup = toolbox.cgroup.as_ref().filter(|_| tool == Tool::Names);
            let seconds = span.as_secs_f64().ceil();
            let child = Command::new(&binary)
                .args([tool.name(), format!("{seconds}"), user.to_string()])
                .arg(&home)
                .arg(programs.to_string())
                .args(cgroup.map(|group| OsString::from(&group.path)))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            toolbox.running.push(Running { tool, child });
        }
        Ok(toolbox)
    }

    /// Waits for the tools' end. Returns each tool with the number of times that it did its work.
    ///
    /// # Errors
    /// [`ToolboxError::Failed`] if a tool could not do its work.
    pub fn finish(mut self) -> Result<Vec<(Tool, u64)>, ToolboxError> {
        self.running.iter_mut().map(|running| Ok((running.tool, running.finish()?))).collect()
    }
}

impl Running {
    fn finish(&mut self) -> Result<u64, ToolboxError> {
        let (mut out, mut log) = (String::new(), String::new());
        // Either stream has a line at most.
        if let Some(stream) = &mut self.child.stdout {
            stream.read_to_string(&mut out)?;
        }
        if let Some(stream) = &mut self.child.stderr {
            stream.read_to_string(&mut log)?;
        }
        let status = self.child.wait()?;
        match out.trim().parse() {
            Ok(count) if status.success() && count > 0 => Ok(count),
            _ => Err(ToolboxError::Failed { tool: self.tool.name(), log: format!("{status}, {out}{log}") }),
        }
    }
}

impl Drop for Toolbox {
    fn drop(&mut self) {
        for Running { child, .. } in &mut self.running {
            if let Ok(None) = child.try_wait() {
                // The child's end is that of its PID namespace.
                let _gone = child.kill();
                let _gone = child.wait();
            }
        }
    }
}

fn write_program(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// A control group that belongs to the user, in the hierarchy by which processes are named.
#[derive(Debug)]
struct UserGroup {
    path: PathBuf,
}

impl UserGroup {
    /// Makes the group; `None` on a system without such a hierarchy, or one that does not let us.
    fn make(user: u32) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let path = unified(&mounts)?.join(format!("hostile-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let group = Self { path };
        for path in [group.path.clone(), group.path.join("cgroup.procs")] {
            chown(path, Some(user), Some(user)).ok()?;
        }
        Some(group)
    }
}

impl Drop for UserGroup {
    fn drop(&mut self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let _not_a_group = fs::remove_dir(entry.path());
        }
        let _left = fs::remove_dir(&self.path);
    }
}

/// The mount point of the hierarchy of version 2, by `/proc/self/mounts`.
fn unified(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hierarchy_of_version_2_is_found_among_others() {
        let mounts =
            "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(unified(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(unified("proc /proc proc rw 0 0\n"), None);
    }

    proptest! {
        #[test]
        fn any_text_names_a_hierarchy_or_none(text in "([a-z2 /]|\n)*") {
            let _path = unified(&text);
        }
    }
}
