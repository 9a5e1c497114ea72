//! Leaf frames have the function that the linker has put at their address, and no other: for programs of four
//! languages, with their symbols in each place where they can be, and for files that are gone, elsewhere or replaced by
//! the time that the agent looks.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use tests::agent::{Agent, Setup};
use tests::daemon::{Daemon, PATIENCE};
use tests::otlp::Resource;
use tests::{wait, workspace};

use crate::alone;

/// Half a second of CPU time is a hundred samples.
const RATE: u32 = 199;
/// Least samples of each program.
const ENOUGH: usize = 40;
/// The most runs of all programs.
const RUNS: usize = 4;
/// The agent's count of frames without a name.
const UNNAMED: &str = "otelcol_processor_symbolizer_unnamed_frames_total";

/// The functions of a program, as `nm` prints them before the program is stripped.
struct Truth {
    functions: Vec<(u64, u64, String)>,
    /// File offset, address and size of each segment, by `readelf`.
    segments: Vec<[u64; 3]>,
}

impl Truth {
    /// Reads the symbols of a file, or only those for the dynamic linker if `dynamic`.
    fn of(path: &Path, dynamic: bool) -> Self {
        let mut command = Command::new("nm");
        command.args(["-S", "--defined-only"]).args(dynamic.then_some("-D")).arg(path);
        let text = run(&mut command);
        let symbols = text.lines().filter_map(|line| {
            let mut fields = line.splitn(4, ' ');
            let mut number = || u64::from_str_radix(fields.next()?, 16).ok();
            let (start, size) = (number()?, number()?);
            let kind = fields.next()?;
            let name = fields.next()?;
            "tTwWiI".contains(kind).then(|| (start, size, comparable(name)))
        });
        let functions = symbols.collect();
        let segments = run(Command::new("readelf").arg("-lW").arg(path));
        let segments = segments.lines().filter_map(|line| {
            let mut fields = line.trim_start().strip_prefix("LOAD")?.split_whitespace();
            let mut number = || u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
            let (offset, address, _physical, size) = (number()?, number()?, number()?, number()?);
            Some([offset, address, size])
        });
        Self { functions, segments: segments.collect() }
    }

    /// The names of the functions at an address. An address below all of the program's is an offset: the file had not
    /// been read when its window closed.
    fn at(&self, address: u64) -> BTreeSet<&str> {
        let is_offset = self.segments.iter().all(|[_, start, _]| address < *start);
        let segment =
            self.segments.iter().find(|[offset, _, size]| (*offset..offset + size).contains(&address));
        let address = match segment.filter(|_| is_offset) {
            Some([offset, start, _]) => address - offset + start,
            None => address,
        };
        let holds = |(start, size, _): &&(u64, u64, String)| (*start..start + size).contains(&address);
        self.functions.iter().filter(holds).map(|(_, _, name)| name.as_str()).collect()
    }
}

/// The form of a name that both the linker and Go's own tables have: only the linker adds a function's calling
/// convention, and the types that a generic function is made for.
fn comparable(name: &str) -> String {
    let name = name.strip_suffix(".abi0").unwrap_or(name);
    let name = if name.contains("[go.shape.") { name.split('[').next().unwrap_or(name) } else { name };
    // nm appends the version of a symbol, which is no part of its name.
    name.split('@').next().unwrap_or(name).replace("[...]", "")
}

/// A program under a name that no other file has.
struct Program {
    path: PathBuf,
    truth: Truth,
}

