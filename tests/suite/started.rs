//! Programs that were started by way of others are named nevertheless.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::agent::Setup;
use tests::fuse::Fuse;
use tests::otlp::Resource;
use tests::workspace;

use crate::alone;

/// The loader of this machine's dynamic programs.
#[cfg(target_arch = "x86_64")]
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
#[cfg(target_arch = "aarch64")]
const LOADER: &str = "/lib/ld-linux-aarch64.so.1";

const RATE: u32 = 997;

/// Least samples of a program, of the 1,000 that are expected: a machine with other work may not run the agent in time.
const ENOUGH: i64 = 50;

/// Computes for a second of CPU time, a third of it in a library of the system.
const PROGRAM: &str = r"
    #include <stdlib.h>
    #include <time.h>
    static int order(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
    int main(void)
    {
        static int numbers[4096];
        while (clock() < CLOCKS_PER_SEC) {
            for (int round = 0; round < 64; round++)
                for (unsigned i = 0; i < 4096; i++)
                    numbers[i] = (int)(numbers[i] * 1103515245u + i);
            qsort(numbers, 4096, sizeof(int), order);
        }
        return numbers[0] == 1;
    }
";

/// Compiles the program, linked dynamically, to `directory/name`.
fn compile(directory: &Path, name: &str) -> PathBuf {
    let (source, path) = (directory.join("program.c"), directory.join(name));
    fs::write(&source, PROGRAM).expect("the directory takes files");
    let status = Command::new("cc").args(["-O2", "-o"]).arg(&path).arg(&source).status().expect("cc starts");
    assert!(status.success(), "the program compiles");
    path
}

fn run(command: &mut Command) {
    let status = command.status().expect("the program starts");
    assert!(status.success(), "{command:?} ended with {status}");
}

/// The resources of the executable at `path`.
fn of<'a>(resources: &'a [Resource], path: &str) -> Vec<&'a Resource> {
    resources.iter().filter(|of| of.text("process.executable.path") == path).collect()
}

fn events(of: &[&Resource]) -> i64 {
    of.iter().map(|resource| i64::try_from(resource.events()).expect("a count")).sum()
}

/// `ld-linux-x86-64.so.2 PROGRAM`, `env nice PROGRAM` and a program whose file is really named `NAME (deleted)` are
/// each named in OTLP.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn programs_are_named_however_they_were_started() {
    let _alone = alone();
    let setup = Setup::new().samples_per_second(RATE);
    let dir = setup.dir().canonicalize().expect("it is there");
    let loaded = compile(&dir, "loaded");
    let nice = compile(&dir, "nice job");
    let deleted = compile(&dir, "job (deleted)");
    let agent = setup.start();
    run(Command::new(LOADER).args(["--inhibit-cache", "--argv0", "other"]).arg(&loaded));
    run(Command::new("env").args(["A=1", "nice", "-n", "1"]).arg(&nice));
    run(&mut Command::new(&deleted));
    let outcome = agent.stop();
    let resources = outcome.file.resources().expect("every index is good");

    let text = |path: &Path| path.to_str().expect("a path of ours is text").to_owned();
    let all: Vec<_> = resources.iter().map(|of| (of.text("process.executable.path"), of.events())).collect();
    let named = of(&resources, &text(&loaded));
    assert!(events(&named) > ENOUGH, "{} samples of the program: {all:?}", events(&named));
    for resource in &named {
        assert_eq!(resource.text("service.name"), "loaded");
        assert!(resource.text("procinfo.loader.path").contains("/ld-"), "the loader stays visible");
    }
    let loader = fs::canonicalize(LOADER).expect("the loader is there");
    let left = events(&of(&resources, &text(&loader)));
    assert!(left < events(&named) / 20, "{left} samples are named after the loader: {all:?}");

    for (path, name) in [(&nice, "nice job"), (&deleted, "job (deleted)")] {
        let named = of(&resources, &text(path));
        assert!(events(&named) > ENOUGH, "{} samples of {name}: {all:?}", events(&named));
        for resource in named {
            assert_eq!(resource.text("service.name"), name);
            assert_eq!(resource.text("procinfo.executable.state"), "", "the file is there");
        }
    }
}

