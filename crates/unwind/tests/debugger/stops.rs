//! Programs that gdb has stopped: the frames that it finds, and the walk from the same registers and memory.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use unwind::{Machine, PageRows, REGISTERS, Rule, RuleTable, StackCopy, UnwindFile, Walk, WalkEnd};

/// The most frames of a walk; gdb has no bound.
const MOST_FRAMES: usize = 1024;

/// An executable mapping of a file.
#[derive(Debug)]
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    path: PathBuf,
}

/// A program at rest.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    /// Registers by DWARF's numbers, and the pc.
    registers: Vec<u64>,
    /// Stacks, each from below its stack pointer on.
    stacks: Vec<(u64, Vec<u8>)>,
    /// The pc of each frame that gdb finds, leaf first.
    pub(crate) frames: Vec<u64>,
}

/// The lines that `stops.py` has printed of one program.
#[derive(Debug, Default)]
pub(crate) struct Session {
    mappings: Vec<Mapping>,
    pub(crate) stops: Vec<Stop>,
}

/// True if this machine has a gdb that runs scripts.
pub(crate) fn has_gdb() -> bool {
    let asked = Command::new("gdb").args(["-nx", "-batch", "-ex", "python print(6 * 7)"]).output();
    asked.is_ok_and(|output| output.stdout.starts_with(b"42"))
}

impl Session {
    /// Runs a program in gdb until it stops itself.
    pub(crate) fn stopped(program: &[&str]) -> Self {
        Self::run(program, &mut gdb(program))
    }

    /// Runs a program in gdb with a stop at each instruction of a function and of its callees, but at most at so many.
    pub(crate) fn stepped(program: &[&str], function: &str, steps: usize) -> Self {
        Self::run(program, gdb(program).env("STEPS_OF", function).env("STEPS", steps.to_string()))
    }

    fn run(program: &[&str], gdb: &mut Command) -> Self {
        let output = gdb.output().unwrap();
        let mut session = Self::default();
        String::from_utf8_lossy(&output.stdout).lines().for_each(|line| session.read(line));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!session.stops.is_empty() && output.status.success(), "{program:?}: {errors}");
        session
    }

    /// Reads a line of the script's; all others are gdb's, for people.
    fn read(&mut self, line: &str) {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| u64::from_str_radix(fields[at], 16).unwrap();
        match (fields[0], fields.len(), self.stops.last_mut()) {
            ("map", 5, None) => {
                let (start, end, offset) = (number(1), number(2), number(3));
                self.mappings.push(Mapping { start, end, offset, path: fields[4].into() });
            }
            ("stop", 1, _) => self.stops.push(Stop::default()),
            ("register", 2, Some(stop)) => stop.registers.push(number(1)),
            ("frame", 2, Some(stop)) => stop.frames.push(number(1)),
            ("memory", 3, Some(stop)) => stop.stacks.push((number(1), bytes(fields[2]))),
            _ => {}
        }
    }

    /// The frames that a walk finds at a stop, and its end; no end if an address is in no file.
    pub(crate) fn walk(&self, stop: &Stop, tables: &mut Tables) -> (Vec<u64>, Option<WalkEnd>) {
        let mut walk = stop.walk();
        let mut frames = Vec::new();
        while frames.len() < MOST_FRAMES {
            frames.push(walk.pc);
            let look = walk.look();
            let Some(mapping) = self.mappings.iter().find(|it| (it.start..it.end).contains(&look)) else {
                break;
            };
            let rule = tables.rule(&mapping.path, look - mapping.start + mapping.offset);
            if let Err(end) = walk.step(&rule, &stop.stack(walk.sp)) {
                return (frames, Some(end));
            }
        }
        (frames, None)
    }
}

impl Stop {
    fn walk(&self) -> Walk {
        let mut registers = [0; REGISTERS];
        let (pc, of_dwarf) = self.registers.split_last().unwrap();
        registers[..of_dwarf.len()].copy_from_slice(of_dwarf);
        Walk {
            machine: Machine::X86_64,
            pc: *pc,
            sp: registers[7],
            fp: registers[6],
            registers,
            interrupted: true,
            kept_known: true,
            guessed: false,
        }
    }

    /// The stack that a stack pointer is in.
    fn stack(&self, sp: u64) -> StackCopy<'_> {
        let holds = |(start, bytes): &&(u64, Vec<u8>)| (*start..=start + bytes.len() as u64).contains(&sp);
        let (start, bytes) =
            self.stacks.iter().find(holds).map_or((0, &[][..]), |(start, bytes)| (*start, bytes));
        StackCopy::new(start, bytes)
    }
}

/// The rows of files, read as they are needed.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    rules: RuleTable,
    files: HashMap<PathBuf, FileRows>,
}

/// A file and its pages that have been built.
#[derive(Debug)]
struct FileRows {
    bytes: Vec<u8>,
    file: UnwindFile,
    pages: HashMap<u64, PageRows>,
}

impl Tables {
    fn rule(&mut self, path: &Path, offset: u64) -> Rule {
        if !self.files.contains_key(path) {
            let bytes = fs::read(path).unwrap();
            let file = UnwindFile::open(bytes.as_slice()).unwrap();
            self.files.insert(path.to_owned(), FileRows { bytes, file, pages: HashMap::new() });
        }
        let FileRows { bytes, file, pages } = self.files.get_mut(path).unwrap();
        let number = offset / PageRows::SIZE;
        let page = pages
            .entry(number)
            .or_insert_with(|| file.page(bytes.as_slice(), number, &mut self.rules).unwrap());
        self.rules.rule(page.rule_at(u16::try_from(offset % PageRows::SIZE).unwrap()))
    }
}

/// gdb with the script, which reads the files' own tables alone, as the walk does: no others that are installed.
fn gdb(program: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/debugger/stops.py");
    let mut gdb = Command::new("gdb");
    gdb.args([
        "-nx",
        "-batch",
        "-iex",
        "set debug-file-directory /nonexistent",
        "-iex",
        "set auto-load off",
        "-x",
    ]);
    gdb.arg(script).arg("--args").args(program).env_remove("STEPS_OF");
    gdb
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