impl Program {
    fn name(&self) -> String {
        self.path.file_name().and_then(|name| name.to_str()).expect("a name of ours").to_owned()
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Compiles a source of fixtures/named to a file of this name.
fn compile(dir: &Path, name: &str, compiler: &[&str], source: &str) -> PathBuf {
    let path = dir.join(name);
    let (compiler, arguments) = compiler.split_first().expect("a command has a program");
    let mut command = Command::new(compiler);
    command.args(arguments).arg("-o").arg(&path);
    command.arg(workspace::file(&format!("fixtures/named/{source}")));
    // Go's modules do not work for a single file.
    run(command.env("GO111MODULE", "off"));
    path
}

/// Programs that have their symbols in the file itself.
fn whole(dir: &Path) -> Vec<Program> {
    let all: [(&str, &[&str], &str); 9] = [
        ("spin-c-pie", &["cc", "-O2", "-fPIE", "-pie"], "spin.c"),
        ("spin-c-no-pie", &["cc", "-O2", "-fno-pie", "-no-pie"], "spin.c"),
        ("spin-c-static", &["cc", "-O2", "-static"], "spin.c"),
        ("spin-c-static-pie", &["cc", "-O2", "-static-pie"], "spin.c"),
        ("spin-c-compressed", &["cc", "-O2", "-g", "-gz"], "spin.c"),
        ("spin-cc", &["c++", "-O2"], "spin.cc"),
        ("spin-rust", &["rustc", "-O", "--crate-name", "spin"], "spin.rs"),
        ("spin-rust-v0", &["rustc", "-O", "--crate-name", "spin", "-Csymbol-mangling-version=v0"], "spin.rs"),
        ("spin-go", &["go", "build"], "spin.go"),
    ];
    let all = all.into_iter().map(|(name, compiler, source)| {
        let path = compile(dir, name, compiler, source);
        Program { truth: Truth::of(&path, false), path }
    });
    all.collect()
}

/// Programs that have been stripped, and have their symbols elsewhere.
fn stripped(dir: &Path) -> Vec<Program> {
    let c = |name: &str| compile(dir, name, &["cc", "-O2", "-g", "-rdynamic"], "spin.c");
    let objcopy = |arguments: &[&str], from: &Path, to: &Path| {
        run(Command::new("objcopy").args(arguments).args([from, to]));
    };
    let dynamic = c("spin-dynamic");
    let dynamic = Program { truth: Truth::of(&dynamic, true), path: dynamic };

    let split = c("spin-split");
    let split = Program { truth: Truth::of(&split, false), path: split };
    let debug = dir.join(".debug/spin-split.debug");
    fs::create_dir_all(dir.join(".debug")).expect("the directory is ours");
    objcopy(&["--only-keep-debug"], &split.path, &debug);
    let link = format!("--add-gnu-debuglink={}", debug.display());
    objcopy(&["--strip-all", &link], &split.path.clone(), &split.path);

    let packed = c("spin-packed");
    let packed = Program { truth: Truth::of(&packed, false), path: packed };
    let symbols = dir.join("symbols");
    objcopy(&["--only-keep-debug"], &packed.path, &symbols);
    objcopy(&["--strip-debug"], &symbols.clone(), &symbols);
    run(Command::new("xz").arg("--force").arg(&symbols));
    let section = format!("--add-section=.gnu_debugdata={}", dir.join("symbols.xz").display());
    objcopy(&["--strip-all", &section], &packed.path.clone(), &packed.path);

    run(Command::new("strip").arg(&dynamic.path));
    let go = compile(dir, "spin-go-whole", &["go", "build"], "spin.go");
    let path = compile(dir, "spin-go-stripped", &["go", "build", "-ldflags=-s -w"], "spin.go");
    vec![dynamic, split, packed, Program { truth: Truth::of(&go, false), path }]
}

/// The change to a program's file while the program waits.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Stays,
    Unlinked,
    /// Another program is renamed to the file's name.
    Replaced,
    /// The file is a memfd, which never had a name.
    Memfd,
    /// The file is in a root of its own.
    Chroot,
    /// The file is in a file system that only its mount namespace has, and that is gone with it.
    MountNamespace,
}

/// Runs a program, whose file meets its fate before its first sample is taken.
fn spin(program: &Program, fate: Fate) {
    let dir = program.path.parent().expect("it is in a directory");
    let memfd = rustix::fs::memfd_create(program.name(), rustix::fs::MemfdFlags::empty()).expect("memory");
    let mut command = match fate {
        Fate::Stays | Fate::Unlinked | Fate::Replaced => Command::new(&program.path),
        Fate::Memfd => {
            let path = format!("/proc/{}/fd/{}", std::process::id(), memfd.as_raw_fd());
            fs::copy(&program.path, &path).expect("it is copied");
            Command::new(path)
        }
        Fate::Chroot => {
            let mut command = Command::new("chroot");
            command.arg(dir).arg(Path::new("/").join(program.name()));
            command
        }
        Fate::MountNamespace => {
            let script =
                "mkdir \"$1/apart\" && mount -t tmpfs none \"$1/apart\" && cp \"$1/$0\" \"$1/apart/$0\" &&
                exec \"$1/apart/$0\"";
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", script]).arg(program.name()).arg(dir);
            command
        }
    };
    let mut daemon = Daemon::start("spin", command.stdin(Stdio::piped()));
    let mut input = daemon.stdin().expect("its standard input is a pipe");
    daemon.out.wait_for("ready", PATIENCE).expect("it starts");
    match fate {
        Fate::Unlinked => fs::remove_file(&program.path).expect("it is there"),
        Fate::Replaced => fs::rename(dir.join("spin-other"), &program.path).expect("both are there"),
        Fate::Stays | Fate::Memfd | Fate::Chroot | Fate::MountNamespace => {}
    }
    input.write_all(b"\n").expect("it waits");
    daemon.wait_while_it_works().assert_code(0);
}

/// Leaf frames of a program, by their names.
#[derive(Debug, Default)]
struct Leaves {
    right: usize,
    unnamed: usize,
    /// Leaves at addresses where the linker knows no function.
    nowhere: usize,
    /// Leaves with another name than that of a function at their address.
    wrong: Vec<(u64, String)>,
}

impl Leaves {
    fn of(program: &Program, resources: &[Resource]) -> Self {
        let (mut leaves, name) = (Self::default(), program.name());
        for sample in resources.iter().flat_map(Resource::samples) {
            let Some(leaf) = sample.stack.first() else { continue };
            // The file may be in memory, or deleted: its path then has a mark.
            let is_own = leaf.mapping.as_ref().is_some_and(|of| {
                let file = of.filename.rsplit(['/', ':']).next().unwrap_or_default();
                file.trim_end_matches(" (deleted)") == name
            });
            if !is_own {
                continue;
            }
            let (expected, count) = (program.truth.at(leaf.address), sample.times.len());
            match leaf.functions.last() {
                None if expected.is_empty() => leaves.nowhere += count,
                None => leaves.unnamed += count,
                Some(found) if expected.contains(comparable(found).as_str()) => leaves.right += count,
                Some(found) => leaves.wrong.push((leaf.address, found.clone())),
            }
        }
        leaves
    }

