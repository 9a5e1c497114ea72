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

/// Writes a dump as the specification has it, and a function more with each line that it reads: one with 5 MiB of code
/// if the line begins with `large`. As the second argument has it, it writes through the C library's buffer, as Node.js
/// does, so that the last block comes when it ends.
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

static char code[5 << 20];

static void write_function(FILE *file, uint64_t address, const char *name)
{
    load.size = strncmp(name, "large", 5) ? 256 : sizeof code;
    load.total_size = sizeof load + strlen(name) + 1 + load.size;
    load.pid = load.tid = getpid();
    load.vma = load.address = address;
    load.index++;
    if (!fwrite(&load, sizeof load, 1, file) || !fwrite(name, strlen(name) + 1, 1, file) || !fwrite(code, load.size, 1, file))
        perror("fwrite");
    puts("written");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[80], name[300];
    snprintf(name, sizeof name, "%s/jit-%d.dump", argv[1], getpid());
    int dump = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);
    header.pid = getpid();
    if (argc != 3 || dump < 0 || mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, dump, 0) == MAP_FAILED)
        return 1;
    FILE *file = fdopen(dump, "w+");
    if (strcmp(argv[2], "buffered"))
        setvbuf(file, NULL, _IONBF, 0);
    fwrite(&header, sizeof header, 1, file);
    write_function(file, 0x10000, "first");
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        write_function(file, 0x10000 + 0x1000000 * load.index, line);
    }
    return fclose(file);
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
        Self::start_with(dir, "unbuffered")
    }

    fn start_with(dir: &Path, buffering: &str) -> Self {
        let (source, program) = (dir.join("writer.c"), dir.join("writer"));
        fs::write(&source, WRITER).unwrap();
        assert!(Command::new("cc").arg("-o").arg(&program).arg(source).status().unwrap().success());
        let mut child = Command::new(program)
            .arg(dir)
            .arg(buffering)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
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

    /// Has the process end by itself.
    fn finish(&mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
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
    assert_eq!(reader.name(key, 0x101_0000), Err(Unnamed::NoFile));
    writer.write("second, with spaces");
    reader.wait_for(key, 0x101_0000, "second, with spaces");
    writer.write("third");
    writer.end();
    // On a file system that asks others, a dump is gone with its process.
    let is_held = reader.jits.held().1 == 1;
    fs::remove_file(&writer.dump).unwrap();
    if is_held {
        reader.wait_for(key, 0x201_0000, "third");
    }
}

/// A dump is held open from the first sample on, before anything has been written to it. All of it is read when its
/// process has ended, in answer to the first question, however much it is.
#[test]
#[ignore = "needs root: follows links of /proc/PID/map_files"]
fn a_dump_that_is_written_as_its_process_ends_names_functions() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, mut reader) = (Writer::start_with(dir.path(), "buffered"), JitReader::new(MIB));
    let key = writer.key();
    assert_eq!(fs::metadata(&writer.dump).unwrap().len(), 0);
    assert_eq!(reader.name(key, 0x10000), Err(Unnamed::NoFile));
    let is_held = reader.jits.held().1 == 1;
    for name in ["large one", "large other", "last"] {
        writer.write(name);
    }
    writer.finish();
    fs::remove_file(&writer.dump).unwrap();
    // On a file system that asks others, a dump is gone with its process.
    if is_held {
        assert_eq!(reader.name(key, 0x301_0000).as_deref(), Ok("last"));
        assert_eq!(reader.name(key, 0x10000).as_deref(), Ok("first"));
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
        fs::write(list, "10000 100 planted\n1010000 100 planted\n").unwrap();
        chown(list, Some(12_345), None).unwrap();
    };
    let plant_old = |list: &Path| {
        fs::write(list, "10000 100 stale\n1010000 100 stale\n").unwrap();
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
        late.wait_for(key, 0x101_0000, "second");
        reader.wait_for(key, 0x101_0000, "second");
        fs::remove_file(&list).unwrap();
        fs::write(&list, "10000 100 own\n").unwrap();
        reader.wait_for(key, 0x10000, "own");
    }
}
