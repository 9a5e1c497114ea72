//! Dumps of compiled functions, which processes write and map.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use pdata::ProcessKey;

use super::jit::{JitReader, key_of};
use crate::request::Unnamed;

const MIB: usize = 1 << 20;

/// Writes a dump as the specification has it, and a function more with each line that it reads.
const WRITER: &str = r#"
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct { uint32_t magic, version, total_size, elf_mach, pad, pid; uint64_t timestamp, flags; } header =
    { 0x4A695444, 1, sizeof header, EM_X86_64 };
static struct { uint32_t id, total_size; uint64_t timestamp; uint32_t pid, tid; uint64_t vma, address, size, index; } load;

static void write_function(int file, uint64_t address, const char *name)
{
    static const char code[256];
    load.total_size = sizeof load + strlen(name) + 1 + sizeof code;
    load.pid = load.tid = getpid();
    load.vma = load.address = address;
    load.size = sizeof code;
    load.index++;
    if (write(file, &load, sizeof load) < 0 || write(file, name, strlen(name) + 1) < 0 || write(file, code, sizeof code) < 0)
        perror("write");
    puts("written");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[80], name[300];
    snprintf(name, sizeof name, "%s/jit-%d.dump", argv[1], getpid());
    int file = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);
    header.pid = getpid();
    if (argc != 2 || file < 0 || write(file, &header, sizeof header) < 0)
        return 1;
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED)
        return 2;
    write_function(file, 0x10000, "first");
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        write_function(file, 0x10000 + 0x1000 * load.index, line);
    }
}
"#;

/// A process that writes a dump into a directory.
struct Writer {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    dump: PathBuf,
}

impl Writer {
    fn start(dir: &Path) -> Self {
        let (source, program) = (dir.join("writer.c"), dir.join("writer"));
        fs::write(&source, WRITER).unwrap();
        assert!(Command::new("cc").arg("-o").arg(&program).arg(source).status().unwrap().success());
        let mut child =
            Command::new(program).arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let dump = dir.join(format!("jit-{}.dump", child.id()));
        let mut writer = Self { child, said, dump };
        writer.wait_until_written();
        writer
    }

    fn wait_until_written(&mut self) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line, "written\n");
    }

    fn write(&mut self, name: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{name}").unwrap();
        self.wait_until_written();
    }

    fn key(&self) -> ProcessKey {
        key_of(self.child.id())
    }

    /// The path of the other kind of list that the process may have.
    fn list(&self) -> PathBuf {
        PathBuf::from(format!("/tmp/perf-{}.map", self.child.id()))
    }

    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ended = (self.child.kill(), self.child.wait());
        let _gone = fs::remove_file(self.list());
    }
}

/// A dump is found by the mapping that its process has of it, wherever it is and also once its name is another file's;
/// what it has gained before its process ended is read from the dump itself.
#[test]
#[ignore = "needs root: follows links of /proc/PID/map_files"]
fn a_dump_names_functions_as_it_grows_and_after_its_process() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, mut reader) = (Writer::start(dir.path()), JitReader::new(MIB));
    let key = writer.key();
    reader.wait_for(key, 0x10000, "first");
    reader.wait_for(key, 0x100ff, "first");
    assert_eq!(reader.name(key, 0x11000), Err(Unnamed::NoFile));
    writer.write("second, with spaces");
    reader.wait_for(key, 0x11000, "second, with spaces");
    writer.write("third");
    writer.end();
    // On a file system that asks others, a dump is gone with its process.
    let is_held = reader.jits.held().1 == 1;
    fs::remove_file(&writer.dump).unwrap();
    if is_held {
        reader.wait_for(key, 0x12000, "third");
    }
}

/// A file of that name that another user owns is not the dump of the process.
#[test]
#[ignore = "needs root: follows links of /proc/PID/map_files, and gives files away"]
fn a_dump_of_another_user_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, mut reader) = (Writer::start(dir.path()), JitReader::new(MIB));
    chown(&writer.dump, Some(12_345), None).unwrap();
    assert_eq!(reader.name(writer.key(), 0x10000), Err(Unnamed::NoFile));
}

/// Anybody can write into `/tmp`: a list there that cannot be used, because it is another user's or an earlier
/// process's, neither hides the dump of a process nor ends the reading of one; a list of the process's own does.
#[test]
#[ignore = "needs root: follows links of /proc/PID/map_files, and gives files away"]
fn a_list_that_cannot_be_used_hides_no_dump() {
    let plant_of_other = |list: &Path| {
        fs::write(list, "10000 100 planted\n11000 100 planted\n").unwrap();
        chown(list, Some(12_345), None).unwrap();
    };
    let plant_old = |list: &Path| {
        fs::write(list, "10000 100 stale\n11000 100 stale\n").unwrap();
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        fs::File::options().append(true).open(list).unwrap().set_modified(written).unwrap();
    };
    let plants: [&dyn Fn(&Path); 2] = [&plant_of_other, &plant_old];
    for plant in plants {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, mut reader) = (Writer::start(dir.path()), JitReader::new(MIB));
        let (key, list) = (writer.key(), writer.list());
        plant(&list);
        reader.wait_for(key, 0x10000, "first");
        // The list comes after the dump has been read.
        let mut late = JitReader::new(MIB);
        fs::remove_file(&list).unwrap();
        late.wait_for(key, 0x10000, "first");
        plant(&list);
        writer.write("second");
        late.wait_for(key, 0x11000, "second");
        reader.wait_for(key, 0x11000, "second");
        fs::remove_file(&list).unwrap();
        fs::write(&list, "10000 100 own\n").unwrap();
        reader.wait_for(key, 0x10000, "own");
    }
}