    /// Whether enough of the leaves have names, none of which may be wrong.
    fn are_named(&self, name: &str) -> bool {
        println!("{name}: {} right, {} unnamed, {} nowhere", self.right, self.unnamed, self.nowhere);
        assert!(self.wrong.is_empty(), "{name}: {self:?}");
        // At most a hundredth is unnamed, or one.
        self.right >= ENOUGH && self.unnamed <= 1.max(self.right / 99)
    }
}

/// Waits until the agent names the functions of a program in time. At its start it reads the symbols of all that runs,
/// which are a hundred megabytes of its own if it is a debug build; what else comes waits its turn meanwhile, and
/// leaves without names after a time.
fn wait_until_it_names(agent: &Agent, program: &Program) {
    let look = || {
        spin(program, Fate::Stays);
        let file = agent.file_so_far();
        Leaves::of(program, &file.resources().expect("every index is good"))
    };
    wait::until("functions to have names", look, |leaves| leaves.right >= ENOUGH);
}

/// Others' programs may have hundreds of megabytes of symbols, which are read before, and names that come later than a
/// batch may wait are none. So a run in which the agent counts late names is repeated if names are missing. A name that
/// is missing for another reason fails at once, and so does a wrong one.
#[test]
#[ignore = "needs root: loads BPF programs, and chroot"]
fn leaves_have_the_functions_that_the_linker_has_put_there() {
    let _alone = alone();
    for _run in 0..RUNS {
        let Run { are_all_named, late } = run_all();
        if are_all_named {
            return;
        }
        assert!(late > 0, "names are missing, and none of them was late: see above");
    }
    panic!("names were late in each run: see above");
}

/// The result of a run of all programs.
struct Run {
    are_all_named: bool,
    /// Frames of all programs of the machine whose names came too late.
    late: u64,
}

fn run_all() -> Run {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut programs: Vec<_> = whole(dir.path()).into_iter().chain(stripped(dir.path())).collect();
    for program in &mut programs {
        program.path = program.path.canonicalize().expect("it has been compiled");
    }
    let mut runs: Vec<_> = programs.into_iter().map(|program| (program, Fate::Stays)).collect();
    let fates = [Fate::Unlinked, Fate::Replaced, Fate::Memfd, Fate::Chroot, Fate::MountNamespace]
        .into_iter()
        .zip(1..);
    for (fate, number) in fates {
        let path = compile(dir.path(), &format!("spin-fate-{number}"), &["cc", "-O2", "-static"], "spin.c");
        runs.push((Program { truth: Truth::of(&path, false), path }, fate));
    }
    compile(dir.path(), "spin-other", &["cc", "-O1", "-static"], "spin.c");
    let before = compile(dir.path(), "spin-before", &["cc", "-O1", "-static"], "spin.c");
    let before = Program { truth: Truth::of(&before, false), path: before };

    let pipelines = json!({ "profiles": { "processors": ["procinfo", "symbolizer"] } });
    // Each name is waited for, however busy the machine is.
    let symbolizer = json!({ "timeout": "10s", "demangle": "none" });
    let setup = Setup::new().samples_per_second(RATE);
    let agent = setup
        .with(json!({ "processors": { "symbolizer": symbolizer }, "service": { "pipelines": pipelines } }))
        .start();
    wait_until_it_names(&agent, &before);
    runs.iter().for_each(|(program, fate)| spin(program, *fate));
    let late = late_frames(&agent, runs.last().map(|(program, _)| program));
    let file = agent.stop().file;
    let resources = file.resources().expect("every index is good");
    let named = runs.iter().map(|(program, fate)| {
        Leaves::of(program, &resources).are_named(&format!("{} {fate:?}", program.name()))
    });
    // All are looked at, so that a wrong name is found wherever it is.
    let named: Vec<_> = named.collect();
    Run { are_all_named: named.into_iter().all(|is_named| is_named), late }
}

/// Frames whose names came too late, as the agent counts them once the samples of the last program have left.
fn late_frames(agent: &Agent, last: Option<&Program>) -> u64 {
    let last = last.expect("there are programs");
    let look = || Leaves::of(last, &agent.file_so_far().resources().expect("every index is good"));
    wait::until("samples of the last program", look, |leaves| leaves.right + leaves.unnamed >= ENOUGH);
    agent.metrics().count(UNNAMED, &[("reason", "late")])
}
