//! Names that will be missing on this machine, for people who ask before they run the agent.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use foreignfile::{FilePlace, Files, ProcessMemory, Quarantine};
use pdata::{BootTime, MappedFile, Pc, Pid, ProcessKey};
use procfs::kernel::kernel_text;
use procfs::{ListSymbols, ProcSource};
use symbolize::{KernelSymbols, Limits, SymbolFile};

use crate::debug_files::{self, READ_WITHIN, ROOT};
use crate::sight::Sight;

/// Setting by which the kernel hides addresses.
const KPTR_RESTRICT: &str = "sys/kernel/kptr_restrict";
/// Beginnings of the file names of the libraries that most programs spend their time in.
const MAIN_LIBRARIES: [&str; 7] =
    ["libc.so.", "libc-", "ld-musl-", "libm.so.", "libstdc++.so.", "libcrypto.so.", "libssl.so."];
/// The most libraries that are looked at.
const MOST_LIBRARIES: usize = 16;
/// The most bytes of a process's list of mappings that are looked through.
const MAX_MAPS: u32 = 1 << 20;
/// The most memory that the symbols of a library may take.
const MEMORY: usize = 16 << 20;

/// Names that were looked for, and the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The thing that was looked at, as a heading of one line.
    pub name: &'static str,
    /// The facts that were found, and which frames will have no names because of them.
    pub found: String,
    /// The remedy; `None` if no names are missing.
    pub fix: Option<String>,
}

/// Looks at the kernel's symbols, at the directory of debug files, and at the main libraries that the first process and
/// this one have mapped. `list` lists the kernel's symbols where `proc`, the mounted proc filesystem, hides them.
#[must_use]
pub fn report(proc: &Path, list: &dyn ListSymbols) -> Vec<Finding> {
    let debug = Path::new(ROOT);
    [Some(kernel(proc, list)), directory(debug), libraries(proc)].into_iter().flatten().collect()
}

fn kernel(proc: &Path, list: &dyn ListSymbols) -> Finding {
    let name = "names of the kernel";
    let shown = File::open(proc.join("kallsyms")).and_then(|file| kernel_text(BufReader::new(file)));
    if shown.is_ok_and(|text| text.is_some()) {
        return Finding { name, found: "/proc/kallsyms has them".to_owned(), fix: None };
    }
    if list.symbols().is_ok_and(|text| !KernelSymbols::parse(&text).is_hidden()) {
        let found = "/proc/kallsyms hides their addresses, and a BPF program lists them".to_owned();
        return Finding { name, found, fix: None };
    }
    let setting = fs::read_to_string(proc.join(KPTR_RESTRICT)).unwrap_or_default();
    let setting = setting.trim();
    let found = format!(
        "are hidden (kernel.kptr_restrict is {setting}), and this kernel lists them to no BPF program: its frames have addresses alone"
    );
    let fix = "sysctl kernel.kptr_restrict=1 and run as root or with CAP_SYSLOG, or use Linux 6.0 or newer"
        .to_owned();
    Finding { name, found, fix: Some(fix) }
}

/// The finding on the directory of debug files; `None` if there is none, which is as good as an empty one.
fn directory(directory: &Path) -> Option<Finding> {
    let name = "debug files";
    let shown = directory.display();
    let finding = |found: String, fix: Option<String>| Some(Finding { name, found, fix });
    match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => finding(
            format!("{shown} cannot be read ({error}): stripped programs have no names from there"),
            Some(match error.kind() {
                ErrorKind::PermissionDenied => {
                    format!("chmod 755 {shown}, or run as root or with CAP_DAC_READ_SEARCH")
                }
                _ => format!("make {shown} a directory, or remove it"),
            }),
        ),
        Ok(_entries) => match fs::metadata(directory).map(|found| found.uid()) {
            Ok(0) => finding(format!("{shown} is there"), None),
            _ => finding(
                format!("{shown} is not root's: a file in it that is not root's, either, is not read"),
                Some(format!("chown -R root:root {shown}")),
            ),
        },
    }
}

