//! The files of a storm: hundreds of executables, roots for chroot, scripts.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::build_id;
use crate::payload::{BURN, LAUNCH};
use crate::random::Random;

/// Roots for chroot and pivot_root.
const ROOTS: usize = 6;
/// Scripts, each with an interpreter of its own; and as many scripts of those scripts.
const SCRIPTS: usize = 12;
/// Executables that only root may read.
const LOCKED: usize = 6;
/// Names of anonymous files. The launcher keeps at most 16.
pub(crate) const MEMFDS: usize = 8;

/// Paths of all files of a storm. Every one is the payload under another name.
#[derive(Clone, Debug)]
pub struct Tree {
    dir: String,
    /// The launcher.
    pub launcher: String,
    /// Ordinary executables, by thirds: hard links to one file, copies, copies with a build ID of their own.
    pub programs: Vec<String>,
    /// Directories with an executable inside.
    pub roots: Vec<Root>,
    /// Scripts whose interpreter is an executable.
    pub scripts: Vec<Script>,
    /// Scripts whose interpreter is one of `scripts`.
    pub scripts_of_scripts: Vec<Script>,
    /// Executables that only root may read.
    pub locked: Vec<String>,
}

/// A directory to be a process's root.
#[derive(Clone, Debug)]
pub struct Root {
    /// The directory.
    pub dir: String,
    /// The executable, as seen in it.
    pub inner: String,
}

/// A script and the executable that runs in the end.
#[derive(Clone, Debug)]
pub struct Script {
    /// The script.
    pub path: String,
    /// The executable that interprets it.
    pub interpreter: String,
}

impl Tree {
    /// Plans the files of a tree below `dir`, and makes none yet.
    #[must_use]
    pub fn plan(dir: &str, executables: usize) -> Self {
        let programs = (0..executables).map(|i| {
            // Some names are longer than a comm, some folders have names that need care.
            let long = if i % 4 == 0 { "-with-a-long-name" } else { "" };
            format!("{dir}/programs/part {}/größe-{}/bin/program-{i:03}{long}", i % 7, i % 3)
        });
        let roots = (0..ROOTS).map(|i| Root {
            dir: format!("{dir}/roots/root-{i}"),
            inner: format!("/usr/lib/inner-{}/inner-{i}", i % 2),
        });
        let interpreter = |i| format!("{dir}/interpreters/interpreter-{i}");
        let scripts = (0..SCRIPTS)
            .map(|i| Script { path: format!("{dir}/scripts/script-{i}"), interpreter: interpreter(i) });
        let nested = (0..SCRIPTS)
            .map(|i| Script { path: format!("{dir}/scripts/nested-{i}"), interpreter: interpreter(i) });
        Self {
            dir: dir.to_owned(),
            launcher: format!("{dir}/launch"),
            programs: programs.collect(),
            roots: roots.collect(),
            scripts: scripts.collect(),
            scripts_of_scripts: nested.collect(),
            locked: (0..LOCKED).map(|i| format!("{dir}/locked/locked-{i}")).collect(),
        }
    }

    /// Path of an executable that only one process uses, since that process destroys it. Made by [`Tree::make_fresh`].
    #[must_use]
    pub fn fresh(&self, name: &str) -> String {
        format!("{}/fresh/{name}", self.dir)
    }

    /// Makes all the files. The random numbers become build IDs.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn make(&self, random: &mut Random) -> io::Result<()> {
        // The user `nobody` must be able to reach the executables, whatever the umask and the kind of temporary
        // directory.
        fs::set_permissions(&self.dir, Permissions::from_mode(0o755))?;
        write_executable(&self.launcher, LAUNCH, 0o755)?;
        write_executable(&self.original(), BURN, 0o755)?;
        for (index, path) in self.programs.iter().enumerate() {
            match index % 3 {
                0 => self.link(path)?,
                1 => write_executable(path, BURN, 0o755)?,
                _ => write_executable(path, &with_own_build_id(random), 0o755)?,
            }
        }
        for root in &self.roots {
            self.link(&format!("{}{}", root.dir, root.inner))?;
        }
        for (script, nested) in self.scripts.iter().zip(&self.scripts_of_scripts) {
            write_executable(&script.interpreter, &with_own_build_id(random), 0o755)?;
            write_executable(&script.path, format!("#!{}\n", script.interpreter).as_bytes(), 0o755)?;
            write_executable(&nested.path, format!("#!{}\n", script.path).as_bytes(), 0o755)?;
        }
        self.locked.iter().try_for_each(|path| write_executable(path, BURN, 0o711))
    }

    /// Makes a file that one process will destroy: a hard link, so that the file itself lives on, or a copy.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn make_fresh(&self, path: &str, copy: bool) -> io::Result<()> {
        if copy { write_executable(path, BURN, 0o755) } else { self.link(path) }
    }

    /// The file that all hard links share.
    fn original(&self) -> String {
        format!("{}/original", self.dir)
    }

    fn link(&self, path: &str) -> io::Result<()> {
        make_parent(path)?;
        fs::hard_link(self.original(), path)
    }
}

fn with_own_build_id(random: &mut Random) -> Vec<u8> {
    let mut program = BURN.to_vec();
    if let Some(id) = build_id::find(BURN).and_then(|range| program.get_mut(range)) {
        id.iter_mut().for_each(|byte| *byte = random.bits().to_le_bytes()[0]);
    }
    program
}

fn write_executable(path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    make_parent(path)?;
    fs::write(path, bytes)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn make_parent(path: &str) -> io::Result<()> {
    let Some(parent) = Path::new(path).parent() else { return Ok(()) };
    if parent.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(parent)?;
    fs::set_permissions(parent, Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn programs_are_links_copies_and_copies_with_a_build_id_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::plan(dir.path().to_str().unwrap(), 12);
        tree.make(&mut Random::new(1)).unwrap();
        let files: HashSet<u64> =
            tree.programs.iter().map(|path| fs::metadata(path).unwrap().ino()).collect();
        assert_eq!(files.len(), 9, "four links to one file, eight files");
        let ids: HashSet<Vec<u8>> = tree
            .programs
            .iter()
            .map(|path| {
                let bytes = fs::read(path).unwrap();
                bytes[build_id::find(&bytes).unwrap()].to_vec()
            })
            .collect();
        assert_eq!(ids.len(), 5, "one of the links and plain copies, four of their own");
        assert!(tree.roots.iter().all(|root| fs::metadata(format!("{}{}", root.dir, root.inner)).is_ok()));
    }
}