/// In a chain of programs that each become the next, and one that changes the user and waits, as sudo does, the last
/// program is named, with its own user.
#[test]
#[ignore = "needs root: loads BPF programs, and becomes another user"]
fn a_program_behind_a_chain_of_others_is_named() {
    let _alone = alone();
    let setup = Setup::new().samples_per_second(RATE);
    let dir = setup.dir().canonicalize().expect("it is there");
    // Another user must be able to read the directory.
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let program = compile(&dir, "behind");
    let agent = setup.start();
    let chain = "env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin timeout 600 setsid -w nice -n 1 runuser -u nobody -- env B=2 nice -n 1";
    let mut words = chain.split(' ');
    run(Command::new(words.next().expect("a word")).args(words).arg(&program));
    let resources = agent.stop().file.resources().expect("every index is good");
    let named = of(&resources, program.to_str().expect("a path of ours is text"));
    assert!(events(&named) > ENOUGH, "{} samples", events(&named));
    for resource in named {
        assert_eq!(resource.text("service.name"), "behind");
        assert_eq!(resource.text("process.owner"), "nobody", "{:?}", resource.attributes);
    }
}

/// An AppImage is named, which runs from a file system of its own, whose server is a program, and which is gone when it
/// ends.
#[test]
#[ignore = "needs root: loads BPF programs, and mounts FUSE"]
fn a_program_of_an_image_that_is_mounted_for_it_is_named() {
    let _alone = alone();
    let setup = Setup::new().samples_per_second(RATE);
    let dir = setup.dir().canonicalize().expect("it is there");
    let program = compile(&dir, "program");
    let point = dir.join(".mount_Appl6kUPmm");
    fs::create_dir(&point).expect("the directory takes more");
    let agent = setup.start();
    let image = Fuse::mount(&point, fs::read(&program).expect("it was compiled"));
    let path = image.file();
    run(&mut Command::new(&path));
    drop(image);
    let outcome = agent.stop();
    let resources = outcome.file.resources().expect("every index is good");
    let named = of(&resources, path.to_str().expect("a path of ours is text"));
    assert!(events(&named) > ENOUGH, "{} samples: {:#?}", events(&named), outcome.log);
    for resource in named {
        assert_eq!(resource.text("service.name"), tests::fuse::FILE);
    }
    let silent = outcome.log.iter().find(|line| line.contains("does not answer"));
    assert_eq!(silent, None, "a file system that is gone is none that is stuck");
}

/// A program of BusyBox has its own name, whether it is started by a link or by BusyBox, and never that of an argument.
#[test]
#[ignore = "needs root: loads BPF programs, and busybox"]
fn a_program_of_busybox_is_called_by_its_own_name() {
    let _alone = alone();
    let setup = Setup::new().samples_per_second(RATE);
    let dir = setup.dir().canonicalize().expect("it is there");
    let find = Command::new("sh").args(["-c", "command -v busybox"]).output().expect("sh starts");
    let busybox = String::from_utf8_lossy(&find.stdout).trim().to_owned();
    assert!(!busybox.is_empty(), "busybox is installed (apt-get install busybox)");
    let (link, file) = (dir.join("sha512sum"), dir.join("secret"));
    symlink(&busybox, &link).expect("the directory takes links");
    // Half a second's work or more, in a file without any blocks.
    fs::File::create(&file).and_then(|file| file.set_len(300 << 20)).expect("the directory takes files");
    let agent = setup.start();
    run(Command::new(&link).arg(&file).stdout(Stdio::null()));
    run(Command::new(&busybox).arg("md5sum").arg(&file).stdout(Stdio::null()));
    let loop_of_a_shell = "i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done";
    run(Command::new(&busybox).args(["sh", "-c", loop_of_a_shell, "secret"]));
    let resources = agent.stop().file.resources().expect("every index is good");
    let file = fs::canonicalize(&busybox).expect("it is there");
    let own = of(&resources, file.to_str().expect("a path of the system is text"));
    for name in ["sha512sum", "md5sum", "sh"] {
        let named: Vec<_> = own.iter().copied().filter(|of| of.text("service.name") == name).collect();
        assert!(events(&named) > ENOUGH, "{} samples of {name}", events(&named));
    }
    let names: BTreeSet<_> = own.iter().map(|of| of.text("service.name")).collect();
    assert!(!names.contains("secret"), "{names:?}");
}

/// The main binary of a pprof file is the program, although the kernel ran the loader.
#[test]
#[ignore = "needs root: loads BPF programs, and Go, see tests/setup.sh"]
fn a_recording_through_the_loader_is_of_the_program() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (loaded, file) = (compile(dir.path(), "loaded"), dir.path().join("cpu.pb.gz"));
    let rate = RATE.to_string();
    let mut record = Command::new(workspace::pipeline());
    record.args(["record", "-F", &rate, "-o"]).arg(&file).arg("--").arg(LOADER).arg(&loaded);
    run(record.env_remove("SUDO_UID").env_remove("SUDO_GID"));
    let mut go = Command::new("go");
    let output = go.args(["tool", "pprof", "-symbolize=none", "-top"]).arg(&file).output().expect("go runs");
    let listing = String::from_utf8_lossy(&output.stdout);
    assert!(listing.starts_with("File: loaded\n"), "the main binary: {output:?}");
}