/// The finding on the main libraries; `None` if there are none, as where all programs are static.
fn libraries(proc: &Path) -> Option<Finding> {
    let name = "names of libraries";
    let mut files = Files::new(Quarantine::of_this_process());
    // A library that both have is looked at once.
    let mut all = BTreeMap::new();
    for process in [std::process::id(), 1] {
        all.extend(
            mapped(&mut files, &proc.join(process.to_string())).into_iter().map(|path| (path, process)),
        );
    }
    let source = ProcSource::new(proc);
    let named = |(path, process): (PathBuf, u32)| {
        let is_named = has_all_names(&source, &mut files, process, &path)?;
        Some((path, is_named))
    };
    let all: Vec<_> = all.into_iter().take(MOST_LIBRARIES).filter_map(named).collect();
    if all.is_empty() {
        return None;
    }
    let names = |wanted: bool| {
        let some = all.iter().filter(|(_, is_named)| *is_named == wanted);
        let names = some.filter_map(|(path, _)| path.file_name()?.to_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let stripped = names(false);
    if stripped.is_empty() {
        return Some(Finding { name, found: format!("{} have all of theirs", names(true)), fix: None });
    }
    let found = format!(
        "{stripped}: stripped, and without debug files below {ROOT}, so that only functions for other files have names"
    );
    let fix = "install their debug files if you want the others named (Debian: libc6-dbg and packages -dbgsym; Fedora: dnf debuginfo-install)";
    Some(Finding { name, found, fix: Some(fix.to_owned()) })
}

/// The main libraries that a process has mapped, by their paths as the process sees them.
fn mapped(files: &mut Files, process: &Path) -> Vec<PathBuf> {
    let maps = files.read_memory(process, ProcessMemory::Maps, 0, MAX_MAPS).unwrap_or_default();
    let paths =
        procfs::mappings(&maps).filter(|mapping| mapping.name.starts_with(b"/")).filter_map(|mapping| {
            let path = Path::new(OsStr::from_bytes(mapping.name));
            let file = path.file_name().and_then(OsStr::to_str)?;
            MAIN_LIBRARIES.iter().any(|start| file.starts_with(start)).then(|| path.to_owned())
        });
    paths.collect()
}

/// Whether a library or its debug file names functions which are not for other files; `None` if it cannot be read. The
/// debug file is looked for as the agent does.
fn has_all_names(source: &ProcSource, files: &mut Files, process: u32, path: &Path) -> Option<bool> {
    let process = ProcessKey { pid: Pid(process), start_time: BootTime::default() };
    let directory = source.process(process);
    let limits = Limits { memory: MEMORY };
    let place = FilePlace::Seen { process: &directory, path };
    let opened = files.open(place, READ_WITHIN, |_found| true).ok()?;
    let owner = opened.found().uid;
    let own = SymbolFile::open(&opened.into_bytes(), limits).ok()?;
    if own.has_inner_names() {
        return Some(true);
    }
    let file = MappedFile::at(path);
    let sight = Sight { file: &file, process, range: (Pc(0), Pc(0)), user: None };
    let debug = debug_files::find(source, files, sight, (own.outline(), owner), limits);
    Some(debug.is_some_and(|debug| debug.tables.has_inner_names()))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::process::Command;

    use super::*;

    /// A list of symbols that a BPF program gives, or not.
    #[derive(Debug)]
    struct List(Option<&'static str>);

    impl ListSymbols for List {
        fn symbols(&self) -> io::Result<Vec<u8>> {
            self.0.map(|text| text.as_bytes().to_vec()).ok_or_else(|| ErrorKind::PermissionDenied.into())
        }

        fn newest_program(&self) -> Option<u32> {
            None
        }
    }

    const SHOWN: &str = "ffffffff81000000 T _stext\nffffffff81000100 T startup\nffffffff82000000 T _etext\n";
    const HIDDEN: &str = "0000000000000000 T _stext\n0000000000000000 T startup\n0000000000000000 T _etext\n";

    #[test]
    fn the_kernel_is_unnamed_only_if_nobody_lists_its_symbols() {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir_all(proc.path().join("sys/kernel")).unwrap();
        fs::write(proc.path().join(KPTR_RESTRICT), "2\n").unwrap();
        for (kallsyms, list, is_named) in [
            (SHOWN, None, true),
            (HIDDEN, Some(SHOWN), true),
            (HIDDEN, Some(HIDDEN), false),
            (HIDDEN, None, false),
        ] {
            fs::write(proc.path().join("kallsyms"), kallsyms).unwrap();
            let finding = kernel(proc.path(), &List(list));
            assert_eq!(finding.fix.is_none(), is_named, "{finding:?}");
            assert!(is_named || finding.found.contains("kernel.kptr_restrict is 2"), "{finding:?}");
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_no_finding_and_one_that_is_not_roots_is_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(directory(&dir.path().join("none")), None);
        let is_root = fs::metadata(dir.path()).unwrap().uid() == 0;
        assert_eq!(directory(dir.path()).unwrap().fix.is_none(), is_root);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(directory(&file).unwrap().found.contains("cannot be read"));
    }

    /// A process whose only library is the one at a path.
    fn process_with(proc: &Path, library: &Path) {
        let maps = format!("7f0000000000-7f0000001000 r-xp 00000000 00:00 7 {}\n", library.display());
        fs::create_dir_all(proc.join("1")).unwrap();
        fs::write(proc.join("1/maps"), maps).unwrap();
        std::os::unix::fs::symlink("/", proc.join("1/root")).unwrap();
    }

    #[test]
    fn a_stripped_library_is_named_with_what_to_do_and_one_that_is_not_stripped_is_fine() {
        let proc = tempfile::tempdir().unwrap();
        assert_eq!(libraries(proc.path()), None);
        let (source, library) = (proc.path().join("source.c"), proc.path().join("libcrypto.so.7"));
        fs::write(
            &source,
            "static int inner(int x) { return x * 3; }\nint outer(int x) { return inner(x); }\n",
        )
        .unwrap();
        let run = |command: &mut Command| assert!(command.status().unwrap().success());
        // A build ID that no other file has.
        run(Command::new("cc")
            .args(["-shared", "-fPIC", "-Wl,--build-id=0xfeedfeedfeed", "-o"])
            .arg(&library)
            .arg(source));
        process_with(proc.path(), &library);
        assert_eq!(libraries(proc.path()).unwrap().fix, None);
        run(Command::new("strip").arg(&library));
        let finding = libraries(proc.path()).unwrap();
        assert!(
            finding.found.starts_with("libcrypto.so.7: stripped") && finding.fix.is_some(),
            "{finding:?}"
        );
    }
}
